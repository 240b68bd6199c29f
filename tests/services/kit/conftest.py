"""What the kit's tests stand on: the sample service on real databases of its own, and streams of its own."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from sqlalchemy import MetaData, text

from clusters.local import nats
from clusters.local.processes import free_port
from services.kit import database, privileges, tables
from services.kit.bus import end
from services.kit.testing.client import Client
from services.kit.testing.database import Template, app_url, as_owner, copied, made
from tests.services.sample_service.service import Row, service

Json = dict[str, Any]
ISSUE = """mutation ($input: IssuePermit!) { issuePermit(input: $input) { __typename
    ... on WaterPermit { number lake } ... on Refused { code field message { en fr } } } }"""


@pytest.fixture(scope="session")
def water_template(postgres_url: str) -> Template:
    """A template database with the tables of the sample service and of the kit, once per worker."""
    held = Template(f"template_{service.name}_{token_hex(4)}", service.name)

    async def make() -> None:
        await made(postgres_url, held.name, held.service)
        await create(app_url(postgres_url, held), Row.metadata, tables.METADATA)

    asyncio.run(make())
    return held


async def create(url: str, *metadata: MetaData) -> None:
    """Make tables as the sample service's migrations would, and grant what may be done with them."""
    async with as_owner(url) as connection:
        await connection.execute(text(f"CREATE TABLE IF NOT EXISTS {privileges.REVISION} (version_num text)"))
        for each in metadata:
            await connection.run_sync(each.create_all)
        await connection.run_sync(privileges.grant, service.name, [tables.METADATA, Row.metadata, *metadata])


@pytest.fixture
async def db(postgres_url: str, water_template: Template) -> AsyncIterator[database.Database]:
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


async def declare(db: database.Database, statement: str) -> None:
    """Make a table that a test's handlers fill, by a statement of the owner's."""
    async with as_owner(url_of(db)) as connection:
        await connection.execute(text(statement))
        await connection.execute(text("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO PUBLIC"))
        await connection.execute(text("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO PUBLIC"))


def url_of(db: database.Database) -> str:
    """Where a database is, password included."""
    return db.engine.url.render_as_string(hide_password=False)


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


class Broker:
    """A NATS server of a test's own, that can be killed and started again on its data and its port."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.port = folder, free_port()
        self.start()

    def start(self) -> None:
        self._server = nats.start(self._folder / "data", self.port, self._folder / "nats.log")
        self.url = self._server.url

    def kill(self) -> None:
        self._server.process.kill()
        self._server.process.wait()

    def stop(self) -> None:
        self._server.stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    started = Broker(tmp_path)
    yield started
    started.stop()


async def killed(process: BaseProcess) -> None:
    """Start a process, and wait until it has been sent SIGKILL at the place that its test is about."""
    process.start()
    await asyncio.to_thread(process.join, 60)
    assert process.exitcode == -signal.SIGKILL
