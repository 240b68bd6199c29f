"""Assisted service: an officer at a counter or on the phone acts for a person who is present, in a session that is recorded.

The officer acts with the person's rights and none of their own; what is final takes a code that the person alone is sent. One
session at a time per officer, an hour at most, ten minutes unless the officer goes on; both may end it, and it ends for all
services before the answer to that.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

import strawberry
from sqlalchemy import false, func, or_, update
from sqlmodel import col, select

from services.accounts import letters, mailing
from services.accounts.models import (
    IDENTITY,
    MANAGE,
    READ,
    REPRESENTATION,
    ActRecord,
    ChannelRecord,
    Presence,
    Profile,
    SessionRecord,
    service,
)
from services.accounts.revisions import announce
from services.kit.access_log import AccessLog
from services.kit.caller import Caller, Kind, citizens_scopes
from services.kit.columns import as_id, now
from services.kit.database import Db
from services.kit.grants import Grant
from services.kit.inputs import Input, rule
from services.kit.ownership import owned
from services.kit.pages import Connection, page
from services.kit.purposes import DEFAULTS
from services.kit.refusals import Refusal
from services.kit.service import field
from services.kit.text import Text

ASSIST = "assist:act"
IDLE, LONGEST = timedelta(minutes=10), timedelta(hours=1)
OFFICER, CITIZEN = "officer", "citizen"
strawberry.enum(
    Presence, name="AssistedChannel", description="How the person is present: at a counter, or on the phone."
)


class CitizenUnknown(
    Refusal,
    field="citizen",
    en="Nobody with this identifier has an account here. Ask the person to sign in once and to look at their account.",
    fr="Personne n’a de compte ici sous cet identifiant. Demandez à la personne d’ouvrir une session et de consulter son compte.",
):
    """There is nobody whom to tell."""


class OwnAccount(
    Refusal,
    field="citizen",
    en="This is your own account. Act for yourself as everybody does, or ask a colleague.",
    fr="C’est votre propre compte. Agissez pour vous-même comme tout le monde, ou demandez à un collègue.",
):
    """Nobody assists themselves."""


class SessionOpen(
    Refusal,
    en="You are assisting somebody already. Close that session first: {session}.",
    fr="Vous aidez déjà quelqu’un. Fermez d’abord cette session : {session}.",
):
    """One person at a time."""


class SessionUnknown(
    Refusal,
    field="session",
    en="No assisted session with this identifier is open and yours. It may have ended: open another.",
    fr="Aucune session d’aide portant cet identifiant n’est ouverte et à vous. Elle a pu prendre fin : ouvrez-en une autre.",
):
    """The same answer whether it does not exist, is over or is somebody else’s."""


@strawberry.enum(description="How far an assisted session is.")
class AssistedState(Enum):
    """OPEN. CLOSED by one of both. LAPSED: ten minutes without the officer, or an hour, are over."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"
    LAPSED = "LAPSED"


@strawberry.enum(description="How far the person’s agreement to an act is.")
class AgreementState(Enum):
    """WAITING for the code that was sent. AGREED: the act may be done once, until `until`. OVER: that time has passed. UNSENT:
    the person has no address that a code can surely be sent to."""

    WAITING = "WAITING"
    AGREED = "AGREED"
    OVER = "OVER"
    UNSENT = "UNSENT"


@service.object_type(personal=REPRESENTATION)
@dataclass(kw_only=True)
class ProposedAct:
    """What the officer wanted to do and takes the person’s code. `act` is what the refusal named."""

    act: strawberry.ID
    words: Text
    state: AgreementState
    proposed_at: datetime
    until: datetime | None


