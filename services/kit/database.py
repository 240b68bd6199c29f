"""A service's own PostgreSQL database: its pool, and `Db`, what an operation may do with it.

A mutation runs in one transaction that the kit commits or rolls back; queries read in a READ ONLY transaction.
Application code never commits. Reads by key are batched: one SQL statement for all that one step asks of a table.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import ColumnElement, Executable, Select, func, inspect, select
from sqlalchemy.engine import Result
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as TimedOut
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Mapper
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel
from strawberry.dataloader import DataLoader

from services.kit.events import Event, outbox_row

T = TypeVar("T")
R = TypeVar("R", bound=SQLModel)


def _primary_key(model: type[SQLModel]) -> tuple[ColumnElement[Any], ...]:
    mapper: Mapper[Any] = inspect(model)
    return mapper.primary_key


def python_type(column: ColumnElement[Any]) -> type:
    """The Python type of a column's values. A decorated type (SQLModel's text is one) has that of what it decorates."""
    kind = column.type
    held: type = (kind.impl_instance if isinstance(kind, TypeDecorator) else kind).python_type
    return held


# What PostgreSQL says when the same request may succeed a little later: locks and statements that took too long, deadlocks,
# too many connections, a server that stops. Source: PostgreSQL, Appendix A (classes 08, 40, 53, 57; 55P03).
_PASSING = ("08", "40", "53", "57", "55P03")


def is_unavailable(error: BaseException | None) -> bool:
    """Whether an error says that the database cannot do it now: no connection is free in time or none can be made, a lock
    is held too long, the server stops.

    Nothing was done then, or its transaction is rolled back with its connection: asking again later is safe.
    """
    if isinstance(error, DBAPIError):
        state = str(getattr(error.orig, "sqlstate", None) or "")
        return error.connection_invalidated or state.startswith(_PASSING)
    return isinstance(error, TimedOut | OSError)


MOST_LOGGING = 3  # transactions at once, of the ten connections that a pool has


class Db:
    """One unit of work on the service's database: a session whose statements run one at a time.

    `one` and `where` are batched over everything that asks in the same turn of the event loop; `all`, `first` and
    `execute` take any statement. In a query the transaction is read only, and PostgreSQL refuses a write.
    """

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self.emitted = 0
        self.afterwards: list[Callable[[Database], Awaitable[None]]] = []  # awaited after the commit, before the answer
        self._turn = asyncio.Lock()
        self._loaders: dict[tuple[type, str], DataLoader[Any, Any]] = {}
        self._batches: set[asyncio.Task[Any]] = set()

    async def one(self, model: type[R], key: Any) -> R | None:
        """The row of a primary key, or None. Batched."""
        found: list[R] = await self._loader(model, str(_primary_key(model)[0].key)).load(key)
        return found[0] if found else None

    async def where(self, model: type[R], **columns: Any) -> list[R]:
        """The rows whose columns have these values, in primary key order. Batched when one column is named."""
        if len(columns) == 1:
            ((column, value),) = columns.items()
            rows: list[R] = await self._loader(model, column).load(value)
            return list(rows)
        conditions = [getattr(model, name) == value for name, value in columns.items()]
        return await self.all(select(model).where(*conditions).order_by(*_primary_key(model)))

    async def all(self, statement: Select[tuple[T]], /) -> list[T]:
        """Every row of a SELECT of one entity or column."""
        return list((await self.execute(statement)).scalars())

    async def first(self, statement: Select[tuple[T]], /) -> T | None:
        """The first row of a SELECT of one entity or column, or None."""
        found: T | None = (await self.execute(statement)).scalars().first()
        return found

    async def execute(self, statement: Executable, parameters: Any = None) -> Result[Any]:
        """Any statement. Two at a time on one connection would fail, so they queue."""
        async with self._turn:
            return await self.session.execute(statement, parameters)

    def add(self, *rows: SQLModel) -> None:
        """Rows to insert, or to keep if they are held already. They are written with the transaction, or by `flush`."""
        self.session.add_all(rows)

    async def alone(self, what: str) -> None:
        """Wait until no other transaction of the service is at something of this name, and be at it until this one ends."""
        await self.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(what, 0))))

    async def flush(self) -> None:
        """Write what was added now, so that a violated constraint shows here."""
        async with self._turn:
            await self.session.flush()

    def emit(self, event: Event) -> None:
        """Announce an event: it is committed with this transaction, and published after it. At least once, in order per
        subject. Raises events.ContractBroken for an empty subject and for data that break the event's contract."""
        self.session.add(outbox_row(event))
        self.emitted += 1

    async def halt(self) -> None:
        """End the batches that nobody waits for any more: a batch runs by itself and outlives those who asked for it.

        One that is being cancelled is left to end: a second cancellation would break off what tells PostgreSQL of the
        first, and the statement would go on there. asyncpg closes a connection that does not answer after 2 s.
        """
        for batch in self._batches:
            if not batch.cancelling():
                batch.cancel()
        if self._batches:
            await asyncio.wait(self._batches)

    async def close(self) -> None:
        """Give the connection back; a transaction that is not committed is rolled back. The next statement begins anew."""
        await self.halt()
        await self.session.close()

    def _loader(self, model: type[R], column: str) -> DataLoader[Any, list[R]]:
        loader = self._loaders.get((model, column))
        if loader is None:

            async def load(keys: list[Any]) -> list[list[R]]:
                batch = asyncio.current_task()
                assert batch is not None  # noqa: S101 - a coroutine runs in a task
                self._batches.add(batch)
                batch.add_done_callback(self._batches.discard)
                attribute = getattr(model, column)
                statement = select(model).where(attribute.in_(keys)).order_by(*_primary_key(model))
                found: dict[Any, list[R]] = defaultdict(list)
                for row in await self.all(statement):
                    found[getattr(row, column)].append(row)
                return [found[key] for key in keys]

            # Not cached: a mutation may read, write and read again.
            loader = self._loaders[model, column] = DataLoader(load_fn=load, cache=False)
        return loader


