"""Importer `ontario-locations`: the Ontario Data Catalogue's CSV of assessment centre locations → services at places.

Both languages, hours of each day, ages, appointments, transport, accessibility and languages. A row with coordinates outside
Ontario, or with hours or an age that nobody can read, is rejected with its line. A blank means that the source does not say:
only what is marked as not active is kept back. The source tells no hours for holidays, so nobody is sent there on one,
except where it never closes.
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
from services.information_referral.places import Point, canadian_postal_code, is_in_ontario
from services.information_referral.records import Record, identifier, store, web_address
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
_EXTENSION = re.compile(r"(.*?)\s*ext\.?\s*(\d{1,10})", re.IGNORECASE)
_AGE = re.compile(r"(\d{1,3})([my])")
# What a column says when it says yes, in the order in which a person would be told.
_KINDS = {
    "pharmacy": Words("pharmacy", "pharmacie"),
    "community_lab": Words("laboratory", "laboratoire"),
    "assessment_centre": Words("COVID-19 assessment centre", "centre d’évaluation de la COVID-19"),
}
_COMING = {
    "appointments": Words("By appointment.", "Sur rendez-vous."),
    "walk_ins": Words("Walk-ins are welcome.", "Sans rendez-vous aussi."),
    "drive_through": Words("Drive-through.", "Service à l’auto."),
}
_GETTING_THERE = {
    "public_transit": Words("Near public transit.", "Près du transport en commun."),
    "free_parking": Words("Free parking.", "Stationnement gratuit."),
    "paid_parking": Words("Paid parking.", "Stationnement payant."),
}
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
    postal_code = canadian_postal_code(fields["postal_code"])
    if postal_code is None:
        return reject("POSTAL_CODE_INVALID", "postal_code is none of Canada's", "postal_code n’est pas du Canada")
    threshold = fields.get("age_threshold", "")
    if threshold not in ("", "No") and not _AGE.fullmatch(threshold):
        return reject(
            "AGE_MALFORMED",
            "age_threshold is neither months (6m) nor years (2y)",
            "age_threshold n’est ni des mois (6m) ni des années (2y)",
        )
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
    service_id, location_id, offer_id = _id("service", key), _id("location", key), _id("offer", key)
    operator = fields.get("operated_by") or fields["location_name"]
    organization_id = _id("organization", operator.casefold())
    name = _text(fields["location_name"], fields.get("location_name_fr"))
    yield Organization(id=organization_id, name=_text(operator, fields.get("operated_by_fr")))
    yield Service(
        id=service_id,
        organization_id=organization_id,
        name=name,
        description=_optional(fields, "additional_information"),
        keywords=_keywords(fields, operator),
        url=web_address(fields.get("website")),
        status=_status(fields),
        application_process=_told(fields, _COMING),
        minimum_age=_minimum_age(fields),
        last_modified=_EPOCH,
    )
    yield Location(
        id=location_id,
        name=name,
        transportation=_told(fields, _GETTING_THERE),
        latitude=point.latitude,
        longitude=point.longitude,
    )
    yield ServiceAtLocation(id=offer_id, service_id=service_id, location_id=location_id)
    for place, (days, opens, closes) in enumerate(hours):
        yield Schedule(
            id=_id("schedule", key, place),
            service_at_location_id=offer_id,
            freq="WEEKLY",
            byday=days,
            opens_at=opens,
            closes_at=closes,
            closed_on_holidays=opens != closes,
        )
    if fields["phone"]:
        parts = _EXTENSION.fullmatch(fields["phone"])
        number, extension = (parts[1], parts[2]) if parts else (fields["phone"][:100], None)
        yield Phone(id=_id("phone", key), location_id=location_id, number=number, extension=extension, type="voice")
    yield Address(
        id=_id("address", key),
        location_id=location_id,
        address_1=_text(fields["address"], fields.get("address_fr")),
        city=fields["city"],
        state_province=fields.get("province") or "ON",
        postal_code=postal_code,
        country="CA",
        address_type="physical",
    )
    if _says_yes(fields, "accessible"):
        yield Accessibility(id=_id("accessibility", key), location_id=location_id, description=_ACCESSIBLE)
    for code, column in (("fr", "french_language_services"), ("ase", "asl_interpretation")):
        if _says_yes(fields, column):
            yield ServiceLanguage(id=_id("language", key, code), location_id=location_id, code=code)


def _status(fields: Fields) -> ServiceStatus:
    if fields["active"].casefold() == "no":
        return ServiceStatus.INACTIVE
    return ServiceStatus.TEMPORARILY_CLOSED if _says_yes(fields, "temporarily_closed") else ServiceStatus.ACTIVE


def _minimum_age(fields: Fields) -> float | None:
    """In years; 6m is half a year. No infants is from two."""
    if found := _AGE.fullmatch(fields.get("age_threshold", "")):
        return int(found[1]) if found[2] == "y" else round(int(found[1]) / 12, 2)
    return 2 if fields.get("children_under_2", "").casefold() == "no" else None


def _says_yes(fields: Fields, column: str) -> bool:
    return fields.get(column, "").casefold() == "yes"


def _told(fields: Fields, words: Mapping[str, Words]) -> Text | None:
    said = [told for column, told in words.items() if _says_yes(fields, column)]
    return Text(en=" ".join(w.en for w in said), fr=" ".join(w.fr for w in said)) if said else None


def _keywords(fields: Fields, operator: str) -> Text:
    """What else finds it: who operates it, where, and what kind of place it is. A name without French is the same in both."""
    kinds = [words for column, words in _KINDS.items() if _says_yes(fields, column)]
    french = fields.get("operated_by_fr") or operator
    return Text(
        en=" ".join((operator, fields["city"], *(kind.en for kind in kinds))),
        fr=" ".join((french, fields["city"], *(kind.fr for kind in kinds))),
    )


def _text(english: str, french: str | None) -> Text:
    return Text(en=english or None, fr=french or None)


def _optional(fields: Fields, column: str) -> Text | None:
    english, french = (" ".join(fields.get(name, "").split()) for name in (column, f"{column}_fr"))
    return _text(english, french) if english or french else None


def _id(*key: object) -> ID:
    return identifier(SOURCE, *key)
