"""Applications: one form for several programs, from draft to the last program's answer. Filing is in `filing`."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from pydantic import field_validator
from sqlmodel import col, select

from services.business_registration import refusals
from services.business_registration.events import ApplicationStatusChanged
from services.business_registration.models import (
    ApplicationRecord,
    ApplicationStatus,
    BusinessRecord,
    LegalType,
    ProgramRecord,
    StatusRecord,
)
from services.business_registration.names.decision import Decision
from services.business_registration.names.normalise import composed
from services.business_registration.naming import NameDecision, require_form, shown
from services.business_registration.ownership import ADDRESS, APPLICATION, IDENTITY, PROGRAMS, READ, REGISTER, sees
from services.business_registration.register import (
    Business,
    BusinessAddress,
    ProgramStatus,
    address_of,
    business_of,
    statuses,
)
from services.business_registration.subgraph import service
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.columns import now
from services.kit.database import Db
from services.kit.feed import Feed
from services.kit.inputs import Input, rule
from services.kit.language import Words
from services.kit.ownership import owned
from services.kit.pages import Connection, page
from services.kit.service import field

# Source: NAICS Canada 2022, two-digit sectors.
SECTORS = frozenset(
    [
        "11",
        "21",
        "22",
        "23",
        "31",
        "32",
        "33",
        "41",
        "44",
        "45",
        "48",
        "49",
        "51",
        "52",
        "53",
        "54",
        "55",
        "56",
        "61",
        "62",
        "71",
        "72",
        "81",
        "91",
    ]
)
# Source: Canada Post. Ontario's postal codes begin with K, L, M, N or P; D, F, I, O, Q and U are never used.
_POSTAL_CODE = re.compile(r"([KLMNP]\d[ABCEGHJ-NPRSTV-Z])[ -]?(\d[ABCEGHJ-NPRSTV-Z]\d)", re.ASCII)
FINAL = (ApplicationStatus.COMPLETED, ApplicationStatus.PARTLY_COMPLETED, ApplicationStatus.WITHDRAWN)
_STATUS_WORDS = {
    ApplicationStatus.DRAFT: ("a draft", "un brouillon"),
    ApplicationStatus.SUBMITTED: ("submitted", "présentée"),
    ApplicationStatus.COMPLETED: ("completed", "terminée"),
    ApplicationStatus.PARTLY_COMPLETED: ("partly completed", "terminée en partie"),
    ApplicationStatus.WITHDRAWN: ("withdrawn", "retirée"),
}


class AddressInput(Input):
    """A place of business in Ontario."""

    street: str = rule(min_length=1, max_length=120)
    city: str = rule(min_length=1, max_length=80)
    postal_code: str = rule(max_length=20)

    @field_validator("postal_code")
    @classmethod
    def in_ontario(cls, value: str) -> str:
        """The code as Canada Post writes it. Raises NotInOntario."""
        found = _POSTAL_CODE.fullmatch(value.upper())
        if found is None:
            raise refusals.NotInOntario(postal_code=value)
        return f"{found[1]} {found[2]}"


class ApplicationInput(Input):
    """What an application says, new or revised. A numbered corporation has no name of its own choice."""

    name: str | None = rule(default=None, max_length=500)
    legal_type: LegalType
    sector: str = rule(max_length=10)
    address: AddressInput
    partners: list[Annotated[str, rule(max_length=120)]] = rule(default_factory=list, max_length=50)

    @field_validator("sector")
    @classmethod
    def known(cls, value: str) -> str:
        """A two-digit sector. Raises UnknownSector."""
        if value not in SECTORS:
            raise refusals.UnknownSector(sector=value)
        return value

    @field_validator("partners")
    @classmethod
    def named(cls, value: list[str]) -> list[str]:
        """Partners' names without the empty ones."""
        return [name for name in value if name]

    def consistent_name(self) -> str:
        """The chosen name, empty for a numbered corporation. Raises a refusal when name or partners and type disagree."""
        if self.legal_type is LegalType.GENERAL_PARTNERSHIP:
            if len(self.partners) < 2:
                raise refusals.PartnersMissing
        elif self.partners:
            raise refusals.PartnersNotAsked
        if self.legal_type is LegalType.NUMBERED_CORPORATION:
            if self.name:
                raise refusals.NameNotChosen
            return ""
        if not self.name:
            raise refusals.NameMissing
        require_form(self.name, self.legal_type)
        return composed(self.name)


