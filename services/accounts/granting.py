"""From what accounts keeps to what services hold: a grant as it is announced, in the transaction that changes it; and what both
sides of a delegation are told that ends."""

from collections.abc import Iterable

from sqlalchemy import Select
from sqlmodel import col, select

from services.accounts import letters, mailing
from services.accounts.models import ConsentRecord, DelegationRecord, KnownBusiness, MemberRecord, State
from services.accounts.revisions import announce
from services.kit.caller import Kind
from services.kit.columns import now
from services.kit.database import Db
from services.kit.grants import Grant
from services.kit.language import Words
from services.kit.purposes import DEFAULTS

LIVE = (State.OFFERED, State.ACCEPTED)


async def actors_of(db: Db, record: DelegationRecord) -> tuple[str, ...]:
    """The people who act on a delegation: who accepted it, or where a firm did, its owner and its members. Never the one whose
    rights they are."""
    found = {record.person}
    if record.firm:
        members = select(MemberRecord.person).where(
            MemberRecord.business == record.firm, col(MemberRecord.ended_at).is_(None)
        )
        owners = select(KnownBusiness.owner).where(KnownBusiness.number == record.firm)
        found = {*await db.all(members), *await db.all(owners)}
    return tuple(sorted(person for person in found if person and person != record.subject))


async def announce_delegation(db: Db, record: DelegationRecord, *, narrows: bool = True) -> None:
    """Announce a delegation as it stands now. Where it `narrows`, the transaction ends when nobody acts on what was before."""
    grant = Grant(
        id=record.id,
        rev=0,
        kind=Kind.DELEGATION,
        grantor=record.grantor,
        actors=await actors_of(db, record),
        subject=record.subject,
        begins=record.begins,
        ends=record.ends,
        active=record.state is State.ACCEPTED,
        business=record.business,
        scopes=tuple(record.scopes),
        purposes=(DEFAULTS[Kind.DELEGATION.value],),
    )
    await announce(db, grant, narrows=narrows)


async def announce_held(db: Db, firm: str, *, narrows: bool) -> list[DelegationRecord]:
    """Announce each delegation that a business holds anew, for other people now. What was passed on by who acts on it no more
    ends; returns what was in force of that. The business's row is locked, so that two changes of its people follow one another.
    """
    await db.execute(select(KnownBusiness).where(KnownBusiness.number == firm).with_for_update())
    held = select(DelegationRecord).where(
        DelegationRecord.firm == firm, DelegationRecord.state == State.ACCEPTED, col(DelegationRecord.ends) > now()
    )
    ended = []
    for record in await db.all(held.order_by(col(DelegationRecord.id)).with_for_update()):
        await announce_delegation(db, record, narrows=narrows)
        passed_on = _passed_on(record).where(col(DelegationRecord.grantor).not_in(await actors_of(db, record)))
        for child in await db.all(passed_on):
            ended += await end_delegation(db, child, State.ENDED)
    return ended


def _passed_on(record: DelegationRecord) -> Select[tuple[DelegationRecord]]:
    """What was passed on from a delegation and is in force or offered, to be locked."""
    live = select(DelegationRecord).where(DelegationRecord.parent == record.id, col(DelegationRecord.state).in_(LIVE))
    return live.order_by(col(DelegationRecord.id)).with_for_update()


async def end_delegation(db: Db, record: DelegationRecord, state: State) -> list[DelegationRecord]:
    """Bring a delegation, which is locked, to its end, and with it what was passed on. Returns those that were in force."""
    children = await db.all(_passed_on(record))
    in_force = []
    for held, end in ((record, state), *((child, State.ENDED) for child in children)):
        if held.state is State.ACCEPTED:
            in_force.append(held)
        held.state, held.ended_at, held.code_digest = end, now(), None
        held.version += 1
    await db.flush()
    for held in in_force:
        await announce_delegation(db, held)
    return in_force


async def tell_ended(db: Db, ended: Iterable[DelegationRecord], why: Words, *, by: str = "") -> None:
    """Write to both sides of delegations that were in force, but not to the person who ended them."""
    for one in ended:
        for person in {one.grantor, one.subject, *await actors_of(db, one)} - {by}:
            letter = letters.delegation_ended(one.offered_as, one.accepted_as, why)
            await mailing.tell(db, person, letter, f"ended {one.id} {person}")


async def announce_consent(db: Db, record: ConsentRecord) -> None:
    """Announce a consent as it stands now."""
    grant = Grant(
        id=record.id,
        rev=0,
        kind=Kind.CONSENT,
        grantor=record.subject,
        actors=tuple(f"role:{office}" for office in record.offices),
        subject=record.subject,
        begins=record.begins,
        ends=record.ends,
        active=record.revoked_at is None,
        purposes=(record.purpose,),
        categories=tuple(record.categories),
    )
    await announce(db, grant, narrows=record.revoked_at is not None)
