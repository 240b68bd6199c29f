"""A business changes hands: its owner offers it, whoever holds the code takes it over, and all that is kept of it goes with it.

Only a corporation goes on under other people. Both sides do it by themselves, with a second factor just shown: it gives away, or
takes on, all that a business is. Rows are locked from the business to its offer, so that of two acts the second finds what the
first has left.
"""

from dataclasses import dataclass
from datetime import datetime

import strawberry
from sqlalchemy import or_, update
from sqlmodel import col, select

from services.business_registration import refusals
from services.business_registration.events import BusinessPartyChanged
from services.business_registration.models import (
    ApplicationRecord,
    BusinessRecord,
    LegalType,
    TransferRecord,
    TransferState,
)
from services.business_registration.ownership import OWNERSHIP, REGISTER
from services.business_registration.register import Business, business_of
from services.business_registration.subgraph import service
from services.kit import invitations
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.columns import as_id, now
from services.kit.database import Db
from services.kit.inputs import Input, rule
from services.kit.invitations import InvitationUnknown, OwnInvitation
from services.kit.ownership import owned
from services.kit.pages import Connection, page
from services.kit.rates import Rate


@service.entity(key="id", scope=REGISTER, personal=OWNERSHIP)
@dataclass(kw_only=True)
class BusinessTransfer:
    """That a business is offered to whoever holds a code, or was taken over. `invitationCode` is shown once, to who offers it."""

    id: strawberry.ID
    offered_at: datetime
    open_until: datetime
    ended_at: datetime | None
    invitation_code: str | None = None
    record: strawberry.Private[TransferRecord]

    @classmethod
    async def find(cls, db: Db, caller: Caller, log: AccessLog, id: str) -> "BusinessTransfer | None":
        """A transfer that the caller offered or took, or None."""
        identifier = as_id(id)
        record = await db.one(TransferRecord, identifier) if identifier else None
        if record is None:
            return None
        number, taken_by = record.business_number, record.taken_by or ""
        if not (caller.owns(record.offered_by, number) or caller.owns(taken_by, number)):
            log.refuse(taken_by or record.offered_by, OWNERSHIP, number)
            return None
        log.note(caller.subject, OWNERSHIP, number)
        return transfer_of(record)

    def state(self) -> TransferState:
        """How far it is."""
        is_late = self.record.state is TransferState.OFFERED and self.record.open_until <= now()
        return TransferState.LAPSED if is_late else self.record.state

    def given(self, caller: Caller) -> bool:
        """Whether whoever asks offered it; else they took it, or may."""
        return self.record.offered_by == caller.subject

    async def business(self, db: Db) -> Business | None:
        """The business."""
        record = await db.one(BusinessRecord, self.record.business_number)
        return business_of(record) if record else None


def transfer_of(record: TransferRecord, code: str | None = None) -> BusinessTransfer:
    """A transfer as both sides see it."""
    return BusinessTransfer(
        id=strawberry.ID(record.id),
        offered_at=record.offered_at,
        open_until=record.open_until,
        ended_at=record.ended_at,
        invitation_code=code,
        record=record,
    )


class OfferTransferInput(Input):
    """The business that you hand over."""

    business_number: strawberry.ID = rule(max_length=20)
    idempotency_key: strawberry.ID


class WithdrawTransferInput(Input):
    """The offer that you take back."""

    transfer_id: strawberry.ID


class AcceptTransferInput(Input):
    """The code that you were given by who hands the business over."""

    code: str = rule(min_length=1, max_length=40)
    idempotency_key: strawberry.ID


@service.mutation(scope=REGISTER, policy="second_factor", rate=Rate(times=20, seconds=3600))
async def offer_transfer(db: Db, caller: Caller, log: AccessLog, input: OfferTransferInput) -> BusinessTransfer:
    """Offer a corporation of yours to whoever you give the code, for two weeks. It stays yours until they accept. Refused:
    BUSINESS_UNKNOWN, ENDS_WITH_ITS_OWNERS, TRANSFER_OPEN."""
    caller.require_oneself()
    number = input.business_number.replace(" ", "")
    mine = owned(caller, col(BusinessRecord.registered_by), col(BusinessRecord.business_number))
    wanted = select(BusinessRecord).where(BusinessRecord.business_number == number, mine)
    business = await db.first(wanted.with_for_update())
    if business is None:
        raise refusals.BusinessUnknown
    if not LegalType(business.legal_type).corporation:
        raise refusals.EndsWithItsOwners
    await _make_room(db, number)
    code, digest = invitations.new_code()
    until = now() + invitations.OPEN
    offer = TransferRecord(business_number=number, offered_by=caller.subject, code_digest=digest, open_until=until)
    db.add(offer)
    log.note_own(OWNERSHIP)
    return transfer_of(offer, code)


