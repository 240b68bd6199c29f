"""`_entities`: one statement per type, errors at their own place, hostile representations refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from services.kit.entities import Entity, check
from services.kit.policies import NO_GUARD
from services.kit.testing.client import Client
from tests.services.kit.conftest import issue

PERMIT = "... on WaterPermit { number lake neighbours { number } }"
READ = ("water:read",)


def ref(number: Any, **more: Any) -> dict[str, Any]:
    return {"__typename": "WaterPermit", "number": number, **more}


class TestEntities:
    async def test_of_a_type_are_found_by_one_statement(self, client: Client) -> None:
        numbers = [(await issue(client))["number"] for _ in range(8)]
        with client.statements() as seen:
            answer = await client.entities("... on WaterPermit { number }", *map(ref, reversed(numbers)), scopes=READ)
        assert [found["number"] for found in answer.data["_entities"]] == numbers[::-1]
        assert seen.count == 1

    async def test_and_their_lists_are_one_statement_each(self, client: Client) -> None:
        numbers = [(await issue(client, lake=f"Lake {n % 2}"))["number"] for n in range(6)]
        with client.statements() as seen:
            answer = await client.entities(PERMIT, *map(ref, numbers), scopes=READ)
        assert [len(found["neighbours"]) for found in answer.data["_entities"]] == [2] * 6
        assert seen.count == 2

    async def test_of_another_owner_need_no_statement_of_their_own(self, client: Client) -> None:
        for business in ("111111111", "222222222", "222222222"):
            await issue(client, businessNumber=business)
        with client.statements() as seen:
            answer = await client.entities(
                "... on Business { businessNumber waterPermits { businessNumber } }",
                *({"__typename": "Business", "businessNumber": n} for n in ("222222222", "333333333", "111111111")),
                scopes=READ,
            )
        assert [len(found["waterPermits"]) for found in answer.data["_entities"]] == [2, 0, 1]
        assert seen.count == 1

    async def test_that_nobody_holds_are_null_without_an_error(self, client: Client) -> None:
        answer = await client.entities(PERMIT, ref("nowhere"), scopes=READ)
        assert (answer.data, answer.errors) == ({"_entities": [None]}, [])

    async def test_may_be_none_at_all(self, client: Client) -> None:
        assert (await client.entities(PERMIT, scopes=READ)).data == {"_entities": []}

    async def test_come_in_the_order_asked_and_may_repeat(self, client: Client) -> None:
        number = (await issue(client))["number"]
        answer = await client.entities("... on WaterPermit { number }", ref(number), ref("x"), ref(number), scopes=READ)
        assert answer.data["_entities"] == [{"number": number}, None, {"number": number}]


class TestAFailingRepresentation:
    @pytest.mark.parametrize(
        "bad",
        [
            {"__typename": "WaterPermit"},
            ref(None),
            ref({"a": 1}),
            ref([1]),
            ref(True),
            ref(1.5),
            ref("a\x00b"),
            {"__typename": "Castle", "number": "a"},
            {"__typename": 7, "number": "a"},
            {"number": "a"},
            {},
        ],
    )
    async def test_is_an_error_at_its_own_place_and_the_others_are_answered(
        self, client: Client, bad: Mapping[str, Any]
    ) -> None:
        number = (await issue(client))["number"]
        answer = await client.entities("... on WaterPermit { number }", bad, ref(number), scopes=READ)
        assert answer.data["_entities"] == [None, {"number": number}]
        assert answer.codes == ["BAD_USER_INPUT"]
        assert answer.errors[0]["path"] == ["_entities", 0]

    @pytest.mark.parametrize("key", [7, -(10**18), "n" * 10_000, "😀", "'; DROP TABLE waterpermit; --"])
    async def test_is_not_one_with_an_odd_key(self, client: Client, key: Any) -> None:
        answer = await client.entities("... on WaterPermit { number }", ref(key), scopes=READ)
        assert (answer.data, answer.errors) == ({"_entities": [None]}, [])

    async def test_that_is_no_object_is_refused(self, client: Client) -> None:
        text = "query ($r: [_Any!]!) { _entities(representations: $r) { __typename } }"
        answer = await client.run(text, *READ, variables={"r": ["text", 7, None]})
        assert answer.codes[0] == "BAD_USER_INPUT"


class TestRights:
    async def test_without_the_scope_there_is_null_and_no_statement(self, client: Client) -> None:
        number = (await issue(client))["number"]
        with client.statements() as seen:
            answer = await client.entities("... on WaterPermit { number }", ref(number), scopes=("water:issue",))
            public = await client.entities("... on WaterPermit { number }", ref(number))
        assert (answer.data, answer.codes) == ({"_entities": [None]}, ["FORBIDDEN"])
        assert (public.data, public.codes) == ({"_entities": [None]}, ["UNAUTHENTICATED"])
        assert seen.count == 0

    async def test_a_contributed_field_nulls_only_itself(self, client: Client) -> None:
        business = {"__typename": "Business", "businessNumber": "1", "sector": "72"}
        with client.statements() as seen:
            answer = await client.entities("... on Business { waterLevy waterPermits { number } }", business)
        assert answer.data["_entities"] == [{"waterLevy": "levy-72", "waterPermits": None}]
        assert answer.codes == ["UNAUTHENTICATED"]
        assert seen.count == 0


class TestRequiredFields:
    async def test_that_come_null_make_the_dependent_field_null(self, client: Client) -> None:
        business = {"__typename": "Business", "businessNumber": "1", "sector": None}
        answer = await client.entities("... on Business { businessNumber waterLevy }", business)
        assert answer.data["_entities"] == [{"businessNumber": "1", "waterLevy": None}]
        assert answer.codes == ["REQUIRED_FIELD_MISSING"]


class TestADeclaration:
    def test_of_a_plain_class_that_cannot_be_found_is_refused(self) -> None:
        class Castle:
            name: str

        with pytest.raises(TypeError, match="classmethod find"):
            check(Entity(Castle, ("name",), NO_GUARD, "Castle"))
