"""Delegating: offered, accepted or refused, withdrawn, revoked. The database decides races: each act locks what it judges.

Rows are locked from the parent to what was passed on, so that two acts never wait for one another in a circle.
"""

from datetime import datetime, timedelta

import strawberry
from sqlalchemy import func
from sqlmodel import col, select

from services.accounts import granting, letters, mailing, vocabulary
from services.accounts.businesses import own_business
from services.accounts.channels import address_of
from services.accounts.delegations import Delegation, concerning, delegation_of
from services.accounts.models import MANAGE, REPRESENTATION, DelegationRecord, State, service
from services.accounts.unable import (
    DelegationOver,
    DelegationUnknown,
    NoPassingOn,
    NoPeriod,
    OfferChanged,
    ParentUnknown,
    ScopeNotYours,
    TooManyOffers,
    WiderThanParent,
)
from services.kit import invitations
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.columns import as_id, now
from services.kit.database import Db
from services.kit.inputs import Input, rule
from services.kit.invitations import InvitationUnknown, OwnInvitation
from services.kit.language import Words
from services.kit.rates import Rate

LONGEST = timedelta(days=731)
MOST_OPEN = 20


class OfferDelegationInput(Input):
    """What somebody may do for you: `scopes`, for one business of yours or for all that is yours, for two years at most.

    `offeredAs` is the name by which they know you. With an `email` the code goes there; in any case it is in the answer, to
    be told by mouth. `passesOn` names a delegation that you hold and may pass on: never wider, never longer.
    """

    offered_as: str = rule(min_length=1, max_length=80)
    scopes: list[str] = rule(min_length=1, max_length=20)
    business_number: strawberry.ID | None = rule(default=None, max_length=20)
    email: str | None = rule(default=None, max_length=254)
    begins: datetime | None = None
    ends: datetime
    may_pass_on: bool = False
    passes_on: strawberry.ID | None = None
    idempotency_key: strawberry.ID


class AcceptDelegationInput(Input):
    """The code that you were given, and the name by which who offers it knows you. With a business of yours, that one accepts,
    and its members act as well."""

    code: str = rule(min_length=1, max_length=40)
    accepted_as: str = rule(min_length=1, max_length=80)
    business_number: strawberry.ID | None = rule(default=None, max_length=20)
    idempotency_key: strawberry.ID


class RefuseDelegationInput(Input):
    """The code that you were given."""

    code: str = rule(min_length=1, max_length=40)


class RenewInvitationInput(Input):
    """The offer for which another code shall count, in the version that you have seen."""

    delegation_id: strawberry.ID
    version: int


class RevokeDelegationInput(Input):
    """The delegation that shall end."""

    delegation_id: strawberry.ID


def _require_sound(input: OfferDelegationInput) -> None:
    """Raises ScopeNotYours, NoPeriod."""
    moment = now()
    if unknown := sorted(set(input.scopes) - vocabulary.delegable().keys()):
        raise ScopeNotYours(scope=unknown[0], scopes=", ".join(vocabulary.delegable()))
    begins = max(input.begins or moment, moment)
    if not moment < input.ends <= moment + LONGEST or begins >= input.ends:
        raise NoPeriod


async def _offering(caller: Caller, input: OfferDelegationInput) -> Words:
    if input.passes_on is not None:
        caller.require_oneself()  # a third person's rights are nobody's to give at a counter
    _require_sound(input)
    said = [words for scope, words in vocabulary.delegable().items() if scope in input.scopes]
    until, of = letters.day(input.ends), input.business_number or ""
    return Words(
        f"Offer {input.email or 'whoever you give the code'} to act for you until {until} {f'in business {of}' if of else ''}: "
        + "; ".join(words.en for words in said),
        f"Offrir à {input.email or 'qui vous donnerez le code'} d’agir en votre nom jusqu’au {until} "
        f"{f'pour l’entreprise {of}' if of else ''} : " + "; ".join(words.fr for words in said),
    )


