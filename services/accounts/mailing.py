"""Letters leave through a table: written with the act that they tell of, sent afterwards, tried again, told once.

A letter is sent at most once but where this process dies between the server's yes and its own commit; it then goes out again
under the same Message-ID, by which a mailbox knows it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from services.accounts.letters import Letter
from services.accounts.models import ChannelRecord, Mail, Profile
from services.kit.columns import now
from services.kit.database import Database, Db
from services.kit.language import Language, request_language

# After a failed try, until nobody needs the letter any more; the last pause is repeated.
PAUSES_S = (5, 15, 60, 300, 900, 3600)
USEFUL = timedelta(days=3)
IDLE_S = 1.0
Send = Callable[[EmailMessage], Awaitable[None]]
_LOG = structlog.get_logger(__name__)


class NeverDelivered(Exception):
    """The other side said no for good: another try would hear the same."""


async def post(db: Db, letter: Letter, act: str, address: str, language: Language, useful: timedelta = USEFUL) -> None:
    """Write a letter to an address, to be sent once this transaction is committed and within `useful`. The same act to the same
    address is told once."""
    title, body = letter.in_language(language)
    written = insert(Mail).values(
        Mail(
            act=f"{act} {address.lower()}",
            address=address,
            language=language,
            title=title,
            body=body,
            useless_from=now() + useful,
        ).model_dump()
    )
    await db.execute(written.on_conflict_do_nothing(index_elements=["act"]))


async def tell(db: Db, subject: str, letter: Letter, act: str, *, but: Iterable[str] = ()) -> None:
    """Write to every verified address of a person, in their language; but not to these. Who has none is told nothing."""
    language = await language_of(db, subject)
    verified = select(ChannelRecord.address).where(
        ChannelRecord.subject == subject, col(ChannelRecord.verified_at).is_not(None)
    )
    for address in set(await db.all(verified)) - set(but):
        await post(db, letter, act, address, language)


async def language_of(db: Db, subject: str) -> Language:
    """In which language we write to a person: the one they chose, else the request's."""
    profile = await db.one(Profile, subject)
    return profile.language if profile else request_language.get()


def message_of(mail: Mail, sender: str) -> EmailMessage:
    """The letter as it is sent. Source: RFC 5322; RFC 3834 (automatic messages)."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, mail.address, mail.title
    message["Date"] = mail.made_at
    message["Message-ID"] = f"<{mail.id}@{sender.rpartition('@')[2].rstrip('>')}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.body)
    message["Content-Language"] = mail.language.value
    return message


class Postman:
    """Sends what waits, one letter after the other. Several may work, in one process or many. `clock` says the moment, in UTC."""

    def __init__(
        self, database: Database, sender: str, send: Send, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database, self._sender, self._send, self._clock = database, sender, send, clock

    async def run(self) -> None:
        """Work for ever. Cancel to stop: a letter in hand stays in the table."""
        while True:
            try:
                while await self.send_one():
                    pass
            except Exception as error:  # the database is away, mostly: the letters wait with it
                _LOG.warning("mail_waits", error=repr(error))
            await asyncio.sleep(IDLE_S)

    async def send_one(self) -> bool:
        """Send the next letter that is due, if any. Returns whether there was one."""
        due = (
            select(Mail)
            .where(col(Mail.done_at).is_(None), col(Mail.next_try_at) <= self._clock())
            .order_by(col(Mail.next_try_at))
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        async with self._database.transaction() as db:
            mail = await db.first(due)
            if mail is None:
                return False
            if self._clock() >= mail.useless_from:
                self._finish(mail, mail.error or "late")
                return True
            try:
                await self._send(message_of(mail, self._sender))
            except NeverDelivered as refused:
                self._finish(mail, repr(refused))
            except Exception as error:  # whatever it is, the other letters go on
                self._postpone(mail, repr(error))
            else:
                self._finish(mail, "")
            return True

    def _finish(self, mail: Mail, error: str) -> None:
        mail.title = mail.body = ""
        mail.done_at, mail.error = self._clock(), error[:500]
        if error:
            _LOG.error("mail_given_up", id=mail.id, tries=mail.tries, error=mail.error)

    def _postpone(self, mail: Mail, error: str) -> None:
        pause_s = PAUSES_S[min(mail.tries, len(PAUSES_S) - 1)]
        mail.tries += 1
        mail.next_try_at, mail.error = self._clock() + timedelta(seconds=pause_s), error[:500]
        _LOG.warning("mail_postponed", id=mail.id, tries=mail.tries, error=mail.error)
