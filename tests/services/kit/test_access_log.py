"""Access entries: what reading and changing another person's data leaves behind, before anything is shown of it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import strawberry
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel, col, select

from services.kit import database
from services.kit.access_log import AccessLog, Act
from services.kit.caller import Caller
from services.kit.context import Context
from services.kit.database import Database, Db, connect
from services.kit.events import Event
from services.kit.feed import Feed
from services.kit.inputs import Input
from services.kit.refusals import Refusal
from services.kit.service import Service
from services.kit.testing import tokens
from services.kit.testing.client import Answer, Client
from services.kit.testing.database import as_owner
from services.kit.testing.database import url_of as beside
from services.kit.view import GraphQLView
from tests.services.kit.conftest import Json, count, create, stuck_statements, until, url_of

CATEGORY, PURPOSE = "application", "registration-counter"
OFFICE: Json = {"realm_access": {"roles": ["counter_officer"]}}  # a clerk's
READ, WRITE = "letters:read", "letters:write"
CLERK, ANN = tokens.subject_of("clerk"), tokens.subject_of("ann")
LETTERS = "query ($ids: [ID!]) { letters(ids: $ids) { id body } }"
ANSWER = """mutation ($input: AnswerLetterInput!) { answerLetter(input: $input) { __typename
    ... on Letter { id body following { id } } ... on Refused { code } } }"""
WATCH = 'subscription { letterChanged(id: "l0") { body } }'

SENT: list[str] = []  # letters that a subscription has sent

service = Service("letters")


class Row(SQLModel, registry=registry()):
    """The base of this service's table."""


@service.entity(key="id", scope=READ)
class Letter(Row, table=True):
    """A letter, which is its addressee's."""

    id: str = Field(primary_key=True)
    addressee: str = Field(exclude=True)
    body: str

    @classmethod
    async def find(cls, db: Db, log: AccessLog, id: str) -> "Letter | None":
        """A letter by its id."""
        found = await db.one(cls, id)
        if found is not None:
            log.note(found.addressee, CATEGORY)
        return found

    async def following(self, db: Db, log: AccessLog) -> list["Letter"]:
        """The letters after this one."""
        return _shown(await db.all(select(Letter).where(col(Letter.id) > self.id).order_by(Letter.id)), log)


class LetterChanged(Event, type="letter.changed.v1", subject="id"):
    """A letter says something else."""

    id: str


class AnswerLetterInput(Input):
    """What to write on a letter."""

    id: str
    body: str


class Unanswerable(Refusal, en="This letter cannot be answered.", fr="Cette lettre reste sans réponse."):
    """A letter that wants no answer."""


def _shown(letters: list[Letter], log: AccessLog) -> list[Letter]:
    for letter in letters:
        log.note(letter.addressee, CATEGORY)
    return letters


@service.query(scope=READ)
async def letters(db: Db, log: AccessLog, ids: list[strawberry.ID] | None = None) -> list[Letter]:
    """Letters, all or some."""
    wanted = select(Letter).order_by(Letter.id)
    return _shown(await db.all(wanted if ids is None else wanted.where(col(Letter.id).in_(ids))), log)


@service.mutation(scope=WRITE)
async def answer_letter(db: Db, log: AccessLog, caller: Caller, input: AnswerLetterInput) -> Letter:
    """Write on a letter."""
    letter = await db.one(Letter, input.id)
    assert letter is not None
    letter.body = input.body
    log.note(letter.addressee, CATEGORY)
    await db.flush()
    if not input.body:
        raise Unanswerable
    return letter


@service.subscription(scope=READ)
async def letter_changed(db: Db, log: AccessLog, feed: Feed, id: strawberry.ID) -> AsyncIterator[Letter]:
    """A letter as it is, and after each change."""
    async with feed.following(LetterChanged, str(id)) as changes:
        while (letter := await Letter.find(db, log, id)) is not None:
            yield letter
            SENT.append(letter.id)
            await anext(changes)


@pytest.fixture
async def office(db: Database) -> Client:
    """The service with three letters: two of Ann's, one of Bob's."""
    await create(url_of(db), Row.metadata)
    await keep(db, l0="ann", l1="ann", l2="bob")
    SENT.clear()
    return Client(service, db)


async def keep(db: Database, **addressees: str) -> None:
    async with db.transaction() as inside:
        inside.add(*(Letter(id=i, addressee=tokens.subject_of(a), body=f"Dear {a}") for i, a in addressees.items()))


