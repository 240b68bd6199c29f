"""The directory as it opens: a hundred public services of Ontario from `data/ontario_services.toml`, in both languages."""

import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import delete, update

from services.information_referral.hours import Intervals, parse_day, weekly
from services.information_referral.models import (
    ID,
    Accessibility,
    Address,
    Attribute,
    CostOption,
    Imported,
    Location,
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
    table_of,
)
from services.information_referral.records import Record, identifier, store
from services.information_referral.subgraph import service as subgraph
from services.kit.database import Db
from services.kit.imports import Outcomes
from services.kit.text import Text

FILE = Path(__file__).parent / "data" / "ontario_services.toml"
SOURCE = "ontario-services"
Entry = Mapping[str, Any]
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # replaced by the moment of writing
_ACCESSIBLE = Text(
    en="A municipal building, to which Ontario’s accessibility law applies. Ask the city before you come if you need help.",
    fr="Un bâtiment municipal, soumis à la loi ontarienne sur l’accessibilité. Renseignez-vous avant de venir, au besoin.",
)


@subgraph.seed
async def ontario_services(db: Db) -> None:
    """Store the shipped services; the second time finds everything unchanged."""
    await ship(db, tomllib.loads(FILE.read_text(encoding="utf-8")))


async def ship(db: Db, data: Entry) -> Outcomes:
    """Make the directory say what the file says. A service that an earlier release shipped and this one does not is
    defunct from now on: what refers to it still finds it."""
    wanted = list(records(data))
    done = await store(db, SOURCE, wanted)
    mark = table_of(Imported).c
    gone = delete(table_of(Imported)).where(mark.source == SOURCE, mark.key.not_in([record.key for record in wanted]))
    keys = (await db.execute(gone.returning(mark.key))).scalars().all()
    if keys:
        dropped = table_of(Service)
        ids = [_id("service", key) for key in keys]
        ended = update(dropped).where(dropped.c.id.in_(ids))
        await db.execute(ended.values(status=ServiceStatus.DEFUNCT, last_modified=datetime.now(UTC)))
    return done


def records(data: Entry) -> Iterator[Record]:
    """One record per service. Raises KeyError for a code that is used and not declared."""
    for entry in data["services"]:
        places = data["places"] if entry.get("each_place") else {"": None}
        for code, place in places.items():
            yield _record(data, entry, code, place)


def _record(data: Entry, entry: Entry, place_code: str, place: Entry | None) -> Record:
    key = f"{entry['code']}@{place_code}" if place else entry["code"]
    service_id, organization_id = _id("service", key), _id("organization", entry["organization"])
    city = place["city"] if place else ""
    terms = list(_terms(data, entry["terms"], service_id))
    organization = _organization(organization_id, data["organizations"][entry["organization"]])
    service = Service(
        id=service_id,
        organization_id=organization_id,
        name=_both(entry, "name", city) or Text(),
        description=_both(entry, "description", city),
        keywords=_keywords(organization, terms, city),
        url=organization.website,
        application_process=_both(entry, "application", city),
        fees_description=_both(entry, "fees", city),
        eligibility_description=_both(entry, "eligibility", city),
        minimum_age=entry.get("minimum_age"),
        maximum_age=entry.get("maximum_age"),
        last_modified=_EPOCH,
    )
    rows: list[Row] = [organization, *terms, service, *_about(entry, key, service_id)]
    roots = [service_id]
    if place:
        offer_id = _id("offer", key)
        location_id = _id("location", place_code)
        rows += _location(location_id, place)
        rows.append(ServiceAtLocation(id=offer_id, service_id=service_id, location_id=location_id))
        roots.append(offer_id)
    return Record(key, tuple(rows), tuple(roots))


def _about(entry: Entry, key: str, service_id: str) -> Iterator[Row]:
    if number := entry.get("phone"):
        yield Phone(id=_id("phone", key), service_id=service_id, number=number, type="voice")
    for place, (days, opens, closes) in enumerate(_hours(entry["hours"])):
        yield Schedule(
            id=_id("schedule", key, place),
            service_id=service_id,
            freq="WEEKLY",
            byday=days,
            opens_at=opens,
            closes_at=closes,
            closed_on_holidays=(opens, closes) != ("00:00", "00:00"),
        )
    for code in entry["languages"]:
        yield ServiceLanguage(id=_id("language", key, code), service_id=service_id, code=code)
    if (fee := entry.get("fee")) is not None:
        option = Text(en="For everyone", fr="Pour tous")
        yield CostOption(id=_id("cost", key), service_id=service_id, option=option, currency="CAD", amount=fee)


def _hours(text: str) -> Iterator[tuple[str, str, str]]:
    """`MO,TU 08:30-17:00; SA 10:00-14:00` as rules. Raises HoursMalformed."""
    days: dict[str, Intervals] = {}
    for part in text.split(";"):
        names, _, hours = part.strip().partition(" ")
        days |= dict.fromkeys(names.split(","), parse_day(hours) or ())
    yield from weekly(days)


def _organization(organization_id: ID, entry: Entry) -> Organization:
    name = Text(en=entry["en"], fr=entry["fr"])
    return Organization(id=organization_id, name=name, description=name, website=entry["website"])


def _terms(data: Entry, codes: list[str], service_id: str) -> Iterator[Row]:
    held = data["taxonomy"]
    taxonomy_id = _id("taxonomy")
    yield Taxonomy(
        id=taxonomy_id,
        name=Text(en=held["en"], fr=held["fr"]),
        description=Text(en=held["description_en"], fr=held["description_fr"]),
    )
    for code in codes:
        name = Text(en=data["terms"][code]["en"], fr=data["terms"][code]["fr"])
        yield TaxonomyTerm(id=_id("term", code), taxonomy_id=taxonomy_id, code=code, name=name, description=name)
        attribute_id = identifier(SOURCE, "attribute", service_id, code)
        yield Attribute(id=attribute_id, service_id=service_id, taxonomy_term_id=_id("term", code))


def _location(location_id: ID, place: Entry) -> Iterator[Row]:
    name = Text(en=f"{place['city']} City Hall", fr=f"Hôtel de ville de {place['city']}")
    yield Location(id=location_id, name=name, latitude=place["latitude"], longitude=place["longitude"])
    yield Address(
        id=identifier(SOURCE, "address", location_id),
        location_id=location_id,
        address_1=Text(en=place["address"], fr=place["address"]),
        city=place["city"],
        state_province="ON",
        postal_code=place["postal_code"],
        country="CA",
        address_type="physical",
    )
    yield Accessibility(
        id=identifier(SOURCE, "accessibility", location_id), location_id=location_id, description=_ACCESSIBLE
    )


def _keywords(organization: Organization, terms: list[Row], city: str) -> Text:
    names = [organization.name, *(term.name for term in terms if isinstance(term, TaxonomyTerm))]
    return Text(
        en=" ".join(filter(None, (*(n.en for n in names), city))),
        fr=" ".join(filter(None, (*(n.fr for n in names), city))),
    )


def _both(entry: Entry, field: str, city: str) -> Text | None:
    english, french = entry["en"].get(field), entry["fr"].get(field)
    if english is None and french is None:
        return None
    return Text(en=english.replace("{city}", city), fr=french.replace("{city}", city))


def _id(*key: object) -> ID:
    return identifier(SOURCE, *key)
