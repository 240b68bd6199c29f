"""Who looked at an applicant's file: offices leave an entry with its owner's name, the owner leaves none."""

import asyncio

import orjson
import pytest
from sqlalchemy import text

from services.business_registration.events import ApplicationStatusChanged
from services.kit.testing import tokens
from services.kit.testing.client import Answer, Client
from services.kit.testing.database import as_owner
from tests.services.business_registration.conftest import AT_THE_COUNTER, OFFICER, Json, Owner, draft_input
from tests.services.business_registration.test_applications import REVISE, WITHDRAW
from tests.services.kit.conftest import until

OWNER = tokens.subject_of("owner")
PARTNERSHIP = {"name": "Amber Kiln", "legalType": "GENERAL_PARTNERSHIP", "partners": ["Ann", "Bob"]}
FILE = "... on Business { legalName address { city } programs { state } }"
WATCH = "subscription ($id: ID!) { applicationStatusChanged(id: $id) { status partners } }"


async def logged(client: Client) -> list[tuple[str, ...]]:
    """Who did what with what of whom, in order."""
    async with client.database.transaction() as db:
        entries = "SELECT actor, act, subject, category FROM access_entry ORDER BY id"
        return [tuple(row) for row in await db.execute(text(entries))]


def read(category: str, actor: str = "officer", subject: str = "owner", act: str = "READ") -> tuple[str, ...]:
    return tokens.subject_of(actor), act, tokens.subject_of(subject), category


async def officer(client: Client, query: str, **variables: object) -> Answer:
    answer = await client.run(query, *OFFICER, username="officer", variables=variables, claims=AT_THE_COUNTER)
    assert not answer.errors, answer.body
    return answer


class TestABusinessFile:
    @pytest.mark.parametrize(
        ("selection", "categories"),
        [
            ("legalName status", []),
            ("address { city }", ["business-address"]),
            ("programs { state }", ["program-accounts"]),
            ("address { city } programs { state }", ["business-address", "program-accounts"]),
        ],
    )
    async def test_leaves_what_an_officer_reads_of_it_unless_it_is_public(
        self, owner: Owner, client: Client, selection: str, categories: list[str]
    ) -> None:
        number = (await owner.register())["business"]["businessNumber"]
        await officer(client, f"query ($n: ID!) {{ business(businessNumber: $n) {{ {selection} }} }}", n=number)
        assert await logged(client) == [read(category) for category in categories]

    async def test_leaves_nothing_when_its_owner_reads_it(self, owner: Owner, client: Client) -> None:
        await owner.register()
        await owner.ask("{ myBusinesses { edges { node { address { city } programs { state } } } } }")
        assert await logged(client) == []

    async def test_leaves_what_was_refused(self, owner: Owner, client: Client) -> None:
        number = (await owner.register())["business"]["businessNumber"]
        given = {"__typename": "Business", "businessNumber": number}
        answer = await client.entities(FILE, given, scopes=("business:read",), username="citizen")
        assert answer.codes == ["FORBIDDEN", "FORBIDDEN"]
        refused = [read(category, "citizen", act="REFUSED") for category in ("business-address", "program-accounts")]
        assert await logged(client) == refused

    async def test_of_each_of_many_owners_is_one_statement(self, owner: Owner, client: Client) -> None:
        people = {"owner": "Amber Kiln", "citizen": "Basalt Heron", "neighbour": "Cedar Violin"}
        numbers = [
            (await Owner(client, person).register(name=name))["business"]["businessNumber"]
            for person, name in people.items()
        ]
        given = [{"__typename": "Business", "businessNumber": number} for number in (*numbers, numbers[0])]
        with client.statements() as seen:
            answer = await client.entities(FILE, *given, scopes=OFFICER, username="officer", claims=AT_THE_COUNTER)
        assert not answer.errors
        assert [statement.split()[0] for statement in seen.texts] == ["SELECT", "SELECT", "INSERT"]
        of_each = [read(c, subject=person) for person in people for c in ("business-address", "program-accounts")]
        assert sorted(await logged(client)) == sorted(of_each)


