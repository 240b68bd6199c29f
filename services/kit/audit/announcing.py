"""Tells others what a service's chain is, each minute: all other services, by an event that each keeps, and a file outside.

Who holds a head can show later that a chain was shortened or told anew. When a day (UTC) is over, the Merkle root of its seals is
signed too. Heads of others are kept as they come; whoever verifies judges them.
"""

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson
import structlog
from joserfc.jwk import OKPKey
from sqlalchemy import Date, func, insert, select
from sqlalchemy.dialects import postgresql

from services.kit.audit.announced import AuditHead
from services.kit.audit.heads import Head
from services.kit.audit.merkle import Tree
from services.kit.audit.sealer import LOCK
from services.kit.audit.tables import days, heads, seals, witnesses
from services.kit.database import Database, Db

EVERY_S = 60.0
LEAVES_AT_ONCE = 5_000
_LOG = structlog.get_logger(__name__)


class Announcer:
    """Announces the chain of one service. `key` gives the key that signs now, or None; `file` is the one outside, or None."""

    def __init__(
        self,
        database: Database,
        service: str,
        key: Callable[[], OKPKey | None],
        file: Path | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database, self._service, self._key, self._file, self._clock = database, service, key, file, clock

    async def run(self) -> None:
        """Announce for ever. Cancel to stop."""
        while True:
            for act, failed in ((self.announce, "head_untold"), (self.close_a_day, "day_not_closed")):
                try:
                    while await act():
                        pass
                except (
                    Exception
                ) as error:  # the database or the file, mostly: the next head tells all that this one would
                    _LOG.warning(failed, exc_info=not isinstance(error, OSError | TimeoutError), error=repr(error))
            await asyncio.sleep(EVERY_S)

    async def announce(self) -> AuditHead | None:
        """Tell the newest head, where it has not been told. Returns it. Raises OSError where the file cannot be written."""
        async with self._database.transaction() as db:
            found = await db.execute(select(heads).order_by(heads.c.count.desc()).limit(1))
            newest = found.mappings().first()
            if newest is None:
                return None
            head = AuditHead(service=self._service, **{**newest, "hash": newest["hash"].hex()})
            if not await keep(head, db):  # what is told is kept here as by all others
                return None
            db.emit(head)
        if self._file:
            await asyncio.to_thread(_append, self._file, orjson.dumps(head.data()))
        return head

    async def close_a_day(self) -> bool:
        """Sign the root of the earliest day that is over and has none. Returns whether there was one."""
        async with self._database.transaction() as db:
            if not await db.first(select(func.pg_try_advisory_xact_lock(LOCK))):
                return False
            closed, before = (
                await db.execute(select(func.max(days.c.day), func.coalesce(func.max(days.c.last), 0)))
            ).one()
            # What a clock that was behind has sealed since a day was closed belongs to the day after.
            earliest = closed + timedelta(days=1) if closed else date.min
            day = func.greatest(func.timezone("UTC", heads.c.at).cast(Date), earliest)
            over = select(day, func.max(heads.c.count)).where(heads.c.count > before, day < self._clock().date())
            row = (await db.execute(over.group_by(day).order_by(day).limit(1))).first()
            if row is None:
                return False
            root = await self._root(db, before + 1, row[1])
            head = Head(self._service, row[1], root, self._clock(), row[0])
            signed = {"day": row[0], "first": before + 1, "last": row[1], "root": root, "jws": head.signed(self._key())}
            await db.execute(insert(days).values(signed))
        return True

    @staticmethod
    async def _root(db: Db, first: int, last: int) -> bytes:
        tree = Tree()
        for begin in range(first, last + 1, LEAVES_AT_ONCE):
            some = seals.c.seq.between(begin, min(last, begin + LEAVES_AT_ONCE - 1))
            for leaf in await db.all(select(seals.c.hash).where(some).order_by(seals.c.seq)):
                tree.add(leaf)
        return tree.root()


async def keep(head: AuditHead, db: Db) -> bool:
    """Keep a head as it was told; two of one count and different hashes are both kept. Returns whether it is new."""
    row = {
        "service": head.service,
        "count": head.count,
        "hash": bytes.fromhex(head.hash),
        "at": head.at,
        "jws": head.jws,
    }
    kept = postgresql.insert(witnesses).values(row).on_conflict_do_nothing().returning(witnesses.c.count)
    return (await db.execute(kept)).first() is not None


async def witness(head: AuditHead, db: Db) -> None:
    """Keep a head that some service announced."""
    await keep(head, db)


def _append(file: Path, line: bytes) -> None:
    opened = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(opened, line + b"\n")  # one write: several services may share the file
        os.fsync(opened)
    finally:
        os.close(opened)
