"""Codes by which a person shows that what was sent to them reached them: for one act, once, for ten minutes, five tries.

Only the newest code of an act counts. What is kept cannot be turned back into the code while the code holds: scrypt takes
milliseconds for each of the hundred million that it could be. Source: RFC 7914; NIST SP 800-63B, 5.1.3 (out-of-band).
"""

import asyncio
import hashlib
import hmac
import re
import secrets
from datetime import timedelta

from sqlalchemy import delete, func, update
from sqlmodel import col, select

from services.accounts.models import CodeRecord
from services.kit.columns import now
from services.kit.database import Db
from services.kit.refusals import Refusal

LIFE = timedelta(minutes=10)
TRIES = 5
MOST, WITHIN = 5, timedelta(hours=1)  # codes of a person
DIGITS = 8
_SPACES = re.compile(r"[\s-]+")


class CodeWrong(
    Refusal,
    field="code",
    keeps=True,
    en="This is not the code that we sent. Look again; {left} more tries count.",
    fr="Ce n’est pas le code que nous avons envoyé. Vérifiez-le; il reste {left} essais.",
):
    """The try is counted."""


class CodeSpent(
    Refusal,
    field="code",
    en="No code is waiting here: it was used, has run out after ten minutes, or was tried five times. Ask for another.",
    fr="Aucun code n’est attendu ici : il a servi, a expiré après dix minutes ou a été essayé cinq fois. Demandez-en un autre.",
):
    """The same answer whatever ended it."""


class TooManyCodes(
    Refusal,
    en="We sent you {most} codes within an hour. Wait a while, then ask again.",
    fr="Nous vous avons envoyé {most} codes en une heure. Patientez, puis demandez-en un autre.",
):
    """Nobody’s mailbox is filled from here."""


async def issue(db: Db, subject: str, act: str) -> str:
    """A new code for an act of a person, eight digits in two groups; earlier ones of the act end. Raises TooManyCodes."""
    moment = now()
    await db.alone(f"codes {subject}")
    await db.execute(
        delete(CodeRecord).where(col(CodeRecord.subject) == subject, col(CodeRecord.made_at) < moment - WITHIN)
    )
    made = await db.first(select(func.count()).select_from(CodeRecord).where(CodeRecord.subject == subject))
    if (made or 0) >= MOST:
        raise TooManyCodes(most=MOST)
    earlier = update(CodeRecord).where(col(CodeRecord.subject) == subject, col(CodeRecord.act) == act)
    await db.execute(earlier.values(expires_at=moment))
    code, salt = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}", secrets.token_bytes(16)
    digest = await _digest(code, salt)
    db.add(CodeRecord(subject=subject, act=act, salt=salt, digest=digest, made_at=moment, expires_at=moment + LIFE))
    return f"{code[:4]} {code[4:]}"


async def take(db: Db, subject: str, act: str, code: str) -> None:
    """Use up the code of an act. Raises CodeSpent, and CodeWrong, which counts the try."""
    newest = select(CodeRecord).where(CodeRecord.subject == subject, CodeRecord.act == act)
    held = await db.first(newest.order_by(col(CodeRecord.made_at).desc()).limit(1).with_for_update())
    if held is None or held.used_at or held.expires_at <= now() or held.tries >= TRIES:
        raise CodeSpent
    given = await _digest(_SPACES.sub("", code), held.salt)
    if not hmac.compare_digest(given, held.digest):
        held.tries += 1
        raise CodeWrong(left=TRIES - held.tries)
    held.used_at = now()


async def _digest(code: str, salt: bytes) -> bytes:
    return await asyncio.to_thread(hashlib.scrypt, code.encode(), salt=salt, n=2**13, r=8, p=1)
