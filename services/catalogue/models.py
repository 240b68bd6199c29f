"""The catalogue's tables, which are its GraphQL types: clusters, ministries, services, standards and measured results."""

from datetime import date
from uuid import UUID, uuid4

import strawberry
from sqlalchemy import ARRAY, CheckConstraint, String, UniqueConstraint
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel, col, select

from services.kit.database import Db
from services.kit.service import Service
from services.kit.text import Text, text_column

service = Service("catalogue")


class Row(SQLModel, registry=registry()):
    """The base of the catalogue's tables."""


class ClusterMinistry(Row, table=True):
    """Which ministry is in which cluster: one can be in two."""

    cluster: str = Field(primary_key=True, foreign_key="cluster.code")
    ministry: str = Field(primary_key=True, foreign_key="ministry.code", index=True)


@service.object_type()
class MeasuredResult(Row, table=True):
    """What a service standard really achieved in a month, beside its target."""

    __table_args__ = (
        UniqueConstraint("standard_code", "line", "month"),
        CheckConstraint("cases >= 0 AND achieved >= 0"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True, exclude=True)
    standard_code: str = Field(index=True, exclude=True, foreign_key="servicestandard.code")
    line: str = Field(description="The line or queue that was measured.")
    month: date = Field(description="The first day of the month.")
    cases: int = Field(description="How many cases the month had.")
    achieved: float = Field(description="The average, in the standard's unit.")
    digest: str = Field(default="", exclude=True)


@service.object_type()
class ServiceStandard(Row, table=True):
    """A published promise: `percent` of cases within `target` units; and what was achieved."""

    code: str = Field(primary_key=True)
    service_code: str = Field(index=True, exclude=True, foreign_key="governmentservice.code")
    name: Text = text_column()
    target: int
    unit: str
    percent: int
    retired: bool = Field(default=False, exclude=True)

    async def results(self, db: Db) -> list[MeasuredResult]:
        """The measured results, newest month first."""
        measured = await db.where(MeasuredResult, standard_code=self.code)
        return sorted(measured, key=lambda r: (r.month, r.line), reverse=True)


@service.object_type()
class Ministry(Row, table=True):
    """A ministry or central agency."""

    code: str = Field(primary_key=True)
    name: Text = text_column()
    retired: bool = Field(default=False, exclude=True)

    async def services(self, db: Db) -> list["GovernmentService"]:
        """The services that the ministry gives."""
        return [s for s in await db.where(GovernmentService, ministry_code=self.code) if not s.retired]


@service.object_type()
class Cluster(Row, table=True):
    """A ministry cluster: ministries that serve the same people, with one vision."""

    code: str = Field(primary_key=True)
    name: Text = text_column()
    vision: Text = text_column()
    retired: bool = Field(default=False, exclude=True)

    async def ministries(self, db: Db) -> list[Ministry]:
        """The cluster's ministries, by code."""
        links = await db.where(ClusterMinistry, cluster=self.code)
        found = [await db.one(Ministry, link.ministry) for link in links]
        return [ministry for ministry in found if ministry is not None and not ministry.retired]

    async def services(self, db: Db) -> list["GovernmentService"]:
        """The services that the cluster delivers."""
        return [s for s in await db.where(GovernmentService, cluster_code=self.code) if not s.retired]


@service.entity(key="code")
class GovernmentService(Row, table=True):
    """A service of government: how it works, what it asks of you, how long it takes and what it costs."""

    code: strawberry.ID = Field(primary_key=True, sa_type=String)
    ministry_code: str = Field(index=True, exclude=True, foreign_key="ministry.code")
    cluster_code: str = Field(index=True, exclude=True, foreign_key="cluster.code")
    name: Text = text_column()
    description: Text = text_column()
    how_it_works: Text = text_column()
    expected_of_you: Text = text_column()
    takes: Text = text_column()
    channels: list[str] = Field(sa_type=ARRAY(String))
    fee_cents: int | None = None
    retired: bool = Field(default=False, exclude=True)

    async def ministry(self, db: Db) -> Ministry | None:
        """The ministry that owns the service."""
        return await db.one(Ministry, self.ministry_code)

    async def cluster(self, db: Db) -> Cluster | None:
        """The cluster that delivers the service."""
        return await db.one(Cluster, self.cluster_code)

    async def standards(self, db: Db) -> list[ServiceStandard]:
        """The service standards."""
        return [s for s in await db.where(ServiceStandard, service_code=str(self.code)) if not s.retired]


async def current(db: Db, model: type[Cluster]) -> list[Cluster]:
    """The rows that are not retired, by code."""
    return await db.all(select(model).where(col(model.retired).is_(False)).order_by(col(model.code)))
