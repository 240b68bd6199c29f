"""Pages: stable while rows come and go, bounded, and deaf to cursors from elsewhere."""

import base64
import json
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlmodel import select

from services.kit.database import Database
from services.kit.faults import Faulted
from services.kit.pages import DEFAULT_PAGE, decode_cursor, encode_cursor, page
from services.kit.testing.client import Client
from services.kit.text import Text
from tests.services.sample_service.service import WaterPermit, service

ASK = """query ($first: Int, $after: String) { waterPermits(first: $first, after: $after) {
    edges { cursor node { number } } pageInfo { hasNextPage endCursor } } }"""


async def filled(db: Database, *numbers: str) -> None:
    async with db.transaction() as inside:
        for number in numbers:
            purpose = Text(en="Ice", fr="Glace")
            inside.add(WaterPermit(number=number, lake="Erie", business_number="1", purpose=purpose))


async def removed(db: Database, number: str) -> None:
    async with db.transaction() as inside:
        await inside.session.delete(await inside.one(WaterPermit, number))


async def asked(client: Client, **variables: Any) -> Any:
    answer = await client.run(ASK, "water:read", variables=variables)
    assert not answer.errors, answer.body
    return answer.data["waterPermits"]


def numbers(found: Any) -> str:
    return "".join(edge["node"]["number"] for edge in found["edges"])


class TestPages:
    async def test_follow_one_another_to_the_end(self, client: Client) -> None:
        await filled(client.database, *"edcba")
        seen, after = [], None
        while True:
            found = await asked(client, first=2, after=after)
            seen.append(numbers(found))
            after = found["pageInfo"]["endCursor"]
            if not found["pageInfo"]["hasNextPage"]:
                break
        assert seen == ["ab", "cd", "e"]

    async def test_skip_and_repeat_nothing_while_rows_come_and_go(self, client: Client) -> None:
        await filled(client.database, *"bdfh")
        first = await asked(client, first=2)
        await filled(client.database, "a", "e")
        await removed(client.database, "d")
        assert numbers(await asked(client, first=9, after=first["pageInfo"]["endCursor"])) == "efh"

    async def test_of_nothing_are_empty(self, client: Client) -> None:
        found = await asked(client)
        assert found == {"edges": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}

    async def test_know_whether_exactly_one_page_is_all(self, client: Client) -> None:
        await filled(client.database, "a", "b")
        assert (await asked(client, first=2))["pageInfo"]["hasNextPage"] is False

    async def test_hold_twenty_rows_when_nobody_says(self, client: Client) -> None:
        await filled(client.database, *(f"{n:03}" for n in range(25)))
        assert len((await asked(client))["edges"]) == 20

    async def test_go_backwards_where_the_order_does(self, db: Database) -> None:
        await filled(db, *"abc")
        async with db.transaction() as inside:
            order = [WaterPermit.lake, WaterPermit.number]
            first = await page(inside, select(WaterPermit), order=order, first=2, after=None, descending=True)
            rest = await page(
                inside, select(WaterPermit), order=order, first=2, after=first.page_info.end_cursor, descending=True
            )
        assert [edge.node.number for edge in (*first.edges, *rest.edges)] == ["c", "b", "a"]


class TestTheSize:
    @pytest.mark.parametrize("first", [0, -1, 101, 2**31 - 1, -(2**31)])
    async def test_outside_the_bounds_is_refused(self, client: Client, first: int) -> None:
        answer = await client.run(ASK, "water:read", variables={"first": first})
        assert answer.codes == ["BAD_USER_INPUT"]
        assert answer.errors[0]["extensions"]["field"] == "first"
        assert "1 à 100" in answer.errors[0]["extensions"]["text"]["fr"]

    @pytest.mark.parametrize("first", [1, 100])
    async def test_at_the_bounds_is_taken(self, client: Client, first: int) -> None:
        assert await asked(client, first=first)


def forged(value: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


class TestCursors:
    @pytest.mark.parametrize(
        "after",
        [
            *("", "!", "a", "Ã©", "é", "😀", "=" * 9, "x" * 10_000, "../../etc/passwd", "' OR 1=1 --"),
            *map(forged, ([], ["a", "b"], {"a": 1}, "a", 7, None, [None, None], [["a"], "b"])),
            base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        ],
    )
    async def test_from_elsewhere_are_refused(self, client: Client, after: str) -> None:
        answer = await client.run(ASK, "water:read", variables={"after": after})
        assert answer.codes == ["BAD_USER_INPUT"]
        assert answer.data == {"waterPermits": None}

    @pytest.mark.parametrize("value", ["a\x00b", "a\ud800", None, 7, ["x"], {"a": 1}, True])
    async def test_that_hold_something_odd_never_reach_the_database_as_it_is(self, client: Client, value: Any) -> None:
        text = base64.urlsafe_b64encode(json.dumps([value]).encode()).rstrip(b"=").decode()
        answer = await client.run(ASK, "water:read", variables={"after": text})
        assert answer.codes in ([], ["BAD_USER_INPUT"])

    def test_give_back_what_they_hold(self) -> None:
        key = (datetime(2026, 1, 2, tzinfo=UTC), date(2026, 1, 2), "é😀", 7)
        assert decode_cursor(encode_cursor(key), [datetime, date, str, int]) == key

    @pytest.mark.parametrize(
        ("values", "types"),
        [
            (["31 February"], [date]),
            ([7], [datetime]),
            (["seven"], [int]),
            ([1e300], [int]),
            ([True], [str]),
            (["x"], [UUID]),
            ([7], [UUID]),
            ([None], [int]),
            (["2026-01-02T00:00:00"], [datetime]),
            ([2**70], [int]),
        ],
    )
    def test_of_another_list_are_refused(self, values: list[Any], types: list[type]) -> None:
        cursor = base64.urlsafe_b64encode(json.dumps(values).encode()).decode()
        with pytest.raises(Faulted):
            decode_cursor(cursor, types)


class TestTheContract:
    def test_says_how_long_a_page_is_so_that_a_gateway_knows_the_cost(self) -> None:
        (line,) = [line for line in service.sdl().splitlines() if line.strip().startswith("waterPermits(")]
        assert 'slicingArguments: ["first"], sizedFields: ["edges"]' in line
        assert f"assumedSize: {DEFAULT_PAGE}" in line
