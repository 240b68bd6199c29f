"""Writing whole records of the directory: a service or a place with all that hangs on it, stored again only when it changed."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import orjson
from sqlalchemy import delete, or_, select
from sqlalchemy.dialects.postgresql import insert

from services.information_referral.models import ID, TABLES, Imported, Row, Service, table_of
from services.kit.database import Db
from services.kit.imports import Outcomes
from services.kit.text import Text

_BARE_WEB = re.compile(r"([\w-]+\.)+[a-z]{2,}(/[^\s<>\"{}|\\^`]*)?", re.IGNORECASE)
# What hangs on a record's root and is written anew with it; shared rows (organizations, terms) are only brought up to date.
_OWNED = (
    "schedule",
    "phone",
    "address",
    "language",
    "accessibility",
    "cost_option",
    "attribute",
    "service_at_location",
)
_PARENTS = ("service_id", "location_id", "service_at_location_id", "organization_id")


@dataclass(frozen=True, slots=True)
class Record:
    """A source's record as rows. `roots` are the ids of the services, places and offers that belong to it alone."""

    key: str
    rows: tuple[Row, ...]
    roots: tuple[str, ...]

    def content_hash(self) -> str:
        """What the record says, as one value; when it was written does not count."""
        said = [(type(row).__name__, _values(row, stamped=False)) for row in self.rows]
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS, default=_plain)).hexdigest()


def identifier(source: str, *key: object) -> ID:
    """The id of a row of a source, always the same one for the same key."""
    return ID(str(uuid5(NAMESPACE_URL, ":".join((f"onedoor:{source}", *map(str, key))))))


def web_address(text: str | None) -> str | None:
    """A full address on the web; `www.example.ca/clinic` gets its scheme. None for what is none."""
    if text and _BARE_WEB.fullmatch(text):
        return f"https://{text}"
    return text if text and re.fullmatch(r"https?://[^\s/<>\"{}|\\^`]+\.[^\s<>\"{}|\\^`]+", text) else None


async def store(db: Db, source: str, records: Sequence[Record]) -> Outcomes:
    """Write what is new or has changed since the source was last stored. The last of several records with one key counts."""
    wanted = {record.key: record for record in records}
    imported = table_of(Imported).c
    known = select(imported.key, imported.content_hash).where(imported.source == source, imported.key.in_(wanted))
    held: Mapping[str, str] = dict((await db.execute(known)).tuples().all())
    differing = {key: digest for key, record in wanted.items() if held.get(key) != (digest := record.content_hash())}
    if differing:
        fresh = [wanted[key] for key in differing]
        await _clear(db, [root for record in fresh for root in record.roots])
        await _put(db, (row for record in fresh for row in record.rows))
        marks = [{"source": source, "key": key, "content_hash": digest} for key, digest in differing.items()]
        mark = insert(table_of(Imported)).values(marks)
        await db.execute(
            mark.on_conflict_do_update(
                index_elements=["source", "key"], set_={"content_hash": mark.excluded.content_hash}
            )
        )
    changed = sum(key in held for key in differing)
    return Outcomes(added=len(differing) - changed, changed=changed, unchanged=len(records) - len(differing))


async def _clear(db: Db, roots: Sequence[str]) -> None:
    for table in map(table_of, reversed(TABLES)):
        if table.name in _OWNED:
            parents = [table.c[name].in_(roots) for name in _PARENTS if name in table.c]
            await db.execute(delete(table).where(or_(*parents)))


async def _put(db: Db, rows: Iterable[Row]) -> None:
    order = {model: place for place, model in enumerate(TABLES)}
    unique = {(type(row), row.id): row for row in rows}  # type: ignore[attr-defined] # every table here has one
    ordered = sorted(unique.values(), key=lambda row: order[type(row)])
    for model, group in groupby(ordered, type):
        table = table_of(model)
        put = insert(table).values([_values(row, stamped=True) for row in group])
        replaced = {c.name: put.excluded[c.name] for c in table.c if c.name != "id" and c.computed is None}
        await db.execute(put.on_conflict_do_update(index_elements=["id"], set_=replaced))


def _values(row: Row, *, stamped: bool) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in type(row).model_fields}
    if isinstance(row, Service):
        values["last_modified"] = datetime.now(UTC) if stamped else None
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, Text):
        return {"en": value.en, "fr": value.fr}
    return str(value)
