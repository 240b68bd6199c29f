"""`findServices`: by words, place, language, hours and age, one page at a time.

With a place the nearest comes first; else with words the best match; else the alphabet. Where no service holds all the words,
those that hold some are found, most words first, and the answer says so: people ask in sentences. A cursor holds the sort key
of its row, so pages stay stable while services come and go.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import strawberry
from sqlalchemy import ColumnElement, Float, String, and_, cast, func, literal, null, or_, select

from services.information_referral import filters
from services.information_referral.distance import LOCATION, metres, within_box
from services.information_referral.filters import OFFER, SERVICE
from services.information_referral.hours import moment
from services.information_referral.models import Location, Service, ServiceAtLocation, as_id, table_of
from services.information_referral.places import Point, area_of, ontario_point
from services.information_referral.subgraph import service
from services.kit.database import Db
from services.kit.faults import BAD_USER_INPUT, Faulted
from services.kit.language import Language, request_language
from services.kit.pages import PageInfo, decode_cursor, encode_cursor, page_size

FARTHEST_M, OLDEST = 2_000_000, 150
_HALF_THE_EARTH_M = 20_100_000.0  # no two places are farther from one another
_SOME = "some-"  # how the names of orders begin that follow the number of words


@strawberry.input(description="Near what: a postal code of Ontario, or a point in it (degrees, WGS 84).")
class NearInput:
    latitude: float | None = None
    longitude: float | None = None
    postal_code: str | None = None


@service.object_type()
@dataclass
class SearchPoint:
    """The point that distances are measured from. A postal code stands for the middle of its area (its first three
    characters); `precisionM` is how far known places of that area lie from the middle, null when unknown or exact."""

    latitude: float
    longitude: float
    postal_area: str | None
    precision_m: int | None


@service.object_type()
@dataclass
class ServiceEdge:
    """A service found. `snippet` shows where the words were found, each between `**`, in the request's language."""

    cursor: str
    node: Service
    distance_m: int | None
    snippet: str | None


@strawberry.enum(description="How many of the words that were asked for the services found hold.")
class WordsHeld(Enum):
    """SOME where no service holds them ALL."""

    ALL = "ALL"
    SOME = "SOME"


@service.object_type()
@dataclass
class ServiceConnection:
    """A page of services found. `wordsHeld` is null where no words were asked for."""

    edges: list[ServiceEdge]
    page_info: PageInfo
    near: SearchPoint | None
    words_held: WordsHeld | None


@service.query()
async def find_services(
    db: Db,
    text: str | None = None,
    near: NearInput | None = None,
    within_m: int | None = None,
    language: str | None = None,
    open_at: datetime | None = None,
    age: int | None = None,
    taxonomy_term_code: str | None = None,
    first: int | None = None,
    after: str | None = None,
) -> ServiceConnection:
    """Services that meet all that is asked. Near a place, only those given at a place, the nearest first. `age` is in years."""
    size = page_size(first)
    point = search_point(near)
    if within_m is not None and (point is None or not 1 <= within_m <= FARTHEST_M):
        raise refused(
            "withinM",
            f"withinM needs near, and is from 1 to {FARTHEST_M} metres",
            f"withinM exige near et va de 1 à {FARTHEST_M} mètres",
        )
    conditions = [filters.can_be_found()]
    opening = None
    if open_at is not None:
        opening = _moment(open_at)
        conditions.append(filters.open_at(opening))
    if language is not None:
        conditions.append(filters.given_in(_language(language)))
    if age is not None:
        if not 0 <= age <= OLDEST:
            raise refused("age", f"age is from 0 to {OLDEST} years", f"age va de 0 à {OLDEST} ans")
        conditions.append(filters.for_age(age))
    if taxonomy_term_code is not None:
        conditions.append(filters.has_term_code(taxonomy_term_code))
    query = query_of(text, "text")

    distance: ColumnElement[Any] = null()
    if point is not None:
        # The nearest place of each service that is open then, if hours matter.
        place = Point(point.latitude, point.longitude)
        offered = select(OFFER.service_id, func.min(metres(place.latitude, place.longitude)).label("metres"))
        offered = offered.join_from(table_of(ServiceAtLocation), table_of(Location), LOCATION.id == OFFER.location_id)
        offered = offered.where(LOCATION.latitude.is_not(None), LOCATION.longitude.is_not(None))
        if within_m is not None:
            offered = offered.where(within_box(place, within_m))
        if opening is not None:
            offered = offered.where(filters.offer_is_open(opening))
        nearest = offered.group_by(OFFER.service_id).subquery("nearest")
        distance = nearest.c.metres
        conditions.append(nearest.c.service_id == SERVICE.id)
        if within_m is not None:
            conditions.append(distance <= within_m)

    found = _Found(db, conditions, point, distance, size, after)
    if query is None:
        return await found.page(None, None)
    if after is None or not _is_of_some(after):
        whole = await found.page(query, WordsHeld.ALL)
        if whole.edges or after is not None:
            return whole
    return await found.page(query, WordsHeld.SOME)


