"""What a search asks for, as SQL conditions on `service`. Each narrows the answer; all hold together."""

import re
import unicodedata
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, String, and_, any_, cast, false, func, literal, or_, select

from services.information_referral.hours import Moment
from services.information_referral.models import (
    SEARCH,
    Attribute,
    Schedule,
    Service,
    ServiceAtLocation,
    ServiceLanguage,
    ServiceStatus,
    TaxonomyTerm,
    table_of,
)
from services.kit.language import Language

LONGEST_TEXT, MOST_WORDS = 200, 10
_ALL = " & "
SERVICE, OFFER = table_of(Service).c, table_of(ServiceAtLocation).c
_SCHEDULE, _SPOKEN = table_of(Schedule).c, table_of(ServiceLanguage).c
_ATTRIBUTE, TERM = table_of(Attribute).c, table_of(TaxonomyTerm).c
Condition = ColumnElement[bool]


def search_query(text: str) -> str | None:
    """The words of a text as a tsquery: each may go on (`hous` finds housing), all must be there. None without words."""
    found = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text))[:MOST_WORDS]
    return _ALL.join(f"'{word}':*" for word in found) or None


def some_words(query: str) -> str:
    """A query of `search_query` for which any of its words is enough."""
    return query.replace(_ALL, " | ")


def words_held(query: str) -> ColumnElement[int]:
    """How many of a query's words a service holds, in the language where it holds more. Words that say nothing (`the`, `pour`)
    are held by none."""

    def held(column: Any, language: Language) -> ColumnElement[int]:
        each = (column.op("@@")(func.to_tsquery(f"onedoor_{language.value}", word)) for word in query.split(_ALL))
        return reduce(add, (cast(one, Integer) for one in each))

    return func.greatest(*(held(SEARCH[language], language) for language in Language))


def _whole_words(query: str) -> str:
    """A query of `search_query` without its prefixes."""
    return query.replace("':*", "'")


def _in_each_language(query: str) -> list[tuple[Any, Any]]:
    return [(SEARCH[language], func.to_tsquery(f"onedoor_{language.value}", query)) for language in Language]


def matches(query: str) -> Condition:
    """Services that hold the words in either language, accents and endings aside. No words are held by none."""
    if not query:
        return false()
    return or_(*(column.op("@@")(words) for column, words in _in_each_language(query)))


def rank(query: str) -> ColumnElement[Any]:
    """How well a service matches, in the language where it does so better. A name counts more than a description, and a
    whole word more than the beginning of one: `refuge` finds shelters before refugees."""
    pairs = zip(_in_each_language(query), _in_each_language(_whole_words(query)), strict=True)
    return func.greatest(
        *(func.ts_rank(column, begun) + func.ts_rank(column, whole) for (column, begun), (_, whole) in pairs)
    )


def can_be_found() -> Condition:
    """Services that exist for people: not inactive, not defunct."""
    return SERVICE.status.in_([ServiceStatus.ACTIVE, ServiceStatus.TEMPORARILY_CLOSED])


def for_age(years: int) -> Condition:
    """Services for people of an age. A maximum of 17 includes all who are 17; a minimum of half a year, some who are 0."""
    return and_(
        or_(SERVICE.minimum_age.is_(None), func.floor(SERVICE.minimum_age) <= years),
        or_(SERVICE.maximum_age.is_(None), func.floor(SERVICE.maximum_age) >= years),
    )


def given_in(code: str) -> Condition:
    """Services given in a language, or at a place where it is spoken."""
    spoken = select(_SPOKEN.service_id).where(_SPOKEN.code == code, _SPOKEN.service_id.is_not(None))
    there = select(_SPOKEN.location_id).where(_SPOKEN.code == code, _SPOKEN.location_id.is_not(None))
    return or_(SERVICE.id.in_(spoken), SERVICE.id.in_(select(OFFER.service_id).where(OFFER.location_id.in_(there))))


def has_term(condition: Condition) -> Condition:
    """Services with a term of a taxonomy that meets a condition on `taxonomy_term`."""
    terms = select(TERM.id).where(condition)
    return SERVICE.id.in_(select(_ATTRIBUTE.service_id).where(_ATTRIBUTE.taxonomy_term_id.in_(terms)))


def has_term_code(code: str) -> Condition:
    """Services with a term of this code."""
    return has_term(TERM.code == code)


def open_at(moment: Moment) -> Condition:
    """Active services open at a moment: by their own hours, or at one of their places."""
    there = select(OFFER.service_id).where(offer_is_open(moment))
    own = SERVICE.id.in_(_open(moment, _SCHEDULE.service_id))
    return and_(SERVICE.status == ServiceStatus.ACTIVE, or_(own, SERVICE.id.in_(there)))


def offer_is_open(moment: Moment) -> Condition:
    """Services at locations open at a moment, by the hours of either or of both together."""
    return or_(
        OFFER.id.in_(_open(moment, _SCHEDULE.service_at_location_id)),
        OFFER.location_id.in_(_open(moment, _SCHEDULE.location_id)),
        OFFER.service_id.in_(_open(moment, _SCHEDULE.service_id)),
    )


def _open(moment: Moment, column: Any) -> Select[Any]:
    """Whose schedules are open. Only weekly rules are judged; hours that are not told are not open hours.

    Times are HH:MM and dates ISO 8601, so texts compare as they do. Hours that close at or before they open end on
    the next day.
    """
    weekly = and_(
        func.coalesce(_SCHEDULE.freq, "WEEKLY") == "WEEKLY",
        func.coalesce(_SCHEDULE.interval, 1) == 1,
        _SCHEDULE.bymonthday.is_(None),
    )
    begun_today = and_(
        _holds(moment.today, moment.date, is_holiday=moment.is_holiday),
        _SCHEDULE.opens_at <= moment.time,
        or_(_SCHEDULE.closes_at > moment.time, _SCHEDULE.closes_at <= _SCHEDULE.opens_at),
    )
    begun_yesterday = and_(
        _holds(moment.yesterday, moment.date_before, is_holiday=moment.was_holiday),
        _SCHEDULE.closes_at <= _SCHEDULE.opens_at,
        _SCHEDULE.closes_at > moment.time,
    )
    return select(column).where(column.is_not(None), weekly, or_(begun_today, begun_yesterday))


def _holds(day: str, date: str, *, is_holiday: bool) -> Condition:
    conditions = [
        any_(func.string_to_array(_SCHEDULE.byday, ",")) == day,
        func.coalesce(_SCHEDULE.valid_from, date) <= date,
        func.coalesce(_SCHEDULE.valid_to, date) >= date,
    ]
    if is_holiday:
        conditions.append(_SCHEDULE.closed_on_holidays.is_(False))
    return and_(*conditions)


def half(column: Any, language: Language) -> ColumnElement[str]:
    """One language's half of a text column, or the other half where it is missing."""
    text: Callable[[str], Any] = lambda key: column.op("->>", return_type=String())(literal(key, String))  # noqa: E731
    other = Language.EN if language is Language.FR else Language.FR
    return func.coalesce(text(language.value), text(other.value), "")
