"""The scalars Date and DateTime: what they read, and how they say no. Source: RFC 3339."""

import dataclasses
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from graphql import GraphQLError
from strawberry.schema.types.base_scalars import DateDefinition, DateTimeDefinition
from strawberry.types.scalar import ScalarDefinition

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def read_date(value: Any) -> date:
    """The date that a text like 2026-11-25 stands for. Raises GraphQLError."""
    try:
        return date.fromisoformat(_matched(_DATE, value))
    except ValueError:
        raise GraphQLError("Date needs a date such as 2026-11-25.") from None


def read_moment(value: Any) -> datetime:
    """The moment of a text like 2026-11-25T14:30:00-05:00. Raises GraphQLError; without an offset it would be a guess."""
    try:
        moment = datetime.fromisoformat(_matched(_MOMENT, value))
        moment.astimezone(UTC)  # as it is kept and compared, in the years 1 to 9999
        return moment
    except (ValueError, OverflowError):
        raise GraphQLError("DateTime needs a date, a time and its offset, such as 2026-11-25T14:30:00-05:00.") from None


def _matched(form: re.Pattern[str], value: Any) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise ValueError(form.pattern)
    return value


SCALARS: Mapping[object, ScalarDefinition] = {
    date: dataclasses.replace(DateDefinition, description="A date, as 2026-11-25.", parse_value=read_date),
    datetime: dataclasses.replace(
        DateTimeDefinition,
        description="A moment with its offset, as 2026-11-25T14:30:00-05:00.",
        parse_value=read_moment,
    ),
}
