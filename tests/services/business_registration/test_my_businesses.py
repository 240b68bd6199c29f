"""`myBusinesses`: the caller's own, the newest first, page by page, stable while businesses are added."""

import base64
from typing import Any

import pytest

from services.kit.pages import encode_cursor
from services.kit.testing.client import Client
from tests.services.business_registration.conftest import Owner

ASK = """query ($first: Int, $after: String) { myBusinesses(first: $first, after: $after) {
    edges { cursor node { legalName } } pageInfo { hasNextPage endCursor } } }"""
NAMES = [
    "Amber Kiln Pottery",
    "Quartz Ferry Transport",
    "Violet Loom Clothing",
    "Onyx Barrel Foods",
]


async def registered(owner: Owner, *names: str) -> None:
    for name in names:
        filed = await owner.register(name=name)
        assert filed["__typename"] == "Application", filed


async def page(owner: Owner, **given: Any) -> tuple[list[str], dict[str, Any]]:
    found = (await owner.ask(ASK, **given))["myBusinesses"]
    return [edge["node"]["legalName"] for edge in found["edges"]], found["pageInfo"]


class TestPages:
    async def test_hold_the_newest_first_and_follow_one_another_to_the_end(self, owner: Owner) -> None:
        await registered(owner, *NAMES)
        first, info = await page(owner, first=3)
        assert (first, info["hasNextPage"]) == (NAMES[:0:-1], True)
        rest, info = await page(owner, first=3, after=info["endCursor"])
        assert (rest, info["hasNextPage"]) == (NAMES[:1], False)
        assert await page(owner, first=3, after=info["endCursor"]) == ([], {"hasNextPage": False, "endCursor": None})

    async def test_neither_repeat_nor_skip_what_was_there_while_others_are_added(self, owner: Owner) -> None:
        await registered(owner, *NAMES[:3])
        seen, info = await page(owner, first=1)
        while info["hasNextPage"]:
            await registered(owner, f"{['Saffron', 'Jasper', 'Topaz'][len(seen) - 1]} Wharf Books")
            more, info = await page(owner, first=1, after=info["endCursor"])
            seen += more
        assert seen == NAMES[2::-1]
        assert len((await page(owner))[0]) == 5

    async def test_hold_nothing_of_others(self, client: Client, owner: Owner) -> None:
        await registered(owner, *NAMES[:2])
        _, info = await page(owner, first=1)
        other = Owner(client, username="citizen")
        assert (await page(other))[0] == []
        assert (await page(other, after=info["endCursor"]))[0] == []  # a cursor is no key to somebody else's list


class TestWhatIsNoPage:
    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"first": 0}, "first"),
            ({"first": -1}, "first"),
            ({"first": 101}, "first"),
            ({"after": ""}, "after"),
            ({"after": "x"}, "after"),
            ({"after": "🥐"}, "after"),
            ({"after": "=" * 10_000}, "after"),
            ({"after": base64.urlsafe_b64encode(b"\xff\xfe[").decode()}, "after"),
            ({"after": encode_cursor([])}, "after"),
            ({"after": encode_cursor(["2026-11-25T10:00:00+00:00"])}, "after"),
            ({"after": encode_cursor(["2026-11-25T10:00:00", "700000013"])}, "after"),
            ({"after": encode_cursor(["0000-13-45", "700000013"])}, "after"),
            ({"after": encode_cursor(["2026-11-25T10:00:00+00:00", 7])}, "after"),
            ({"after": encode_cursor(["2026-11-25T10:00:00+00:00", "7\x00"])}, "after"),
        ],
    )
    async def test_is_told_by_its_field_in_the_callers_language(
        self, owner: Owner, given: dict[str, Any], field: str
    ) -> None:
        answer = await owner.client.run(ASK, *owner.scopes, username="owner", language="fr", variables=given)
        (error,) = answer.errors
        assert (error["extensions"]["code"], error["extensions"]["field"]) == ("BAD_USER_INPUT", field)
        assert error["message"] == error["extensions"]["text"]["fr"]
        assert answer.data == {"myBusinesses": None}
