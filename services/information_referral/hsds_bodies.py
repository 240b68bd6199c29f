"""Rows as HSDS objects in one language. What is unknown is left out, never null. A page of whole services takes as many
statements as one service."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import select

from services.information_referral.models import (
    Accessibility,
    Address,
    Attribute,
    CostOption,
    Location,
    Organization,
    Phone,
    Row,
    Schedule,
    Service,
    ServiceAtLocation,
    ServiceLanguage,
    Taxonomy,
    TaxonomyTerm,
)
from services.kit.database import Db
from services.kit.language import Language
from services.kit.text import Text

Json = dict[str, Any]
_KEPT_BACK = frozenset(
    {"keywords", "closed_on_holidays", "organization_id", "service_id", "location_id", "service_at_location_id"}
    | {"taxonomy_id", "taxonomy_term_id", "parent_id"}
)
_PARENTS = ("service_id", "service_at_location_id", "location_id")
_HANGING = {
    "phones": Phone,
    "schedules": Schedule,
    "languages": ServiceLanguage,
    "addresses": Address,
    "accessibility": Accessibility,
    "cost_options": CostOption,
}


async def listed(db: Db, rows: Sequence[Service], language: Language) -> list[Json]:
    """Services with their own fields and their organization."""
    held = {o.id: o for o in await _of(db, Organization, "id", [r.organization_id for r in rows])}
    return [_service(row, held.get(row.organization_id or ""), language) for row in rows]


async def whole(db: Db, rows: Sequence[Service], language: Language) -> list[Json]:
    """Services with all that hangs on them, in their order."""
    offers = await _of(db, ServiceAtLocation, "service_id", [row.id for row in rows])
    places = await _of(db, Location, "id", [offer.location_id for offer in offers])
    hanging = _Hanging(await _hanging(db, [row.id for row in (*rows, *offers, *places)], language))
    located = {place.id: _plain(place, language) | hanging.on(place.id) for place in places}
    for offer in offers:
        body = _plain(offer, language) | hanging.on(offer.id)
        if offer.location_id in located:
            body["location"] = located[offer.location_id]
        hanging.add(offer.service_id, "service_at_locations", body)
    for attribute, body in await _attributes(db, rows, language):
        hanging.add(attribute.service_id or "", "attributes", body)
    bodies = await listed(db, rows, language)
    return [body | hanging.on(row.id) for row, body in zip(rows, bodies, strict=True)]


class _Hanging:
    """What hangs on each row, by name."""

    def __init__(self, found: Iterable[tuple[str, str, Json]]) -> None:
        self._held: dict[str, dict[str, list[Json]]] = {}
        for parent, name, body in found:
            self.add(parent, name, body)

    def add(self, parent: str, name: str, body: Json) -> None:
        self._held.setdefault(parent, {}).setdefault(name, []).append(body)

    def on(self, parent: str) -> dict[str, list[Json]]:
        return self._held.get(parent, {})


async def _hanging(db: Db, parents: Sequence[str], language: Language) -> list[tuple[str, str, Json]]:
    found = []
    for name, model in _HANGING.items():
        for column in (column for column in _PARENTS if column in model.model_fields):
            rows = await _of(db, model, column, parents)
            found += [(getattr(row, column), name, _plain(row, language)) for row in rows]
    return found


async def _attributes(db: Db, rows: Sequence[Service], language: Language) -> Iterator[tuple[Attribute, Json]]:
    attributes = await _of(db, Attribute, "service_id", [row.id for row in rows])
    terms = {t.id: t for t in await _of(db, TaxonomyTerm, "id", [a.taxonomy_term_id for a in attributes])}
    lists = {t.id: t for t in await _of(db, Taxonomy, "id", [t.taxonomy_id for t in terms.values()])}

    def body(attribute: Attribute) -> Json:
        shown = _plain(attribute, language)
        if term := terms.get(attribute.taxonomy_term_id or ""):
            detail = lists.get(term.taxonomy_id or "")
            shown["taxonomy_term"] = _plain(term, language) | (
                {"taxonomy_detail": _plain(detail, language)} if detail else {}
            )
        return shown

    return ((attribute, body(attribute)) for attribute in attributes)


async def _of(db: Db, model: type[Any], column: str, values: Iterable[Any]) -> list[Any]:
    wanted = sorted({str(value) for value in values if value is not None})
    if not wanted:
        return []
    return await db.all(select(model).where(getattr(model, column).in_(wanted)).order_by(model.id))


def _service(row: Service, organization: Organization | None, language: Language) -> Json:
    body = _plain(row, language)
    if organization is not None:
        about = _plain(organization, language)
        body["organization"] = {"description": about["name"], **about}  # HSDS requires one
    return body


def _plain(row: Row, language: Language) -> Json:
    """A row's own fields as HSDS names them."""
    pairs = ((name, _value(getattr(row, name), language)) for name in type(row).model_fields if name not in _KEPT_BACK)
    body = {name: value for name, value in pairs if value is not None}
    if "extension" in body:  # a number in HSDS, whatever people dial
        extension = str(body.pop("extension"))
        if extension.isascii() and extension.isdecimal():
            body["extension"] = int(extension)
    return body


def _value(value: Any, language: Language) -> Any:
    match value:
        case Text():
            return value.of(language)
        case Enum():
            return value.value
        case datetime():
            return value.isoformat()
    return value
