"""Databases for tests: migrated once per worker as a template; rolled back after each test, or copied afresh."""

import contextlib
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

from services.kit import migrate
from services.kit.database import Database
from services.kit.settings import database_url


def url_of(maintenance_url: str, name: str) -> str:
    """The URL of another database on the same server, for the async engine."""
    address = maintenance_url.rpartition("/")[0]
    return database_url("test", {"TEST_DATABASE_URL": f"{address}/{name}"})


async def administer(maintenance_url: str, *statements: str) -> None:
    """Run statements that no transaction may hold (CREATE DATABASE and its like)."""
    url = database_url("test", {"TEST_DATABASE_URL": maintenance_url})
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            for statement in statements:
                await connection.execute(text(statement))
    finally:
        await engine.dispose()


async def template(maintenance_url: str, service: str, *, seeded: bool = False) -> str:
    """Create and migrate this worker's template database of a service. Returns its name."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    name = f"template_{service}_{worker}"
    await administer(maintenance_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
    engine = create_async_engine(url_of(maintenance_url, name), poolclass=NullPool)
    try:
        await migrate.upgrade(engine, service)
    finally:
        await engine.dispose()
    return name


@asynccontextmanager
async def copied(maintenance_url: str, template_name: str, label: str) -> AsyncIterator[str]:
    """The URL of a fresh copy of a template, for events, races and processes. Dropped at the end."""
    name = re.sub(r"\W", "_", f"{template_name}_{label}")[:60]
    drop = f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'
    await administer(maintenance_url, drop, f'CREATE DATABASE "{name}" TEMPLATE "{template_name}"')
    try:
        yield url_of(maintenance_url, name)
    finally:
        await administer(maintenance_url, drop)


class RolledBack(Database):
    """A database whose every unit of work joins one outer transaction, which is rolled back."""

    def __init__(self, engine: AsyncEngine, connection: AsyncConnection) -> None:
        super().__init__(engine)
        joined = async_sessionmaker(connection, expire_on_commit=False, join_transaction_mode="create_savepoint")
        self._write = self._read = joined
        self.connection = connection


@asynccontextmanager
async def rolled_back(url: str) -> AsyncIterator[RolledBack]:
    """A service's database for one test: what it commits is gone afterwards."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            outer = await connection.begin()
            yield RolledBack(engine, connection)
            with contextlib.suppress(Exception):  # a test may have broken the connection on purpose
                await outer.rollback()
    finally:
        await engine.dispose()


@dataclass
class Statements:
    """The SQL that was sent while it was watched; BEGIN, SAVEPOINT and their like are not counted."""

    texts: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.texts)


@contextmanager
def statements(engine: AsyncEngine) -> Iterator[Statements]:
    """Watch what an engine sends."""
    seen = Statements()

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT")):
            seen.texts.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)
