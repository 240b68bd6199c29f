"""Delegations as those see them whom they concern: who gave them, whose rights they are, who accepted them."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import strawberry
from sqlalchemy import ColumnElement, and_, false, or_
from sqlmodel import col, select

from services.accounts import vocabulary
from services.accounts.firms import Business
from services.accounts.models import READ, REPRESENTATION, DelegationRecord, KnownBusiness, MemberRecord, State, service
from services.accounts.vocabulary import Named, named
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.columns import as_id, now
from services.kit.database import Db
from services.kit.invitations import TRIED, digest_of


@strawberry.enum(description="How far a delegation is.")
class DelegationState(Enum):
    """OFFERED: it waits for an answer. ACCEPTED: it is in force from `begins` to `ends`. REFUSED by who was invited. WITHDRAWN
    before an answer. REVOKED by one of both. ENDED: who gave it may no longer. LAPSED: its time, or that to answer, is over."""

    OFFERED = "OFFERED"
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    WITHDRAWN = "WITHDRAWN"
    REVOKED = "REVOKED"
    ENDED = "ENDED"
    LAPSED = "LAPSED"


@service.entity(key="id", scope=READ, personal=REPRESENTATION)
@dataclass(kw_only=True)
class Delegation:
    """That somebody may act for somebody else, for some scopes and a time. Its `id` is the authority by which it is used.

    `offeredAs` and `acceptedAs` are the names by which both know one another, as each gave it. `invitationCode` is shown once, to
    who offers it.
    """

    id: strawberry.ID
    version: int
    offered_as: str
    accepted_as: str
    begins: datetime
    ends: datetime
    open_until: datetime
    offered_at: datetime
    accepted_at: datetime | None
    ended_at: datetime | None
    may_pass_on: bool
    invitation_code: str | None = None
    record: strawberry.Private[DelegationRecord]

    @classmethod
    async def find(cls, db: Db, caller: Caller, log: AccessLog, id: str) -> "Delegation | None":
        """A delegation that concerns the caller, or None."""
        identifier = as_id(id)
        # Both are asked whatever comes of the first: what is somebody else's takes no more work than what is not there.
        record = await db.one(DelegationRecord, identifier) if identifier else None
        firms = await _firms_of(db, caller.subject)
        if record is None or not _concerns(caller, record, firms):
            return None
        log.note_own(REPRESENTATION)
        return delegation_of(record)

    def state(self) -> DelegationState:
        """How far it is."""
        held, moment = self.record, now()
        late = held.open_until if held.state is State.OFFERED else held.ends
        if held.state in (State.OFFERED, State.ACCEPTED) and late <= moment:
            return DelegationState.LAPSED
        return DelegationState(held.state.value)

    def given(self, caller: Caller) -> bool:
        """Whether whoever asks gave it; else they were given it."""
        return self.record.grantor == caller.subject

    def scopes(self) -> list[Named]:
        """What may be done."""
        return [named(scope, words) for scope, words in vocabulary.delegable().items() if scope in self.record.scopes]

    def business(self) -> Business | None:
        """The business that it is limited to; null where it is for all that is the person's."""
        return Business(business_number=strawberry.ID(self.record.business)) if self.record.business else None

    def firm(self) -> Business | None:
        """The business that accepted it, through whose owner and members it is used; null where a person did."""
        return Business(business_number=strawberry.ID(self.record.firm)) if self.record.firm else None

    def email(self, caller: Caller) -> str | None:
        """Where the invitation went, for who offered it."""
        return self.record.email if self.record.grantor == caller.subject else None

    def passed_on_from(self) -> strawberry.ID | None:
        """The delegation that this one was passed on from."""
        return strawberry.ID(self.record.parent) if self.record.parent else None


def delegation_of(record: DelegationRecord, code: str | None = None) -> Delegation:
    """A delegation as whom it concerns sees it."""
    return Delegation(
        id=strawberry.ID(record.id),
        version=record.version,
        offered_as=record.offered_as,
        accepted_as=record.accepted_as,
        begins=record.begins,
        ends=record.ends,
        open_until=record.open_until,
        offered_at=record.offered_at,
        accepted_at=record.accepted_at,
        ended_at=record.ended_at,
        may_pass_on=record.may_pass_on,
        invitation_code=code,
        record=record,
    )


def _concerns(caller: Caller, record: DelegationRecord, firms: set[str]) -> bool:
    """Whether the caller gave a delegation, it is on their rights, or they or one of their firms accepted it: a firm's is not
    that person's by whom it did."""
    parties = (record.grantor, record.subject, "" if record.firm else record.person)
    return caller.signed_in and not caller.business and (caller.subject in parties or record.firm in firms)


async def _firms_of(db: Db, person: str) -> set[str]:
    """The businesses through which a person acts: their own, and those that they are a member of."""
    owned, joined = await asyncio.gather(db.where(KnownBusiness, owner=person), db.where(MemberRecord, person=person))
    return {business.number for business in owned} | {m.business for m in joined if m.ended_at is None}


def concerning(caller: Caller) -> ColumnElement[bool]:
    """The same rule as a condition."""
    if not caller.signed_in or caller.business:
        return false()
    person, delegation = caller.subject, DelegationRecord
    firms = or_(
        col(delegation.firm).in_(select(KnownBusiness.number).where(KnownBusiness.owner == person)),
        col(delegation.firm).in_(
            select(MemberRecord.business).where(MemberRecord.person == person, col(MemberRecord.ended_at).is_(None))
        ),
    )
    parties = (col(side) == person for side in (delegation.grantor, delegation.subject))
    themselves = and_(col(delegation.person) == person, col(delegation.firm) == "")
    return or_(*parties, themselves, and_(col(delegation.firm) != "", firms))


@service.query(scope=READ, rate=TRIED)
async def invitation(db: Db, log: AccessLog, code: str) -> Delegation | None:
    """What an invitation offers, for who holds its code: look before you accept. Null where no offer is open by it."""
    found = await db.first(select(DelegationRecord).where(DelegationRecord.code_digest == digest_of(code)))
    log.note_own(REPRESENTATION)  # who holds the code is who was invited
    return delegation_of(found) if found is not None and found.open_until > now() else None
