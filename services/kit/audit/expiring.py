"""Takes away what has had its time: contents of entries whose seal names a day that is over, and copies that were on the way.

Run daily as the service's `_retention` role, which can delete and read nothing of it. The seals stay, and the chain still
verifies; PostgreSQL itself refuses to let an entry go before its day.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import text

from services.kit.audit.tables import Sealed
from services.kit.database import Database

AT_ONCE = 5_000
ON_THE_WAY_DAYS = 7  # so long a copy of an entry stays with the events that told it
PRECISE_DAYS = 30  # so long each head of another service is kept; later the last one of each day
_ENTRIES = """DELETE FROM {table} WHERE id IN (
    SELECT entry.id FROM {table} AS entry JOIN audit_seal ON entry_id = entry.id
    WHERE keep_until < (now() AT TIME ZONE 'UTC')::date LIMIT :most)"""
_COPIES = """DELETE FROM {table} WHERE id IN (
    SELECT id FROM {table} WHERE keep_until < (now() AT TIME ZONE 'UTC')::date LIMIT :most)"""
_TOLD = """DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox
    WHERE type = 'access.logged.v1' AND sent_at < now() - make_interval(days => :days) LIMIT :most)"""
_HEARD = """DELETE FROM inbox WHERE id IN (SELECT id FROM inbox
    WHERE type = 'access.logged.v1' AND NOT dead AND finished_at < now() - make_interval(days => :days) LIMIT :most)"""
_HEADS = """DELETE FROM audit_witness WHERE (service, count, hash) IN (
    SELECT early.service, early.count, early.hash FROM audit_witness AS early JOIN audit_witness AS late
    ON late.service = early.service AND late.count > early.count AND late.at::date = early.at::date
    WHERE early.at < now() - make_interval(days => :days) LIMIT :most)"""


async def expire(database: Database, sealed: Sequence[Sealed], copies: Sequence[str] = ()) -> Mapping[str, int]:
    """Take it away, some thousands a transaction. `copies` name the tables of what other services sealed. Returns how many rows
    went, by table. It may be cut off, and run again."""
    work = [(each.table.name, _ENTRIES.format(table=each.table.name), 0) for each in sealed]
    work += [(name, _COPIES.format(table=name), 0) for name in copies]
    work += [("outbox", _TOLD, ON_THE_WAY_DAYS), ("inbox", _HEARD, ON_THE_WAY_DAYS)]
    work += [("audit_witness", _HEADS, PRECISE_DAYS)]
    gone = {}
    for name, statement, days in work:
        gone[name] = 0
        while some := await _some(database, statement, days):
            gone[name] += some
    return gone


async def _some(database: Database, statement: str, days: int) -> int:
    given = {"most": AT_ONCE, **({"days": days} if days else {})}
    async with database.transaction() as db:
        return int((await db.execute(text(statement), given)).rowcount)  # type: ignore[attr-defined]
