"""The view: what it reads, when it stops working, and what it answers to what nobody should send."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import orjson
import pytest
from sqlalchemy import text

from services.kit import hanging_up, view
from services.kit.database import Database
from services.kit.ended_sessions import SessionEnded
from services.kit.feed import Feed
from services.kit.service import Service
from services.kit.testing import tokens
from services.kit.testing.client import Answer, Client
from tests.services.kit.conftest import ISSUE, count, issue, stuck_statements, until

ALL = "{ waterPermits { edges { node { number } } } }"
ONE = 'query { _entities(representations: [{__typename: "WaterPermit", number: "a"}]) { ... on WaterPermit { lake } } }'
RIGHTS = ("water:read", "water:issue")


def headers(**more: str) -> dict[str, str]:
    token = tokens.token(*RIGHTS, audience="water-permits")
    given = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    return given | {name.replace("_", "-"): value for name, value in more.items()}


def in_ms(milliseconds: float) -> str:
    """A deadline so far from now."""
    return str(int(time.time() * 1000 + milliseconds))


def asking(query: str, **more: Any) -> bytes:
    return orjson.dumps({"query": query, **more})


MUTATION = asking(ISSUE, variables={"input": {"lake": "Erie", "businessNumber": "123456789", "idempotencyKey": "once"}})


@asynccontextmanager
async def stuck(db: Database) -> AsyncIterator[None]:
    """While the block lasts, whatever asks for permits waits."""
    async with db.transaction() as other:
        await other.execute(text("LOCK TABLE waterpermit IN ACCESS EXCLUSIVE MODE"))
        yield


async def ended(db: Database) -> None:
    """Return when no statement waits any more; well before PostgreSQL itself would end it (lock_timeout, 5 s)."""

    async def idle() -> bool:
        return await stuck_statements(db) == 0

    await until(idle, within_s=3)


def held(db: Database) -> int:
    """How many connections are out of the pool."""
    return int(db.engine.pool.checkedout())  # type: ignore[attr-defined] # a QueuePool


class TestADeadline:
    @pytest.mark.parametrize("body", [asking(ALL), MUTATION])
    async def test_that_has_passed_is_told_and_nothing_is_asked_of_the_database(
        self, client: Client, body: bytes
    ) -> None:
        with client.statements() as seen:
            answer = await client.post(body, headers(onedoor_deadline=in_ms(-1), accept_language="fr"))
        assert (answer.status, answer.codes) == (504, ["DEADLINE_EXCEEDED"])
        assert "trop tardé" in answer.errors[0]["message"]
        assert seen.count == 0

    @pytest.mark.parametrize("body", [asking(ALL), asking(ONE), MUTATION])
    async def test_ends_the_work_that_outlasts_it(self, client: Client, body: bytes) -> None:
        db = client.database
        async with stuck(db):
            answer = await client.post(body, headers(onedoor_deadline=in_ms(300)))
            assert answer.codes == ["DEADLINE_EXCEEDED"]
            await ended(db)
            assert held(db) == 1  # the lock's own
        assert (await count(db, "waterpermit"), await count(db, "idempotency_key")) == (0, 0)

    async def test_leaves_the_key_free(self, client: Client) -> None:
        async with stuck(client.database):
            await client.post(MUTATION, headers(onedoor_deadline=in_ms(300)))
        assert (await issue(client, lake="Erie", idempotencyKey="once"))["lake"] == "Erie"

    @pytest.mark.parametrize("value", ["", "soon", "9" * 400, "1e3", "-9" * 200, "nan", "١٢"])
    async def test_that_cannot_be_read_harms_nobody(self, client: Client, value: str) -> None:
        given = headers()
        answer = await client.post(asking(ALL), given | {"onedoor-deadline": value.encode().decode("latin-1")})
        assert answer.codes in ([], ["DEADLINE_EXCEEDED"])


class TestAClientThatLeaves:
    @pytest.mark.parametrize("body", [asking(ALL), asking(ONE), MUTATION])
    async def test_ends_the_work_that_was_done_for_it(
        self, client: Client, body: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hanging_up, "WATCHED_AFTER_S", 0.01)
        db = client.database
        async with stuck(db):
            asked = asyncio.create_task(client.post(body, headers(), listens_s=0.2))
            await until(lambda: waits(db))
            await asyncio.wait_for(asked, 5)
            await ended(db)
            assert held(db) == 1
        assert (await count(db, "waterpermit"), await count(db, "outbox")) == (0, 0)
        assert (await issue(client))["__typename"] == "WaterPermit"  # the next one finds all in order


async def waits(db: Database) -> bool:
    return await stuck_statements(db) > 0


class TestARequest:
    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"", "BAD_REQUEST"),
            (b"{", "BAD_REQUEST"),
            (b"\xff\xfe", "BAD_REQUEST"),
            (b"[]", "BAD_REQUEST"),
            (b"[" * 100_000, "BAD_REQUEST"),
            (b'{"query":7}', "BAD_REQUEST"),
            (b'{"query":"{ lakes }","variables":[]}', "BAD_REQUEST"),
            (b'{"query":"\\ud800"}', "BAD_REQUEST"),
            (asking(""), "GRAPHQL_PARSE_FAILED"),
            (asking("{"), "GRAPHQL_PARSE_FAILED"),
            (asking("{ a" * 20_000), "GRAPHQL_PARSE_FAILED"),
            (asking("{ a" * 4_000 + "}" * 4_000), "GRAPHQL_PARSE_FAILED"),
            (asking("{ nothing }"), "GRAPHQL_VALIDATION_FAILED"),
            (asking("query A { __typename } query B { __typename }"), "OPERATION_RESOLUTION_FAILURE"),
            (asking("{ __typename }", operationName="C"), "OPERATION_RESOLUTION_FAILURE"),
            (asking("{ __typename }", operationName=7), "OPERATION_RESOLUTION_FAILURE"),
            (asking("fragment F on Query { __typename }"), "GRAPHQL_VALIDATION_FAILED"),
            (asking("query ($x: Int!) { __typename @include(if: $x) }"), "GRAPHQL_VALIDATION_FAILED"),
            (b" " * 1_048_577, "PAYLOAD_TOO_LARGE"),
        ],
        ids=lambda value: repr(value)[:40],
    )
    async def test_of_no_form_is_refused_in_the_callers_language(self, client: Client, body: bytes, code: str) -> None:
        answers: list[Answer] = [await client.post(body, headers(accept_language=lang)) for lang in ("en", "fr")]
        assert [answer.codes[0] for answer in answers] == [code, code]
        assert all(400 <= answer.status < 500 for answer in answers)
        assert answers[0].errors[0]["message"] != answers[1].errors[0]["message"]

    @pytest.mark.parametrize("depth", [10, 90, 180])
    async def test_that_asks_very_deeply_is_answered_or_refused(self, client: Client, depth: int) -> None:
        for _ in range(2):
            await issue(client)
        nested = "{ neighbours " * depth + "{ number }" + "}" * depth
        answer = await client.post(asking("{ waterPermits { edges { node %s } } }" % nested), headers())  # noqa: UP031
        assert answer.codes in ([], ["OPERATION_TOO_LARGE"], ["GRAPHQL_PARSE_FAILED"]), answer.body

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
    async def test_of_another_method_is_refused(self, client: Client, method: str) -> None:
        assert (await client.post(asking(ALL), headers(), method)).status == 405

    @pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
    async def test_of_another_media_type_is_refused(self, client: Client, kind: str) -> None:
        assert (await client.post(MUTATION, headers(content_type=kind))).status == 415
        assert await count(client.database, "waterpermit") == 0

    async def test_in_parts_is_put_together_and_may_not_grow_over_the_limit(self, client: Client) -> None:
        for body, status in ((asking(ALL), 200), (b" " * 1_100_000, 413)):
            pieces = [body[i : i + 50_000] for i in range(0, len(body), 50_000)]
            assert (await posted(client, pieces))["status"] == status


async def posted(client: Client, pieces: list[bytes]) -> dict[str, Any]:
    """The start of the answer to a body that comes in pieces."""
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting[-1]["more_body"] = False
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers().items()]
    await client._view({"type": "http", "method": "POST", "path": "/graphql", "headers": raw}, receive, send)
    return sent[0]


clock = Service("clock")


@clock.query()
async def hour() -> int:
    """A schema needs a query."""
    return 12


@clock.subscription()
async def ticks(feed: Feed) -> AsyncIterator[int]:
    """One tick, and then a silence without end."""
    yield 1
    await asyncio.Event().wait()


class TestAStream:
    async def streamed(self, db: Database, session: str, listens_s: float) -> str:
        """What somebody heard whose own session is `mine` when a session ended."""
        client = Client(clock, db)
        verifier = client._view._verifier
        assert verifier is not None
        token = tokens.token(audience="clock", sid="mine")
        given = {"content-type": "application/json", "authorization": f"Bearer {token}"}
        heard = asyncio.create_task(client.post(asking("subscription { ticks }"), given, listens_s=listens_s))

        async def listened_to() -> bool:
            return bool(verifier.ended._listening)

        await until(listened_to)
        verifier.ended.end(SessionEnded(uuid4(), session, "", time.time()))
        return str((await heard).body["stream"])

    async def test_ends_with_its_session_by_name(self, db: Database) -> None:
        stream = await self.streamed(db, "mine", listens_s=30)
        assert stream.count("SESSION_ENDED") == 1
        assert stream.endswith("event: complete\ndata:\n\n")

    async def test_goes_on_when_another_session_ends(self, db: Database) -> None:
        assert "SESSION_ENDED" not in await self.streamed(db, "other", listens_s=0.2)


class TestTheRequestId:
    async def test_is_the_callers_in_answer_and_error(self, client: Client) -> None:
        answer = await client.post(b"{", headers(x_request_id="id-7"))
        assert answer.headers["x-request-id"] == "id-7"
        assert answer.errors[0]["extensions"]["correlationId"] == "id-7"

    @pytest.mark.parametrize("given", ["", "a\nb", "é", "x" * 129, "\x1b[31m"])
    async def test_is_a_new_one_where_the_callers_could_do_harm(self, client: Client, given: str) -> None:
        answer = await client.post(asking(ALL), headers(x_request_id=given))
        assert answer.headers["x-request-id"] != given
        assert len(answer.headers["x-request-id"]) == 32


class TestTheCache:
    async def test_of_documents_is_bounded(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(view, "REMEMBERED_DOCUMENTS", 3)
        for n in range(9):
            await client.post(asking(f"query Q{n} {{ __typename }}"), headers())
        assert len(client._view._documents) == 3