@service.mutation(scope=MANAGE, rate=Rate(times=20, seconds=3600), citizens_code=_offering)
async def offer_delegation(db: Db, caller: Caller, log: AccessLog, input: OfferDelegationInput) -> Delegation:
    """Offer that somebody may act for you. Nothing is in force before they accept. Refused: SCOPE_NOT_YOURS, NO_PERIOD,
    BUSINESS_NOT_YOURS, NO_ADDRESS, TOO_MANY_OFFERS; where it is passed on PARENT_UNKNOWN, NO_PASSING_ON, WIDER_THAN_PARENT."""
    _require_sound(input)
    moment = now()
    begins = max(input.begins or moment, moment)
    email = address_of(input.email, at="email") if input.email else None
    await _count_offers(db, caller)
    code, digest = invitations.new_code()
    offer = DelegationRecord(
        grantor=caller.subject,
        subject=caller.subject,
        scopes=sorted(set(input.scopes)),
        may_pass_on=input.may_pass_on,
        begins=begins,
        ends=input.ends,
        offered_as=input.offered_as,
        email=email,
        code_digest=digest,
        open_until=min(moment + invitations.OPEN, input.ends),
    )
    if input.passes_on is not None:
        await _pass_on(db, caller, input, offer)
    elif input.business_number is not None:
        offer.business = (await own_business(db, caller, input.business_number)).number
    db.add(offer)
    await db.flush()
    await _invite(db, caller, offer, code)
    log.note_own(REPRESENTATION)
    return delegation_of(offer, code if caller.kind is None else None)  # not to an officer who could use it


async def _count_offers(db: Db, caller: Caller) -> None:
    await db.alone(f"offers {caller.subject}")
    mine = select(func.count()).where(
        DelegationRecord.grantor == caller.subject,
        DelegationRecord.state == State.OFFERED,
        col(DelegationRecord.open_until) > now(),
    )
    if (await db.first(mine) or 0) >= MOST_OPEN:
        raise TooManyOffers(most=MOST_OPEN)


async def _pass_on(db: Db, caller: Caller, input: OfferDelegationInput, offer: DelegationRecord) -> None:
    """Make an offer one of what the caller holds. Raises ParentUnknown, NoPassingOn, WiderThanParent."""
    parent = await _locked(db, input.passes_on or "", share=True)
    if parent is None or not await _holds(db, caller, parent) or parent.state is not State.ACCEPTED:
        raise ParentUnknown
    if not parent.may_pass_on or parent.parent is not None or input.may_pass_on:
        raise NoPassingOn
    business = (input.business_number or parent.business).replace(" ", "")
    if parent.business and business != parent.business:
        raise WiderThanParent(at="businessNumber")
    if not set(input.scopes) <= set(parent.scopes):
        raise WiderThanParent(at="scopes")
    if offer.ends > parent.ends or offer.begins < parent.begins:
        raise WiderThanParent(at="ends")
    if business and not parent.business:
        await own_business(db, Caller(parent.subject), business)
    offer.parent, offer.subject, offer.business = parent.id, parent.subject, business


async def _invite(db: Db, caller: Caller, offer: DelegationRecord, code: str) -> None:
    if offer.email:
        letter = letters.delegation_offered(offer.offered_as, code, offer.open_until)
        language = await mailing.language_of(db, caller.subject)
        act = f"offered {offer.id} {offer.version}"
        await mailing.post(db, letter, act, offer.email, language, invitations.OPEN)


async def _locked(db: Db, delegation_id: str, *, share: bool = False) -> DelegationRecord | None:
    identifier = as_id(delegation_id)
    wanted = select(DelegationRecord).where(DelegationRecord.id == identifier)
    return await db.first(wanted.with_for_update(read=share)) if identifier else None


async def _holds(db: Db, caller: Caller, record: DelegationRecord) -> bool:
    """Whether the caller acts on a delegation."""
    return record.state is State.ACCEPTED and caller.subject in await granting.actors_of(db, record)