class DraftApplicationInput(ApplicationInput):
    """A new application."""

    idempotency_key: strawberry.ID


class ReviseApplicationInput(ApplicationInput):
    """A draft as it shall be from now on."""

    application_id: strawberry.ID


class WithdrawApplicationInput(Input):
    """A draft that is given up."""

    application_id: strawberry.ID


@service.object_type()
@dataclass(kw_only=True)
class StatusChange:
    """A status that an application came into, and when."""

    status: ApplicationStatus
    at: datetime


@service.entity(key="id", scope=READ, personal=APPLICATION)
@dataclass(kw_only=True)
class Application:
    """An application: its applicant and offices see it, nobody else."""

    id: strawberry.ID
    status: ApplicationStatus
    legal_type: LegalType
    name: str
    sector: str
    created_at: datetime
    submitted_at: datetime | None
    record: strawberry.Private[ApplicationRecord]

    @classmethod
    async def find(cls, db: Db, caller: Caller, log: AccessLog, id: str) -> "Application | None":
        """The application with an identifier if the caller may see it, or None."""
        identifier = _uuid(id)
        record = await db.one(ApplicationRecord, identifier) if identifier else None
        if record is None or not sees(caller, log, record.applicant, APPLICATION, record.business_number or ""):
            return None
        note(log, record)
        return application_of(record)

    @field(personal=IDENTITY)
    def partners(self, log: AccessLog) -> list[str]:
        """The names of the partners; none but in a partnership."""
        log.note_each(IDENTITY, (whose(self.record) for _ in self.record.partners))
        return self.record.partners

    def address(self, log: AccessLog) -> BusinessAddress:
        """Where the business is to be."""
        note(log, self.record, ADDRESS)
        return address_of(self.record)

    async def business(self, db: Db) -> Business | None:
        """The business that the application registered."""
        number = self.record.business_number
        record = await db.one(BusinessRecord, number) if number else None
        return business_of(record) if record else None

    async def programs(self, db: Db, log: AccessLog) -> list[ProgramStatus]:
        """What each program has decided; empty before the application is submitted."""
        decided = await db.where(ProgramRecord, application_id=self.record.id)
        log.note_each(PROGRAMS, (whose(self.record) for _ in decided))
        return statuses(decided)

    def name_decision(self) -> NameDecision | None:
        """The decision under which the name was registered; null before, and for a numbered corporation."""
        recorded = self.record.name_decision
        return shown(Decision.restored(recorded)) if recorded else None

    def similar_names_acknowledged(self) -> bool:
        """Whether similar names were held, and the applicant confirmed to have seen them and to bear the risk."""
        return self.record.similar_acknowledged

    async def history(self, db: Db) -> list[StatusChange]:
        """Each status that the application came into, the oldest first."""
        rows = await db.where(StatusRecord, application_id=self.record.id)
        return [StatusChange(status=ApplicationStatus(row.status), at=row.at) for row in rows]


def note(log: AccessLog, record: ApplicationRecord, category: str = APPLICATION) -> None:
    """Note whose application is shown, or changed."""
    log.note_each(category, [whose(record)])


def whose(record: ApplicationRecord) -> tuple[str, str]:
    """The person who applies, and the number of the business once there is one."""
    return record.applicant, record.business_number or ""


