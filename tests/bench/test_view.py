"""The kit's view beside Strawberry's own on the same schema: processor time of one small `_entities` call.

Both answer the same request, with the same verified token, in one process and in turns, so that what else the machine does
meets both alike. Counted is this process' processor time only: PostgreSQL's own is nobody's view.
"""

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, MutableMapping
from secrets import token_hex
from typing import Any

import orjson
import pytest
import strawberry
import uvloop
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel
from strawberry.asgi import GraphQL

from services.kit import database
from services.kit.caller import from_claims
from services.kit.feed import Feed
from services.kit.language import negotiate
from services.kit.operation import Operation
from services.kit.service import Service
from services.kit.testing import tokens
from services.kit.testing.database import administer, url_of
from services.kit.view import GraphQLView

ROUNDS, CALLS = 30, 20
service = Service("lakes")
App = Callable[[Any, Any, Any], Awaitable[None]]


class Row(SQLModel, registry=registry()):
    """The base of the bench's table."""


@service.entity(key="number", scope="lakes:read")
class Lake(Row, table=True):
    """A lake that stands in the database."""

    number: str = Field(primary_key=True)
    name: str
    region: str


@service.entity(key="number", scope="lakes:read")
class Pond:
    """A pond that stands in memory."""

    number: strawberry.ID
    name: str
    region: str

    @classmethod
    async def find(cls, number: str) -> "Pond":
        """Any pond."""
        return Pond(number=strawberry.ID(number), name="Mirror", region="North")  # type: ignore[call-arg] # made a type


@service.query()
async def lakes() -> int:
    """A schema needs a query."""
    return 1


class Stock(GraphQL):
    """Strawberry's view, with the context that the kit's resolvers need."""

    def __init__(self, held: database.Database) -> None:
        super().__init__(service.strawberry_schema)
        self._held, self._verifier = held, tokens.verifier("lakes")

    async def get_context(self, request: Any, response: Any) -> Any:
        claims = await self._verifier.verify(request.headers["authorization"].removeprefix("Bearer "))
        language = negotiate(request.headers.get("accept-language", ""))
        return Operation(self._held, Feed(), from_claims(claims), language)

    async def execute_operation(self, *given: Any, **options: Any) -> Any:
        try:
            return await super().execute_operation(*given, **options)
        finally:
            await options["context"].close()


class Caller:
    """Posts one request again and again."""

    def __init__(self, type_name: str) -> None:
        selection = f"... on {type_name} {{ number name region }}"
        text = f"query ($r: [_Any!]!) {{ _entities(representations: $r) {{ {selection} }} }}"
        self.body = orjson.dumps(
            {"query": text, "variables": {"r": [{"__typename": type_name, "number": "7"}]}, "operationName": None}
        )
        access = tokens.token("lakes:read", audience="lakes")
        headers = {
            "host": "127.0.0.1:8101",
            "content-type": "application/json",
            "accept": "application/json",
            "content-length": str(len(self.body)),
            "authorization": f"Bearer {access}",
            "accept-language": "fr",
            "x-request-id": "0123456789abcdef0123456789abcdef",
            "onedoor-deadline": str(int((time.time() + 300) * 1000)),
        }
        self.headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def post(self, app: App) -> bytes:
        sent: list[MutableMapping[str, Any]] = []

        bodies = [self.body]

        async def receive() -> dict[str, Any]:
            if not bodies:
                await asyncio.Event().wait()  # a client that stays
            return {"type": "http.request", "body": bodies.pop(), "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/graphql", "raw_path": b"/graphql", "query_string": b""}
        await app({**scope, "root_path": "", "scheme": "http", "server": None, "headers": self.headers}, receive, send)
        return b"".join(message.get("body", b"") for message in sent)


async def cpu_ms(app: App, caller: Caller) -> float:
    """Milliseconds of processor time of one call, as the mean of a round."""
    gc.collect()
    begun = time.process_time()
    for _ in range(CALLS):
        await caller.post(app)
    return (time.process_time() - begun) * 1000 / CALLS


async def measured(held: database.Database, type_name: str) -> tuple[list[float], list[float]]:
    """Each view's rounds, in turns."""
    kit: App = GraphQLView(service.schema, held, Feed(), tokens.verifier("lakes"))
    stock: App = Stock(held)
    caller = Caller(type_name)
    answers = [orjson.loads(await caller.post(app)) for app in (kit, stock)]
    assert answers[0]["data"] == answers[1]["data"]
    assert answers[0]["data"]["_entities"][0]["number"] == "7"
    rounds: tuple[list[float], list[float]] = ([], [])
    for app in (kit, stock):
        await cpu_ms(app, caller)
    for _ in range(ROUNDS):
        for app, times in zip((kit, stock), rounds, strict=True):
            times.append(await cpu_ms(app, caller))
    return rounds


async def compared(postgres_url: str) -> dict[str, tuple[list[float], list[float]]]:
    """Both kinds of call on both views."""
    name = f"bench_{token_hex(6)}"
    await administer(postgres_url, f'CREATE DATABASE "{name}"')
    held = database.connect(url_of(postgres_url, name), "bench")
    try:
        async with held.engine.begin() as connection:
            await connection.run_sync(Row.metadata.create_all)
        async with held.transaction() as db:
            db.add(*(Lake(number=str(n), name=f"Lake {n}", region="North") for n in range(1000)))
        return {kind: await measured(held, kind) for kind in ("Pond", "Lake")}
    finally:
        await held.close()
        await administer(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.mark.bench
class TestTheView:
    def test_answers_a_small_entity_call(self, postgres_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        with capsys.disabled():
            found = uvloop.run(compared(postgres_url))
            medians = {}
            for kind, what, promised in (("Pond", "a resolver in memory", 0.6), ("Lake", "one SELECT", 2.5)):
                kit, stock = map(statistics.median, found[kind])
                ratio = statistics.median(s / k for k, s in zip(*found[kind], strict=True))
                medians[kind] = kit
                print(
                    f"\n_entities with {what}: kit {kit:.3f} ms of processor time (promised {promised}),"
                    f" Strawberry's view {stock:.3f} ms, {ratio:.1f} times as much"
                )
        assert medians["Pond"] <= 0.6
        assert medians["Lake"] <= 2.5
