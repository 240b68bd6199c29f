"""Firms: a business that acts for others does so through its owner and the members whom its owner lets in."""

from dataclasses import dataclass
from datetime import datetime

import strawberry
from sqlalchemy import and_, false, or_
from sqlmodel import col, select

from services.accounts import granting, letters, mailing
from services.accounts.businesses import own_business
from services.accounts.channels import address_of
from services.accounts.looking import AccessEntry, AccessFilter, AccessRecord, entries
from services.accounts.models import (
    ACCESS_LOG,
    MANAGE,
    READ,
    REPRESENTATION,
    KnownBusiness,
    MemberRecord,
    service,
)
from services.kit import invitations
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.columns import as_id, now
from services.kit.database import Db
from services.kit.inputs import Input, rule
from services.kit.invitations import InvitationUnknown, OwnInvitation
from services.kit.pages import Connection
from services.kit.rates import Rate
from services.kit.refusals import Refusal
from services.kit.service import field

MOST = 50


class MemberUnknown(
    Refusal,
    field="memberId",
    en="There is no member with this identifier whom you could remove. Look in your business’s members.",
    fr="Aucun membre que vous pourriez retirer ne porte cet identifiant. Consultez les membres de votre entreprise.",
):
    """The same answer whether there is none or they are another business’s."""


class AlreadyMember(
    Refusal,
    field="code",
    en="You are a member of this business already. Nothing remains to be done.",
    fr="Vous êtes déjà membre de cette entreprise. Il ne reste rien à faire.",
):
    """Once is enough."""


class TooManyMembers(
    Refusal,
    en="The business has {most} members, the most that it may have. Remove one first.",
    fr="L’entreprise compte {most} membres, le maximum. Retirez-en un d’abord.",
):
    """Invited or joined."""


@service.entity(key="id", scope=READ, personal=REPRESENTATION)
@dataclass(kw_only=True)
class FirmMember:
    """Somebody who may act where a business acts for others. `invitationCode` is shown once, to who invites them."""

    id: strawberry.ID
    known_as: str
    invited_at: datetime
    joined_at: datetime | None
    ended_at: datetime | None
    invitation_code: str | None = None
    record: strawberry.Private[MemberRecord]

    @classmethod
    async def find(cls, db: Db, caller: Caller, log: AccessLog, id: str) -> "FirmMember | None":
        """A member of the caller's own business, or the caller as a member of another's; else None."""
        identifier = as_id(id)
        # Both are asked whatever comes of the first: what is somebody else's takes no more work than what is not there.
        record = await db.one(MemberRecord, identifier) if identifier else None
        owned = await db.where(KnownBusiness, owner=caller.subject)
        if record is None or not (_is_among(owned, caller, record.business) or caller.owns(record.person or "")):
            return None
        log.note_own(REPRESENTATION)
        return member_of(record)


def member_of(record: MemberRecord, code: str | None = None) -> FirmMember:
    """A member as the business's owner sees them."""
    return FirmMember(
        id=strawberry.ID(record.id),
        known_as=record.known_as,
        invited_at=record.invited_at,
        joined_at=record.joined_at,
        ended_at=record.ended_at,
        invitation_code=code,
        record=record,
    )


def _is_among(owned: list[KnownBusiness], caller: Caller, number: str) -> bool:
    return any(business.number == number and caller.owns(business.owner, number) for business in owned)


@service.extends(key="businessNumber")
@dataclass(kw_only=True)
class Business:
    """A business of the registry, with who may act where it acts for others."""

    business_number: strawberry.ID

    @field(scope=READ, personal=REPRESENTATION)
    async def members(self, db: Db, caller: Caller, log: AccessLog) -> list[FirmMember]:
        """Whom its owner has let in or invited, for its owner; empty for everybody else."""
        if not _is_among(await db.where(KnownBusiness, owner=caller.subject), caller, self.business_number):
            log.note_each(REPRESENTATION, [])
            return []
        log.note(caller.subject, REPRESENTATION, self.business_number)
        members = await db.where(MemberRecord, business=self.business_number)
        return [member_of(member) for member in members if member.ended_at is None]

    @field(scope=MANAGE, personal=ACCESS_LOG)
    async def access_log(
        self,
        db: Db,
        caller: Caller,
        log: AccessLog,
        first: int | None = None,
        after: str | None = None,
        where: AccessFilter | None = None,
    ) -> Connection[AccessEntry]:
        """Who looked at what is kept about the business, or changed it, the newest first; for its owner, empty for others."""
        caller.require_oneself()
        log.note(caller.subject, ACCESS_LOG, self.business_number)
        owned = await db.where(KnownBusiness, owner=caller.subject)
        is_own = _is_among(owned, caller, self.business_number)
        # What is about the owner before is that person's, as what it names is.
        of_it = and_(col(AccessRecord.business) == self.business_number, col(AccessRecord.subject) == caller.subject)
        theirs = of_it if is_own else false()
        return await entries(db, theirs, where, first, after)