@service.entity(key="id", scope=READ, personal=REPRESENTATION)
@dataclass(kw_only=True)
class AssistedSession:
    """That an officer acted for a person who was present. Its `id` is the authority by which the officer does."""

    id: strawberry.ID
    channel: Presence
    reason: str
    opened_at: datetime
    idle_ends: datetime
    ends: datetime
    closed_at: datetime | None
    record: strawberry.Private[SessionRecord]

    @classmethod
    async def find(cls, db: Db, caller: Caller, log: AccessLog, id: str) -> "AssistedSession | None":
        """A session of the caller’s own, as the person or as the officer, or None."""
        identifier = as_id(id)
        record = await db.one(SessionRecord, identifier) if identifier else None
        # What an officer did is no affair of who acts for the officer as a person.
        as_officer = record is not None and caller.kind is None and caller.owns(record.officer)
        if record is None or not (caller.owns(record.citizen) or as_officer):
            return None
        log.note(record.citizen, REPRESENTATION)
        return session_of(record)

    @field(personal=IDENTITY)
    def citizen(self, log: AccessLog) -> strawberry.ID:
        """The person who was present."""
        log.note(self.record.citizen, IDENTITY)
        return strawberry.ID(self.record.citizen)

    def state(self) -> AssistedState:
        """How far it is."""
        if self.record.closed_at:
            return AssistedState.CLOSED
        return AssistedState.OPEN if now() < min(self.record.idle_ends, self.record.ends) else AssistedState.LAPSED

    async def acts(self, db: Db) -> list[ProposedAct]:
        """What took the person’s code, in order."""
        held = await db.where(ActRecord, session_id=self.record.id)
        return [_act_of(record) for record in sorted(held, key=lambda record: record.proposed_at)]


def session_of(record: SessionRecord) -> AssistedSession:
    """A session as both see it."""
    return AssistedSession(
        id=strawberry.ID(record.id),
        channel=record.presence,
        reason=record.reason,
        opened_at=record.opened_at,
        idle_ends=record.idle_ends,
        ends=record.ends,
        closed_at=record.closed_at,
        record=record,
    )


def _act_of(record: ActRecord) -> ProposedAct:
    state = AgreementState.WAITING if record.to else AgreementState.UNSENT
    if record.until:
        state = AgreementState.AGREED if now() < record.until else AgreementState.OVER
    return ProposedAct(
        act=strawberry.ID(record.act),
        words=Text(en=record.en, fr=record.fr),
        state=state,
        proposed_at=record.proposed_at,
        until=record.until,
    )


class OpenAssistedSessionInput(Input):
    """Whom you assist, how they are present, and what they came for."""

    citizen: strawberry.ID = rule(
        min_length=1, max_length=64, description="The person, as `me { id }` shows it to them."
    )
    channel: Presence
    reason: str = rule(min_length=10, max_length=300, description="What the person came for, in words.")
    idempotency_key: strawberry.ID


class AssistedSessionInput(Input):
    """An open session."""

    session: strawberry.ID


async def announce_session(db: Db, record: SessionRecord, *, wait: bool) -> None:
    """Announce a session as it stands, with what the person has agreed to. To `wait` is to answer when every service knows."""
    agreed = await db.all(select(ActRecord).where(ActRecord.session_id == record.id, col(ActRecord.until) > now()))
    grant = Grant(
        id=record.id,
        rev=0,
        kind=Kind.ASSISTED,
        grantor=record.citizen,
        actors=(record.officer,),
        subject=record.citizen,
        begins=record.opened_at,
        ends=min(record.idle_ends, record.ends),
        active=record.closed_at is None,
        scopes=tuple(sorted(citizens_scopes())),
        purposes=(DEFAULTS[Kind.ASSISTED.value],),
        confirmed=tuple({"act": held.act, "until": held.until.isoformat()} for held in agreed if held.until),
    )
    await announce(db, grant, narrows=wait)


async def own_open(db: Db, caller: Caller, log: AccessLog, session: str) -> SessionRecord:
    """The officer's session that is open, which is noted, locked until the transaction ends. Raises SessionUnknown."""
    identifier = as_id(session)
    wanted = select(SessionRecord).where(SessionRecord.id == identifier, SessionRecord.officer == caller.subject)
    record: SessionRecord | None = await db.first(wanted.with_for_update()) if identifier else None
    if record is None or record.closed_at or min(record.idle_ends, record.ends) <= now():
        raise SessionUnknown
    log.note(record.citizen, REPRESENTATION)
    return record


