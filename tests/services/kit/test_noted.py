"""Data about people leave a service only where a resolver has noted whose they are, and what is refused is noted afterwards."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import structlog
from sqlalchemy import text

from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.context import Context
from services.kit.database import Database
from services.kit.faults import FORBIDDEN, Faulted
from services.kit.feed import Feed
from services.kit.inputs import Input
from services.kit.pages import Connection, Edge, PageInfo
from services.kit.refused_entries import RefusedEntries
from services.kit.service import Service, field
from services.kit.testing import tokens
from services.kit.testing.client import Answer, Client
from services.kit.testing.database import as_owner
from services.kit.view import GraphQLView
from tests.services.kit.conftest import Json, stuck_statements, until, url_of

# What a counter officer may read at the counter.
FILE, DIET, HEALTH = "application", "program-accounts", "identity"
OFFICE: Json = {"realm_access": {"roles": ["counter_officer"]}}
READ = "files:read"
CLERK, ANN, BOB = (tokens.subject_of(name) for name in ("clerk", "ann", "bob"))
service = Service("files")


@service.object_type(personal=DIET)
@dataclass
class Diet:
    """What somebody eats."""

    dish: str


@service.entity(key="id", personal=FILE)
@dataclass
class File:
    """Somebody's file."""

    id: str
    person: str

    @classmethod
    async def find(cls, log: AccessLog, id: str) -> "File | None":
        """A file by its id; nobody's business notes nothing."""
        if id in ("noted", "broken"):
            log.note(BOB if id == "broken" else ANN, FILE)
        if id == "refused":
            log.refuse(BOB, FILE, "700000015")
        return None if id == "refused" else cls(id=id, person=ANN)

    def diet(self) -> Diet | None:
        """A mistake: it notes nothing."""
        return Diet(dish="soup") if self.id != "none" else None

    def broken(self) -> int:
        """Fails for what is broken, and the file with it: it is not nullable."""
        if self.id == "broken":
            raise Faulted(FORBIDDEN, scope="files:all")
        return 1

    @field(personal=HEALTH)
    async def allergies(self, log: AccessLog) -> list[str] | None:
        """Noted where there are some."""
        if self.id == "none":
            return None
        if self.id == "noted":
            log.note(self.person, HEALTH)
        return ["nuts"]


class OpenFileInput(Input):
    """Which file."""

    id: str


@service.query(scope=READ)
async def file(log: AccessLog, id: str) -> File | None:
    """A file."""
    return await File.find(log, id)


@service.query(scope=READ, personal=FILE)
async def files(log: AccessLog, noted: bool, number: int) -> Connection[File]:
    """A page of files."""
    found = [File(id=str(n), person=ANN) for n in range(number)]
    if noted:
        log.note_each(FILE, ((each.person, "") for each in found))
    page = PageInfo(has_next_page=False, end_cursor=None)
    return Connection(edges=[Edge(cursor="", node=each) for each in found], page_info=page)


@service.query(scope=READ)
async def forbidden(log: AccessLog, person: str) -> str:
    """What nobody may read."""
    log.refuse(person, FILE)
    raise Faulted(FORBIDDEN, scope="files:all")


@service.mutation(scope=READ)
async def open_file(log: AccessLog, input: OpenFileInput) -> File:
    """Open a file, or be refused."""
    if input.id == "noted":
        log.note(ANN, FILE)
    if input.id == "refused":
        log.refuse(BOB, FILE)
        raise Faulted(FORBIDDEN, scope="files:all")
    return File(id=input.id, person=ANN)


@service.subscription(scope=READ)
async def opened(log: AccessLog) -> AsyncIterator[File]:
    """Two events, of which one notes."""
    log.note(ANN, FILE)
    yield File(id="first", person=ANN)
    yield File(id="second", person=ANN)


@service.subscription(scope=READ)
async def watched(log: AccessLog) -> AsyncIterator[str]:
    """One event, of which something is refused, and then none."""
    log.refuse(BOB, FILE)
    yield "looked for"
    await asyncio.Event().wait()


@pytest.fixture
async def archive(db: Database) -> Client:
    return Client(service, db)


async def entries(db: Database, act: str) -> list[Json]:
    async with db.transaction() as inside:
        asked = "SELECT *, xmin::text AS made_by FROM access_entry WHERE act = :act ORDER BY subject"
        found = await inside.execute(text(asked), {"act": act})
        return [dict(row) for row in found.mappings()]


