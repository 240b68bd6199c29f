"""The catalogue's tables, which are its GraphQL types: clusters, ministries, services, standards and what was measured.

All but the measured results come from the cluster files. What a file no longer names is retired: lists leave it out,
but a reference from elsewhere still finds it, so that an old application keeps its service's name.
"""

import asyncio
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import strawberry
from sqlalchemy import DateTime, String
from sqlalchemy import Enum as EnumColumn
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from services.catalogue.cluster_file import Channel, Unit
from services.kit.database import Db
from services.kit.pages import page_size
from services.kit.service import Service
from services.kit.text import Text, text_column

service = Service("catalogue")
strawberry.enum(Channel, name="ServiceChannel", description="How a service reaches people.")
strawberry.enum(Unit, name="StandardUnit", description="What a service standard is measured in.")
ONTARIO = ZoneInfo("America/Toronto")
MONTHS_SHOWN = 12


class Row(SQLModel, registry=registry()):
    """The base of this service's tables."""


def code_column() -> Any:
    """The slug that the files give an entry."""
    return Field(sa_type=String, primary_key=True)


def retired_column() -> Any:
    """When the files ceased to name it; null while they do."""
    return Field(default=None, sa_type=DateTime(timezone=True))


@service.object_type(name="ServiceFee")
@dataclass
class Fee:
    """What a service costs from a day on, in cents."""

    cents: int
    since: date


@service.object_type()
@dataclass
class Achievement:
    """How often the target was met in the months that were measured."""

    months: int
    months_met: int
    percent: float
    met: bool


@service.entity(key="code")
class Cluster(Row, table=True):
    """A customer-based group of ministries with a shared vision."""

    code: strawberry.ID = code_column()
    name: Text = text_column()
    vision: Text = text_column()
    retired_at: datetime | None = retired_column()

    async def ministries(self, db: Db) -> list["Ministry"]:
        """Its ministries and central agencies; one can be in two clusters."""
        members = await db.where(Membership, cluster_code=self.code)
        found = await asyncio.gather(*(db.one(Ministry, member.ministry_code) for member in members))
        return [ministry for ministry in found if ministry is not None]

    async def services(self, db: Db) -> list["GovernmentService"]:
        """The services that it delivers."""
        return [s for s in await db.where(GovernmentService, cluster_code=self.code) if s.retired_at is None]


class Membership(Row, table=True):
    """A ministry in a cluster."""

    cluster_code: str = Field(primary_key=True)
    ministry_code: str = Field(primary_key=True, index=True)


@service.entity(key="code")
class Ministry(Row, table=True):
    """A ministry or central agency."""

    code: strawberry.ID = code_column()
    name: Text = text_column()
    retired_at: datetime | None = retired_column()

    async def clusters(self, db: Db) -> list[Cluster]:
        """The clusters that it is part of."""
        memberships = await db.where(Membership, ministry_code=self.code)
        found = await asyncio.gather(*(db.one(Cluster, member.cluster_code) for member in memberships))
        return [cluster for cluster in found if cluster is not None]

    async def services(self, db: Db) -> list["GovernmentService"]:
        """The services that it answers for."""
        return [s for s in await db.where(GovernmentService, ministry_code=self.code) if s.retired_at is None]


@service.entity(key="code")
class GovernmentService(Row, table=True):
    """Something that people can ask of the government: how it works, what it asks, how long it takes, what it costs."""

    code: strawberry.ID = code_column()
    name: Text = text_column()
    description: Text = text_column()
    process: Text = text_column()
    expected: Text = text_column()
    duration: Text = text_column()
    cluster_code: str = Field(index=True, exclude=True)
    ministry_code: str = Field(index=True, exclude=True)
    channel_names: list[str] = Field(sa_type=JSONB, exclude=True)
    fee_data: list[dict[str, Any]] = Field(sa_type=JSONB, exclude=True)
    retired_at: datetime | None = retired_column()

    async def cluster(self, db: Db) -> Cluster | None:
        """The cluster that delivers it."""
        return await db.one(Cluster, self.cluster_code)

    async def ministry(self, db: Db) -> Ministry | None:
        """The ministry that answers for it."""
        return await db.one(Ministry, self.ministry_code)

    def channels(self) -> list[Channel]:
        """How it can be reached; the customer chooses."""
        return [Channel(name) for name in self.channel_names]

    def fees(self) -> list[Fee]:
        """Its fees, each from its day on, oldest first. Empty where no fee of its own is set."""
        return self._fees()

    def _fees(self) -> list[Fee]:
        return [Fee(cents=fee["cents"], since=date.fromisoformat(fee["from"])) for fee in self.fee_data]

    def fee_cents(self, on: date | None = None) -> int | None:
        """The fee on a day (by default today in Ontario), in cents; null where none is set."""
        day = on or datetime.now(ONTARIO).date()
        return next((fee.cents for fee in reversed(self._fees()) if fee.since <= day), None)

    async def standards(self, db: Db) -> list["ServiceStandard"]:
        """What it promises."""
        return [s for s in await db.where(ServiceStandard, service_code=self.code) if s.retired_at is None]


@service.entity(key="code")
class ServiceStandard(Row, table=True):
    """A promise: `percent` of cases within `target` units."""

    code: strawberry.ID = code_column()
    service_code: str = Field(index=True, exclude=True)
    name: Text = text_column()
    target: float
    unit: Unit = Field(sa_type=EnumColumn(Unit, native_enum=False, length=20))
    percent: int
    lines: list[str] = Field(sa_type=JSONB, exclude=True)
    retired_at: datetime | None = retired_column()

    async def results(self, db: Db, first: int | None = None) -> list["MeasuredResult"]:
        """What was really achieved, latest month first; by default the last twelve results."""
        size = page_size(MONTHS_SHOWN if first is None else first)
        return (await self._measured(db))[:size]

    async def achieved(self, db: Db, first: int | None = None) -> Achievement | None:
        """Target against achievement over the latest months in which somebody asked, by default twelve; null where
        nothing was measured. A month in which several lines count is met when each of them met it."""
        size = page_size(MONTHS_SHOWN if first is None else first)
        months: dict[date, bool] = {}
        for result in await self._measured(db):
            if result.volume:
                months[result.month] = months.get(result.month, True) and result._met
        met = list(months.values())[:size]
        if not met:
            return None
        percent = round(100 * sum(met) / len(met), 1)
        return Achievement(months=len(met), months_met=sum(met), percent=percent, met=percent >= self.percent)

    async def _measured(self, db: Db) -> list["MeasuredResult"]:
        return (await db.where(MeasuredResult, standard_code=self.code))[::-1]


@service.object_type()
class MeasuredResult(Row, table=True):
    """What one month achieved, beside the target that held when it was published. `line` is the telephone line that
    was measured; empty where the standard counts none."""

    standard_code: str = Field(primary_key=True, exclude=True)
    month: date = Field(primary_key=True)
    line: str = Field(primary_key=True)
    value: float
    target: float
    volume: int
    published_at: datetime = Field(sa_type=DateTime(timezone=True))
    published_by: str | None = Field(default=None, exclude=True)  # a subject; null for what a file said

    def met(self) -> bool | None:
        """Whether the target was met; null for a month in which nobody asked."""
        return self._met if self.volume else None

    @property
    def _met(self) -> bool:
        return self.value <= self.target