@service.mutation(scope=ASSIST, policy="second_factor")
async def open_assisted_session(
    db: Db, caller: Caller, log: AccessLog, input: OpenAssistedSessionInput
) -> AssistedSession:
    """Begin to act for a person who is present, who is told so by mail; when this is answered, every service knows. Refused:
    OWN_ACCOUNT, CITIZEN_UNKNOWN, SESSION_OPEN."""
    if input.citizen == caller.subject:
        raise OwnAccount
    if not await _has_account(db, input.citizen):
        raise CitizenUnknown
    moment = now()
    await db.alone(f"assists {caller.subject}")
    mine = (col(SessionRecord.officer) == caller.subject, col(SessionRecord.closed_at).is_(None))
    ended = func.least(SessionRecord.idle_ends, SessionRecord.ends)
    lapsed = or_(col(SessionRecord.idle_ends) <= moment, col(SessionRecord.ends) <= moment)
    await db.execute(update(SessionRecord).where(*mine, lapsed).values(closed_at=ended))
    if (held := await db.first(select(SessionRecord).where(*mine))) is not None:
        raise SessionOpen(session=held.id)
    log.note(input.citizen, REPRESENTATION)
    record = SessionRecord(
        officer=caller.subject,
        citizen=input.citizen,
        presence=input.channel,
        reason=input.reason,
        opened_at=moment,
        idle_ends=moment + IDLE,
        ends=moment + LONGEST,
    )
    db.add(record)
    await db.flush()
    await mailing.tell(
        db, record.citizen, letters.session_opened(record.presence, record.reason), f"assisted {record.id}"
    )
    await announce_session(db, record, wait=True)
    return session_of(record)


async def _has_account(db: Db, person: str) -> bool:
    return bool(await db.one(Profile, person) or await db.where(ChannelRecord, subject=person))


@service.mutation(scope=ASSIST)
async def keep_assisted_session(db: Db, caller: Caller, log: AccessLog, input: AssistedSessionInput) -> AssistedSession:
    """Go on: ten minutes count from now. Refused: SESSION_UNKNOWN."""
    record = await own_open(db, caller, log, input.session)
    record.idle_ends = now() + IDLE
    await db.flush()
    await announce_session(db, record, wait=False)
    return session_of(record)


@service.mutation(scope=MANAGE)
async def close_assisted_session(
    db: Db, caller: Caller, log: AccessLog, input: AssistedSessionInput
) -> AssistedSession:
    """End a session, as its officer or as the person; when this is answered, nobody acts on it. Refused: SESSION_UNKNOWN."""
    caller.require_oneself()
    identifier = as_id(input.session)
    sides = or_(col(SessionRecord.officer) == caller.subject, col(SessionRecord.citizen) == caller.subject)
    wanted = select(SessionRecord).where(SessionRecord.id == identifier, sides, col(SessionRecord.closed_at).is_(None))
    record = await db.first(wanted.with_for_update()) if identifier else None
    if record is None:
        raise SessionUnknown
    log.note(record.citizen, REPRESENTATION)
    record.closed_at = now()
    record.closed_by = CITIZEN if record.citizen == caller.subject else OFFICER
    await db.flush()
    await mailing.tell(db, record.citizen, letters.session_closed(), f"assisted closed {record.id}")
    await announce_session(db, record, wait=True)
    return session_of(record)


@service.query(scope=READ, personal=REPRESENTATION)
async def assisted_sessions(
    db: Db, caller: Caller, log: AccessLog, first: int | None = None, after: str | None = None
) -> Connection[AssistedSession]:
    """The sessions in which the caller was assisted, or assisted somebody, the newest first."""
    as_officer = owned(caller, col(SessionRecord.officer)) if caller.kind is None else false()
    sides = or_(owned(caller, col(SessionRecord.citizen)), as_officer)
    order = [col(SessionRecord.opened_at), col(SessionRecord.id)]
    mine = select(SessionRecord).where(sides)
    shown = await page(db, mine, order=order, first=first, after=after, as_node=session_of, descending=True)
    log.note_each(REPRESENTATION, ((edge.node.record.citizen, "") for edge in shown.edges))
    return shown
