"""Premises that another authority inspected, with their visits and infractions, as it published them.

They are no businesses of the registry: each has the source's own id, and nobody guesses which business it may be. What is
here is public at its source, so it is public here.
"""

from datetime import date
from typing import Annotated

import strawberry
from sqlalchemy import String
from sqlmodel import Field, col, select

from services.inspections.rows import Row
from services.inspections.severity import GRAVITY, Severity
from services.inspections.subgraph import service
from services.kit.columns import one_of
from services.kit.database import Db
from services.kit.pages import Connection, page
from services.kit.personal import personal
from services.kit.text import Text, text_column

ADDRESS = "business-address"


@service.entity(key="id")
class Premises(Row, table=True):
    """A place that was visited, as the latest visit describes it."""

    id: strawberry.ID = Field(sa_type=String, primary_key=True)
    source: str
    name: Annotated[str, personal("identity", public=True)] = Field(index=True)
    kind: str
    address: Annotated[str, personal(ADDRESS, public=True)]
    latitude: Annotated[float | None, personal(ADDRESS, public=True)] = None
    longitude: Annotated[float | None, personal(ADDRESS, public=True)] = None
    described_on: date = Field(exclude=True)
    described_by: str = Field(exclude=True)  # the visit whose row was taken; the later of two visits wins

    async def visits(self, db: Db) -> list["PremisesVisit"]:
        """The visits, latest first."""
        rows = await db.where(PremisesVisit, premises_id=self.id)
        return sorted(rows, key=lambda visit: (visit.on, visit.id), reverse=True)


@service.object_type()
class PremisesVisit(Row, table=True):
    """A visit to premises."""

    __tablename__ = "premises_visit"

    id: strawberry.ID = Field(sa_type=String, primary_key=True)
    premises_id: str = Field(foreign_key="premises.id", index=True, exclude=True)
    on: date

    async def infractions(self, db: Db) -> list["Infraction"]:
        """What was found, gravest first; empty where nothing was."""
        rows = await db.where(Infraction, visit_id=self.id)
        return sorted(rows, key=lambda row: (-GRAVITY[row.severity] if row.severity else 1, row.id))


@service.object_type()
class Infraction(Row, table=True):
    """Something found at a visit. `action` and `outcome` are codes made of the source's words; money is in cents."""

    id: strawberry.ID = Field(sa_type=String, primary_key=True)
    visit_id: str = Field(foreign_key="premises_visit.id", index=True, exclude=True)
    details: Text = text_column()
    law: str | None = None
    section: str | None = None
    severity: Severity | None = one_of(Severity, default=None, nullable=True)
    action: str | None = None
    outcome: str | None = None
    fined_cents: int | None = None


class ImportedRow(Row, table=True):
    """A row of a source's file that was taken, and the hash of its content: the same row again changes nothing."""

    __tablename__ = "imported_row"

    id: str = Field(primary_key=True)
    content_hash: str


@service.query()
async def premises(db: Db, id: strawberry.ID) -> Premises | None:
    """Premises by their id, e.g. dinesafe-9000761."""
    return await db.one(Premises, str(id))


@service.query()
async def inspected_premises(
    db: Db, name: str | None = None, first: int | None = None, after: str | None = None
) -> Connection[Premises]:
    """Premises by name; those whose name holds `name`, in whatever case, when it is given."""
    found = select(Premises)
    if name:
        found = found.where(col(Premises.name).icontains(name, autoescape=True))
    return await page(db, found, order=[col(Premises.name), col(Premises.id)], first=first, after=after)
