"""Water permits: a whole small service, as its ministry's developer writes it."""

from datetime import UTC, datetime
from uuid import uuid4

import strawberry
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel, select

from services.kit.caller import Caller
from services.kit.database import Db
from services.kit.events import Event
from services.kit.inputs import Input, rule
from services.kit.pages import Connection, page
from services.kit.refusals import Refusal
from services.kit.service import Service, external, field
from services.kit.text import Text, text_column

service = Service("water_permits")


class Row(SQLModel, registry=registry()):
    """The base of this service's tables."""


@service.entity(key="number", scope="water:read")
class WaterPermit(Row, table=True):
    """A permit to take water from a lake."""

    number: str = Field(primary_key=True)
    lake: str
    business_number: str = Field(index=True)
    purpose: Text = text_column()
    officer_note: str = Field(default="", exclude=True)  # never in the schema

    async def neighbours(self, db: Db) -> list["WaterPermit"]:
        """Other permits of the same lake."""
        return [permit for permit in await db.where(WaterPermit, lake=self.lake) if permit.number != self.number]


class LakeClosed(Refusal, field="lake", en="{lake} is closed this season.", fr="{lake} est fermé cette saison."):
    """No permit is issued for a closed lake."""


class PermitIssued(Event, type="permit.issued.v1", subject="number"):
    """A permit was issued."""

    number: str
    issued_at: datetime


class IssuePermit(Input):
    """What is needed to issue a permit."""

    lake: str = rule(min_length=2, max_length=80)
    business_number: str = rule(pattern=r"^\d{9}$")
    idempotency_key: strawberry.ID


@service.extends(key="businessNumber")
class Business:
    """The registry's business, with its permits."""

    business_number: strawberry.ID
    sector: str | None = external()

    @field(scope="water:read")
    async def water_permits(self, db: Db) -> list[WaterPermit]:
        """The permits of the business."""
        return await db.where(WaterPermit, business_number=str(self.business_number))

    @field(requires="sector")
    async def water_levy(self) -> str:
        """The levy class of the business's sector."""
        return f"levy-{self.sector}"


@service.query(scope="water:read")
async def water_permits(db: Db, first: int | None = None, after: str | None = None) -> Connection[WaterPermit]:
    """All permits, by number."""
    return await page(db, select(WaterPermit), order=[WaterPermit.number], first=first, after=after)


@service.mutation(scope="water:issue")
async def issue_permit(db: Db, caller: Caller, input: IssuePermit) -> WaterPermit:
    """Issue a permit."""
    if input.lake == "Lake Closed":
        raise LakeClosed(lake=input.lake)
    purpose = Text(en="Irrigation", fr="Irrigation")
    permit = WaterPermit(number=uuid4().hex, lake=input.lake, business_number=input.business_number, purpose=purpose)
    db.add(permit)
    db.emit(PermitIssued(number=permit.number, issued_at=datetime.now(UTC)))
    return permit


service.emits(PermitIssued)