class InviteMemberInput(Input):
    """Whom to let in, by the name that you know them by. With an `email` the code goes there too."""

    business_number: strawberry.ID = rule(max_length=20)
    known_as: str = rule(min_length=1, max_length=80)
    email: str | None = rule(default=None, max_length=254)
    idempotency_key: strawberry.ID


class JoinFirmInput(Input):
    """The code of an invitation."""

    code: str = rule(min_length=1, max_length=40)
    idempotency_key: strawberry.ID


class RemoveMemberInput(Input):
    """Who shall act for the business no more: one of your members, or yourself."""

    member_id: strawberry.ID


@service.mutation(scope=MANAGE, rate=Rate(times=20, seconds=3600))
async def invite_member(db: Db, caller: Caller, log: AccessLog, input: InviteMemberInput) -> FirmMember:
    """Let somebody act where your business acts for others, once they have joined by the code. Refused: BUSINESS_NOT_YOURS,
    NO_ADDRESS, TOO_MANY_MEMBERS."""
    caller.require_oneself()
    business = await own_business(db, caller, input.business_number)
    email = address_of(input.email, at="email") if input.email else None
    held = [m for m in await db.where(MemberRecord, business=business.number) if m.ended_at is None]
    if len(held) >= MOST:
        raise TooManyMembers(most=MOST)
    code, digest = invitations.new_code()
    until = now() + invitations.OPEN
    invited = MemberRecord(
        business=business.number, known_as=input.known_as, email=email, code_digest=digest, open_until=until
    )
    db.add(invited)
    if email:
        letter = letters.member_invited(business.name, code)
        language = await mailing.language_of(db, caller.subject)
        await mailing.post(db, letter, f"invited {invited.id}", email, language, invitations.OPEN)
    log.note_own(REPRESENTATION)
    return member_of(invited, code)


@service.mutation(scope=MANAGE, rate=invitations.TRIED)
async def join_firm(db: Db, caller: Caller, log: AccessLog, input: JoinFirmInput) -> FirmMember:
    """Become a member of the business that invited you. Refused: INVITATION_UNKNOWN, OWN_INVITATION, ALREADY_MEMBER."""
    caller.require_oneself()
    digest = invitations.digest_of(input.code)
    found = await db.first(select(MemberRecord).where(MemberRecord.code_digest == digest).with_for_update())
    if found is None or found.ended_at or found.open_until <= now():
        raise InvitationUnknown
    business = await db.one(KnownBusiness, found.business)
    if business is None or business.owner == caller.subject:
        raise OwnInvitation
    await db.execute(select(KnownBusiness).where(KnownBusiness.number == found.business).with_for_update())
    members = await db.where(MemberRecord, business=found.business)
    if any(m.person == caller.subject and m.ended_at is None for m in members):
        raise AlreadyMember
    found.person, found.code_digest, found.joined_at = caller.subject, None, now()
    await db.flush()
    await granting.announce_held(db, found.business, narrows=False)
    await mailing.tell(db, business.owner, letters.member_joined(business.name, found.known_as), f"joined {found.id}")
    log.note_own(REPRESENTATION)
    return member_of(found)


@service.mutation(scope=MANAGE)
async def remove_member(db: Db, caller: Caller, log: AccessLog, input: RemoveMemberInput) -> FirmMember:
    """Have a member act for the business no more; once this is answered, they act nowhere. Refused: MEMBER_UNKNOWN."""
    caller.require_oneself()
    identifier = as_id(input.member_id)
    mine = select(KnownBusiness.number).where(KnownBusiness.owner == caller.subject)
    theirs = or_(col(MemberRecord.business).in_(mine), col(MemberRecord.person) == caller.subject)
    wanted = select(MemberRecord).where(MemberRecord.id == identifier, col(MemberRecord.ended_at).is_(None), theirs)
    found = await db.first(wanted.with_for_update()) if identifier else None
    if found is None:
        raise MemberUnknown
    found.ended_at, found.code_digest = now(), None
    await db.flush()
    if found.person:
        ended = await granting.announce_held(db, found.business, narrows=True)
        await granting.tell_ended(db, ended, letters.NOT_THEIRS_TO_PASS_ON)
    log.note_own(REPRESENTATION)
    return member_of(found)
