"""Pages of a list, Relay-style: cursors hold the sort key of a row, so that they stay stable while rows come and go."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, Generic, TypeVar

import orjson
import strawberry
from sqlalchemy import BigInteger, ColumnElement, Select, literal, tuple_
from strawberry.federation.schema_directives import Shareable

from services.kit import faults
from services.kit.database import Db, python_type
from services.kit.inputs import find_hostile

N = TypeVar("N")
R = TypeVar("R")

DEFAULT_PAGE, LARGEST_PAGE = 20, 100


@strawberry.type(directives=[Shareable()], description="Where a page ends, and whether more follows.")
class PageInfo:
    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class Edge(Generic[N]):
    cursor: str
    node: N


@strawberry.type
class Connection(Generic[N]):
    edges: list[Edge[N]]
    page_info: PageInfo


def page_size(first: int | None) -> int:
    """How many rows a page holds. Raises Faulted BAD_USER_INPUT outside 1 to 100."""
    size = DEFAULT_PAGE if first is None else first
    if not 1 <= size <= LARGEST_PAGE:
        raise faults.Faulted(
            faults.BAD_USER_INPUT,
            field="first",
            detail_en=f"first must be from 1 to {LARGEST_PAGE}",
            detail_fr=f"first doit être de 1 à {LARGEST_PAGE}",
        )
    return size


def encode_cursor(values: Sequence[Any]) -> str:
    """A cursor that holds a sort key."""
    return base64.urlsafe_b64encode(orjson.dumps(list(values), default=str)).rstrip(b"=").decode()


def decode_cursor(cursor: str, types: Sequence[type]) -> tuple[Any, ...]:
    """The sort key of a cursor, each value as its column's Python type. Raises Faulted BAD_USER_INPUT."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        values = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(values, list):
            raise ValueError
        return tuple(_typed(value, kind) for value, kind in zip(values, types, strict=True))
    except (ValueError, TypeError, AttributeError, ArithmeticError, binascii.Error):
        raise faults.Faulted(
            faults.BAD_USER_INPUT,
            field="after",
            detail_en="after is not a cursor of this list; use one from pageInfo",
            detail_fr="after n’est pas un curseur de cette liste; utilisez celui de pageInfo",
        ) from None


def _typed(value: Any, kind: type) -> Any:
    """A value as a column's Python type. Raises what decode_cursor expects for one that the database would not compare."""
    typed: Any = kind.fromisoformat(value) if kind in (datetime, date) else kind(value)
    naive = kind is datetime and typed.tzinfo is None
    if naive or (kind in (str, int) and typed != value) or find_hostile(typed) is not None:
        raise ValueError(kind)
    if kind is int and not -(2**63) <= typed < 2**63:
        raise ValueError(kind)
    return typed


async def page(
    db: Db,
    statement: Select[tuple[R]],
    *,
    order: Sequence[Any],
    first: int | None,
    after: str | None,
    as_node: Callable[[R], Any] = lambda row: row,
    descending: bool = False,
) -> Connection[Any]:
    """One page of a SELECT of rows, sorted by `order` (columns of the row; the last one unique).

    Raises Faulted BAD_USER_INPUT for a size outside 1 to 100 and for a cursor that is not one of this list.
    """
    size = page_size(first)
    columns: list[ColumnElement[Any]] = list(order)
    if after is not None:
        key = decode_cursor(after, [python_type(c) for c in columns])
        # A number that is too large for its column is still a number to compare with.
        bound = tuple_(
            *(
                literal(value, BigInteger() if isinstance(value, int) else column.type)
                for value, column in zip(key, columns, strict=True)
            )
        )
        statement = statement.where(tuple_(*columns) < bound if descending else tuple_(*columns) > bound)
    ordered = statement.order_by(*(c.desc() if descending else c.asc() for c in columns)).limit(size + 1)
    rows = await db.all(ordered)
    edges: list[Edge[Any]] = [
        Edge(cursor=encode_cursor([getattr(row, c.key) for c in order]), node=as_node(row)) for row in rows[:size]
    ]
    end = edges[-1].cursor if edges else None
    return Connection(edges=edges, page_info=PageInfo(has_next_page=len(rows) > size, end_cursor=end))
