"""The person's agreement to one act in an assisted session: a code that they alone are sent, entered by the officer.

It goes to an address that was theirs for a week before the session began, so that nobody who has just got hold of an account adds
one for it. It is good for this act in this session, once, for ten minutes and five tries; the officer never sees it.
"""

from datetime import datetime, timedelta

import strawberry
from sqlmodel import col, select

from services.accounts import codes, letters, mailing
from services.accounts.assisted import ASSIST, IDLE, AssistedSession, announce_session, own_open, session_of
from services.accounts.models import ActRecord, ChannelRecord, CodeRecord, SessionRecord, service
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.citizens_code import ActProposed
from services.kit.columns import as_id, now
from services.kit.database import Db
from services.kit.inputs import Input, rule
from services.kit.language import Words
from services.kit.rates import Rate
from services.kit.refusals import Refusal

UNCHANGED = timedelta(days=7)
HOLDS = timedelta(minutes=10)
TRIED = Rate(times=20, seconds=600)


class ActUnknown(
    Refusal,
    field="act",
    en="Nothing with this identifier waits for the person’s agreement. Do what you want to do first; it names the act.",
    fr="Rien portant cet identifiant n’attend l’accord de la personne. Faites d’abord ce que vous voulez faire : l’acte est "
    "alors nommé.",
):
    """It was never proposed in this session."""


class NoSureAddress(
    Refusal,
    field="act",
    en="The person has no address that was verified a week before this session. They can do this themselves, or add an address "
    "in their account and come back in a week.",
    fr="La personne n’a aucune adresse vérifiée depuis une semaine avant cette session. Elle peut agir elle-même, ou ajouter une "
    "adresse dans son compte et revenir dans une semaine.",
):
    """No code was sent, so none can be entered."""


class ConfirmActInput(Input):
    """The code that the person has told you, for the act that the refusal named."""

    session: strawberry.ID
    act: strawberry.ID = rule(min_length=1, max_length=64)
    code: str = rule(min_length=1, max_length=40)


def _waiting(session: SessionRecord, act: str) -> str:
    """What a code is for."""
    return f"assisted {session.id} {act}"


@service.on(ActProposed)
async def send_code(event: ActProposed, db: Db) -> None:
    """Send the person a code for an act that its owner refused. A second delivery, and another try of the same act while its code
    waits, send none. A session that is over sends nothing."""
    session = await db.first(select(SessionRecord).where(SessionRecord.id == as_id(event.grant)).with_for_update())
    moment = now()
    if session is None or session.closed_at or min(session.idle_ends, session.ends) <= moment:
        return
    held = await db.first(
        select(ActRecord).where(ActRecord.session_id == session.id, ActRecord.act == event.act).with_for_update()
    )
    if held is None:
        held = ActRecord(session_id=session.id, act=event.act, en=event.en, fr=event.fr)
        db.add(held)
        await db.flush()
    elif not held.until and await _is_waiting(db, session, event.act, moment):
        return
    held.proposed_at, held.until, held.to = moment, None, await _sure_address(db, session) or ""
    if not held.to:
        return
    try:
        code = await codes.issue(db, session.citizen, _waiting(session, event.act))
    except codes.TooManyCodes:
        held.to = ""
        return
    letter = letters.agree_to_act(Words(event.en, event.fr), code, int(codes.LIFE.total_seconds() // 60))
    language = await mailing.language_of(db, session.citizen)
    act = f"{_waiting(session, event.act)} {moment.isoformat()}"
    await mailing.post(db, letter, act, held.to, language, codes.LIFE)


async def _is_waiting(db: Db, session: SessionRecord, act: str, moment: datetime) -> bool:
    """Whether a code for this act can still be entered."""
    code = select(CodeRecord).where(
        CodeRecord.subject == session.citizen,
        CodeRecord.act == _waiting(session, act),
        col(CodeRecord.used_at).is_(None),
        col(CodeRecord.expires_at) > moment,
        col(CodeRecord.tries) < codes.TRIES,
    )
    return await db.first(code.limit(1)) is not None


async def _sure_address(db: Db, session: SessionRecord) -> str | None:
    """The address that has been the person's for longest, if for a week before the session."""
    since = session.opened_at - UNCHANGED
    sure = select(ChannelRecord.address).where(
        ChannelRecord.subject == session.citizen, col(ChannelRecord.verified_at) <= since
    )
    return await db.first(sure.order_by(col(ChannelRecord.verified_at)).limit(1))


@service.mutation(scope=ASSIST, rate=TRIED)
async def confirm_act(db: Db, caller: Caller, log: AccessLog, input: ConfirmActInput) -> AssistedSession:
    """Say that the person agrees, by the code that they were sent; when this is answered, do the same again, once, within ten
    minutes. Refused: SESSION_UNKNOWN, ACT_UNKNOWN, NO_SURE_ADDRESS, CODE_WRONG, CODE_SPENT."""
    session = await own_open(db, caller, log, input.session)
    held = await db.first(
        select(ActRecord).where(ActRecord.session_id == session.id, ActRecord.act == input.act).with_for_update()
    )
    if held is None:
        raise ActUnknown
    if not held.to:
        raise NoSureAddress
    await codes.take(db, session.citizen, _waiting(session, held.act), input.code)
    moment = now()
    held.until, session.idle_ends = moment + HOLDS, moment + IDLE
    await db.flush()
    await announce_session(db, session, wait=True)
    return session_of(session)