class TestAnApplication:
    async def test_is_logged_however_an_officer_comes_to_it(self, owner: Owner, client: Client) -> None:
        drafted = await owner.draft(**PARTNERSHIP)
        await owner.ask("query ($id: ID!) { application(id: $id) { partners } }", id=drafted["id"])
        await officer(client, "query ($id: ID!) { application(id: $id) { partners } }", id=drafted["id"])
        given = {"__typename": "Application", "id": drafted["id"]}
        await client.entities(
            "... on Application { partners }", given, scopes=OFFICER, username="officer", claims=AT_THE_COUNTER
        )
        assert await logged(client) == [read("application"), read("identity")] * 2

    @pytest.mark.parametrize(
        ("selection", "categories"),
        [
            ("status", []),
            ("partners", ["identity"]),
            ("address { city }", ["business-address"]),
            ("programs { state }", ["program-accounts"]),
        ],
    )
    async def test_leaves_the_categories_that_are_read_of_it(
        self, owner: Owner, client: Client, selection: str, categories: list[str]
    ) -> None:
        submitted = await owner.register(**PARTNERSHIP)
        await officer(client, f"query ($id: ID!) {{ application(id: $id) {{ {selection} }} }}", id=submitted["id"])
        assert await logged(client) == [read(category) for category in sorted([*categories, "application"])]

    @pytest.mark.parametrize("change", [REVISE, WITHDRAW])
    async def test_of_somebody_else_is_refused_as_unknown_and_that_is_noted(
        self, owner: Owner, client: Client, change: str
    ) -> None:
        drafted = await owner.draft()
        given = (
            {**draft_input(), "applicationId": drafted["id"]} if change == REVISE else {"applicationId": drafted["id"]}
        )
        given.pop("idempotencyKey", None)
        (answer,) = (await Owner(client, "citizen").ask(change, input=given)).values()
        assert answer["code"] == "APPLICATION_UNKNOWN"
        assert await logged(client) == [read("application", "citizen", act="REFUSED")]

    async def test_that_is_watched_is_logged_at_each_event(self, shared: Client) -> None:
        drafted = await Owner(shared).draft(**PARTNERSHIP)
        task = asyncio.create_task(watch(shared, drafted["id"]))

        async def told() -> bool:
            return bool(await logged(shared))

        await until(told)
        await Owner(shared).ask(WITHDRAW, input={"applicationId": drafted["id"]})
        shared.feed.publish(withdrawn(drafted))
        stream = (await task).body["stream"]
        assert ['"DRAFT"' in stream, '"WITHDRAWN"' in stream] == [True, True]
        assert await logged(shared) == [read("application"), read("identity")] * 2


async def watch(client: Client, application_id: str) -> Answer:
    """What an officer hears of an application until it is final."""
    access = tokens.token(*OFFICER, username="officer", audience=client.audience, **AT_THE_COUNTER)
    headers = {"content-type": "application/json", "authorization": f"Bearer {access}"}
    body = orjson.dumps({"query": WATCH, "variables": {"id": application_id}})
    return await client.post(body, headers, listens_s=30)


def withdrawn(application: Json) -> ApplicationStatusChanged:
    given = {"application_id": application["id"], "status": "WITHDRAWN", "changed_at": "2026-01-05T15:00:00Z"}
    return ApplicationStatusChanged.model_validate(given)


class TestAWatchThatFails:
    async def test_is_told_without_a_word_of_the_database(self, shared: Client) -> None:
        drafted = await Owner(shared).draft()
        async with as_owner(shared.database.engine.url.render_as_string(hide_password=False)) as owner:
            await owner.execute(text("ALTER TABLE application RENAME COLUMN partners TO lost"))
        answer = await watch(shared, drafted["id"])
        assert "INTERNAL_FAULT" in answer.body["stream"]
        assert not any(word in answer.body["stream"] for word in ("SELECT", "partners", "sqlalche", "asyncpg"))
