"""Revisions of grants: each change of one has the next place among all, and is over only when nobody acts on what was before.

A lease is written and committed before its holder is told the newest revision. So whoever changes a grant, commits and then looks
at the leases, either sees that lease or has been seen by its holder.
"""

import asyncio
from dataclasses import replace
from functools import partial

import structlog
from pydantic import TypeAdapter
from sqlalchemy import delete, func, literal, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from services.accounts.models import LeaseRecord, RevisionRecord, service
from services.kit.database import Database, Db, is_unavailable
from services.kit.grants import Grant, Revision
from services.kit.lease import elapsed
from services.kit.revisions import AT_ONCE, LEASE_S, Answer, GrantChanged, Question, moment

LOCK = 0x0E_D0_25  # places are given one at a time
LOOK_EVERY_S = 0.02
GRACE_S = 0.5
_GRANT = TypeAdapter(Grant)
# One statement, so that the head and what leads to it are of one moment.
_LACKING = text(
    f"""SELECT head.seq AS head, lacking.seq, lacking.told::text
    FROM (SELECT coalesce(max(seq), 0) AS seq FROM grant_revision) AS head
    LEFT JOIN (SELECT seq, told FROM grant_revision WHERE seq > :applied ORDER BY seq LIMIT {AT_ONCE}) AS lacking ON true
    ORDER BY lacking.seq"""  # noqa: S608 - a number of ours
)
_LOG = structlog.get_logger(__name__)
service.emits(GrantChanged)


async def announce(db: Db, grant: Grant, *, narrows: bool = True) -> Grant:
    """Give a grant its next revision, whatever `rev` says, in the transaction that changes it. Returns it with its number.

    Where a change `narrows` what may be done, the transaction ends only when no instance of any service acts on what was before
    any more: each has applied the change, or may not act at all. That takes 5.5 s at most, whoever is away.
    """
    await db.execute(select(func.pg_advisory_xact_lock(LOCK)))
    seq = 1 + (await db.first(select(func.max(col(RevisionRecord.seq)))) or 0)
    before = select(func.max(col(RevisionRecord.rev))).where(col(RevisionRecord.grant_id) == grant.id)
    rev = 1 + (await db.first(before) or 0)
    told = replace(grant, rev=rev)
    row = {"seq": seq, "grant_id": grant.id, "rev": rev, "told": _GRANT.dump_python(told, mode="json"), "at": moment()}
    await db.execute(insert(RevisionRecord).values(row))
    db.emit(GrantChanged(id=grant.id, rev=rev))
    if narrows:
        db.afterwards.append(partial(_agreed, seq=seq))
    return told


async def _agreed(database: Database, *, seq: int) -> None:
    """Wait until each lease that runs is of an instance that has applied a place, or as long as a lease can run: that is known
    without any answer, also of a database that does not give one."""
    ends = elapsed() + LEASE_S + GRACE_S
    behind = select(literal(1)).where(col(LeaseRecord.until) > func.clock_timestamp(), col(LeaseRecord.applied) < seq)
    while (left_s := ends - elapsed()) > 0:
        try:
            async with database.transaction() as db:
                if await db.first(behind.limit(1)) is None:
                    return
        except Exception as error:
            if not is_unavailable(error):
                raise
            _LOG.warning("leases_unknown", error=type(error).__name__)
        await asyncio.sleep(min(LOOK_EVERY_S, left_s))


async def answer(database: Database, service_name: str, question: Question) -> Answer:
    """Note an instance's lease, then tell what it lacks. The lease counts from now, which is later than the instance asked."""
    until = func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, LEASE_S)
    lease = {"service": service_name, "instance": question.instance, "applied": question.applied, "until": until}
    async with database.each_committed() as db:
        put = insert(LeaseRecord).values(**lease)
        said = {"applied": put.excluded.applied, "until": put.excluded.until}
        await db.execute(put.on_conflict_do_update(index_elements=["service", "instance"], set_=said))
        rows = (await db.execute(_LACKING, {"applied": question.applied})).all()
    revisions = [Revision(row.seq, _GRANT.validate_json(row.told)) for row in rows if row.seq is not None]
    return Answer(question.nonce, moment(), rows[0].head, tuple(revisions))


async def give_back(database: Database, service_name: str, question: Question) -> None:
    """An instance has ended: nobody waits for its lease."""
    async with database.transaction() as db:
        mine = (col(LeaseRecord.service) == service_name, col(LeaseRecord.instance) == question.instance)
        await db.execute(delete(LeaseRecord).where(*mine))


async def forget(database: Database) -> None:
    """Delete leases that have run out a while ago."""
    async with database.transaction() as db:
        old = col(LeaseRecord.until) < func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 1)
        await db.execute(delete(LeaseRecord).where(old))
