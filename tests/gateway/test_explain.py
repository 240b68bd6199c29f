"""An operator is shown how an answer came about; nobody else is."""

import pytest

from gateway import metrics
from gateway.documents import hash_of
from services.kit.testing import tokens
from tests.gateway.conftest import Door, Json, Opening

TEXT = 'query Read { book(isbn: "1") { title grade } best { text } }'
BOOK = {"data": {"book": {"title": "Waves", "isbn": "1"}}}
ASKS = {"onedoor-explain": "1"}


def opinions(asked: Json) -> Json:
    if "_entities" in asked["query"]:
        return {"data": {"_entities": [{"grade": 4.5}]}}
    return {"data": {"best": {"text": "Good"}}}


def as_(*scopes: str) -> dict[str, str]:
    return {"authorization": f"Bearer {tokens.token(*scopes, audience='onedoor')}"}


class TestExplanations:
    @pytest.fixture
    def door(self, open_door: Opening) -> Door:
        return open_door(books=BOOK, opinions=opinions)

    async def test_an_operator_sees_plan_cost_and_what_was_fetched(self, door: Door) -> None:
        body = (await door.post(TEXT, {**ASKS, **as_("operations:read")})).body
        assert body["data"] == {"book": {"title": "Waves", "grade": 4.5}, "best": {"text": "Good"}}
        told = body["extensions"]["onedoor"]
        assert (told["operation"], told["document"], told["cost"]) == ("Read", hash_of(TEXT), 2)
        assert {name: taken["count"] for name, taken in told["fetched"].items()} == {"books": 1, "opinions": 2}
        assert all(taken["ms"] >= 0 for taken in told["fetched"].values())
        assert [fetch["subgraph"] for fetch in told["plan"]] == ["books", "opinions", "opinions"]

    async def test_it_is_there_beside_errors_too(self, open_door: Opening) -> None:
        door = open_door(
            books={"data": {"book": None}, "errors": [{"message": "no", "path": ["book"]}]}, opinions=opinions
        )
        body = (await door.post(TEXT, {**ASKS, **as_("operations:read")})).body
        assert body["errors"]
        assert body["extensions"]["onedoor"]["cost"] == 2

    @pytest.mark.parametrize(
        ("scopes", "status", "code"),
        [(None, 401, "UNAUTHENTICATED"), ((), 403, "FORBIDDEN"), (("business:read-all",), 403, "FORBIDDEN")],
    )
    async def test_others_are_refused_before_any_fetch(
        self, door: Door, scopes: tuple[str, ...] | None, status: int, code: str
    ) -> None:
        reply = await door.post(TEXT, ASKS if scopes is None else {**ASKS, **as_(*scopes)})
        assert (reply.status, reply.codes) == (status, [code])
        assert door.subgraphs.sent == []

    async def test_nobody_is_told_unasked(self, door: Door) -> None:
        assert "extensions" not in (await door.post(TEXT, as_("operations:read"))).body

    async def test_services_are_not_told_that_it_was_asked(self, door: Door) -> None:
        await door.post(TEXT, {**ASKS, **as_("operations:read")})
        assert b"explain" not in door.subgraphs.headers.lower()


async def test_the_figures_tell_what_operations_cost(open_door: Opening) -> None:
    from prometheus_client import REGISTRY

    door = open_door(books=BOOK)
    for _ in range(3):
        await door.post('query Costly { book(isbn: "1") { title } }')
    metrics.settle()
    assert REGISTRY.get_sample_value("onedoor_operation_cost_total", {"operation": "Costly"}) == 3
