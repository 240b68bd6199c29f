"""The public REST read API of HSDS 3.1: `/hsds/`, `/hsds/services`, `/hsds/services/{id}`. Texts in the request's language.

Source: Human Services Data Specification 3.1, API reference (Open Referral). What is unknown is left out, never null.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import func, select
from sqlmodel import col
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.information_referral.filters import half
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
    ServiceStatus,
    Taxonomy,
    TaxonomyTerm,
    as_id,
)
from services.information_referral.subgraph import service as subgraph
from services.kit import faults, logs
from services.kit.database import Db
from services.kit.language import Language, negotiate, request_language
from services.kit.text import Text

VERSION = "3.1"
DEFAULT_PAGE, LARGEST_PAGE, LAST_PAGE = 25, 100, 100_000
Json = dict[str, Any]


async def root(_: Request) -> Response:
    """What this API is."""
    return JSONResponse(
        {
            "version": VERSION,
            "profile": f"https://docs.openreferral.org/en/{VERSION}/",
            "openapi_url": f"https://docs.openreferral.org/en/{VERSION}/hsds/api_reference.html",
        }
    )


async def services(request: Request) -> Response:
    """A page of active services by name, without what hangs on them but their organization."""
    language = _language(request)
    page, per_page = _whole(request, "page", 1, LAST_PAGE), _whole(request, "per_page", DEFAULT_PAGE, LARGEST_PAGE)
    if page is None or per_page is None:
        fault = faults.BAD_USER_INPUT
        details = {
            "detail_en": f"page is from 1 to {LAST_PAGE}, per_page from 1 to {LARGEST_PAGE}",
            "detail_fr": f"page va de 1 à {LAST_PAGE}, per_page de 1 à {LARGEST_PAGE}",
        }
        return _refused(fault, details)
    async with _reading(request) as db:
        active = col(Service.status) == ServiceStatus.ACTIVE
        total = (await db.execute(select(func.count()).select_from(Service).where(active))).scalar_one()
        name = half(col(Service.name), language)
        wanted = select(Service).where(active).order_by(name, col(Service.id))
        rows = await db.all(wanted.offset((page - 1) * per_page).limit(per_page))
        held = {o.id: o for o in await _of(db, Organization, "id", [r.organization_id for r in rows])}
        contents = [_service(row, held.get(row.organization_id or ""), language) for row in rows]
    pages = -(-total // per_page)
    body = {
        "total_items": total,
        "total_pages": pages,
        "page_number": page,
        "size": len(contents),
        "first_page": page == 1,
        "last_page": page >= pages,
        "empty": not contents,
        "contents": contents,
    }
    return JSONResponse(body, headers={"content-language": language.value, "vary": "Accept-Language"})


async def one_service(request: Request) -> Response:
    """A service with all that hangs on it."""
    language = _language(request)
    async with _reading(request) as db:
        identifier = as_id(request.path_params["id"])
        row = await db.one(Service, identifier) if identifier else None
        if row is None:
            return _refused(faults.NOT_FOUND, {})
        body = await _whole_service(db, row, language)
    return JSONResponse(body, headers={"content-language": language.value, "vary": "Accept-Language"})


subgraph.routes += [
    Route("/hsds/", root),
    Route("/hsds/services", services),
    Route("/hsds/services/{id}", one_service),
]


class _reading:
    """A read-only unit of work of the running service, as `async with`."""

    def __init__(self, request: Request) -> None:
        self._db: Db = request.app.state.parts.database.reader()

    async def __aenter__(self) -> Db:
        return self._db

    async def __aexit__(self, *_: object) -> None:
        await self._db.session.close()


async def _whole_service(db: Db, row: Service, language: Language) -> Json:
    organization = await db.one(Organization, row.organization_id) if row.organization_id else None
    offers = await _of(db, ServiceAtLocation, "service_id", [row.id])
    places = await _of(db, Location, "id", [offer.location_id for offer in offers])
    place_ids = [place.id for place in places]
    parents = {"service_id": [row.id], "service_at_location_id": [o.id for o in offers], "location_id": place_ids}
    hanging: dict[tuple[str, str], list[Json]] = {}
    for name, model in (("phones", Phone), ("schedules", Schedule), ("languages", ServiceLanguage)):
        for column, ids in parents.items():
            if hasattr(model, column):
                for one in await _of(db, model, column, ids):
                    hanging.setdefault((name, getattr(one, column)), []).append(_plain(one, language))
    for name, located in (("addresses", Address), ("accessibility", Accessibility)):
        for one in await _of(db, located, "location_id", place_ids):
            hanging.setdefault((name, str(one.location_id)), []).append(_plain(one, language))

    def with_hanging(body: Json, identifier: str, *names: str) -> Json:
        return body | {name: found for name in names if (found := hanging.get((name, identifier)))}

    located_as = {
        place.id: with_hanging(
            _plain(place, language), place.id, "phones", "schedules", "languages", "addresses", "accessibility"
        )
        for place in places
    }
    body = with_hanging(_service(row, organization, language), row.id, "phones", "schedules", "languages")
    costs = [_plain(cost, language) for cost in await _of(db, CostOption, "service_id", [row.id])]
    attributes = await _attributes(db, row, language)
    at = [
        with_hanging(_plain(offer, language), offer.id, "phones", "schedules")
        | ({"location": located_as[offer.location_id]} if offer.location_id in located_as else {})
        for offer in offers
    ]
    found = {"cost_options": costs, "attributes": attributes, "service_at_locations": at}
    return body | {name: value for name, value in found.items() if value}


async def _attributes(db: Db, row: Service, language: Language) -> list[Json]:
    attributes = await _of(db, Attribute, "service_id", [row.id])
    terms = {t.id: t for t in await _of(db, TaxonomyTerm, "id", [a.taxonomy_term_id for a in attributes])}
    lists = {t.id: t for t in await _of(db, Taxonomy, "id", [t.taxonomy_id for t in terms.values()])}
    found = []
    for attribute in attributes:
        term = terms.get(attribute.taxonomy_term_id or "")
        if term is not None:
            detail = lists.get(term.taxonomy_id or "")
            shown = _plain(term, language) | ({"taxonomy_detail": _plain(detail, language)} if detail else {})
            found.append({**_plain(attribute, language), "taxonomy_term": shown})
    return found


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


_KEPT_BACK = frozenset(
    {"keywords", "closed_on_holidays", "organization_id", "service_id", "location_id", "service_at_location_id"}
    | {"taxonomy_id", "taxonomy_term_id", "parent_id"}
)


def _plain(row: Row, language: Language) -> Json:
    """A row's own fields as HSDS names them, without what is unknown."""
    pairs = ((name, _value(getattr(row, name), language)) for name in type(row).model_fields if name not in _KEPT_BACK)
    return {name: value for name, value in pairs if value is not None}


def _value(value: Any, language: Language) -> Any:
    match value:
        case Text():
            return value.of(language)
        case Enum():
            return value.value
        case datetime():
            return value.isoformat()
    return value


def _language(request: Request) -> Language:
    """`?language=fr`, else Accept-Language."""
    asked = request.query_params.get("language") or request.headers.get("accept-language", "")
    language = negotiate(asked)
    request_language.set(language)
    return language


def _whole(request: Request, name: str, default: int, most: int) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return default
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    return number if 1 <= number <= most else None


def _refused(fault: faults.Fault, details: Mapping[str, str]) -> Response:
    request_id = logs.accept_request_id(None)
    return JSONResponse({"errors": [faults.as_error(fault, request_id, details)]}, fault.status)
