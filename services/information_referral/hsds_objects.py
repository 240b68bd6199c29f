"""One HSDS 3.x object → the rows of a record.

HSDS texts have one language: English unless the object says `"language": "fr"`; an object `{"en": ..., "fr": ...}` in place
of a text gives both halves. Ids that are UUIDs are kept.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
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
from services.information_referral.records import Record, identifier, web_address
from services.kit.language import Words
from services.kit.text import Text

SOURCE = "hsds"
ADDRESS_TYPES = ("physical", "postal", "virtual")
FREQUENCIES, DAYS = ("WEEKLY", "MONTHLY"), re.compile(r"-?\d*(MO|TU|WE|TH|FR|SA|SU)(,-?\d*(MO|TU|WE|TH|FR|SA|SU))*")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?(Z|[+-]\d\d:\d\d)?")
_DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
Json = Mapping[str, Any]
E = TypeVar("E", ServiceStatus, LocationType)
# What tells the kinds of object apart that have only id, name and description in common.
_OF_A_TERM = frozenset({"taxonomy", "taxonomy_detail", "term_uri", "code", "parent_id"})
_OF_AN_ORGANIZATION = frozenset(
    {
        "website",
        "email",
        "tax_status",
        "legal_status",
        "year_incorporated",
        "parent_organization_id",
        "phones",
        "contacts",
    }
    | {"funding", "locations", "programs", "organization_identifiers", "alternate_name", "additional_websites", "logo"}
)


class Unfit(ValueError):
    """An object that cannot be taken; the reason in both languages."""

    def __init__(self, en: str, fr: str) -> None:
        super().__init__(en)
        self.words = Words(en, fr)


def record_of(given: Any) -> Record:
    """The record of a full object. Raises Unfit, and ValueError for values of wrong types."""
    if not isinstance(given, dict):
        raise Unfit("not an object", "ce n’est pas un objet")
    key = str(given.get("id") or "")
    if "name" not in given and ("location" in given or "service" in given):
        raise Unfit(
            "a service at a location comes with its service; import that one, whole",
            "un service offert dans un lieu vient avec son service; importez celui-ci, complet",
        )
    if not key or not given.get("name"):
        raise Unfit("an object needs id and name", "un objet exige id et name")
    reader = _Reader(key, "fr" if given.get("language") in ("fr", "fra", "fre") else "en")
    kind, rows = reader.kind_of(given)
    return Record(f"{kind}{key}", tuple(rows(given)), tuple(reader.roots))


class _Reader:
    """Turns the objects of one service into rows. Ids that are UUIDs are kept; others give one of their own."""

    def __init__(self, key: str, language: str) -> None:
        self._key, self._language = key, language
        self.roots: list[str] = []

    def kind_of(self, given: Json) -> tuple[str, Callable[[Json], Iterator[Row]]]:
        """What an object is: what goes before its id in its record's key, and what makes its rows. Raises Unfit."""
        if "status" in given:
            return "", self.service
        if _OF_A_TERM & given.keys():
            return "taxonomy_term:", self.term
        if _OF_AN_ORGANIZATION & given.keys():
            return "organization:", self.organization
        if "version" in given or "uri" in given:
            return "taxonomy:", self.taxonomy
        raise Unfit(
            "no HSDS object that is taken here: a service needs its status",
            "aucun objet HSDS qui soit pris ici : un service exige status",
        )

    def organization(self, given: Json) -> Iterator[Row]:
        """An organization with its own lines."""
        organization_id = self._id("organization", given)
        self.roots.append(organization_id)
        yield self._organization(organization_id, given)
        yield from self._phones(given, "organization_id", organization_id)

    def taxonomy(self, given: Json) -> Iterator[Row]:
        """A list of terms."""
        name = self._required(given, "name")
        yield Taxonomy(
            id=self._id("taxonomy", given),
            name=name,
            description=self._text(given, "description") or name,
            uri=web_address(_string(given, "uri")),
            version=_string(given, "version"),
        )

    def term(self, given: Json) -> Iterator[Row]:
        """A term, with the list that it says it is of."""
        detail, taxonomy_id = given.get("taxonomy_detail"), None
        if detail:
            taxonomy_id = self._id("taxonomy", detail)
            yield from self.taxonomy(detail)
        name = self._required(given, "name")
        yield TaxonomyTerm(
            id=self._id("term", given),
            taxonomy_id=taxonomy_id,
            code=_string(given, "code"),
            name=name,
            description=self._text(given, "description") or name,
        )

    def service(self, given: Json) -> Iterator[Row]:
        """A service with all that hangs on it."""
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
            url=web_address(_string(given, "url")),
            email=_email(given),
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
            email=_email(given),
            website=web_address(_string(given, "website")),
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
                address_type=_one_of(address, "address_type", ADDRESS_TYPES) or "physical",
            )
        for place, access in enumerate(_list(given, "accessibility")):
            yield Accessibility(
                id=self._id("accessibility", access, location_id, place),
                location_id=location_id,
                description=self._text(access, "description"),
                details=self._text(access, "details"),
                url=web_address(_string(access, "url")),
            )
        yield from self._shared(given, "location_id", location_id)

    def _shared(self, given: Json, parent: str, parent_id: str) -> Iterator[Row]:
        """Phones, schedules and languages, which hang on several kinds of object."""
        yield from self._phones(given, parent, parent_id)
        for place, hours in enumerate(_list(given, "schedules")):
            schedule = Schedule(
                id=self._id("schedule", hours, parent_id, place),
                freq=_one_of(hours, "freq", FREQUENCIES),
                interval=int(i) if (i := _number(hours, "interval")) else None,
                byday=_matching(hours, "byday", DAYS),
                bymonthday=_string(hours, "bymonthday"),
                opens_at=(_matching(hours, "opens_at", _CLOCK) or "")[:5] or None,
                closes_at=(_matching(hours, "closes_at", _CLOCK) or "")[:5] or None,
                valid_from=_matching(hours, "valid_from", _DATE),
                valid_to=_matching(hours, "valid_to", _DATE),
                closed_on_holidays=hours.get("opens_at") != hours.get("closes_at"),
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

    def _phones(self, given: Json, parent: str, parent_id: str) -> Iterator[Row]:
        for place, phone in enumerate(_list(given, "phones")):
            row = Phone(
                id=self._id("phone", phone, parent_id, place),
                number=_required_string(phone, "number").strip("'\" "),
                extension=_string(phone, "extension"),
                type=_string(phone, "type"),
                description=self._text(phone, "description"),
            )
            setattr(row, parent, parent_id)
            yield row

    def _attribute(self, given: Json, service_id: str, place: int) -> Iterator[Row]:
        term = given.get("taxonomy_term")
        if not isinstance(term, dict):
            return
        term_id = self._id("term", term)
        yield from self.term(term)
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


def _required_string(given: Json, name: str) -> str:
    if (value := _string(given, name)) is None:
        raise Unfit(f"{name} is missing", f"{name} manque")
    return value


def _email(given: Json) -> str | None:
    """What is no address is left out rather than passed on."""
    value = _string(given, "email")
    return value if value and re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", value) else None


def _one_of(given: Json, name: str, allowed: tuple[str, ...]) -> str | None:
    value = _string(given, name)
    if value is not None and value not in allowed:
        words = ", ".join(allowed)
        raise Unfit(f"{name} is none of {words}", f"{name} n’est aucun de {words}")
    return value


def _matching(given: Json, name: str, pattern: re.Pattern[str]) -> str | None:
    value = _string(given, name)
    if value is not None and not pattern.fullmatch(value):
        raise Unfit(f"{name} is not as HSDS writes it", f"{name} n’est pas écrit comme dans HSDS")
    return value


def _member(kind: type[E], value: Any, name: str) -> E:
    try:
        return kind(value)
    except ValueError:
        words = ", ".join(member.value for member in kind)
        raise Unfit(f"{name} is none of {words}", f"{name} n’est aucun de {words}") from None