@dataclass(frozen=True, slots=True)
class _Found:
    """What was asked for apart from words. `distance` is in metres."""

    db: Db
    conditions: Sequence[ColumnElement[bool]]
    near: SearchPoint | None
    distance: ColumnElement[Any]
    size: int
    after: str | None

    async def page(self, query: str | None, held: WordsHeld | None) -> ServiceConnection:
        """The page of services that hold all or some of a query's words."""
        asked = filters.some_words(query) if query and held is WordsHeld.SOME else query
        worded = [] if asked is None else [filters.matches(asked)]
        spoken = request_language.get()
        order = _order(self.near, query, held, self.distance, spoken)
        statement = (
            select(
                Service, order.key.label("key"), self.distance.label("metres"), _snippet(asked, spoken).label("snippet")
            )
            .where(*self.conditions, *worded, *order.after(self.after))
            .order_by(order.key.desc() if order.descending else order.key, SERVICE.id)
            .limit(self.size + 1)
        )
        rows = (await self.db.execute(statement)).all()
        edges = [
            ServiceEdge(
                cursor=encode_cursor([order.name, row.key, row.Service.id]),
                node=row.Service,
                distance_m=None if row.metres is None else round(row.metres),
                snippet=row.snippet,
            )
            for row in rows[: self.size]
        ]
        info = PageInfo(has_next_page=len(rows) > self.size, end_cursor=edges[-1].cursor if edges else None)
        return ServiceConnection(edges=edges, page_info=info, near=self.near, words_held=held)


@dataclass(frozen=True, slots=True)
class _Order:
    """What a page is sorted by before the id."""

    name: str
    key: ColumnElement[Any]
    kind: type
    descending: bool = False

    def after(self, cursor: str | None) -> Sequence[ColumnElement[bool]]:
        """The condition of what follows a cursor. Raises Faulted BAD_USER_INPUT for another list's cursor."""
        if cursor is None:
            return ()
        name, value, last = decode_cursor(cursor, (str, self.kind, str))
        last_id = as_id(last)
        if name != self.name or last_id is None or "\0" in str(value):
            raise refused(
                "after",
                "after is not a cursor of this list; use one from pageInfo",
                "after n’est pas un curseur de cette liste; utilisez celui de pageInfo",
            )
        bound = literal(value, Float(53) if self.kind is float else String())
        beyond = self.key < bound if self.descending else self.key > bound
        return (or_(beyond, and_(self.key == bound, SERVICE.id > last_id)),)


def _is_of_some(cursor: str) -> bool:
    """Whether a cursor is one of services that hold some of the words; False for what is no cursor."""
    try:
        name, _, _ = decode_cursor(cursor, (str, float, str))
    except Faulted:
        return False
    return str(name).startswith(_SOME)


def _order(
    point: SearchPoint | None,
    query: str | None,
    held: WordsHeld | None,
    distance: ColumnElement[Any],
    spoken: Language,
) -> _Order:
    if query and held is WordsHeld.SOME:  # more of the words outweighs whatever else decides
        words = cast(filters.words_held(query), Float(53))
        if point is not None:
            return _Order(f"{_SOME}distance", distance - words * _HALF_THE_EARTH_M, float)
        closeness = filters.rank(filters.some_words(query))
        return _Order(f"{_SOME}rank", words + cast(closeness / (closeness + 1), Float(53)), float, descending=True)
    if point is not None:
        return _Order("distance", distance, float)
    if query:
        return _Order("rank", cast(filters.rank(query), Float(53)), float, descending=True)
    return _Order(f"name-{spoken.value}", filters.half(SERVICE.name, spoken), str)


def _snippet(query: str | None, spoken: Language) -> ColumnElement[Any]:
    if not query:
        return null()
    configuration = f"onedoor_{spoken.value}"
    halves = (func.nullif(filters.half(column, spoken), "") for column in (SERVICE.name, SERVICE.description))
    text = func.regexp_replace(func.concat_ws(" – ", *halves), r"\s+", " ", "g")
    options = "StartSel=**, StopSel=**, MaxWords=30, MinWords=12"
    return func.ts_headline(configuration, text, func.to_tsquery(configuration, query), options)


def query_of(text: str | None, field: str) -> str | None:
    """The query of a text: None when nothing was asked, empty when no word is in it. Raises Faulted BAD_USER_INPUT."""
    if text is None or not text.strip():
        return None
    if len(text) > filters.LONGEST_TEXT:
        limit = filters.LONGEST_TEXT
        raise refused(field, f"{field} has at most {limit} characters", f"{field} compte au plus {limit} caractères")
    return filters.search_query(text) or ""


def search_point(near: NearInput | None) -> SearchPoint | None:
    """The point that is meant. Raises Faulted for what is no place of Ontario, or not one place."""
    if near is None:
        return None
    given = {name: value for name in ("latitude", "longitude") if (value := getattr(near, name)) is not None}
    if near.postal_code is not None and not given:
        area = area_of(near.postal_code, "near.postalCode")
        return SearchPoint(area.centre.latitude, area.centre.longitude, area.code, area.spread_m)
    if near.postal_code is None and len(given) == 2:
        point = ontario_point(given["latitude"], given["longitude"])
        return SearchPoint(point.latitude, point.longitude, None, None)
    raise refused(
        "near",
        "near takes a postalCode, or a latitude and a longitude",
        "near prend un postalCode, ou une latitude et une longitude",
    )


def _moment(instant: datetime) -> Any:
    try:
        return moment(instant)
    except (ValueError, OverflowError):
        raise refused("openAt", "openAt is a moment from 1900 to 2100", "openAt est un moment de 1900 à 2100") from None


def _language(code: str) -> str:
    normal = code.strip().lower()
    if not (normal.isascii() and normal.isalpha() and 2 <= len(normal) <= 3):
        raise refused(
            "language",
            "language is a code of ISO 639 such as fr or ase",
            "language est un code ISO 639 comme fr ou ase",
        )
    return normal


def refused(field: str, en: str, fr: str) -> Faulted:
    """The fault of an argument that cannot be accepted."""
    return Faulted(BAD_USER_INPUT, field=field, detail_en=en, detail_fr=fr)
