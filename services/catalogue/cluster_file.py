"""What a cluster's file may say: its shape and its rules, as pydantic models. No I/O, no database.

The files are written by people in ministries, so a text must exist in both languages, a code is a short English slug,
and unknown keys are refused: a misspelt one would otherwise be lost in silence.
"""

from datetime import date
from enum import Enum
from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, field_validator
from pydantic_core import PydanticCustomError

from services.kit.inputs import hostile_character

LONGEST_TEXT = 600
LARGEST_CENTS = 2**31 - 1  # GraphQL's Int has 32 bits


def _clean(value: str) -> str:
    if (character := hostile_character(value)) is not None:
        raise PydanticCustomError("hostile_character", "hostile character", {"character": character})
    return value


def _collapsed(value: str) -> str:
    return " ".join(value.split())


Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=80)]
Line = Annotated[str, AfterValidator(_clean), AfterValidator(_collapsed), Field(min_length=1, max_length=200)]
Half = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT), AfterValidator(_clean)]


class Channel(Enum):
    """How a service reaches people."""

    ONLINE = "ONLINE"
    COUNTER = "COUNTER"
    TELEPHONE = "TELEPHONE"
    MAIL = "MAIL"
    KIOSK = "KIOSK"


class Unit(Enum):
    """What a service standard is measured in."""

    MINUTES = "MINUTES"
    HOURS = "HOURS"
    BUSINESS_DAYS = "BUSINESS_DAYS"
    CALENDAR_DAYS = "CALENDAR_DAYS"


class Entry(BaseModel):
    """Any table of a cluster's file."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Bilingual(Entry):
    """A text in both languages; neither may be missing."""

    en: Half
    fr: Half


class FeeEntry(Entry):
    """What a service costs from a day on, in cents."""

    since: date = Field(alias="from")
    cents: int = Field(ge=0, le=LARGEST_CENTS, strict=True)


class StandardEntry(Entry):
    """A promise: `percent` of cases within `target` units. `lines` are the telephone lines whose measures count for it."""

    code: Code
    name: Bilingual
    target: float = Field(gt=0, le=10_000, strict=True, allow_inf_nan=False)
    unit: Unit
    percent: int = Field(ge=1, le=100, strict=True)
    lines: tuple[Line, ...] = ()


class ServiceEntry(Entry):
    """A service that people can ask for."""

    code: Code
    ministry: Code
    channels: tuple[Channel, ...] = Field(min_length=1)
    name: Bilingual
    description: Bilingual
    process: Bilingual
    expected: Bilingual
    duration: Bilingual
    fees: tuple[FeeEntry, ...] = ()
    standards: tuple[StandardEntry, ...] = ()

    @field_validator("fees")
    @classmethod
    def fees_in_order(cls, fees: tuple[FeeEntry, ...]) -> tuple[FeeEntry, ...]:
        """Each fee begins after the one before it, so that one fee holds on any day."""
        if any(a.since >= b.since for a, b in pairwise(fees)):
            raise PydanticCustomError("fees_out_of_order", "fees out of order")
        return fees


class MinistryEntry(Entry):
    """A ministry or central agency of the cluster. One that is in two clusters is written alike in both files."""

    code: Code
    name: Bilingual


class SubgraphEntry(Entry):
    """A federated service that the cluster delivers: its name, its local address, and the ministry that owns it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=60)]
    url: HttpUrl
    owner: Code


class ClusterEntry(Entry):
    """A whole file."""

    code: Code
    name: Bilingual
    vision: Bilingual
    ministries: tuple[MinistryEntry, ...] = Field(min_length=1)
    subgraphs: tuple[SubgraphEntry, ...] = ()
    services: tuple[ServiceEntry, ...] = ()


def entries(cluster: ClusterEntry) -> list[tuple[str, str, tuple[Any, ...]]]:
    """Every code of a file as (kind, code, path), in file order; codes of a kind are unique over all files, except
    that a ministry may stand in two."""
    found: list[tuple[str, str, tuple[Any, ...]]] = [("cluster", cluster.code, ("code",))]
    found += [("subgraph", s.name, ("subgraphs", i, "name")) for i, s in enumerate(cluster.subgraphs)]
    for i, service in enumerate(cluster.services):
        found.append(("service", service.code, ("services", i, "code")))
        for j, standard in enumerate(service.standards):
            found.append(("standard", standard.code, ("services", i, "standards", j, "code")))
            found += [("line", line, ("services", i, "standards", j, "lines")) for line in standard.lines]
    return found
