"""The keys of held names follow from the rules: when these change, every name is keyed anew before the service answers."""

import structlog
from sqlalchemy import delete, func, text, update
from sqlmodel import col, select

from services.business_registration.models import NameRecord
from services.business_registration.names.rules import rules
from services.business_registration.naming import records
from services.business_registration.subgraph import service
from services.kit.database import Db

AT_ONCE = 1000
_LOCK = 0x0E_D0_11  # so that of several processes that start at once one does it
_KEPT = ("business_number", "former_until", "reservation", "reserved_by", "reserved_until")
_LOG = structlog.get_logger(__name__)


@service.seed
async def rekey(db: Db) -> None:
    """Key anew the names whose keys other rules made.

    Two names that both block and that the new rules call identical both stand; the one that was there first blocks.
    """
    await db.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    version, names = rules().version, 0
    stale, key = col(NameRecord.rule_version) != version, col(NameRecord.identical_key)
    # Old keys bar no new ones meanwhile; which names block follows from who holds them.
    await db.execute(update(NameRecord).where(stale).values(blocks=False))
    first = select(NameRecord.name).where(stale).group_by(col(NameRecord.name)).order_by(func.min(NameRecord.id))
    while some := await db.all(first.limit(AT_ONCE)):
        rows = await db.all(
            select(NameRecord).where(stale, col(NameRecord.name).in_(some)).order_by(col(NameRecord.id))
        )
        holders = {(row.name, row.business_number, row.reservation): row for row in rows}
        fresh = [
            record
            for row in holders.values()
            for record in records(row.name, row.legal_type, **{column: getattr(row, column) for column in _KEPT})
        ]
        await db.execute(delete(NameRecord).where(stale, col(NameRecord.name).in_(some)))
        taken = set(await db.all(select(key).where(NameRecord.blocks, key.in_([r.identical_key for r in fresh]))))
        for record in fresh:
            record.blocks = record.blocks and record.identical_key not in taken
            if record.blocks:
                taken.add(record.identical_key)
            db.add(record)
        await db.flush()
        names += len(holders)
    if names:
        _LOG.info("names_rekeyed", names=names, rule_version=version)
