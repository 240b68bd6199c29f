"""The tables, named and shaped as in HSDS 3.1 (Open Referral); each is also its GraphQL type.

Ids are UUIDs: imported rows derive theirs from the source's own keys (uuid5), so that a second import finds them.
Texts that people read are `Text`, both languages side by side; a missing half is null and `missingTranslations` names it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import strawberry
from pydantic.alias_generators import to_camel
from sqlalchemy import Column, Computed, DateTime, Index, Table
from sqlalchemy import Enum as EnumType
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import registry
from sqlalchemy.types import Uuid
from sqlmodel import Field, SQLModel

from services.information_referral.subgraph import service
from services.kit.columns import id_column
from services.kit.database import Db
from services.kit.language import Language
from services.kit.personal import personal
from services.kit.text import LanguageEnum, Text, text_column

ID = strawberry.ID


class Row(SQLModel, registry=registry()):
    """The base of this service's tables."""


def reference(target: str, *, hidden: bool = True) -> Any:
    """A column that points to another table's id. Hidden from the schema, which offers the row instead."""
    return Field(
        default=None,
        sa_type=Uuid(as_uuid=False),
        foreign_key=f"{target}.id",
        ondelete="CASCADE",
        index=True,
        nullable=True,
        exclude=hidden,
    )


def words(**options: Any) -> Any:
    """A text that may be absent as a whole."""
    return text_column(default=None, nullable=True, **options)


def as_id(value: object) -> ID | None:
    """A UUID in its usual form, or None for what is none: such an id finds nothing."""
    try:
        return ID(str(UUID(str(value))))
    except ValueError:
        return None


@strawberry.enum(description="The state of a service, as HSDS names it.")
class ServiceStatus(Enum):
    """Only active services are found as open; inactive and defunct ones are not found at all."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    DEFUNCT = "defunct"
    TEMPORARILY_CLOSED = "temporarily closed"


@strawberry.enum(description="Where a location is: a place, a mailing address or online.")
class LocationType(Enum):
    """As in HSDS."""

    PHYSICAL = "physical"
    POSTAL = "postal"
    VIRTUAL = "virtual"


def stored_as_value(kind: type[Enum]) -> Any:
    """Stores an enum's member by its HSDS word."""
    return EnumType(
        kind, native_enum=False, create_constraint=False, length=24, values_callable=lambda e: [m.value for m in e]
    )


@service.object_type()
@dataclass
class MissingTranslation:
    """A text of which one half is missing."""

    field: str
    language: LanguageEnum  # type: ignore[valid-type]


def missing_halves(row: SQLModel) -> Iterator[tuple[str, Language]]:
    """The texts of a row that lack a half: (column, language)."""
    for name in type(row).model_fields:
        value = getattr(row, name)
        if isinstance(value, Text):
            yield from ((name, language) for language in value.missing)


def _missing(row: SQLModel) -> list[MissingTranslation]:
    return [MissingTranslation(field=to_camel(name), language=language) for name, language in missing_halves(row)]


@service.entity(key="id")
class Organization(Row, table=True):
    """Who delivers services."""

    id: ID = id_column()
    name: Text = text_column()
    alternate_name: Text | None = words()
    description: Text | None = words()
    email: Annotated[str | None, personal("contact", public=True)] = None
    website: str | None = None

    @classmethod
    async def find(cls, db: Db, id: str) -> "Organization | None":
        """By id; None for an id that is no UUID."""
        return await db.one(cls, key) if (key := as_id(id)) else None

    async def services(self, db: Db) -> list["Service"]:
        """The services of the organization."""
        return await db.where(Service, organization_id=self.id)

    async def phones(self, db: Db) -> list["Phone"]:
        """The organization's own lines."""
        return await db.where(Phone, organization_id=self.id)

    def missing_translations(self) -> list[MissingTranslation]:
        """Which texts lack a half."""
        return _missing(self)


