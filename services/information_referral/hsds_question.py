"""What a reader of the HSDS API asks for: the query's parameters, judged. All filters hold together.

Source: Human Services Data Specification 3.1, API reference. A parameter that is none is told by name; nothing is guessed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from services.information_referral import filters
from services.information_referral.filters import SERVICE, TERM, Condition
from services.information_referral.models import as_id
from services.information_referral.search import query_of, refused

DEFAULT_PAGE, LARGEST_PAGE, LAST_PAGE = 25, 100, 100_000
FORMATS = ("json", "ndjson")
YES, NO = ("true", "1"), ("false", "0")


@dataclass(frozen=True, slots=True)
class Question:
    """Which services, how much of each, and which page; `per_page` None is all on one page."""

    conditions: Sequence[Condition]
    page: int
    per_page: int | None
    minimal: bool
    full: bool
    as_lines: bool


def question(given: Mapping[str, str]) -> Question:
    """The question that a query asks. Raises Faulted BAD_USER_INPUT, naming the parameter."""
    minimal, full = _flag(given, "minimal"), _flag(given, "full")
    if minimal and full:
        raise refused("full", "full and minimal exclude each other", "full et minimal s’excluent")
    form = given.get("format", FORMATS[0])
    if form not in FORMATS:
        raise refused("format", f"format is one of {', '.join(FORMATS)}", f"format est l’un de {', '.join(FORMATS)}")
    return Question(
        conditions=tuple(_conditions(given)),
        page=_whole(given, "page", 1, LAST_PAGE),
        per_page=None if minimal and "per_page" not in given else _whole(given, "per_page", DEFAULT_PAGE, LARGEST_PAGE),
        minimal=minimal,
        full=full,
        as_lines=form == "ndjson",
    )


def _conditions(given: Mapping[str, str]) -> list[Condition]:
    """Who asks what changed is also told what has closed for good; anyone else sees what people can turn to."""
    found: list[Condition] = []
    if "modified_after" in given:
        found.append(SERVICE.last_modified >= _moment(given["modified_after"]))
    else:
        found.append(filters.can_be_found())
    if (words := query_of(given.get("search"), "search")) is not None:
        found.append(filters.matches(words))
    if "organization_id" in given:
        found.append(SERVICE.organization_id == _id(given, "organization_id"))
    if "taxonomy_term_id" in given:
        found.append(filters.has_term(TERM.id == _id(given, "taxonomy_term_id")))
    if "taxonomy_id" in given:
        found.append(filters.has_term(TERM.taxonomy_id == _id(given, "taxonomy_id")))
    return found


def _id(given: Mapping[str, str], name: str) -> str:
    found = as_id(given[name])
    if found is None:
        raise refused(name, f"{name} is a UUID", f"{name} est un UUID")
    return found


def _flag(given: Mapping[str, str], name: str) -> bool:
    text = given.get(name, "false").lower()
    if text not in YES + NO:
        raise refused(name, f"{name} is true or false", f"{name} est true ou false")
    return text in YES


def _whole(given: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = given.get(name, str(default))
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    if not 1 <= number <= most:
        raise refused(name, f"{name} is from 1 to {most}", f"{name} va de 1 à {most}")
    return number


def _moment(text: str) -> datetime:
    """A moment or a day; in UTC where no offset is given. A plus sign that a client left as it is came as a space."""
    try:
        found = datetime.fromisoformat(re.sub(r"(T.*) (\d\d:?\d\d)$", r"\1+\2", text.strip()))
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise refused(
            "modified_after",
            "modified_after is a moment such as 2026-01-31T12:00:00Z",
            "modified_after est un instant comme 2026-01-31T12:00:00Z",
        ) from None