async def _make_room(db: Db, number: str) -> None:
    """Note that an offer of a business, which is locked, has lapsed. Raises TransferOpen where it has not."""
    open_one = select(TransferRecord).where(
        TransferRecord.business_number == number, TransferRecord.state == TransferState.OFFERED
    )
    held = await db.first(open_one.with_for_update())
    if held is None:
        return
    if held.open_until > now():
        raise refusals.TransferOpen
    held.state, held.code_digest, held.ended_at = TransferState.LAPSED, None, held.open_until
    await db.flush()  # before the next one takes its place


@service.mutation(scope=REGISTER)
async def withdraw_transfer(db: Db, caller: Caller, log: AccessLog, input: WithdrawTransferInput) -> BusinessTransfer:
    """Take back an offer, whose code counts no more. Refused: TRANSFER_UNKNOWN, TRANSFER_OVER."""
    caller.require_oneself()
    identifier = as_id(input.transfer_id)
    mine = (TransferRecord.id == identifier, TransferRecord.offered_by == caller.subject)
    offer = await db.first(select(TransferRecord).where(*mine).with_for_update()) if identifier else None
    if offer is None:
        raise refusals.TransferUnknown
    if offer.state is not TransferState.OFFERED or offer.open_until <= now():
        raise refusals.TransferOver
    offer.state, offer.code_digest, offer.ended_at = TransferState.WITHDRAWN, None, now()
    log.note_own(OWNERSHIP)
    return transfer_of(offer)


@service.mutation(scope=REGISTER, policy="second_factor", rate=invitations.TRIED)
async def accept_transfer(db: Db, caller: Caller, log: AccessLog, input: AcceptTransferInput) -> BusinessTransfer:
    """Take over the business of a code, with its file: it is yours from then on, and its former owner's no more. Refused:
    INVITATION_UNKNOWN, OWN_INVITATION."""
    caller.require_oneself()
    by_code = select(TransferRecord).where(TransferRecord.code_digest == invitations.digest_of(input.code))
    seen = await db.first(by_code)
    number = seen.business_number if seen else ""
    locked = select(BusinessRecord).where(BusinessRecord.business_number == number).with_for_update()
    business = await db.first(locked)
    offer = await db.first(by_code.with_for_update().execution_options(populate_existing=True))
    if business is None or offer is None or offer.open_until <= now():
        raise InvitationUnknown
    if offer.offered_by == caller.subject:
        raise OwnInvitation
    log.note(offer.offered_by, OWNERSHIP, number)
    log.note_own(OWNERSHIP)
    offer.state, offer.code_digest = TransferState.ACCEPTED, None
    offer.taken_by, offer.ended_at = caller.subject, now()
    await _pass(db, business, caller.subject, offer.ended_at)
    return transfer_of(offer)


async def _pass(db: Db, business: BusinessRecord, to: str, at: datetime) -> None:
    """Make a business, which is locked, and its file somebody else's, and announce it."""
    former, business.registered_by = business.registered_by, to
    its = col(ApplicationRecord.business_number) == business.business_number
    await db.execute(update(ApplicationRecord).where(its).values(applicant=to))
    db.emit(
        BusinessPartyChanged(
            business_number=business.business_number,
            legal_name=business.legal_name,
            sector=business.sector,
            registered_at=business.registered_at,
            former_owner=former,
            owner=to,
            changed_at=at,
        )
    )


@service.query(scope=REGISTER, rate=invitations.TRIED)
async def business_transfer(db: Db, log: AccessLog, code: str) -> BusinessTransfer | None:
    """What a code offers, for who holds it: look before you accept. Null where no offer is open by it."""
    by_code = select(TransferRecord).where(TransferRecord.code_digest == invitations.digest_of(code))
    found = await db.first(by_code)
    log.note_own(OWNERSHIP)  # who holds the code is who was invited
    return transfer_of(found) if found is not None and found.open_until > now() else None


@service.query(scope=REGISTER, personal=OWNERSHIP)
async def my_transfers(
    db: Db, caller: Caller, log: AccessLog, first: int | None = None, after: str | None = None
) -> Connection[BusinessTransfer]:
    """The businesses that the caller has offered to others or taken over, the newest first."""
    number = col(TransferRecord.business_number)
    sides = (owned(caller, col(side), number) for side in (TransferRecord.offered_by, TransferRecord.taken_by))
    mine = select(TransferRecord).where(or_(*sides))
    order = [col(TransferRecord.offered_at), col(TransferRecord.id)]
    shown = await page(db, mine, order=order, first=first, after=after, as_node=transfer_of, descending=True)
    log.note_each(OWNERSHIP, ((caller.subject, edge.node.record.business_number) for edge in shown.edges))
    return shown
