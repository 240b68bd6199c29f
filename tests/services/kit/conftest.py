"""What the kit's tests stand on: the sample service on real databases of its own, and streams of its own."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from services.kit import database, tables
from services.kit.bus import end
from services.kit.testing.client import Client
from services.kit.testing.database import administer, copied, url_of
from tests.services.sample_service.service import Row, service

Json = dict[str, Any]
ISSUE = """mutation ($input: IssuePermit!) { issuePermit(input: $input) { __typename
    ... on WaterPermit { number lake } ... on Refused { code field message { en fr } } } }"""


@pytest.fixture(scope="session")
def water_template(postgres_url: str) -> str:
    """A template database with the tables of the sample service and of the kit, once per worker."""
    name = f"template_{service.name}_{token_hex(4)}"

    async def make() -> None:
        await administer(postgres_url, f'CREATE DATABASE "{name}"')
        engine = create_async_engine(url_of(postgres_url, name), poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.run_sync(Row.metadata.create_all)
            await connection.run_sync(tables.METADATA.create_all)
        await engine.dispose()

    asyncio.run(make())
    return name


@pytest.fixture
async def db(postgres_url: str, water_template: str) -> AsyncIterator[database.Database]:
    """A database of the test's own, with real, concurrent transactions."""
    async with copied(postgres_url, water_template, token_hex(6)) as url:
        opened = database.connect(url, "test", pool_size=8)
        try:
            yield opened
        finally:
            await opened.close()


@pytest.fixture
def client(db: database.Database) -> Client:
    """A caller of the sample service."""
    return Client(service, db)


async def issue(client: Client, **changes: Any) -> Json:
    """What `issuePermit` answered, which must hold no error."""
    given = {"lake": "Lake Simcoe", "businessNumber": "123456789", "idempotencyKey": token_hex(8), **changes}
    answer = await client.run(ISSUE, "water:issue", "water:read", variables={"input": given})
    assert not answer.errors, answer.body
    found: Json = answer.data["issuePermit"]
    return found


async def count(db: database.Database, table: str) -> int:
    """How many rows a table holds."""
    async with db.transaction() as inside:
        found: int = (await inside.execute(text(f'SELECT count(*) FROM "{table}"'))).scalar_one()
        return found


async def stuck_statements(db: database.Database) -> int:
    """How many statements wait for somebody's lock."""
    async with db.transaction() as inside:
        active = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        found: int = (await inside.execute(text(active))).scalar_one()
        return found


async def until(check: Callable[[], Awaitable[Any]], within_s: float = 10) -> Any:
    """What a check returns as soon as that is true; fails when it is not within the time."""
    ends = time.monotonic() + within_s
    while time.monotonic() < ends:
        if found := await check():
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"not within {within_s} s")


@asynccontextmanager
async def running(*coroutines: Any) -> AsyncIterator[None]:
    """Run what runs for ever, while the block lasts."""
    tasks = [asyncio.create_task(c) for c in coroutines]
    try:
        yield
    finally:
        await end(*tasks)
