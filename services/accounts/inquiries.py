"""Questions about who looked: a person asks about an entry of their access log, and a ministry answers by a day that is named.

The ministry answers that owns the service whose entry it is, by any of its administrators, who sees who acted; the person sees
the office. A question that is open is asked once. If a service changes hands, so do the questions about it.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from uuid import UUID

import strawberry
from sqlalchemy import ColumnElement, Index, Select, text
from sqlmodel import col, select

from services.accounts import letters, mailing
from services.accounts.looking import AccessEntry, AccessRecord, entry_of, shown_to
from services.accounts.models import ACCESS_LOG, MANAGE, Row, service
from services.kit import business_days, ministries
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.columns import as_id, id_column, moment, now
from services.kit.database import Db
from services.kit.inputs import Input, rule
from services.kit.pages import Connection, page
from services.kit.rates import Rate
from services.kit.refusals import Refusal

ANSWER = "inquiry:answer"
ANSWERED_WITHIN = 10  # business days


class EntryUnknown(
    Refusal,
    field="entryId",
    en="Your access log has no entry with this identifier. Look in it for the one that you mean.",
    fr="Votre journal d’accès n’a aucune entrée portant cet identifiant. Cherchez-y celle dont il s’agit.",
):
    """The same answer whether it does not exist, is somebody else's or is not shown yet."""


class InquiryOpen(
    Refusal,
    field="entryId",
    en="You have asked about this entry already: {reference}. The ministry answers by {due}.",
    fr="Vous avez déjà posé une question sur cette entrée : {reference}. Le ministère répond d’ici le {due}.",
):
    """One at a time."""


class InquiryUnknown(
    Refusal,
    field="inquiryId",
    en="There is no inquiry with this identifier. Look in the list of those that are open.",
    fr="Aucune question ne porte cet identifiant. Consultez la liste de celles qui sont ouvertes.",
):
    """Nothing to answer: the same whether it does not exist or another ministry answers it."""


class InquiryAnswered(
    Refusal,
    field="inquiryId",
    en="This inquiry was answered already. Nothing remains to be done.",
    fr="Cette question a déjà reçu une réponse. Il ne reste rien à faire.",
):
    """The first answer stands."""


class OwnInquiry(
    Refusal,
    field="inquiryId",
    en="This inquiry is your own, or about what you did. A colleague answers it.",
    fr="Cette question est la vôtre, ou porte sur ce que vous avez fait. Un collègue y répond.",
):
    """Nobody judges their own case."""


class InquiryRecord(Row, table=True):
    """A question about an entry."""

    __tablename__ = "access_inquiry"
    __table_args__ = (
        Index("ix_access_inquiry_asked", "asked_by", "asked_at"),
        Index("uq_access_inquiry_open", "entry_id", unique=True, postgresql_where=text("answered_at IS NULL")),
    )

    id: str = id_column()
    entry_id: UUID
    service: str
    asked_by: str
    question: str
    asked_at: datetime = moment(default_factory=now)
    due: date
    answer: str = ""
    answered_by: str = ""
    answered_at: datetime | None = moment(default=None, nullable=True)


@strawberry.enum(description="How far an inquiry is.")
class InquiryState(Enum):
    """OPEN until its day, then OVERDUE; ANSWERED."""

    OPEN = "OPEN"
    OVERDUE = "OVERDUE"
    ANSWERED = "ANSWERED"


@service.refers(key="code")
@dataclass(kw_only=True)
class Ministry:
    """A ministry as the catalogue knows it."""

    code: strawberry.ID


@service.entity(key="id", scope=MANAGE, personal=ACCESS_LOG)
@dataclass(kw_only=True)
class AccessInquiry:
    """A person's question about an entry of their access log, and the answer. `due` is the day in Ontario by which it comes."""

    id: strawberry.ID
    service: str
    question: str
    asked_at: datetime
    due: date
    answer: str | None
    answered_at: datetime | None
    record: strawberry.Private[InquiryRecord]

    @classmethod
    async def find(cls, db: Db, caller: Caller, log: AccessLog, id: str) -> "AccessInquiry | None":
        """An inquiry of the caller's own, or one that their ministry answers; else None."""
        caller.require_oneself()
        identifier = as_id(id)
        record = await db.one(InquiryRecord, identifier) if identifier else None
        if record is None or not (caller.owns(record.asked_by) or _answers(caller, record)):
            return None
        log.note(record.asked_by, ACCESS_LOG)
        return inquiry_of(record)

    def reference(self) -> str:
        """By what to name it on the phone."""
        return _reference(self.record)

    def ministry(self) -> Ministry | None:
        """Which ministry answers; null where none owns the service any more."""
        owner = ministries.owners().get(self.service)
        return Ministry(code=strawberry.ID(owner)) if owner else None

    def state(self) -> InquiryState:
        """How far it is."""
        if self.record.answered_at is not None:
            return InquiryState.ANSWERED
        return InquiryState.OVERDUE if business_days.today() > self.record.due else InquiryState.OPEN

    async def entry(self, db: Db) -> AccessEntry | None:
        """What it is about; null once its time is over."""
        found = await db.one(AccessRecord, self.record.entry_id)
        return entry_of(found) if found else None

    async def actor(self, db: Db, caller: Caller) -> strawberry.ID | None:
        """Who acted, by the id that tokens name them by, for who answers; null for the person, whatever their office."""
        shown = _answers(caller, self.record) and not caller.owns(self.record.asked_by)
        found = await db.one(AccessRecord, self.record.entry_id) if shown else None
        return strawberry.ID(found.actor) if found else None


