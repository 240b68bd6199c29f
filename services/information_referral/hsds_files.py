"""Importer `hsds`: services as full HSDS 3.x objects → the directory.

Takes a JSON array, a page (`contents`), one object, or JSON Lines. HSDS texts have one language: the file's own, English
unless an object says `"language": "fr"`; an object `{"en": ..., "fr": ...}` in place of a text gives both halves.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from services.information_referral.models import (
    ID,
    Accessibility,
    Address,
    Attribute,
    CostOption,
    Location,
    LocationType,
    Organization,
    Phone,
    Row,
    Schedule,
    Service,
    ServiceAtLocation,
    ServiceLanguage,
    ServiceStatus,
    Taxonomy,
    TaxonomyTerm,
    as_id,
)
from services.information_referral.places import Point, is_in_ontario
from services.information_referral.records import Record, identifier, store
from services.kit.database import Db
from services.kit.imports import FileRefused, Outcomes, Parsed, Rejected, rejected_text
from services.kit.language import Words
from services.kit.text import Text

SOURCE = "hsds"
LARGEST_FILE = 256 * 2**20
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
Json = Mapping[str, Any]
E = TypeVar("E", ServiceStatus, LocationType)


class Unfit(ValueError):
    """An object that is no HSDS service; the reason in both languages."""

    def __init__(self, en: str, fr: str) -> None:
        super().__init__(en)
        self.words = Words(en, fr)


class HsdsFiles:
    """Takes full HSDS service objects."""

    service = "information_referral"
    batch_size = 200

    def read(self, path: Path) -> Iterator[Parsed[Record] | Rejected]:
        """A service per object; `line` counts objects, except in JSON Lines. Raises FileRefused."""
        for line, given in objects(path):
            yield given if isinstance(given, Rejected) else _parsed(line, given)

    async def write(self, db: Db, batch: Sequence[Parsed[Record]]) -> Outcomes:
        """Store a batch; a second time finds everything unchanged."""
        return await store(db, SOURCE, [item.record for item in batch])


importer = HsdsFiles()


def objects(path: Path) -> Iterator[tuple[int, Any]]:
    """The objects of a file with their places. Raises FileRefused."""
    if path.stat().st_size > LARGEST_FILE:
        raise FileRefused(f"{path} is larger than 256 MiB; split it", f"{path} dépasse 256 Mio; divisez-le")
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        first = file.readline()
        file.seek(0)
        try:
            whole = json.loads(first)
            by_line = bool(first.strip()) and isinstance(whole, dict) and bool(file.read(1))
        except (ValueError, RecursionError):
            by_line, whole = False, None
        file.seek(0)
        if by_line and len(first) < path.stat().st_size - 3:
            yield from _lines(file)
            return
        try:
            whole = json.load(file)
        except (ValueError, RecursionError) as error:
            raise FileRefused(f"{path} is not JSON: {error}", f"{path} n’est pas du JSON : {error}") from None
    if isinstance(whole, dict):
        whole = whole.get("contents", [whole])
    if not isinstance(whole, list):
        raise FileRefused(f"{path} holds no list of services", f"{path} ne contient aucune liste de services")
    yield from enumerate(whole, 1)


def _lines(file: Any) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, Rejected(number, "NOT_JSON", Words(f"not JSON: {error}", f"pas du JSON : {error}"), line)


def _parsed(line: int, given: Any) -> Parsed[Record] | Rejected:
    raw = json.dumps(given, ensure_ascii=False)[:2000]
    if (hostile := rejected_text(line, given, raw)) is not None:
        return hostile
    try:
        return Parsed(line, service_record(given))
    except Unfit as unfit:
        return Rejected(line, "NOT_HSDS", unfit.words, raw)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        reason = Words(f"not a full HSDS service: {error!r}", f"ce n’est pas un service HSDS complet : {error!r}")
        return Rejected(line, "NOT_HSDS", reason, raw)


def service_record(given: Any) -> Record:
    """The record of a full service object. Raises Unfit, and ValueError for values of wrong types."""
    if not isinstance(given, dict):
        raise Unfit("not an object", "ce n’est pas un objet")
    key = str(given.get("id") or "")
    if not key or not given.get("name"):
        raise Unfit("a service needs id and name", "un service exige id et name")
    reader = _Reader(key, "fr" if given.get("language") == "fr" else "en")
    rows = tuple(reader.service(given))
    return Record(key, rows, tuple(reader.roots))


class _Reader:
    """Turns the objects of one service into rows. Ids that are UUIDs are kept; others give one of their own."""

    def __init__(self, key: str, language: str) -> None:
        self._key, self._language = key, language
        self.roots: list[str] = []

    def service(self, given: Json) -> Iterator[Row]:
        service_id = self._id("service", given)
        self.roots.append(service_id)
        organization = given.get("organization") or {}
        organization_id = self._id("organization", organization) if organization else None
        if organization_id:
            yield self._organization(organization_id, organization)
        yield Service(
            id=service_id,
            organization_id=organization_id,
            name=self._required(given, "name"),
            alternate_name=self._text(given, "alternate_name"),
            description=self._text(given, "description"),
            keywords=self._text(organization, "name"),
            url=_string(given, "url"),
            email=_string(given, "email"),
            status=_member(ServiceStatus, given.get("status", "active"), "status"),
            application_process=self._text(given, "application_process"),
            fees_description=self._text(given, "fees_description"),
            eligibility_description=self._text(given, "eligibility_description"),
            minimum_age=_number(given, "minimum_age"),
            maximum_age=_number(given, "maximum_age"),
            alert=self._text(given, "alert"),
            assured_date=_string(given, "assured_date"),
            last_modified=_EPOCH,
        )
        yield from self._shared(given, "service_id", service_id)
        for place, cost in enumerate(_list(given, "cost_options")):
            yield CostOption(
                id=self._id("cost", cost, place),
                service_id=service_id,
                option=self._text(cost, "option"),
                currency=(_string(cost, "currency") or "").upper() or None,
                amount=_number(cost, "amount"),
            )
        for place, attribute in enumerate(_list(given, "attributes")):
            yield from self._attribute(attribute, service_id, place)
        for place, offer in enumerate(_list(given, "service_at_locations")):
            yield from self._offer(offer, service_id, place)

    def _organization(self, organization_id: ID, given: Json) -> Organization:
        return Organization(
            id=organization_id,
            name=self._required(given, "name"),
            alternate_name=self._text(given, "alternate_name"),
            description=self._text(given, "description"),
            email=_string(given, "email"),
            website=_string(given, "website"),
        )

    def _offer(self, given: Json, service_id: str, place: int) -> Iterator[Row]:
        offer_id = self._id("offer", given, place)
        location = given.get("location") or {}
        location_id = self._id("location", location, place) if location else None
        if location_id:
            yield from self._location(location_id, location)
        self.roots.append(offer_id)
        yield ServiceAtLocation(
            id=offer_id, service_id=service_id, location_id=location_id, description=self._text(given, "description")
        )
        yield from self._shared(given, "service_at_location_id", offer_id)

    def _location(self, location_id: ID, given: Json) -> Iterator[Row]:
        latitude, longitude = _number(given, "latitude"), _number(given, "longitude")
        if latitude is not None and longitude is not None and not is_in_ontario(Point(latitude, longitude)):
            raise Unfit(
                "location: latitude and longitude are no place in Ontario",
                "location : latitude et longitude ne désignent aucun lieu en Ontario",
            )
        self.roots.append(location_id)
        yield Location(
            id=location_id,
            location_type=_member(LocationType, given.get("location_type", "physical"), "location_type"),
            name=self._text(given, "name"),
            description=self._text(given, "description"),
            transportation=self._text(given, "transportation"),
            latitude=latitude,
            longitude=longitude,
        )
        for place, address in enumerate(_list(given, "addresses")):
            yield Address(
                id=self._id("address", address, location_id, place),
                location_id=location_id,
                address_1=self._required(address, "address_1"),
                address_2=_string(address, "address_2"),
                city=_string(address, "city") or "",
                state_province=_string(address, "state_province") or "",
                postal_code=_string(address, "postal_code") or "",
                country=_string(address, "country") or "",
                address_type=_string(address, "address_type") or "physical",
            )
        for place, access in enumerate(_list(given, "accessibility")):
            yield Accessibility(
                id=self._id("accessibility", access, location_id, place),
                location_id=location_id,
                description=self._text(access, "description"),
                details=self._text(access, "details"),
                url=_string(access, "url"),
            )
        yield from self._shared(given, "location_id", location_id)

    def _shared(self, given: Json, parent: str, parent_id: str) -> Iterator[Row]:
        """Phones, schedules and languages, which hang on several kinds of object."""
        for place, phone in enumerate(_list(given, "phones")):
            row = Phone(
                id=self._id("phone", phone, parent_id, place),
                number=_string(phone, "number") or "",
                extension=_string(phone, "extension"),
                type=_string(phone, "type"),
                description=self._text(phone, "description"),
            )
            setattr(row, parent, parent_id)
            yield row
        for place, hours in enumerate(_list(given, "schedules")):
            schedule = Schedule(
                id=self._id("schedule", hours, parent_id, place),
                freq=_string(hours, "freq"),
                interval=int(i) if (i := _number(hours, "interval")) else None,
                byday=_string(hours, "byday"),
                bymonthday=_string(hours, "bymonthday"),
                opens_at=_clock(hours, "opens_at"),
                closes_at=_clock(hours, "closes_at"),
                valid_from=_string(hours, "valid_from"),
                valid_to=_string(hours, "valid_to"),
                description=self._text(hours, "description"),
            )
            setattr(schedule, parent, parent_id)
            yield schedule
        if parent == "service_at_location_id":
            return
        for place, spoken in enumerate(_list(given, "languages")):
            language = ServiceLanguage(
                id=self._id("language", spoken, parent_id, place),
                code=_string(spoken, "code"),
                name=_string(spoken, "name"),
                note=self._text(spoken, "note"),
            )
            setattr(language, parent, parent_id)
            yield language

    def _attribute(self, given: Json, service_id: str, place: int) -> Iterator[Row]:
        term = given.get("taxonomy_term")
        if not isinstance(term, dict):
            return
        detail = term.get("taxonomy_detail") or {}
        taxonomy_id = None
        if detail:
            taxonomy_id = self._id("taxonomy", detail)
            name = self._required(detail, "name")
            yield Taxonomy(id=taxonomy_id, name=name, description=self._text(detail, "description") or name)
        term_id = self._id("term", term)
        name = self._required(term, "name")
        yield TaxonomyTerm(
            id=term_id,
            taxonomy_id=taxonomy_id,
            code=_string(term, "code"),
            name=name,
            description=self._text(term, "description") or name,
        )
        yield Attribute(
            id=self._id("attribute", given, place),
            service_id=service_id,
            taxonomy_term_id=term_id,
            value=_string(given, "value"),
        )

    def _id(self, kind: str, given: Json, *place: object) -> ID:
        """The object's own UUID; for a part that many services share word for word, one per parent."""
        if not isinstance(given, dict):
            raise Unfit(f"{kind} is not an object", f"{kind} n’est pas un objet")
        own = given.get("id")
        if place and kind not in ("offer", "location"):
            return identifier(SOURCE, kind, self._key, own, *place)
        return as_id(own) or identifier(SOURCE, kind, own or self._key, *place)

    def _text(self, given: Json, name: str) -> Text | None:
        value = given.get(name)
        if value in (None, ""):
            return None
        if isinstance(value, dict):
            return Text(en=value.get("en"), fr=value.get("fr"))
        if not isinstance(value, str):
            raise Unfit(f"{name} is not a text", f"{name} n’est pas un texte")
        return Text(**{self._language: value})

    def _required(self, given: Json, name: str) -> Text:
        text = self._text(given, name)
        if text is None:
            raise Unfit(f"{name} is missing", f"{name} manque")
        return text


def _list(given: Json, name: str) -> list[Json]:
    value = given.get(name) or []
    if not isinstance(value, list):
        raise Unfit(f"{name} is not a list", f"{name} n’est pas une liste")
    return value


def _string(given: Json, name: str) -> str | None:
    value = given.get(name)
    return str(value) if isinstance(value, str | int | float) and value != "" else None


def _number(given: Json, name: str) -> float | None:
    value = given.get(name)
    if value in (None, ""):
        return None
    number = float(value)  # what is no number raises
    if not -1e12 < number < 1e12:
        raise Unfit(f"{name} is not a usable number", f"{name} n’est pas un nombre utilisable")
    return number


def _clock(given: Json, name: str) -> str | None:
    """A time of day as HH:MM."""
    value = _string(given, name)
    return value[:5] if value else None


def _member(kind: type[E], value: Any, name: str) -> E:
    try:
        return kind(value)
    except ValueError:
        words = ", ".join(member.value for member in kind)
        raise Unfit(f"{name} is none of {words}", f"{name} n’est aucun de {words}") from None