async def entries(db: Database) -> list[Json]:
    """What the log holds, in order."""
    async with db.transaction() as inside:
        found = await inside.execute(text("SELECT * FROM access_entry ORDER BY id"))
        return [dict(row) for row in found.mappings()]


async def clerk(office: Client, query: str = LETTERS, **variables: Any) -> Answer:
    return await office.run(query, READ, WRITE, username="clerk", variables=variables, claims=OFFICE)


def headers(username: str = "clerk", **more: str) -> dict[str, str]:
    access = tokens.token(READ, WRITE, username=username, audience="letters", **OFFICE)
    given = {"content-type": "application/json", "authorization": f"Bearer {access}", "onedoor-purpose": PURPOSE}
    return {**given, **more}


def soon(after_s: float = 5) -> str:
    """A deadline as the gateway sets it."""
    return str(int((time.time() + after_s) * 1000))


@asynccontextmanager
async def held_back(db: Database) -> AsyncIterator[None]:
    """Nobody can add an entry while the block lasts."""
    async with as_owner(url_of(db)) as owner:
        await owner.execute(text("LOCK TABLE access_entry IN SHARE MODE"))
        yield


async def waits(db: Database) -> None:
    async def stuck() -> bool:
        return await stuck_statements(db) > 0

    await until(stuck)


@pytest.fixture
async def impatient(db: Database) -> AsyncIterator[Database]:
    """Connections that wait for a lock no longer than 100 ms."""
    opened = database.connect(db.engine.url.render_as_string(hide_password=False), "test", pool_size=2)

    def hurry(connection: Any, _: object) -> None:
        connection.run_async(lambda raw: raw.execute("SET lock_timeout = 100"))

    event.listen(opened.engine.sync_engine, "connect", hurry)
    yield opened
    await opened.close()


class TestAnEntry:
    async def test_says_who_read_what_of_whom_when_and_for_which_request(self, office: Client) -> None:
        body = orjson.dumps({"query": LETTERS, "variables": {"ids": ["l0"]}})
        assert (await office.post(body, headers(**{"x-request-id": "a-request"}))).data == {
            "letters": [{"id": "l0", "body": "Dear ann"}]
        }
        (entry,) = await entries(office.database)
        assert (entry["actor"], entry["act"], entry["subject"], entry["category"]) == (CLERK, "READ", ANN, CATEGORY)
        assert (entry["request_id"], entry["purpose"]) == ("a-request", PURPOSE)
        assert abs((datetime.now(UTC) - entry["at"]).total_seconds()) < 60
        assert entry["id"].version == 7

    async def test_is_one_for_all_that_is_read_of_one_person(self, office: Client) -> None:
        await clerk(office, "{ a: letters { id } b: letters { following { body } } }")
        assert [e["subject"] for e in await entries(office.database)] == sorted([ANN, tokens.subject_of("bob")])

    async def test_is_left_by_entities_too(self, office: Client) -> None:
        given = [{"__typename": "Letter", "id": id} for id in ("l0", "l2", "none")]
        await office.entities("... on Letter { id }", *given, scopes=(READ,), username="clerk", claims=OFFICE)
        assert len(await entries(office.database)) == 2

    async def test_is_not_left_by_ones_own_and_costs_them_nothing(self, office: Client) -> None:
        with office.statements() as seen:
            answer = await office.run(LETTERS, READ, username="ann", variables={"ids": ["l0", "l1"]})
        assert (len(answer.data["letters"]), seen.count) == (2, 1)
        assert await entries(office.database) == []

    async def test_is_not_left_where_nothing_was_shown(self, office: Client) -> None:
        assert (await office.run(LETTERS, WRITE, username="clerk", claims=OFFICE)).codes == ["FORBIDDEN"]
        assert (await office.run(LETTERS)).codes == ["UNAUTHENTICATED"]
        assert (await clerk(office, ids=["none"])).data == {"letters": []}
        assert await entries(office.database) == []

    async def test_is_committed_before_the_first_byte_of_the_answer(self, office: Client) -> None:
        found: list[int] = []
        bodies = [orjson.dumps({"query": LETTERS})]

        async def receive() -> Json:
            if not bodies:
                await asyncio.Event().wait()  # a client that stays
            return {"type": "http.request", "body": bodies.pop(), "more_body": False}

        async def send(message: Any) -> None:
            found.append(await count(office.database, "access_entry"))

        view = GraphQLView(service.schema, office.database, Feed(), tokens.verifier("letters"))
        given = [(name.encode(), value.encode()) for name, value in headers().items()]
        await view({"type": "http", "method": "POST", "headers": given}, receive, send)
        assert found == [2, 2]

    async def test_is_waited_for(self, office: Client) -> None:
        async with held_back(office.database):
            asking = asyncio.create_task(clerk(office))
            await waits(office.database)
            assert not asking.done()
        assert len((await asking).data["letters"]) == 3
        assert len(await entries(office.database)) == 2

    async def test_says_in_which_office_by_which_operation_for_whom_and_of_which_business(self, db: Database) -> None:
        log = AccessLog(
            Caller(CLERK, roles=frozenset({"citizen", "counter_officer"})),
            Context("r", "0f", "f", purpose=PURPOSE, recipients=("information_referral",)),
        )
        for business in ("700000015", "700000023", "700000015"):
            log.note(ANN, CATEGORY, business)
        async with db.transaction() as inside:
            await log.write(inside, Act.READ, "f")
        found = await entries(db)
        assert [entry["business"] for entry in found] == ["700000015", "700000023"]
        for entry in found:
            said = [entry[name] for name in ("authority", "role", "operation", "recipients")]
            assert said == ["self", "counter_officer", "0f", ["information_referral"]]
            assert entry["shown_after"] == entry["at"]


