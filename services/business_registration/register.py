"""The register: businesses, whose facts are public, and the parts of their record that only the owner and offices see."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import strawberry
from sqlmodel import col, select

from services.business_registration.identifiers import is_business_number
from services.business_registration.models import (
    ApplicationRecord,
    BusinessRecord,
    LegalType,
    Program,
    ProgramRecord,
    ProgramState,
)
from services.business_registration.ownership import ADDRESS, IDENTITY, OWNERSHIP, PROGRAMS, READ, require_sight
from services.business_registration.subgraph import service
from services.kit import faults
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.database import Db
from services.kit.ownership import owned
from services.kit.pages import Connection, page
from services.kit.personal import personal
from services.kit.service import field
from services.kit.text import Text

# The government service that each program is, by its code in the catalogue.
SERVICES = {
    Program.BUSINESS_NAME: "business-name-registration",
    Program.EMPLOYER_HEALTH_TAX: "employer-health-tax",
    Program.RETAIL_SALES_TAX: "retail-sales-tax-permit",
    Program.WORKERS_COMPENSATION: "workers-compensation",
}


@service.refers(key="code")
@dataclass(kw_only=True)
class GovernmentService:
    """A service as the catalogue knows it."""

    code: strawberry.ID


@service.object_type(personal=PROGRAMS)
@dataclass(kw_only=True)
class ProgramStatus:
    """How far one program is with a business."""

    program: Program
    state: ProgramState
    requested_at: datetime
    decided_at: datetime | None
    account_number: str | None
    reason: Text | None

    def service(self) -> GovernmentService:
        """The program as the catalogue describes it."""
        return GovernmentService(code=strawberry.ID(SERVICES[self.program]))


@service.object_type(personal=ADDRESS)
@dataclass(kw_only=True)
class BusinessAddress:
    """A place of business in Ontario."""

    street: str
    city: str
    province: str
    postal_code: str


@service.entity(key="businessNumber")
@dataclass(kw_only=True)
class Business:
    """A registered business. Number, name, form, sector, status and date are public."""

    business_number: Annotated[strawberry.ID, personal(IDENTITY, public=True)]
    legal_name: Annotated[str, personal(IDENTITY, public=True)]
    legal_type: LegalType
    sector: str
    status: str
    registered_at: datetime
    record: strawberry.Private[BusinessRecord]

    @classmethod
    async def find(cls, db: Db, business_number: str) -> "Business | None":
        """The business of a number, or None."""
        record = await db.one(BusinessRecord, business_number)
        return business_of(record) if record else None

    @field(scope=READ)
    def address(self, caller: Caller, log: AccessLog) -> BusinessAddress:
        """Where the business is: for its owner and for offices."""
        held = self.record
        require_sight(caller, log, held.registered_by, ADDRESS, held.business_number)
        log.note(held.registered_by, ADDRESS, held.business_number)
        return address_of(held)

    @field(scope=READ)
    async def programs(self, db: Db, caller: Caller, log: AccessLog) -> list[ProgramStatus]:
        """What each program has decided: for its owner and for offices."""
        held = self.record
        require_sight(caller, log, held.registered_by, PROGRAMS, held.business_number)
        decided = await db.where(ProgramRecord, business_number=held.business_number)
        log.note_each(PROGRAMS, ((held.registered_by, held.business_number) for _ in decided))
        return statuses(decided)


def address_of(record: BusinessRecord | ApplicationRecord) -> BusinessAddress:
    """Where a business is, or is to be."""
    return BusinessAddress(street=record.street, city=record.city, province="ON", postal_code=record.postal_code)


def business_of(record: BusinessRecord) -> Business:
    """The business as others see it."""
    return Business(
        business_number=strawberry.ID(record.business_number),
        legal_name=record.legal_name,
        legal_type=LegalType(record.legal_type),
        sector=record.sector,
        status=record.status,
        registered_at=record.registered_at,
        record=record,
    )


def statuses(records: list[ProgramRecord]) -> list[ProgramStatus]:
    """Programs in the order in which the form names them."""
    held = {Program(record.program): record for record in records}
    return [
        ProgramStatus(
            program=program,
            state=ProgramState(held[program].state),
            requested_at=held[program].requested_at,
            decided_at=held[program].decided_at,
            account_number=held[program].account_number,
            reason=held[program].reason,
        )
        for program in Program
        if program in held
    ]


@service.query()
async def business(db: Db, business_number: strawberry.ID) -> Business | None:
    """A business by its number. Raises BAD_USER_INPUT for a text that is no business number."""
    number = business_number.replace(" ", "")
    if not is_business_number(number):
        raise faults.Faulted(
            faults.BAD_USER_INPUT,
            field="businessNumber",
            detail_en="businessNumber has nine digits, the last a check digit; look for a mistyped digit",
            detail_fr="businessNumber compte neuf chiffres, le dernier de contrôle; cherchez un chiffre mal saisi",
        )
    return await Business.find(db, number)


@service.query(scope=READ, personal=OWNERSHIP)
async def my_businesses(
    db: Db, caller: Caller, log: AccessLog, first: int | None = None, after: str | None = None
) -> Connection[Business]:
    """The businesses that are the caller's, the newest first."""
    mine = select(BusinessRecord).where(
        owned(caller, col(BusinessRecord.registered_by), col(BusinessRecord.business_number))
    )
    order = [col(BusinessRecord.registered_at), col(BusinessRecord.business_number)]
    shown = await page(db, mine, order=order, first=first, after=after, as_node=business_of, descending=True)
    log.note_each(OWNERSHIP, ((edge.node.record.registered_by, edge.node.business_number) for edge in shown.edges))
    return shown