async def ask(archive: Client, query: str, **variables: Any) -> Answer:
    return await archive.run(query, READ, username="clerk", variables=variables, claims=OFFICE)


OPEN = "mutation ($input: OpenFileInput!) { openFile(input: $input) { __typename ... on File { id } } }"


class TestDataAboutPeople:
    @pytest.mark.parametrize(
        "query",
        [
            '{ file(id: "f") { id } }',
            '{ file(id: "noted") { diet { __typename } } }',
            '{ file(id: "f") { __typename } }',
            '{ _entities(representations: [{ __typename: "File", id: "f" }]) { ... on File { id } } }',
            "{ files(noted: false, number: 1) { edges { node { id } } } }",
            "{ files(noted: false, number: 0) { pageInfo { hasNextPage } } }",
            '{ noted: file(id: "noted") { id allergies } hidden: file(id: "other") { diet { dish } } }',
            'mutation { openFile(input: { id: "f" }) { ... on File { id } } }',
        ],
    )
    async def test_that_nobody_noted_do_not_leave(self, archive: Client, query: str) -> None:
        answer = await ask(archive, query)
        assert (answer.codes, answer.data) == (["INTERNAL_FAULT"], None)
        assert not any(word in str(answer.body) for word in ("soup", "nuts", "noted"))

    @pytest.mark.parametrize(
        ("query", "categories"),
        [
            ('{ file(id: "noted") { id } }', {FILE}),
            ('{ file(id: "noted") { id allergies } }', {FILE, HEALTH}),
            ("{ files(noted: true, number: 2) { edges { node { id } } } }", {FILE}),
            ("{ files(noted: true, number: 0) { edges { node { diet { dish } } } } }", set()),
        ],
    )
    async def test_that_are_noted_leave(self, archive: Client, query: str, categories: set[str]) -> None:
        assert not (await ask(archive, query)).errors
        assert {entry["category"] for entry in await entries(archive.database, "READ")} == categories

    @pytest.mark.parametrize(
        ("query", "subjects"),
        [
            ('{ file(id: "broken") { broken } }', []),
            ('{ a: file(id: "broken") { broken } b: file(id: "noted") { broken } }', [ANN]),
            ('{ a: file(id: "broken") { broken } b: file(id: "broken") { id } }', [BOB]),
            (
                """{ _entities(representations: [{ __typename: "File", id: "noted" }, { __typename: "File", id: "broken" }]) {
                    ... on File { broken } } }""",
                [ANN],
            ),
        ],
        ids=["alone", "beside another", "and shown elsewhere", "entities"],
    )
    async def test_that_an_error_took_out_of_the_answer_leave_no_entry(
        self, archive: Client, query: str, subjects: list[str]
    ) -> None:
        assert (await ask(archive, query)).codes == ["FORBIDDEN"]
        assert [entry["subject"] for entry in await entries(archive.database, "READ")] == subjects

    async def test_that_are_not_there_need_no_note(self, archive: Client) -> None:
        assert (await ask(archive, '{ a: file(id: "refused") { id } }')).data == {"a": None}

    async def test_are_noted_for_each_event(self, archive: Client) -> None:
        body = orjson.dumps({"query": "subscription { opened { id } }"})
        access = tokens.token(READ, username="clerk", audience="files", **OFFICE)
        answer = await archive.post(body, {"content-type": "application/json", "authorization": f"Bearer {access}"})
        assert "first" in answer.body["stream"]
        assert "second" not in answer.body["stream"]
        assert "INTERNAL_FAULT" in answer.body["stream"]

    async def test_that_a_change_has_noted_are_not_noted_as_read_too(self, archive: Client) -> None:
        await ask(archive, OPEN, input={"id": "noted"})
        assert (len(await entries(archive.database, "CHANGE")), await entries(archive.database, "READ")) == (1, [])