async def _offered(db: Db, caller: Caller, code: str) -> DelegationRecord:
    """The open offer of a code, locked, and before it what it is passed on from. Raises InvitationUnknown, OwnInvitation."""
    by_code = select(DelegationRecord).where(DelegationRecord.code_digest == invitations.digest_of(code))
    seen = await db.first(by_code)
    parent = await _locked(db, seen.parent, share=True) if seen and seen.parent else None
    offer: DelegationRecord | None = await db.first(by_code.with_for_update().execution_options(populate_existing=True))
    if offer is None or offer.open_until <= now() or (parent is not None and parent.state is not State.ACCEPTED):
        raise InvitationUnknown
    if caller.subject in (offer.grantor, offer.subject):
        raise OwnInvitation
    return offer


@service.mutation(scope=MANAGE, rate=invitations.TRIED)
async def accept_delegation(db: Db, caller: Caller, log: AccessLog, input: AcceptDelegationInput) -> Delegation:
    """Accept to act for who offers it, who sees that you did. Refused: INVITATION_UNKNOWN, OWN_INVITATION, BUSINESS_NOT_YOURS."""
    caller.require_oneself()
    offer = await _offered(db, caller, input.code)
    if input.business_number is not None:
        offer.firm = (await own_business(db, caller, input.business_number)).number
    offer.state, offer.code_digest, offer.person = State.ACCEPTED, None, caller.subject
    offer.accepted_as, offer.accepted_at = input.accepted_as, now()
    offer.version += 1
    await db.flush()
    await granting.announce_delegation(db, offer, narrows=False)
    for person in {offer.grantor, offer.subject}:
        await mailing.tell(
            db, person, letters.delegation_accepted(offer.accepted_as, offer.ends), f"accepted {offer.id}"
        )
    log.note_own(REPRESENTATION)
    return delegation_of(offer)


@service.mutation(scope=MANAGE, rate=invitations.TRIED)
async def refuse_delegation(db: Db, caller: Caller, log: AccessLog, input: RefuseDelegationInput) -> Delegation:
    """Refuse an offer, whose code counts no more. Refused: INVITATION_UNKNOWN, OWN_INVITATION."""
    caller.require_oneself()
    offer = await _offered(db, caller, input.code)
    await granting.end_delegation(db, offer, State.REFUSED)
    await mailing.tell(db, offer.grantor, letters.delegation_refused(), f"refused {offer.id}")
    log.note_own(REPRESENTATION)
    return delegation_of(offer)


@service.mutation(scope=MANAGE, rate=Rate(times=20, seconds=3600))
async def renew_invitation(db: Db, caller: Caller, log: AccessLog, input: RenewInvitationInput) -> Delegation:
    """Have another code count for an offer of yours; the one before no longer does. Refused: DELEGATION_UNKNOWN, DELEGATION_OVER,
    OFFER_CHANGED."""
    caller.require_oneself()
    offer = await _locked(db, input.delegation_id)
    if offer is None or caller.subject != offer.grantor:
        raise DelegationUnknown
    if offer.state is not State.OFFERED or offer.ends <= now():
        raise DelegationOver
    if offer.version != input.version:
        raise OfferChanged
    code, offer.code_digest = invitations.new_code()
    offer.open_until = min(now() + invitations.OPEN, offer.ends)
    offer.version += 1
    await _invite(db, caller, offer, code)
    log.note_own(REPRESENTATION)
    return delegation_of(offer, code)


@service.mutation(scope=MANAGE)
async def revoke_delegation(db: Db, caller: Caller, log: AccessLog, input: RevokeDelegationInput) -> Delegation:
    """End a delegation that you gave, that is on your rights, or that you accepted; an offer is withdrawn. Once this is answered,
    nobody acts on it or on what was passed on from it. Refused: DELEGATION_UNKNOWN, DELEGATION_OVER."""
    identifier = as_id(input.delegation_id)
    mine = select(DelegationRecord).where(DelegationRecord.id == identifier, concerning(caller))
    record = await db.first(mine.with_for_update()) if identifier else None
    if record is None:
        raise DelegationUnknown
    if record.state not in granting.LIVE:
        raise DelegationOver
    was_open = record.state is State.OFFERED
    ended = await granting.end_delegation(db, record, State.WITHDRAWN if was_open else State.REVOKED)
    await granting.tell_ended(db, ended, letters.REVOKED, by=caller.subject)
    log.note_own(REPRESENTATION)
    return delegation_of(record)
