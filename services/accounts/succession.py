"""A business has another owner: what the one before let others do for it ends, and whom it acts for hears of its people anew.

Rows are locked from member to business to delegation, as everywhere here.
"""

from datetime import datetime

from sqlalchemy import func, or_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from services.accounts import granting, letters, mailing
from services.accounts.models import DelegationRecord, KnownBusiness, MemberRecord, State, service
from services.kit.columns import now
from services.kit.database import Db
from services.kit.events import Event


class BusinessPartyChanged(Event, type="business.party.changed.v1", subject="business_number"):
    """A business is somebody else's. The fields that accounts read of it."""

    business_number: str
    legal_name: str
    former_owner: str
    owner: str
    changed_at: datetime


@service.on(BusinessPartyChanged)
async def pass_to_another(event: BusinessPartyChanged, db: Db) -> None:
    """Have a business be its new owner's, and end what the one before granted: delegations for it, open invitations to be its
    member. Its members stay, but for both owners. The latest change stands, whatever comes again or late."""
    invited = select(MemberRecord).where(
        MemberRecord.business == event.business_number,
        col(MemberRecord.ended_at).is_(None),
        or_(col(MemberRecord.person).is_(None), col(MemberRecord.person).in_([event.former_owner, event.owner])),
    )
    members = await db.all(invited.order_by(col(MemberRecord.id)).with_for_update())
    if not await _own(db, event):
        return
    for member in members:
        member.ended_at, member.code_digest = now(), None
    await db.flush()
    ended = await _end_delegations(db, event)
    ended += await granting.announce_held(db, event.business_number, narrows=True)
    await granting.tell_ended(db, ended, letters.has_another_owner(event.legal_name))
    act = f"owner of {event.business_number} since {event.changed_at.isoformat()}"
    await mailing.tell(db, event.former_owner, letters.business_handed_over(event.legal_name), f"{act}: before")
    await mailing.tell(db, event.owner, letters.business_taken_over(event.legal_name), f"{act}: now")


async def _own(db: Db, event: BusinessPartyChanged) -> bool:
    """Write down whose a business is, which is locked from then on, also before its registration is known. Returns False where a
    later change, or this one, is."""
    known = KnownBusiness(
        number=event.business_number, name=event.legal_name, owner=event.owner, owned_since=event.changed_at
    )
    put = insert(KnownBusiness).values(known.model_dump())
    changed = {"owner": put.excluded.owner, "owned_since": put.excluded.owned_since}
    is_later = func.coalesce(col(KnownBusiness.owned_since) < put.excluded.owned_since, True)
    written = put.on_conflict_do_update(index_elements=["number"], set_=changed, where=is_later)
    return (await db.execute(written.returning(col(KnownBusiness.number)))).first() is not None


async def _end_delegations(db: Db, event: BusinessPartyChanged) -> list[DelegationRecord]:
    """End all that people may do for a business, which is locked, parents first: none of it is from its new owner yet. Returns
    those that were in force. A delegation of all that is a person's goes on: the business is none of that any more."""
    live = select(DelegationRecord).where(
        DelegationRecord.business == event.business_number,
        col(DelegationRecord.state).in_(granting.LIVE),
    )
    ended = []
    for record in await db.all(live.order_by(col(DelegationRecord.parent).nulls_first()).with_for_update()):
        if record.state in granting.LIVE:  # and did not end with its parent
            ended += await granting.end_delegation(db, record, State.ENDED)
    return ended
