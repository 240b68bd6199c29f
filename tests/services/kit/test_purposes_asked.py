"""The owner's own lock: without a purpose that covers it nobody gets another person's data, whatever router has asked."""

import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from services.kit.database import Database
from services.kit.testing import tokens
from services.kit.testing.client import Answer, Client
from tests.services.kit import test_access_log as letters
from tests.services.kit.test_access_log import ANN, ANSWER, LETTERS, READ, WATCH, WRITE, entries, headers, office

__all__ = ["office"]  # the fixture
CASE = 'statutory-investigation; case="HPPA-2026/0117"; reason=%"Plainte d%c3%a9pos%c3%a9e au comptoir"'
INSPECTOR: Any = {"realm_access": {"roles": ["inspector"]}}
BADLY = pytest.mark.parametrize(
    ("purpose", "code"),
    [("", "PURPOSE_REQUIRED"), ("self-service", "PURPOSE_REQUIRED"), ("inspection-conduct", "PURPOSE_NOT_COVERING"),
     ("no-such-purpose", "PURPOSE_NOT_COVERING"), ("representation", "PURPOSE_NOT_COVERING")],
)  # fmt: skip


async def ask(client: Client, query: str, purpose: str, **variables: Any) -> Answer:
    return await client.post(
        orjson.dumps({"query": query, "variables": variables}), headers(**{"onedoor-purpose": purpose})
    )


async def looked(db: Database) -> list[str]:
    """The acts that left an entry, refusals aside."""
    return [entry["act"] for entry in await entries(db) if entry["act"] != "REFUSED"]


@pytest.fixture
async def statutory(office: Client) -> dict[str, Any]:
    """The entry of an inspector who investigates."""
    access = tokens.token(READ, username="inspector", audience="letters", **INSPECTOR)
    given = {"content-type": "application/json", "authorization": f"Bearer {access}", "onedoor-purpose": CASE}
    answer = await office.post(orjson.dumps({"query": LETTERS, "variables": {"ids": ["l0"]}}), given)
    assert answer.data == {"letters": [{"id": "l0", "body": "Dear ann"}]}
    (entry,) = await entries(office.database)
    return entry


class TestAQuery:
    @BADLY
    async def test_without_a_purpose_that_covers_it_shows_nothing(
        self, office: Client, purpose: str, code: str
    ) -> None:
        answer = await ask(office, LETTERS, purpose)
        assert (answer.codes, "Dear" in str(answer.body)) == ([code], False)
        listed = [p["code"] for p in answer.errors[0]["extensions"]["purposes"]]
        assert listed == ["registration-counter", "registration-verification"]
        assert await looked(office.database) == []

    async def test_of_ones_own_needs_none(self, office: Client) -> None:
        given = headers("ann", **{"onedoor-purpose": ""})
        body = orjson.dumps({"query": LETTERS, "variables": {"ids": ["l0", "l1"]}})
        assert len((await office.post(body, given)).data["letters"]) == 2

    async def test_that_others_join_is_refused_alone(self, office: Client) -> None:
        """Of two fields the one about others fails, and the other is answered."""
        both = '{ mine: letters(ids: ["l0"]) { id } theirs: letters(ids: ["l2"]) { id } }'
        answer = await office.post(orjson.dumps({"query": both}), headers("ann", **{"onedoor-purpose": ""}))
        assert (answer.data, answer.codes) == ({"mine": [{"id": "l0"}], "theirs": None}, ["PURPOSE_REQUIRED"])

    async def test_by_reference_is_held_to_the_same(self, office: Client) -> None:
        asked = "query ($r: [_Any!]!) { _entities(representations: $r) { ... on Letter { id body } } }"
        given = [{"__typename": "Letter", "id": "l0"}]
        answer = await ask(office, asked, "", r=given)
        assert (answer.codes, answer.data) == (["PURPOSE_REQUIRED"], {"_entities": [None]})
        assert (await ask(office, asked, "registration-counter", r=given)).codes == []


class TestAMutation:
    @BADLY
    async def test_without_a_purpose_that_covers_it_changes_nothing(
        self, office: Client, purpose: str, code: str
    ) -> None:
        answer = await ask(office, ANSWER, purpose, input={"id": "l2", "body": "Seen"})
        assert answer.codes == [code]
        async with office.database.transaction() as db:
            held = (await db.execute(text("SELECT body FROM letter WHERE id = 'l2'"))).scalar_one()
        assert (held, await looked(office.database)) == ("Dear bob", [])


class TestASubscription:
    async def test_without_a_purpose_that_covers_it_ends_with_that(self, office: Client) -> None:
        told = await office.post(
            orjson.dumps({"query": WATCH}), headers(**{"onedoor-purpose": "inspection-conduct"}), listens_s=30
        )
        assert "PURPOSE_NOT_COVERING" in told.body["stream"]
        assert "Dear" not in told.body["stream"]

    async def test_is_held_to_its_purpose_at_each_event(self, office: Client) -> None:
        """Whoever subscribed to what is their own gets nothing more once it is another's."""
        letters.SENT.clear()
        given = headers("ann", **{"onedoor-purpose": ""})
        task = asyncio.create_task(office.post(orjson.dumps({"query": WATCH}), given, listens_s=30))
        await letters.TestASubscription.sent(1)
        async with office.database.transaction() as db:
            await db.execute(
                text("UPDATE letter SET addressee = :bob, body = 'Dear bob' WHERE id = 'l0'"),
                {"bob": tokens.subject_of("bob")},
            )
        office.feed.publish(letters.LetterChanged(id="l0"))
        told = (await task).body["stream"]
        assert ["Dear ann" in told, "PURPOSE_REQUIRED" in told, "Dear bob" in told] == [True, True, False]


class TestAnInvestigation:
    async def test_leaves_its_case_and_reason_with_the_entry(self, statutory: dict[str, Any]) -> None:
        assert (statutory["subject"], statutory["purpose"]) == (ANN, "statutory-investigation")
        assert statutory["case_number"] == "HPPA-2026/0117"
        assert statutory["reason"] == "Plainte déposée au comptoir"

    async def test_is_shown_to_the_person_later_never_not(self, statutory: dict[str, Any]) -> None:
        assert statutory["shown_after"] - statutory["at"] == timedelta(days=180)

    async def test_without_a_case_sees_nothing(self, office: Client) -> None:
        access = tokens.token(READ, WRITE, username="inspector", audience="letters", **INSPECTOR)
        given = {"content-type": "application/json", "authorization": f"Bearer {access}"}
        body = orjson.dumps({"query": LETTERS})
        answer = await office.post(body, {**given, "onedoor-purpose": "statutory-investigation"})
        assert (answer.codes, answer.errors[0]["extensions"]["field"]) == (["CASE_REQUIRED"], "case")
        assert await looked(office.database) == []
