"""Seals what was added, while a service runs: each second, all that waits, a batch a transaction.

One process of a service seals at a time, by an advisory lock that its transaction holds. Seals, head and queue change in that one
transaction: killed anywhere, it has sealed a batch or nothing. No request waits for it: an entry is committed and queued, and
sealed at most about a second later.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import structlog
from joserfc.jwk import OKPKey
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Date,
    LargeBinary,
    Row,
    Uuid,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.types import TypeEngine

from services.kit import metrics
from services.kit.audit.announced import MOST_ENTRIES
from services.kit.audit.chain import NO_PAYLOAD, Seal, digest_of, first, linked, payload
from services.kit.audit.heads import Head
from services.kit.audit.tables import Sealed, heads, seals, unsealed
from services.kit.database import Database, Db

EVERY_S = 1.0
AT_ONCE = 200  # few enough that the loop, which requests share, is held for a few milliseconds only
LOCK = 0x0E_D0_0A
_LOG = structlog.get_logger(__name__)

_KINDS: tuple[TypeEngine[Any], ...] = (BigInteger(), Uuid(), LargeBinary(), Date(), LargeBinary(), LargeBinary())
_ADD = text(
    f"INSERT INTO audit_seal ({', '.join(Seal._fields)}) "  # noqa: S608 - the names of a seal's parts
    f"SELECT * FROM unnest({', '.join(f':{name}' for name in Seal._fields)})"
).bindparams(*(bindparam(n, type_=ARRAY(kind)) for n, kind in zip(Seal._fields, _KINDS, strict=True)))


class Sealer:
    """Seals the entries of one service. `key` gives the key that signs heads now, or None."""

    def __init__(
        self,
        database: Database,
        service: str,
        sealed: Sequence[Sealed],
        key: Callable[[], OKPKey | None] = lambda: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database, self._service, self._key, self._clock = database, service, key, clock
        self._sealed = {each.table.name: each for each in sealed}

    async def run(self) -> None:
        """Seal for ever. Cancel to stop: a batch in hand is rolled back, and sealed by whoever comes next."""
        while True:
            try:
                while await self.seal_some() == AT_ONCE:
                    pass
            except Exception as error:  # the database is away, mostly: what waits goes on waiting
                away = isinstance(error, OSError | TimeoutError)
                _LOG.warning("sealing_waits", exc_info=not away, error=repr(error))
            await asyncio.sleep(EVERY_S)

    async def seal_some(self) -> int:
        """Seal a batch. Returns its size; zero when nothing waits or another process is at it."""
        async with self._database.transaction() as db:
            if not await db.first(select(func.pg_try_advisory_xact_lock(LOCK))):
                return 0
            waiting = (await db.execute(select(unsealed).order_by(unsealed.c.id).limit(AT_ONCE))).all()
            if not waiting:
                return 0
            entries = await self._entries(db, waiting)
            links = list(self._linked(waiting, entries, *await self._last(db)))
            self._tell(db, links, entries, waiting)
            await db.execute(_ADD, dict(zip(Seal._fields, map(list, zip(*links, strict=True)), strict=True)))
            await self._sign(db, links[-1])
            await db.execute(delete(unsealed).where(unsealed.c.id.in_([link.entry_id for link in links])))
        metrics.SEALED.inc(len(links))
        return len(links)

    def _tell(
        self, db: Db, links: Sequence[Seal], entries: Mapping[UUID, dict[str, Any]], waiting: Sequence[Row[Any]]
    ) -> None:
        """Announce entries with their seals, so that what is told is sealed and what is sealed is told."""
        told: dict[str, list[dict[str, Any]]] = {}
        for link, row in zip(links, waiting, strict=True):
            if link.entry_id in entries and self._sealed[row.kept_in].told:
                told.setdefault(row.kept_in, []).append({**entries[link.entry_id], "keep_until": link.keep_until})
        for name, rows in told.items():
            for begin in range(0, len(rows), MOST_ENTRIES):
                tell = self._sealed[name].told
                assert tell is not None  # noqa: S101 - asked above
                db.emit(tell(self._service, links[0].seq + begin, rows[begin : begin + MOST_ENTRIES]))

    async def _last(self, db: Db) -> tuple[int, bytes]:
        found = await db.execute(select(seals.c.seq, seals.c.hash).order_by(seals.c.seq.desc()).limit(1))
        row = found.first()
        return (row.seq, row.hash) if row else (0, first(self._service))

    async def _entries(self, db: Db, waiting: Sequence[Row[Any]]) -> dict[UUID, dict[str, Any]]:
        found: dict[UUID, dict[str, Any]] = {}
        for name, each in self._sealed.items():
            if ids := [row.id for row in waiting if row.kept_in == name]:
                rows = await db.execute(select(each.table).where(each.table.c.id.in_(ids)))
                found |= {row["id"]: dict(row) for row in rows.mappings()}
        return found

    def _linked(
        self, waiting: Sequence[Row[Any]], entries: Mapping[UUID, dict[str, Any]], last: int, prev: bytes
    ) -> Iterator[Seal]:
        for seq, row in enumerate(waiting, start=last + 1):
            entry = entries.get(row.id)
            if entry is None:  # somebody with power over the database has been faster: the seal tells it
                _LOG.error("entry_gone_unsealed", id=str(row.id))
                digest, keep_until = NO_PAYLOAD, date.max
            else:
                digest = digest_of(entry["salt"], payload(entry))
                keep_until = self._sealed[row.kept_in].kept_until(entry)
            seal = Seal(seq, row.id, digest, keep_until, prev, linked(prev, row.id, digest, keep_until))
            prev = seal.hash
            yield seal

    async def _sign(self, db: Db, last: Seal) -> None:
        head = Head(self._service, last.seq, last.hash, self._clock())
        signed = {"count": head.count, "hash": head.hash, "at": head.at, "jws": head.signed(self._key())}
        await db.execute(insert(heads).values(signed))