@service.entity(key="id")
class Service(Row, table=True):
    """Something that an organization does for people. Ages in years; none means no limit."""

    id: ID = id_column()
    organization_id: str | None = reference("organization")
    name: Text = text_column()
    alternate_name: Text | None = words()
    description: Text | None = words()
    # What else should find it: its organization, its place, its terms. Kept by whoever writes the service.
    keywords: Text | None = words(exclude=True)
    url: str | None = None
    email: Annotated[str | None, personal("contact", public=True)] = None
    status: ServiceStatus = Field(default=ServiceStatus.ACTIVE, sa_type=stored_as_value(ServiceStatus))
    application_process: Text | None = words()
    fees_description: Text | None = words()
    eligibility_description: Text | None = words()
    minimum_age: float | None = None
    maximum_age: float | None = None
    alert: Text | None = words()
    assured_date: str | None = None
    last_modified: datetime = Field(sa_type=DateTime(timezone=True), index=True)

    @classmethod
    async def find(cls, db: Db, id: str) -> "Service | None":
        """By id; None for an id that is no UUID."""
        return await db.one(cls, key) if (key := as_id(id)) else None

    async def organization(self, db: Db) -> Organization | None:
        """Who delivers it."""
        return await db.one(Organization, self.organization_id) if self.organization_id else None

    async def service_at_locations(self, db: Db) -> list["ServiceAtLocation"]:
        """Where it is given, each place with its own hours and lines."""
        return await db.where(ServiceAtLocation, service_id=self.id)

    async def phones(self, db: Db) -> list["Phone"]:
        """The lines of the service as a whole."""
        return await db.where(Phone, service_id=self.id)

    async def schedules(self, db: Db) -> list["Schedule"]:
        """The hours of the service as a whole."""
        return await db.where(Schedule, service_id=self.id)

    async def languages(self, db: Db) -> list["ServiceLanguage"]:
        """The languages in which it is given."""
        return await db.where(ServiceLanguage, service_id=self.id)

    async def cost_options(self, db: Db) -> list["CostOption"]:
        """What it costs."""
        return await db.where(CostOption, service_id=self.id)

    async def attributes(self, db: Db) -> list["Attribute"]:
        """Its terms in the taxonomies."""
        return await db.where(Attribute, service_id=self.id)

    def missing_translations(self) -> list[MissingTranslation]:
        """Which texts lack a half."""
        return _missing(self)


@service.entity(key="id")
class Location(Row, table=True):
    """A place. Degrees, WGS 84; none for a place that is online or by mail."""

    id: ID = id_column()
    location_type: LocationType = Field(default=LocationType.PHYSICAL, sa_type=stored_as_value(LocationType))
    name: Text | None = words()
    description: Text | None = words()
    transportation: Text | None = words()
    latitude: float | None = None
    longitude: float | None = None

    __table_args__ = (Index("ix_location_point", "latitude", "longitude"),)

    @classmethod
    async def find(cls, db: Db, id: str) -> "Location | None":
        """By id; None for an id that is no UUID."""
        return await db.one(cls, key) if (key := as_id(id)) else None

    async def addresses(self, db: Db) -> list["Address"]:
        """Its addresses."""
        return await db.where(Address, location_id=self.id)

    async def accessibility(self, db: Db) -> list["Accessibility"]:
        """What is known of how people with disabilities get in and around."""
        return await db.where(Accessibility, location_id=self.id)

    async def phones(self, db: Db) -> list["Phone"]:
        """The lines of the place."""
        return await db.where(Phone, location_id=self.id)

    async def schedules(self, db: Db) -> list["Schedule"]:
        """The hours of the place."""
        return await db.where(Schedule, location_id=self.id)

    async def languages(self, db: Db) -> list["ServiceLanguage"]:
        """The languages spoken there."""
        return await db.where(ServiceLanguage, location_id=self.id)

    def missing_translations(self) -> list[MissingTranslation]:
        """Which texts lack a half."""
        return _missing(self)


@service.entity(key="id")
class ServiceAtLocation(Row, table=True):
    """A service at one of its places."""

    __tablename__ = "service_at_location"

    id: ID = id_column()
    service_id: str = reference("service")
    location_id: str | None = reference("location")
    description: Text | None = words()

    @classmethod
    async def find(cls, db: Db, id: str) -> "ServiceAtLocation | None":
        """By id; None for an id that is no UUID."""
        return await db.one(cls, key) if (key := as_id(id)) else None

    async def service(self, db: Db) -> Service | None:
        """The service."""
        return await db.one(Service, self.service_id)

    async def location(self, db: Db) -> Location | None:
        """The place."""
        return await db.one(Location, self.location_id) if self.location_id else None

    async def schedules(self, db: Db) -> list["Schedule"]:
        """The hours of the service here."""
        return await db.where(Schedule, service_at_location_id=self.id)

    async def phones(self, db: Db) -> list["Phone"]:
        """The lines of the service here."""
        return await db.where(Phone, service_at_location_id=self.id)


@service.object_type()
class Schedule(Row, table=True):
    """Hours that repeat by iCalendar's rule, on Ontario's wall clock: `byday` like `MO,TU`, times like `09:00`.

    Closing at or before the opening means the next day. Outside `valid_from` to `valid_to` (dates) it does not hold.
    """

    id: ID = id_column()
    service_id: str | None = reference("service")
    location_id: str | None = reference("location")
    service_at_location_id: str | None = reference("service_at_location")
    freq: str | None = None
    interval: int | None = None
    byday: str | None = None
    bymonthday: str | None = None
    opens_at: str | None = None
    closes_at: str | None = None
    valid_from: str | None = None
    valid_to: str | None = None
    closed_on_holidays: bool = False
    description: Text | None = words()


