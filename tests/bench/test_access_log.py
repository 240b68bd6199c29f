"""What it costs to say who looked: the same call by the person whose data it is and by somebody else, in turns.

Committing is a round trip and a write to disk, so time is told beside processor time; PostgreSQL keeps its promises here as it
would in production (fsync), unless it was started otherwise: its settings are printed.
"""

import asyncio
import gc
import statistics
import time
from collections.abc import MutableMapping
from secrets import token_hex
from typing import Any

import orjson
import pytest
import uvloop
from sqlalchemy import text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from services.kit import database
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.context import Context
from services.kit.database import Db
from services.kit.feed import Feed
from services.kit.refused_entries import RefusedEntries
from services.kit.service import Service
from services.kit.tables import METADATA
from services.kit.testing import tokens
from services.kit.testing.database import administer, url_of
from services.kit.view import GraphQLView

ROUNDS, CALLS = 20, 10
PEOPLE = 50
service = Service("files")


class Row(SQLModel, registry=registry()):
    """The base of the bench's table."""


@service.entity(key="id", scope="business:read")
class File(Row, table=True):
    """A person's file."""

    id: str = Field(primary_key=True)
    person: str = Field(exclude=True)
    says: str

    @classmethod
    async def find(cls, db: Db, log: AccessLog, id: str) -> "File | None":
        """A file by its id."""
        found = await db.one(cls, id)
        if found is not None:
            log.note(found.person, "application")
        return found


@service.query()
async def files() -> int:
    """A schema needs a query."""
    return 1


async def call(view: GraphQLView, username: str, ids: list[str]) -> bytes:
    """One `_entities` call of a person."""
    asked = "query ($r: [_Any!]!) { _entities(representations: $r) { ... on File { id says } } }"
    body = orjson.dumps({"query": asked, "variables": {"r": [{"__typename": "File", "id": i} for i in ids]}})
    headers = {
        "content-type": "application/json",
        "authorization": f"Bearer {_token(username)}",
        "onedoor-purpose": "registration-counter" if username == "clerk" else "",
        "onedoor-deadline": str(int((time.time() + 15) * 1000)),
    }
    sent: list[MutableMapping[str, Any]] = []

    asked_for = [body]

    async def receive() -> dict[str, Any]:
        if not asked_for:
            await asyncio.Event().wait()  # a client that stays
        return {"type": "http.request", "body": asked_for.pop(), "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    given = [(name.encode(), value.encode()) for name, value in headers.items()]
    await view({"type": "http", "method": "POST", "path": "/graphql", "headers": given}, receive, send)
    return b"".join(message.get("body", b"") for message in sent)


OFFICE: Any = {"realm_access": {"roles": ["counter_officer"]}}
_TOKENS: dict[str, str] = {}


def _token(username: str) -> str:
    if username not in _TOKENS:
        _TOKENS[username] = tokens.token("business:read", username=username, audience="files", **OFFICE)
    return _TOKENS[username]


async def measured(held: database.Database) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds of time and of processor time of one call, a pair a round, by who reads how much."""
    view = GraphQLView(service.schema, held, Feed(), tokens.verifier("files"))
    mine, all_of_them = ["0"], [str(n) for n in range(PEOPLE)]
    kinds = {
        "the own file": ("0", mine),
        "one of another": ("clerk", mine),
        f"{PEOPLE} of others": ("clerk", all_of_them),
    }
    for who, ids in kinds.values():
        assert b"errors" not in await call(view, who, ids)
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for _ in range(ROUNDS):
        for kind, (who, ids) in kinds.items():
            gc.collect()
            begun, worked = time.perf_counter(), time.process_time()
            for _ in range(CALLS):
                await call(view, who, ids)
            spent = (time.perf_counter() - begun, time.process_time() - worked)
            found[kind].append((spent[0] * 1000 / CALLS, spent[1] * 1000 / CALLS))
    return found


async def waited(held: database.Database) -> list[float]:
    """Milliseconds from when an answer has left until the entry of what it refused is committed: what a process that is killed
    loses."""
    entries, found = RefusedEntries(held), []
    for n in range(ROUNDS * CALLS):
        log = AccessLog(Caller("clerk"), Context(op=str(n)))
        log.refuse("somebody", "application")
        begun = time.perf_counter()
        entries.keep(log)
        await entries.written()
        found.append((time.perf_counter() - begun) * 1000)
    return sorted(found)


async def compared(postgres_url: str) -> tuple[dict[str, list[tuple[float, float]]], list[float], str, int]:
    """The rounds, how long refusals waited, how PostgreSQL writes, and how many entries were left."""
    name = f"bench_{token_hex(6)}"
    await administer(postgres_url, f'CREATE DATABASE "{name}"')
    held = database.connect(url_of(postgres_url, name), "bench")
    try:
        async with held.engine.begin() as connection:
            await connection.run_sync(Row.metadata.create_all)
            await connection.run_sync(METADATA.create_all)
        async with held.transaction() as db:
            db.add(*(File(id=str(n), person=tokens.subject_of(str(n)), says="Something") for n in range(PEOPLE)))
        found, waits = await measured(held), await waited(held)
        async with held.transaction() as db:
            fsync = str((await db.execute(text("SHOW fsync"))).scalar_one())
            left = int((await db.execute(text("SELECT count(*) FROM access_entry"))).scalar_one())
        return found, waits, fsync, left
    finally:
        await held.close()
        await administer(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.mark.bench
class TestSayingWhoLooked:
    def test_costs_a_round_trip(self, postgres_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        with capsys.disabled():
            found, waits, fsync, left = uvloop.run(compared(postgres_url))
            print(f"\nPostgreSQL with fsync {fsync}; medians of {ROUNDS} rounds of {CALLS} calls")
            for kind, rounds in found.items():
                spent, worked = (statistics.median(pair[n] for pair in rounds) for n in (0, 1))
                print(f"reading {kind}: {spent:.2f} ms, of which {worked:.2f} ms of processor time here")
            tail = waits[len(waits) * 99 // 100]
            print(
                f"the entry of a refusal is committed {statistics.median(waits):.2f} ms after the answer, {tail:.2f} in 99 of 100"
            )
        assert left == (1 + PEOPLE) * (ROUNDS * CALLS + 1) + len(waits)
