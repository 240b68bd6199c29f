"""Exports the audit of one service as JSON Lines, as `verifying.py` reads it: read only, as of one moment, in flat memory.

Contents of entries are in it: keep such a file as what it tells of is kept.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO

import orjson
from sqlalchemy import Row, Select, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.kit.audit.chain import payload
from services.kit.audit.tables import Sealed, days, heads, seals, unsealed, witnesses
from services.kit.audit.verifying import FORMAT

TOLD_EVERY = 4_096
_LINK = len(seals.columns)


async def export(
    engine: AsyncEngine,
    service: str,
    sealed: Sequence[Sealed],
    file: BinaryIO,
    told: Callable[[int, int], None] = lambda *_: None,
) -> int:
    """Write all of it; `told` hears how many seals are written, of how many. Returns how many there were. Raises OSError."""
    async with engine.connect() as opened:
        connection = await opened.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        total = await connection.scalar(select(func.count()).select_from(seals)) or 0
        _write(file, {"audit": FORMAT, "service": service, "exportedAt": datetime.now(UTC).isoformat(), "seals": total})
        async for row in _rows(connection, select(witnesses).where(witnesses.c.service != service)):
            _write(file, {"witness": _described(row._mapping)})
        count = 0
        async for row in _rows(connection, _chain([each.table for each in sealed])):
            count += 1
            _seal(file, row, [each.table for each in sealed])
            if not count % TOLD_EVERY:
                told(count, total)
        beyond = select(heads).where(heads.c.count > func.coalesce(select(func.max(seals.c.seq)).scalar_subquery(), 0))
        async for row in _rows(connection, beyond.order_by(heads.c.count)):
            _write(file, {"head": _described(row._mapping)})
        for each in sealed:
            await _loose(connection, each.table, file)
        _write(file, {"end": {"seals": total}})
    told(total, total)
    return total


def _chain(tables: Sequence[Table]) -> Select[Any]:
    """Each seal with the head and the day that count to it, and its entry."""
    joined = seals.outerjoin(heads, heads.c.count == seals.c.seq).outerjoin(days, days.c.last == seals.c.seq)
    for table in tables:
        joined = joined.outerjoin(table, table.c.id == seals.c.entry_id)
    return select(seals, heads, days, *tables).select_from(joined).order_by(seals.c.seq)


def _seal(file: BinaryIO, row: Row[Any], tables: Sequence[Table]) -> None:
    cells, begin = tuple(row), _LINK
    parts = []
    for table in (heads, days, *tables):
        parts.append(dict(zip(table.columns.keys(), cells[begin : begin + len(table.columns)], strict=True)))
        begin += len(table.columns)
    head, day, *entries = parts
    entry = next((entry for entry in entries if entry["id"] is not None), None)
    seq, entry_id, digest, keep_until, prev, hashed = cells[:_LINK]
    link = [seq, str(entry_id), digest.hex(), keep_until, prev.hex(), hashed.hex()]
    file.write(orjson.dumps([*link, *([entry["salt"].hex(), payload(entry)] if entry else [None, None])]) + b"\n")
    if head["count"] is not None:
        _write(file, {"head": _described(head)})
    if day["day"] is not None:
        _write(file, {"day": _described(day)})


async def _loose(connection: AsyncConnection, table: Table, file: BinaryIO) -> None:
    """The entries of a table that no seal names: those that wait, and those that nobody queued."""
    joined = table.outerjoin(seals, seals.c.entry_id == table.c.id).outerjoin(unsealed, unsealed.c.id == table.c.id)
    asked = select(table.c.id, unsealed.c.id.label("waits")).select_from(joined).where(seals.c.seq.is_(None))
    async for row in _rows(connection, asked):
        _write(file, {"unsealed" if row.waits else "stray": {"id": str(row.id)}})


async def _rows(connection: AsyncConnection, asked: Select[Any]) -> AsyncIterator[Row[Any]]:
    result = await connection.stream(asked.execution_options(yield_per=2_000))
    async for row in result:
        yield row


def _described(columns: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value.hex() if isinstance(value, bytes) else value for name, value in columns.items()}


def _write(file: BinaryIO, told: Mapping[str, Any]) -> None:
    file.write(orjson.dumps(told) + b"\n")