@service.object_type()
class Phone(Row, table=True):
    """A telephone line."""

    id: ID = id_column()
    service_id: str | None = reference("service")
    location_id: str | None = reference("location")
    service_at_location_id: str | None = reference("service_at_location")
    organization_id: str | None = reference("organization")
    number: Annotated[str, personal("contact", public=True)]
    extension: str | None = None
    type: str | None = None
    description: Text | None = words()


@service.object_type()
class Address(Row, table=True):
    """A postal or street address."""

    id: ID = id_column()
    location_id: str | None = reference("location")
    address_1: Text = text_column()
    address_2: str | None = None
    city: str
    state_province: str
    postal_code: str
    country: str
    address_type: str


@service.object_type()
class ServiceLanguage(Row, table=True):
    """A language in which a service is given or that is spoken at a place. `code` by ISO 639, e.g. `fr`, `ase`."""

    __tablename__ = "language"

    id: ID = id_column()
    service_id: str | None = reference("service")
    location_id: str | None = reference("location")
    code: str | None = Field(default=None, index=True)
    name: str | None = None
    note: Text | None = words()


@service.object_type()
class Accessibility(Row, table=True):
    """How people with disabilities get in and around a place."""

    id: ID = id_column()
    location_id: str | None = reference("location")
    description: Text | None = words()
    details: Text | None = words()
    url: str | None = None


@service.object_type()
class CostOption(Row, table=True):
    """What a service costs, by who asks. `amount` in `currency`; 0 is free."""

    __tablename__ = "cost_option"

    id: ID = id_column()
    service_id: str | None = reference("service")
    option: Text | None = words()
    currency: str | None = None
    amount: float | None = None


@service.entity(key="id")
class Taxonomy(Row, table=True):
    """A list of terms by which services are sorted."""

    id: ID = id_column()
    name: Text = text_column()
    description: Text = text_column()
    uri: str | None = None
    version: str | None = None

    @classmethod
    async def find(cls, db: Db, id: str) -> "Taxonomy | None":
        """By id; None for an id that is no UUID."""
        return await db.one(cls, key) if (key := as_id(id)) else None


@service.entity(key="id")
class TaxonomyTerm(Row, table=True):
    """A term of a taxonomy."""

    __tablename__ = "taxonomy_term"

    id: ID = id_column()
    taxonomy_id: str | None = reference("taxonomy")
    parent_id: str | None = reference("taxonomy_term")
    code: str | None = Field(default=None, index=True)
    name: Text = text_column()
    description: Text = text_column()

    @classmethod
    async def find(cls, db: Db, id: str) -> "TaxonomyTerm | None":
        """By id; None for an id that is no UUID."""
        return await db.one(cls, key) if (key := as_id(id)) else None

    async def taxonomy(self, db: Db) -> Taxonomy | None:
        """The list it belongs to."""
        return await db.one(Taxonomy, self.taxonomy_id) if self.taxonomy_id else None


@service.object_type()
class Attribute(Row, table=True):
    """That a term applies to a service."""

    id: ID = id_column()
    service_id: str | None = reference("service")
    taxonomy_term_id: str | None = reference("taxonomy_term")
    value: str | None = None

    async def taxonomy_term(self, db: Db) -> TaxonomyTerm | None:
        """The term."""
        return await db.one(TaxonomyTerm, self.taxonomy_term_id) if self.taxonomy_term_id else None


class Imported(Row, table=True):
    """What an import last wrote for a record of its source: a second import leaves alone what has not changed."""

    source: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    content_hash: str


TABLES: tuple[type[Row], ...] = (
    Organization,
    Taxonomy,
    TaxonomyTerm,
    Service,
    Location,
    ServiceAtLocation,
    Schedule,
    Phone,
    Address,
    ServiceLanguage,
    Accessibility,
    CostOption,
    Attribute,
)


def table_of(model: type[SQLModel]) -> Table:
    """The table of a model."""
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


def _search_vector(language: Language) -> Column[Any]:
    """What is searched in one language, kept by PostgreSQL. Not a field of the class: rows are read without it."""
    weights = {"name": "A", "alternate_name": "A", "keywords": "B", "description": "C", "eligibility_description": "D"}
    configuration = f"onedoor_{language.value}"
    # Apostrophes part words in French; not every locale's parser knows the typographic one.
    parts = (
        f"setweight(to_tsvector('{configuration}', translate(coalesce({name}->>'{language.value}', ''), '’''-', '   ')), '{w}')"
        for name, w in weights.items()
    )
    return Column(f"search_{language.value}", TSVECTOR, Computed(" || ".join(parts), persisted=True))


SEARCH = {language: _search_vector(language) for language in Language}
for _language, _column in SEARCH.items():
    table_of(Service).append_column(_column)
    Index(f"ix_service_search_{_language.value}", _column, postgresql_using="gin")