class TestMany:
    @pytest.mark.parametrize("people", [50, 5_000])
    async def test_subjects_are_one_statement(self, office: Client, people: int) -> None:
        await keep(office.database, **{f"m{n}": f"person {n}" for n in range(people)})
        with office.statements() as seen:
            answer = await clerk(office, "{ letters { id } }")
        assert not answer.errors
        assert [statement.split()[0] for statement in seen.texts] == ["SELECT", "INSERT"]
        assert await count(office.database, "access_entry") == people + 2

    async def test_requests_at_once_leave_each_its_own_and_none_waits_for_ever(self, office: Client) -> None:
        """More than there are connections, each of which a reader holds before the entry needs one."""
        url = office.database.engine.url.render_as_string(hide_password=False)
        small = database.connect(url, "test", pool_size=1)
        try:
            answers = await asyncio.gather(*(clerk(Client(service, small)) for _ in range(20)))
        finally:
            await small.close()
        assert [answer.errors for answer in answers] == [[]] * 20
        assert await count(office.database, "access_entry") == 40


class TestARetry:
    """The gateway sends a query again with the same request id, deadline and body."""

    @staticmethod
    async def send(office: Client, username: str = "clerk", ids: str = "l0", **more: str) -> None:
        body = orjson.dumps({"query": LETTERS, "variables": {"ids": [ids]}})
        assert not (await office.post(body, headers(username, **more))).errors

    async def test_leaves_no_second_entry(self, office: Client) -> None:
        same = {"x-request-id": "r", "onedoor-deadline": soon()}
        await self.send(office, **same)
        (before,) = await entries(office.database)
        await self.send(office, **same)
        assert await entries(office.database) == [before]

    async def test_at_the_same_time_leaves_no_second_entry(self, office: Client) -> None:
        await keep(office.database, **{f"m{n}": f"person {n}" for n in range(200)})
        same = headers(**{"x-request-id": "r", "onedoor-deadline": soon()})
        body = orjson.dumps({"query": LETTERS})
        answers = await asyncio.gather(*(office.post(body, same) for _ in range(6)))
        assert [len(answer.data["letters"]) for answer in answers] == [203] * 6
        assert await count(office.database, "access_entry") == 202

    @pytest.mark.parametrize("differing", ["x-request-id", "onedoor-deadline", "username", "ids"])
    async def test_is_not_what_differs(self, office: Client, differing: str) -> None:
        first = {"x-request-id": "r", "onedoor-deadline": soon(5)}
        others = {"x-request-id": "other", "onedoor-deadline": soon(6), "username": "colleague", "ids": "l1"}
        await self.send(office, **first)
        await self.send(office, **{**first, differing: others[differing]})
        assert len(await entries(office.database)) == 2

    @pytest.mark.parametrize("deadline", ["none", "in an hour", "unreadable"])
    async def test_is_not_what_could_be_repeated_at_leisure(self, office: Client, deadline: str) -> None:
        """A caller who chooses request id and deadline cannot hide a later look behind an earlier one."""
        said = {"none": {}, "in an hour": {"onedoor-deadline": soon(3_600)}, "unreadable": {"onedoor-deadline": "soon"}}
        chosen = {"x-request-id": "r", **said[deadline]}
        for _ in range(2):
            await self.send(office, **chosen)
        assert len(await entries(office.database)) == 2


