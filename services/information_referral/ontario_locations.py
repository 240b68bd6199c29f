"""Importer `ontario-locations`: the Ontario Data Catalogue's CSV of assessment centre locations → services at places.

Both languages, hours of each day, accessibility and languages. A row with coordinates outside Ontario is rejected; one with
hours that nobody can read keeps the rest and loses none silently: it is rejected too, with its line.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from services.information_referral.hours import DAYS, HoursMalformed, parse_day, weekly
from services.information_referral.models import (
    ID,
    Accessibility,
    Address,
    Location,
    Organization,
    Phone,
    Row,
    Schedule,
    Service,
    ServiceAtLocation,
    ServiceLanguage,
    ServiceStatus,
)
from services.information_referral.places import Point, is_in_ontario, normal_postal_code
from services.information_referral.records import Record, identifier, store
from services.kit.database import Db
from services.kit.imports import Outcomes, Parsed, Rejected, csv_records
from services.kit.language import Words
from services.kit.text import Text

SOURCE = "ontario-locations"
WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
COLUMNS = (
    "active",
    "location_id",
    "location_name",
    "city",
    "address",
    "postal_code",
    "latitude",
    "longitude",
    "phone",
    *WEEK,
)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_LONGEST_TEXT = 4_000
_ACCESSIBLE = Text(en="Marked as accessible by its operator.", fr="Indiqué comme accessible par son exploitant.")
Fields = Mapping[str, str]


class OntarioLocations:
    """Takes the catalogue's locations."""

    service = "information_referral"
    batch_size = 500

    def read(self, path: Path) -> Iterator[Parsed[Record] | Rejected]:
        """A location per row. Raises FileRefused."""
        for item in csv_records(path, COLUMNS):
            yield item if isinstance(item, Rejected) else location_record(item)

    async def write(self, db: Db, batch: Sequence[Parsed[Record]]) -> Outcomes:
        """Store a batch; a second time finds everything unchanged."""
        return await store(db, SOURCE, [item.record for item in batch])


importer = OntarioLocations()


def location_record(item: Parsed[dict[str, str]]) -> Parsed[Record] | Rejected:
    """The record of a row, or why there is none."""
    fields = item.record
    reject = _Rejecting(item)
    if not re.fullmatch(r"\d{1,9}", fields["location_id"]):
        return reject("NO_IDENTIFIER", "location_id is not a number", "location_id n’est pas un nombre")
    if not fields["location_name"] or max(map(len, fields.values())) > _LONGEST_TEXT:
        return reject(
            "NO_NAME", "location_name is empty or a text too long", "location_name est vide ou un texte trop long"
        )
    point = _point(fields)
    if point is None:
        return reject(
            "COORDINATES_INVALID",
            "latitude and longitude are no place in Ontario",
            "latitude et longitude ne désignent aucun lieu en Ontario",
        )
    postal_code = normal_postal_code(fields["postal_code"])
    if postal_code is None:
        return reject("POSTAL_CODE_INVALID", "postal_code is none of Ontario's", "postal_code n’est pas de l’Ontario")
    try:
        days = {
            day: hours for day, name in zip(DAYS, WEEK, strict=True) if (hours := parse_day(fields[name])) is not None
        }
    except HoursMalformed as error:
        return reject("HOURS_MALFORMED", f"hours cannot be read: {error}", f"heures illisibles : {error}")
    key = fields["location_id"]
    rows = tuple(_rows(key, fields, point, postal_code, weekly(days)))
    return Parsed(item.line, Record(key, rows, (_id("service", key), _id("location", key), _id("offer", key))))


class _Rejecting:
    def __init__(self, item: Parsed[dict[str, str]]) -> None:
        self._item = item

    def __call__(self, code: str, en: str, fr: str) -> Rejected:
        return Rejected(self._item.line, code, Words(en, fr), ",".join(self._item.record.values()))


def _point(fields: Fields) -> Point | None:
    try:
        point = Point(float(fields["latitude"]), float(fields["longitude"]))
    except ValueError:
        return None
    return point if is_in_ontario(point) else None


def _rows(
    key: str, fields: Fields, point: Point, postal_code: str, hours: Sequence[tuple[str, str, str]]
) -> Iterator[Row]:
    service_id, location_id = _id("service", key), _id("location", key)
    operator = fields.get("operated_by") or fields["location_name"]
    organization_id = _id("organization", operator.casefold())
    open_now = fields["active"] == "Yes"
    closed_now = fields.get("temporarily_closed") == "Yes"
    status = ServiceStatus.TEMPORARILY_CLOSED if closed_now else ServiceStatus.ACTIVE
    name = _text(fields["location_name"], fields.get("location_name_fr"))
    yield Organization(id=organization_id, name=_text(operator, fields.get("operated_by_fr")))
    yield Service(
        id=service_id,
        organization_id=organization_id,
        name=name,
        description=_optional(fields, "additional_information"),
        keywords=_text(
            f"{operator} {fields['city']}", f"{fields.get('operated_by_fr') or ''} {fields['city']}".strip()
        ),
        url=_web(fields.get("website")),
        status=status if open_now else ServiceStatus.INACTIVE,
        last_modified=_EPOCH,
    )
    yield Location(id=location_id, name=name, latitude=point.latitude, longitude=point.longitude)
    yield ServiceAtLocation(id=_id("offer", key), service_id=service_id, location_id=location_id)
    for place, (days, opens, closes) in enumerate(hours):
        yield Schedule(
            id=_id("schedule", key, place),
            service_at_location_id=_id("offer", key),
            freq="WEEKLY",
            byday=days,
            opens_at=opens,
            closes_at=closes,
        )
    if fields["phone"]:
        yield Phone(id=_id("phone", key), location_id=location_id, number=fields["phone"][:100], type="voice")
    yield Address(
        id=_id("address", key),
        location_id=location_id,
        address_1=_text(fields["address"], fields.get("address_fr")),
        city=fields["city"],
        state_province="ON",
        postal_code=postal_code,
        country="CA",
        address_type="physical",
    )
    if fields.get("accessible") == "Yes":
        yield Accessibility(id=_id("accessibility", key), location_id=location_id, description=_ACCESSIBLE)
    for code, column in (("fr", "french_language_services"), ("ase", "asl_interpretation")):
        if fields.get(column) == "Yes":
            yield ServiceLanguage(id=_id("language", key, code), location_id=location_id, code=code)


def _text(english: str, french: str | None) -> Text:
    return Text(en=english or None, fr=french or None)


def _optional(fields: Fields, column: str) -> Text | None:
    english, french = fields.get(column), fields.get(f"{column}_fr")
    return Text(en=english or None, fr=french or None) if english or french else None


def _web(address: str | None) -> str | None:
    return address if address and re.match(r"https?://\S+$", address) else None


def _id(*key: object) -> ID:
    return identifier(SOURCE, *key)