class TestWhatIsRefused:
    @staticmethod
    async def left(archive: Client, number: int = 1) -> list[Json]:
        async def enough() -> list[Json] | None:
            found = await entries(archive.database, "REFUSED")
            return found if len(found) == number else None

        found: list[Json] = await until(enough)
        return found

    @pytest.mark.parametrize(
        "query",
        [
            '{ file(id: "refused") { id } }',
            '{ _entities(representations: [{ __typename: "File", id: "refused" }]) { ... on File { id } } }',
        ],
    )
    async def test_leaves_an_entry_though_it_is_answered_as_absent(self, archive: Client, query: str) -> None:
        await ask(archive, query)
        (entry,) = await self.left(archive)
        assert (entry["actor"], entry["subject"], entry["business"]) == (CLERK, BOB, "700000015")

    async def test_leaves_one_however_often_it_is_asked_for_within_an_hour(self, archive: Client) -> None:
        asked = "query ($p: String!) { forbidden(person: $p) }"
        for _ in range(3):
            assert (await ask(archive, asked, p=BOB)).codes == ["FORBIDDEN"]
        await ask(archive, asked, p=ANN)
        await ask(archive, f"{asked} # the same, by another operation", p=BOB)
        assert sorted(entry["subject"] for entry in await self.left(archive, 3)) == sorted([ANN, BOB, BOB])

    async def test_by_a_mutation_is_kept_though_the_change_is_not(self, archive: Client) -> None:
        await ask(archive, OPEN, input={"id": "refused"})
        assert [entry["subject"] for entry in await self.left(archive)] == [BOB]

    async def test_of_ones_own_leaves_none(self, archive: Client) -> None:
        await ask(archive, "query ($p: String!) { forbidden(person: $p) }", p=CLERK)
        await ask(archive, '{ file(id: "refused") { id } }')
        assert [entry["subject"] for entry in await self.left(archive)] == [BOB]

    async def test_is_answered_before_it_is_written(self, archive: Client) -> None:
        async with as_owner(url_of(archive.database)) as owner:
            await owner.execute(text("LOCK TABLE access_entry IN SHARE MODE"))
            sent = await asked_of(view_of(archive), '{ file(id: "refused") { id } }')
            assert orjson.loads(sent[-1]["body"]) == {"data": {"file": None}}
        await self.left(archive)

    async def test_waits_for_the_transaction_in_hand_and_its_own(self, archive: Client) -> None:
        view = view_of(archive)
        async with as_owner(url_of(archive.database)) as owner:
            await owner.execute(text("LOCK TABLE access_entry IN SHARE MODE"))
            await asked_of(view, '{ file(id: "refused") { id } }')
            await until(lambda: stuck_statements(archive.database))
            for n in range(20):
                await asked_of(view, f'{{ file(id: "refused") {{ id }} }} # {n}')
        await self.left(archive, 21)
        assert len({entry["made_by"] for entry in await entries(archive.database, "REFUSED")}) == 2

    async def test_by_an_event_does_not_wait_for_the_end_of_its_subscription(self, archive: Client) -> None:
        following = asyncio.create_task(asked_of(view_of(archive), "subscription { watched }"))
        assert [entry["subject"] for entry in await self.left(archive)] == [BOB]
        assert not following.done()
        following.cancel()
        await asyncio.wait([following])

    async def test_that_cannot_be_written_holds_up_nothing_else(self, archive: Client) -> None:
        waiting = RefusedEntries(archive.database)
        for subject in ("no text: \0", ANN, BOB):
            log = AccessLog(Caller(CLERK), Context(op=subject))
            log.refuse(subject, FILE)
            waiting.keep(log)
        with structlog.testing.capture_logs() as told:
            await waiting.written()
        assert [entry["subject"] for entry in await self.left(archive, 2)] == sorted([ANN, BOB])
        assert [line["event"] for line in told] == ["refused_entry_lost"]


def view_of(archive: Client) -> GraphQLView:
    return GraphQLView(service.schema, archive.database, Feed(), tokens.verifier("files"))


async def asked_of(view: GraphQLView, query: str) -> list[Any]:
    """What is sent to a client that asks, stays, and does not wait for what follows the answer."""
    access = tokens.token(READ, username="clerk", audience="files", **OFFICE)
    given = {"content-type": "application/json", "authorization": f"Bearer {access}"}
    asked = [{"type": "http.request", "body": orjson.dumps({"query": query}), "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Json:
        if not asked:
            await asyncio.Event().wait()
        return asked.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in given.items()]
    await view({"type": "http", "method": "POST", "headers": headers}, receive, send)
    return sent
