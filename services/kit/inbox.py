"""The inbox: events taken from the stream, handled once each, in order per subject, one transaction per handling.

A consumer commits an event here before it acknowledges. A worker takes the oldest unfinished event of each subject with
SKIP LOCKED; a failed one is tried again after a growing pause, and after its last try rests as a dead letter, visibly, while
its subject goes on. So order holds per entity and one poisoned event delays nobody else.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from opentelemetry import propagate, trace
from sqlalchemy import BigInteger, DateTime, Index, func, or_, select, text
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, aliased, mapped_column

from services.kit import metrics
from services.kit.database import Database
from services.kit.events import ContractBroken, Event, Tables, check
from services.kit.roles import KEPT
from services.kit.service import Handler

TRIES = 8
FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 300.0
# Between the tries: 1, 2.6, 6.7, 17, 45, 116 and 300 s, each the same multiple of the one before; eight minutes in all.
PAUSES_S = tuple(FIRST_PAUSE_S * (LAST_PAUSE_S / FIRST_PAUSE_S) ** (n / (TRIES - 2)) for n in range(TRIES - 1))
IDLE_S = 1.0
_LOG = structlog.get_logger(__name__)
_TRACER = trace.get_tracer(__name__)


class Inbox(Tables):
    """An event to handle, handled, or dead. `position` is its place in the stream."""

    __tablename__ = "inbox"
    __table_args__ = (
        Index("ix_inbox_unfinished", "subject", "position", postgresql_where=text("finished_at IS NULL")),
        Index("ix_inbox_dead", "position", postgresql_where=text("dead")),
        KEPT,
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    subject: Mapped[str]
    position: Mapped[int] = mapped_column(BigInteger)
    envelope: Mapped[dict[str, Any]] = mapped_column(JSONB)
    tries: Mapped[int] = mapped_column(server_default="0")
    next_try_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    dead: Mapped[bool] = mapped_column(server_default="false")
    error: Mapped[str | None]


async def take(database: Database, event: type[Event], envelope: Mapping[str, Any], position: int) -> bool:
    """Commit an event to the inbox. Returns False when it was there already. What breaks the contract is dead at once."""
    problem = _problem(event, envelope)
    row = {
        "id": str(envelope.get("id") or f"position-{position}"),
        "type": event.type,
        "subject": str(envelope.get("subject", "")),
        "position": position,
        "envelope": dict(envelope),
        "dead": problem is not None,
        "error": problem,
        "finished_at": None if problem is None else datetime.now(UTC),
    }
    async with database.transaction() as db:
        taken = await db.execute(insert(Inbox).values(row).on_conflict_do_nothing().returning(Inbox.id))
        new = taken.first() is not None
    if problem is not None and new:
        _LOG.error("event_dead", id=row["id"], type=event.type, error=problem)
        metrics.DEAD_LETTERS.labels(event.type).inc()
    return new


def _problem(event: type[Event], envelope: Mapping[str, Any]) -> str | None:
    """Why an envelope cannot be handled, or None."""
    try:
        check(event, envelope)
    except ContractBroken as broken:
        return f"received: {broken}"
    return None


def _now() -> datetime:
    return datetime.now(UTC)


class Worker:
    """Handles the inbox of one service. Several may run, in one process or many. `clock` says the moment, in UTC."""

    def __init__(
        self, database: Database, handlers: Mapping[str, Handler], clock: Callable[[], datetime] = _now
    ) -> None:
        self._database, self._handlers, self._clock = database, handlers, clock
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look now instead of at the next tick."""
        self._woken.set()

    async def run(self) -> None:
        """Work for ever. Cancel to stop: an event in hand is rolled back and taken again."""
        while True:
            self._woken.clear()
            try:
                while await self.handle_one():
                    pass
            except Exception as error:  # the database is away, mostly: the inbox waits with it
                away = isinstance(error, OSError | TimeoutError)
                _LOG.warning("inbox_waits", exc_info=not away, error=repr(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), IDLE_S)

    async def handle_one(self) -> bool:
        """Handle the next event that is due, if any. Returns whether there was one."""
        earlier = aliased(Inbox)
        before = select(earlier.id).where(
            earlier.subject == Inbox.subject, earlier.finished_at.is_(None), earlier.position < Inbox.position
        )
        # The first try is due whatever PostgreSQL's clock, which set the column, says beside ours.
        is_due = or_(Inbox.tries == 0, Inbox.next_try_at <= self._clock())
        due = (
            select(Inbox)
            .where(Inbox.finished_at.is_(None), is_due, ~before.exists())
            .order_by(Inbox.position)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        taken, kind = None, ""
        try:
            async with self._database.transaction() as db:
                row = await db.first(due)
                if row is None:
                    return False
                taken, kind = row.id, row.type  # noted now: a rollback takes the row's values away
                await self._act(row, db)
                row.finished_at = self._clock()
        except Exception as error:
            if taken is None:
                raise
            await self._postpone(taken, error)
        else:
            metrics.EVENTS_HANDLED.labels(kind).inc()
        return True

    async def _act(self, row: Inbox, db: Any) -> None:
        handler = self._handlers[row.type]
        context = propagate.extract(row.envelope)
        with _TRACER.start_as_current_span(f"handle {row.type}", context=context):
            await handler.function(handler.event.model_validate(row.envelope["data"]), db)

    async def _postpone(self, taken: str, error: Exception) -> None:
        """Note a failed try in a transaction of its own; after the last one the event is dead and its subject goes on."""
        async with self._database.transaction() as db:
            row = await db.session.get(Inbox, taken, with_for_update=True)
            if row is None or row.finished_at is not None:
                return
            row.tries += 1
            row.error = repr(error)[:500]
            if row.tries >= TRIES:
                row.dead, row.finished_at = True, self._clock()
            else:
                row.next_try_at = self._clock() + timedelta(seconds=PAUSES_S[row.tries - 1])
        if row.dead:
            metrics.DEAD_LETTERS.labels(row.type).inc()
        _LOG.log(
            40 if row.dead else 30,
            "event_dead" if row.dead else "event_postponed",
            id=row.id,
            type=row.type,
            tries=row.tries,
            exc_info=error,
        )