def application_of(record: ApplicationRecord) -> Application:
    """The application as its applicant sees it."""
    return Application(
        id=strawberry.ID(str(record.id)),
        status=ApplicationStatus(record.status),
        legal_type=LegalType(record.legal_type),
        name=record.name,
        sector=record.sector,
        created_at=record.created_at,
        submitted_at=record.submitted_at,
        record=record,
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


async def own_draft(db: Db, caller: Caller, log: AccessLog, application_id: str) -> ApplicationRecord:
    """The caller's draft, which is noted, locked until the transaction ends. Raises ApplicationUnknown, NotADraft."""
    identifier = _uuid(application_id)
    mine = owned(caller, col(ApplicationRecord.applicant), col(ApplicationRecord.business_number))
    wanted = select(ApplicationRecord).where(col(ApplicationRecord.id) == identifier, mine)
    record: ApplicationRecord | None = await db.first(wanted.with_for_update()) if identifier else None
    if record is None:
        # Asked for what is somebody else's as for what is not there: what is done tells nobody which it was.
        held = await db.one(ApplicationRecord, identifier) if identifier else None
        if held is not None:
            log.refuse(held.applicant, APPLICATION, held.business_number or "")
        raise refusals.ApplicationUnknown
    if record.status != ApplicationStatus.DRAFT.value:
        english, french = _STATUS_WORDS[ApplicationStatus(record.status)]
        raise refusals.NotADraft(status_en=english, status_fr=french)
    note(log, record)
    return record


def named(record: ApplicationRecord) -> Words:
    """What an application is for, in a sentence."""
    if not record.name:
        return Words("a numbered corporation", "une société à dénomination numérique")
    return Words(f"“{record.name}”", f"«\u00a0{record.name}\u00a0»")


async def enter(db: Db, record: ApplicationRecord, status: ApplicationStatus) -> None:
    """Bring an application into a status, with its history and its announcement."""
    at = now()
    record.status = status.value
    db.add(record)
    await db.flush()
    db.add(StatusRecord(application_id=record.id, status=status.value, at=at))
    db.emit(ApplicationStatusChanged(application_id=str(record.id), status=status.value, changed_at=at))


@service.mutation(scope=REGISTER)
async def draft_application(db: Db, caller: Caller, log: AccessLog, input: DraftApplicationInput) -> Application:
    """Begin an application. Nothing is filed and no name is held before it is submitted."""
    caller.require_unlimited()
    log.note_own(APPLICATION)
    record = ApplicationRecord(
        applicant=caller.subject,
        status=ApplicationStatus.DRAFT.value,
        legal_type=input.legal_type.value,
        name=input.consistent_name(),
        sector=input.sector,
        street=input.address.street,
        city=input.address.city,
        postal_code=input.address.postal_code,
        partners=input.partners,
    )
    note(log, record)
    await enter(db, record, ApplicationStatus.DRAFT)
    return application_of(record)


@service.mutation(scope=REGISTER)
async def revise_application(db: Db, caller: Caller, log: AccessLog, input: ReviseApplicationInput) -> Application:
    """Replace what a draft says."""
    record = await own_draft(db, caller, log, input.application_id)
    record.name = input.consistent_name()
    record.legal_type = input.legal_type.value
    record.sector, record.partners = input.sector, input.partners
    record.street, record.city = input.address.street, input.address.city
    record.postal_code = input.address.postal_code
    return application_of(record)


async def _withdrawal(db: Db, caller: Caller, log: AccessLog, input: WithdrawApplicationInput) -> Words:
    record = await own_draft(db, caller, log, input.application_id)
    return Words(
        f"Withdraw the draft application for {named(record).en}.",
        f"Retirer le brouillon de demande pour {named(record).fr}.",
    )


@service.mutation(scope=REGISTER, citizens_code=_withdrawal)
async def withdraw_application(db: Db, caller: Caller, log: AccessLog, input: WithdrawApplicationInput) -> Application:
    """Give up a draft."""
    record = await own_draft(db, caller, log, input.application_id)
    await enter(db, record, ApplicationStatus.WITHDRAWN)
    return application_of(record)


@service.query(scope=READ)
async def application(db: Db, caller: Caller, log: AccessLog, id: strawberry.ID) -> Application | None:
    """An application that the caller may see."""
    return await Application.find(db, caller, log, id)


@service.query(scope=READ, personal=APPLICATION)
async def my_applications(
    db: Db, caller: Caller, log: AccessLog, first: int | None = None, after: str | None = None
) -> Connection[Application]:
    """The caller's applications, the newest first."""
    mine = select(ApplicationRecord).where(
        owned(caller, col(ApplicationRecord.applicant), col(ApplicationRecord.business_number))
    )
    order = [col(ApplicationRecord.created_at), col(ApplicationRecord.id)]
    shown = await page(db, mine, order=order, first=first, after=after, as_node=application_of, descending=True)
    records = [edge.node.record for edge in shown.edges]
    log.note_each(APPLICATION, map(whose, records))
    return shown


@service.subscription(scope=READ)
async def application_status_changed(
    db: Db, caller: Caller, log: AccessLog, feed: Feed, id: strawberry.ID
) -> AsyncIterator[Application]:
    """An application as it is, and again after each change, until it is final. Ends at once when there is none to see."""
    async with feed.following(ApplicationStatusChanged, str(_uuid(id))) as changes:
        current = await Application.find(db, caller, log, id)
        while current is not None:
            yield current
            if current.status in FINAL:
                return
            await anext(changes)
            current = await Application.find(db, caller, log, id)
