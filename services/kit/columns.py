"""Columns that the tables of several services have alike."""

from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import DateTime, Uuid
from sqlalchemy import Enum as EnumColumn
from sqlmodel import Field


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


def moment(**options: Any) -> Any:
    """A column that holds a moment in UTC."""
    return Field(sa_type=DateTime(timezone=True), **options)


def id_column() -> Any:
    """A random UUID."""
    return Field(default_factory=lambda: str(uuid4()), sa_type=Uuid(as_uuid=False), primary_key=True)


def one_of(kind: type[Enum], **options: Any) -> Any:
    """A column that holds an enum's member by name."""
    return Field(sa_type=EnumColumn(kind, native_enum=False, length=40), **options)


def as_id(value: object) -> str | None:
    """A UUID in its usual form, or None for what is none: such an id finds nothing."""
    try:
        return str(UUID(str(value)))
    except ValueError:
        return None