class TestALogThatCannotBeWritten:
    @pytest.mark.parametrize("language", ["en", "fr"])
    async def test_shows_nothing_and_says_so(self, office: Client, impatient: Database, language: str) -> None:
        async with held_back(office.database):
            answer = await Client(service, impatient).run(
                LETTERS, READ, username="clerk", language=language, claims=OFFICE
            )
        assert (answer.codes, answer.data) == (["SERVICE_UNAVAILABLE"], None)
        assert {"en": "Try again", "fr": "Réessayez"}[language] in answer.errors[0]["message"]
        assert not any(word in str(answer.body) for word in ("Dear", "INSERT", "access_entry", ANN))
        assert await entries(office.database) == []

    async def test_goes_on_showing_people_what_is_theirs(self, office: Client, impatient: Database) -> None:
        async with held_back(office.database):
            mine = await Client(service, impatient).run(LETTERS, READ, username="ann", variables={"ids": ["l0"]})
        assert mine.data == {"letters": [{"id": "l0", "body": "Dear ann"}]}

    async def test_takes_no_more_than_a_few_connections_from_everybody_else(self, office: Client) -> None:
        """The pool has eight, and thirty requests wait for the log."""
        async with held_back(office.database):
            waiting = [asyncio.create_task(clerk(office)) for _ in range(30)]
            await waits(office.database)
            mine = await asyncio.wait_for(office.run(LETTERS, READ, username="ann", variables={"ids": ["l0"]}), 4)
            assert mine.data == {"letters": [{"id": "l0", "body": "Dear ann"}]}
            assert not any(task.done() for task in waiting)
        assert not any(answer.errors for answer in await asyncio.gather(*waiting))

    async def test_is_written_again_as_soon_as_it_can_be(self, office: Client, impatient: Database) -> None:
        client = Client(service, impatient)
        async with held_back(office.database):
            assert (await clerk(client)).codes == ["SERVICE_UNAVAILABLE"]
        assert not (await clerk(client)).errors
        assert len(await entries(office.database)) == 2

    async def test_because_its_connection_was_cut_shows_nothing(self, office: Client) -> None:
        async with held_back(office.database):
            asking = asyncio.create_task(clerk(office))
            await waits(office.database)
            async with office.database.transaction() as other:
                stuck = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                await other.execute(text(f"{stuck} AND datname = current_database()"))
            answer = await asking
        assert (answer.codes, answer.data) == (["SERVICE_UNAVAILABLE"], None)

    async def test_because_it_is_not_there_shows_nothing_of_that(self, office: Client) -> None:
        async with as_owner(url_of(office.database)) as owner:
            await owner.execute(text("ALTER TABLE access_entry RENAME TO lost"))
        answer = await clerk(office)
        assert (answer.codes, answer.data) == (["INTERNAL_FAULT"], None)
        assert "access_entry" not in str(answer.body)

    async def test_before_the_deadline_shows_nothing(self, office: Client) -> None:
        async with held_back(office.database):
            body = orjson.dumps({"query": LETTERS})
            answer = await office.post(body, headers(**{"onedoor-deadline": soon(0.3)}))
        assert (answer.codes, answer.data) == (["DEADLINE_EXCEEDED"], None)
        assert await entries(office.database) == []


class TestAMutation:
    async def test_commits_its_entry_with_its_change(self, office: Client) -> None:
        await clerk(office, ANSWER, input={"id": "l2", "body": "Seen"})
        (entry,) = await entries(office.database)
        assert (entry["act"], entry["subject"]) == ("CHANGE", tokens.subject_of("bob"))
        both = "SELECT xmin::text FROM access_entry UNION SELECT xmin::text FROM letter WHERE id = 'l2'"
        async with office.database.transaction() as inside:
            assert len((await inside.execute(text(both))).all()) == 1

    async def test_that_is_refused_leaves_neither(self, office: Client) -> None:
        answer = await clerk(office, ANSWER, input={"id": "l2", "body": ""})
        assert answer.data["answerLetter"]["code"] == "UNANSWERABLE"
        assert await entries(office.database) == []
        assert (await clerk(office)).data["letters"][2]["body"] == "Dear bob"

    async def test_whose_entry_cannot_be_written_changes_nothing(self, office: Client, impatient: Database) -> None:
        async with held_back(office.database):
            answer = await clerk(Client(service, impatient), ANSWER, input={"id": "l2", "body": "Seen"})
        assert (answer.codes, answer.data) == (["SERVICE_UNAVAILABLE"], {"answerLetter": None})
        assert (await clerk(office, ids=["l2"])).data["letters"][0]["body"] == "Dear bob"

    async def test_leaves_what_is_read_through_its_result_as_read(self, office: Client) -> None:
        await clerk(office, ANSWER, input={"id": "l1", "body": "Seen"})
        found = [(entry["act"], entry["subject"]) for entry in await entries(office.database)]
        assert found == [("CHANGE", ANN), ("READ", tokens.subject_of("bob"))]

    async def test_of_ones_own_leaves_none(self, office: Client) -> None:
        text = ANSWER.replace("following { id }", "")
        await office.run(text, READ, WRITE, username="bob", variables={"input": {"id": "l2", "body": "Mine"}})
        assert await entries(office.database) == []