def _answers(caller: Caller, record: InquiryRecord) -> bool:
    """Whether the caller's office is to answer, and the service is their ministry's. `_theirs` is this rule in a statement."""
    return caller.may(ANSWER) and record.service in ministries.owned(caller.ministries)


def _theirs(caller: Caller) -> ColumnElement[bool]:
    """What the rows are like that the caller's ministries answer."""
    return col(InquiryRecord.service).in_(ministries.owned(caller.ministries))


def inquiry_of(record: InquiryRecord) -> AccessInquiry:
    """An inquiry as both sides see it."""
    return AccessInquiry(
        id=strawberry.ID(record.id),
        service=record.service,
        question=record.question,
        asked_at=record.asked_at,
        due=record.due,
        answer=record.answer or None,
        answered_at=record.answered_at,
        record=record,
    )


def _reference(record: InquiryRecord) -> str:
    return f"Q-{record.id[:8].upper()}"


async def inquiries(
    db: Db, statement: Select[tuple[InquiryRecord]], first: int | None, after: str | None
) -> Connection[AccessInquiry]:
    """A page of inquiries, the newest first."""
    order = [col(InquiryRecord.asked_at), col(InquiryRecord.id)]
    return await page(db, statement, order=order, first=first, after=after, as_node=inquiry_of, descending=True)


class QuestionAccessInput(Input):
    """The entry, and what you want to know of it."""

    entry_id: strawberry.ID
    question: str = rule(min_length=10, max_length=2000)
    idempotency_key: strawberry.ID


class AnswerAccessInquiryInput(Input):
    """The inquiry, and what the ministry says to it."""

    inquiry_id: strawberry.ID
    answer: str = rule(min_length=10, max_length=4000)


@service.mutation(scope=MANAGE, rate=Rate(times=20, seconds=3600))
async def question_access(db: Db, caller: Caller, log: AccessLog, input: QuestionAccessInput) -> AccessInquiry:
    """Ask the ministry why somebody looked. Refused: ENTRY_UNKNOWN, INQUIRY_OPEN."""
    caller.require_oneself()
    entry = await shown_to(db, caller, input.entry_id)
    if entry is None:
        raise EntryUnknown
    log.note_own(ACCESS_LOG)
    await db.alone(f"inquiry {entry.id}")
    of_entry = select(InquiryRecord).where(InquiryRecord.entry_id == entry.id, col(InquiryRecord.answered_at).is_(None))
    asked = await db.first(of_entry)
    if asked is not None:
        raise InquiryOpen(reference=_reference(asked), due=asked.due.isoformat())
    record = InquiryRecord(
        entry_id=entry.id,
        service=entry.service,
        asked_by=caller.subject,
        question=input.question,
        due=business_days.after(business_days.today(), ANSWERED_WITHIN),
    )
    db.add(record)
    await db.flush()
    return inquiry_of(record)


@service.query(scope=ANSWER)
async def access_inquiries(
    db: Db,
    caller: Caller,
    log: AccessLog,
    first: int | None = None,
    after: str | None = None,
    service: str | None = None,
    open: bool | None = None,
) -> Connection[AccessInquiry]:
    """What the caller's ministry was asked about who looked, newest first; `open` leaves out, or in only, what is answered."""
    asked = select(InquiryRecord).where(_theirs(caller))
    if service is not None:
        asked = asked.where(InquiryRecord.service == service)
    if open is not None:
        answered = col(InquiryRecord.answered_at)
        asked = asked.where(answered.is_(None) if open else answered.is_not(None))
    found = await inquiries(db, asked, first, after)
    for edge in found.edges:
        log.note(edge.node.record.asked_by, ACCESS_LOG)
    return found


@service.mutation(scope=ANSWER)
async def answer_access_inquiry(
    db: Db, caller: Caller, log: AccessLog, input: AnswerAccessInquiryInput
) -> AccessInquiry:
    """Answer what your ministry was asked; the person is told. Refused: INQUIRY_UNKNOWN, INQUIRY_ANSWERED, OWN_INQUIRY."""
    identifier = as_id(input.inquiry_id)
    wanted = select(InquiryRecord).where(InquiryRecord.id == identifier, _theirs(caller)).with_for_update()
    record = await db.first(wanted) if identifier else None
    if record is None:
        raise InquiryUnknown
    log.note(record.asked_by, ACCESS_LOG)
    entry = await db.one(AccessRecord, record.entry_id)
    if caller.actor in (record.asked_by, entry.actor if entry else None):
        raise OwnInquiry
    if record.answered_at is not None:
        raise InquiryAnswered
    record.answer, record.answered_by, record.answered_at = input.answer, caller.actor, now()
    await db.flush()
    letter = letters.inquiry_answered(_reference(record))
    await mailing.tell(db, record.asked_by, letter, f"answered {record.id}")
    return inquiry_of(record)