class Database:
    """The pool, and the two ways to use it. `on_events` is called after a commit that left events in the outbox."""

    def __init__(self, engine: AsyncEngine, on_events: Callable[[], None] = lambda: None) -> None:
        self.engine = engine
        self.on_events = on_events
        self._logging = asyncio.Semaphore(MOST_LOGGING)
        self._write = async_sessionmaker(engine, expire_on_commit=False)
        self._read = async_sessionmaker(engine.execution_options(postgresql_readonly=True), expire_on_commit=False)
        self._each_commits = async_sessionmaker(engine.execution_options(isolation_level="AUTOCOMMIT"))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Db]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        async with self._write() as session:
            db = Db(session)
            async with session.begin():
                try:
                    yield db
                finally:
                    await db.halt()
        if db.emitted:
            self.on_events()
        for wait in db.afterwards:
            await wait(self)

    @asynccontextmanager
    async def each_committed(self) -> AsyncIterator[Db]:
        """Statements that commit each by itself, without a word to PostgreSQL before and after."""
        async with self._each_commits() as session:
            yield Db(session)

    @asynccontextmanager
    async def logging(self) -> AsyncIterator[Db]:
        """For the access entries that a query leaves: one statement adds them all, and commits by itself. A few at a time: a log
        that is held up takes no more connections than that from those who leave none."""
        async with self._logging, self.each_committed() as db:
            yield db

    def reader(self) -> Db:
        """A read-only unit of work; nothing is sent before its first statement. Close it when done."""
        return Db(self._read())

    def trace(self) -> None:
        """Make a span of each statement from now on, inside the span of the request that asked for it."""
        from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

        SQLAlchemyInstrumentor().instrument(engine=self.engine.sync_engine)

    async def close(self) -> None:
        """Return every connection."""
        await self.engine.dispose()


def connect(
    url: str, name: str, *, pool_size: int = 10, patience_s: float = 5, on_events: Callable[[], None] = lambda: None
) -> Database:
    """The database of a service. No connection is made yet; who finds all in use waits for `patience_s`.

    Statements may take 15 s, locks 5 s; times are UTC.
    """
    made = engine(
        url,
        {
            "application_name": name,
            "timezone": "UTC",
            "statement_timeout": "15000",
            "lock_timeout": "5000",
            "idle_in_transaction_session_timeout": "60000",
        },
        timeout_s=5,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=patience_s,
        pool_use_lifo=True,
        hide_parameters=True,  # errors are logged, and what people sent is not
    )
    return Database(made, on_events)


def engine(
    url: str, server_settings: Mapping[str, str] = MappingProxyType({}), *, timeout_s: float = 60, **options: Any
) -> AsyncEngine:
    """An engine that reads all of a PostgreSQL URL, as its own programs do: `passfile`, `sslmode`, `sslrootcert` and their
    like. A connection may take `timeout_s` to be made. Source: PostgreSQL, Connection URIs."""
    address = url.replace("postgresql+asyncpg://", "postgresql://", 1)
    open_one = partial(asyncpg.connect, address, timeout=timeout_s, server_settings=dict(server_settings))
    return create_async_engine(url, async_creator=open_one, **options)