class TestASubscription:
    @staticmethod
    def watched(office: Client, username: str = "clerk") -> "asyncio.Task[Answer]":
        """Somebody who listens, until the letter is gone."""
        body = orjson.dumps({"query": WATCH})
        return asyncio.create_task(office.post(body, headers(username), listens_s=30))

    @staticmethod
    async def sent(wanted: int) -> None:
        """Until so many events have left."""

        async def enough() -> bool:
            return len(SENT) == wanted

        await until(enough)

    @staticmethod
    async def all_told(office: Client, task: "asyncio.Task[Answer]") -> str:
        """What a listener heard until the letter was gone."""
        async with office.database.transaction() as inside:
            await inside.execute(text("DELETE FROM letter"))
        office.feed.publish(LetterChanged(id="l0"))
        return str((await task).body["stream"])

    async def test_leaves_an_entry_for_each_event(self, office: Client) -> None:
        task = self.watched(office)
        for told in (1, 2, 3):
            await self.sent(told)
            assert [e["subject"] for e in await entries(office.database)] == [ANN] * told
            if told < 3:
                office.feed.publish(LetterChanged(id="l0"))
        assert (await self.all_told(office, task)).count("Dear ann") == 3

    async def test_of_ones_own_leaves_none(self, office: Client) -> None:
        task = self.watched(office, "ann")
        await self.sent(1)
        assert "Dear ann" in await self.all_told(office, task)
        assert await entries(office.database) == []

    async def test_tells_nothing_of_what_cannot_be_logged(self, office: Client, impatient: Database) -> None:
        client = Client(service, impatient)
        async with held_back(office.database):
            task = self.watched(client)
            await self.sent(1)
        told = await self.all_told(client, task)
        assert "SERVICE_UNAVAILABLE" in told
        assert "Dear" not in told


class TestTheTable:
    CHANGES = pytest.mark.parametrize(
        "change",
        [
            "UPDATE access_entry SET actor = 'nobody'",
            "UPDATE access_entry SET actor = 'nobody' WHERE false",
            "DELETE FROM access_entry",
            "TRUNCATE access_entry",
            """INSERT INTO access_entry (request_id, fetch_id, actor, act, subject, category)
            SELECT request_id, fetch_id, actor, act, subject, category FROM access_entry
            ON CONFLICT ON CONSTRAINT uq_access_entry DO UPDATE SET actor = 'nobody'""",
        ],
        ids=["update", "update of nothing", "delete", "truncate", "upsert"],
    )

    @CHANGES
    async def test_gives_its_service_the_right_to_none(self, office: Client, change: str) -> None:
        await clerk(office)
        before = await entries(office.database)
        with pytest.raises(DBAPIError, match="permission denied for table access_entry"):
            async with office.database.transaction() as inside:
                await inside.execute(text(change))
        assert await entries(office.database) == before

    @CHANGES
    async def test_refuses_every_change_even_by_a_superuser(
        self, office: Client, postgres_url: str, change: str
    ) -> None:
        """Whatever the session plays: as a replica it would pass by an ordinary trigger."""
        await clerk(office)
        before = await entries(office.database)
        server = connect(beside(postgres_url, office.database.engine.url.database or ""), "test", pool_size=1)
        for role in ("origin", "replica"):
            with pytest.raises(DBAPIError, match=r"access_entry is (never changed or deleted|kept until the day)"):
                async with server.transaction() as inside:
                    await inside.execute(text(f"SET LOCAL session_replication_role = {role}"))
                    await inside.execute(text(change))
        await server.close()
        assert await entries(office.database) == before

    async def test_is_closed_to_the_session_that_queries_read_on(self, office: Client) -> None:
        reader = office.database.reader()
        values = "VALUES ('r', 'f', 'a', 'READ', 's', 'c')"
        with pytest.raises(DBAPIError, match="read-only transaction"):
            await reader.execute(
                text(f"INSERT INTO access_entry (request_id, fetch_id, actor, act, subject, category) {values}")
            )
        await reader.close()
