"""Databases for tests: migrated once per worker as a template; rolled back after each test, or copied afresh.

They are migrated as the service's owner, and tests use them as its `_app` role, with its rights and no more.
"""

import contextlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, async_sessionmaker
from sqlalchemy.pool import NullPool

from services.kit import migrate, privileges, roles
from services.kit.database import Database, Db
from services.kit.database import engine as engine_of
from services.kit.settings import database_url

PASSWORD = "onedoor-test"  # noqa: S105 - of roles that a test run makes on a server of its own
_VERIFIERS = dict.fromkeys(roles.LOGINS, roles.verifier(PASSWORD))


@dataclass(frozen=True, slots=True)
class Template:
    """A migrated database that others are copied from, and the service that it is for."""

    name: str
    service: str


def url_of(maintenance_url: str, name: str, user: str | None = None) -> str:
    """The URL of another database on the same server, for the async engine: as the same user, or as a role of a service."""
    url = make_url(database_url("test", {"TEST_DATABASE_URL": maintenance_url})).set(database=name)
    return _shown(url if user is None else url.set(username=user, password=PASSWORD))


def app_url(maintenance_url: str, held: Template) -> str:
    """The URL of a template as its service's running process would use it."""
    return url_of(maintenance_url, held.name, roles.role(held.service, roles.APP))


def migrator_url(url: str) -> str:
    """The URL of the same database for who migrates it, from that of the service."""
    used = make_url(url)
    assert used.username is not None  # noqa: S101 - ours
    return _shown(used.set(username=used.username.removesuffix(roles.APP) + roles.MIGRATOR))


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=False)


async def administer(maintenance_url: str, *statements: str) -> None:
    """Run statements that no transaction may hold (CREATE DATABASE and its like)."""
    url = database_url("test", {"TEST_DATABASE_URL": maintenance_url})
    engine = engine_of(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            for statement in statements:
                await connection.execute(text(statement))
    finally:
        await engine.dispose()


async def made(maintenance_url: str, name: str, service: str, template_name: str = "template1") -> None:
    """Make a database of a service, in place of one that has the name, and the roles of the service where they are missing."""
    owner = roles.role(service, roles.OWNER)
    known = text("SELECT count(*) FROM pg_roles WHERE rolname = ANY(:names)")
    names = [roles.role(service, kind) for kind in (roles.OWNER, *roles.LOGINS)]
    engine = engine_of(url_of(maintenance_url, "postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            if (await connection.execute(known, {"names": names})).scalar_one() < len(names):
                async with _alone(connection):
                    for statement in roles.creation(service, _VERIFIERS):
                        await connection.exec_driver_sql(statement)
            await connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
            await connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template_name}" OWNER {owner}'))
            for statement in roles.enclosure(service, name):
                await connection.exec_driver_sql(statement)
    finally:
        await engine.dispose()


@asynccontextmanager
async def _alone(connection: AsyncConnection) -> AsyncIterator[None]:
    """No other worker makes roles meanwhile: two that alter one role fail."""
    await connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": migrate.LOCK})
    try:
        yield
    finally:
        await connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": migrate.LOCK})


async def template(maintenance_url: str, service: str) -> Template:
    """Create and migrate this worker's template database of a service."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    name = f"template_{service}_{worker}"
    await made(maintenance_url, name, service)
    engine = engine_of(url_of(maintenance_url, name, roles.role(service, roles.MIGRATOR)), poolclass=NullPool)
    try:
        await migrate.upgrade(engine, service)
    finally:
        await engine.dispose()
    return Template(name, service)


async def seeded(maintenance_url: str, held: Template, seeds: Iterable[Callable[[Db], Awaitable[None]]]) -> Template:
    """A copy of a template that holds what its service's seeds put there: for tests that begin with it, each by a rollback."""
    copy = Template(f"{held.name}_seeded", held.service)
    await made(maintenance_url, copy.name, copy.service, held.name)
    database = Database(engine_of(app_url(maintenance_url, copy), poolclass=NullPool))
    try:
        for seed in seeds:
            async with database.transaction() as db:
                await seed(db)
    finally:
        await database.close()
    await administer(url_of(maintenance_url, copy.name), "ANALYZE")
    return copy


@asynccontextmanager
async def copied(maintenance_url: str, held: Template, label: str) -> AsyncIterator[str]:
    """The service's URL of a fresh copy of a template, for events, races and processes. Dropped at the end."""
    name = re.sub(r"\W", "_", f"{held.name}_{label}")[:60]
    await made(maintenance_url, name, held.service, held.name)
    try:
        yield url_of(maintenance_url, name, roles.role(held.service, roles.APP))
    finally:
        await administer(maintenance_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@asynccontextmanager
async def as_owner(url: str) -> AsyncIterator[AsyncConnection]:
    """A transaction of the owner of the database that a service's URL names."""
    used = make_url(migrator_url(url))
    engine = engine_of(_shown(used), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            assert used.username is not None  # noqa: S101 - ours
            await connection.run_sync(privileges.become_owner, used.username.removesuffix(f"_{roles.MIGRATOR}"))
            yield connection
    finally:
        await engine.dispose()


class RolledBack(Database):
    """A database whose every unit of work joins one outer transaction, which is rolled back."""

    def __init__(self, engine: AsyncEngine, connection: AsyncConnection) -> None:
        super().__init__(engine)
        joined = async_sessionmaker(connection, expire_on_commit=False, join_transaction_mode="create_savepoint")
        self._write = self._read = joined
        self.connection = connection

    @asynccontextmanager
    async def each_committed(self) -> AsyncIterator[Db]:
        """As it is, in a transaction in place of a commit by each statement."""
        async with self.transaction() as db:
            yield db


@asynccontextmanager
async def rolled_back(url: str) -> AsyncIterator[RolledBack]:
    """A service's database for one test: what it commits is gone afterwards."""
    engine = engine_of(url, poolclass=NullPool)
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
    """The SQL that was sent while it was watched; BEGIN, SAVEPOINT and their like are not counted, nor what a client does after
    its answer."""

    texts: list[str] = field(default_factory=list)
    answered: bool = False

    @property
    def count(self) -> int:
        return len(self.texts)


@contextmanager
def statements(engine: AsyncEngine) -> Iterator[Statements]:
    """Watch what an engine sends."""
    seen = Statements()

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if not seen.answered and not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT")):
            seen.texts.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)
