"""Who looked: the entries that reading or changing another person's data leaves, and the one path by which they are written.

A query reads on a session that can write nothing. What it notes here is committed by a transaction of its own, in one
INSERT, before the answer leaves; where that fails, nothing leaves. What a mutation notes is committed with its change.
Entries are only ever added, which the database itself enforces.
"""

import hashlib
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson
from sqlalchemy import ARRAY, DDL, Column, DateTime, Table, Text, UniqueConstraint, Uuid, bindparam, event, func, text

from services.kit import logs
from services.kit.tables import METADATA

if TYPE_CHECKING:
    from services.kit.database import Db


class Act(Enum):
    """What was done with the data."""

    READ = "READ"
    CHANGE = "CHANGE"


entries = Table(
    "access_entry",
    METADATA,
    Column("id", Uuid, primary_key=True, server_default=text("uuidv7()")),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("request_id", Text, nullable=False),
    Column("fetch_id", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("purpose", Text, nullable=False, server_default=""),
    Column("category", Text, nullable=False),
    # The subject first: people ask for the entries about themselves.
    UniqueConstraint("subject", "fetch_id", "actor", "act", "purpose", "category", name="uq_access_entry"),
)
# Alembic sees no triggers: each service's migration repeats these statements, and a test compares what came of them. Always: a
# session that plays a replica would pass by an ordinary trigger.
GUARD = (
    """CREATE FUNCTION keep_access_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'access entries are never changed or deleted' USING ERRCODE = 'restrict_violation';
END $$""",
    """CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON access_entry
FOR EACH STATEMENT EXECUTE FUNCTION keep_access_entries()""",
    "ALTER TABLE access_entry ENABLE ALWAYS TRIGGER append_only",
)
for statement in GUARD:
    event.listen(entries, "after_create", DDL(statement))  # type: ignore[no-untyped-call]

# One statement for any number of rows. They come sorted, so that a fetch and its retry never wait for one another in a circle.
_ADD = text(
    """INSERT INTO access_entry (request_id, fetch_id, actor, act, subject, category)
    SELECT :request_id, :fetch_id, :actor, :act, noted.subject, noted.category
    FROM unnest(:subjects, :categories) AS noted(subject, category)
    ON CONFLICT DO NOTHING"""
).bindparams(
    *(bindparam(name, type_=Text()) for name in ("request_id", "fetch_id", "actor", "act")),
    *(bindparam(name, type_=ARRAY(Text())) for name in ("subjects", "categories")),
)


class AccessLog:
    """What one operation reads, or one mutation changes, of other people's data. False while that is nothing."""

    __slots__ = ("_actor", "_noted")

    def __init__(self, actor: str) -> None:
        self._actor, self._noted = actor, set[tuple[str, str]]()

    def __bool__(self) -> bool:
        return bool(self._noted)

    def note(self, subject: str, category: str) -> None:
        """The caller gets, or changes, data of this category about `subject`, a person as tokens name them.

        Call it where the right has been checked and the data are handed out. One's own data leave no entry, and the same
        twice leaves one. Source: the access log's definition of a read.
        """
        if subject != self._actor:
            self._noted.add((subject, category))

    async def write(self, db: "Db", act: Act, fetch: str) -> None:
        """Add an entry for each thing noted since the last time, by one statement, in a transaction that may write.
        Entries of the same fetch that are there already stay as they are."""
        noted, self._noted = sorted(self._noted), set()
        if not noted:
            return
        subjects, categories = zip(*noted, strict=True)
        given = {"request_id": logs.request_id.get(), "fetch_id": fetch, "actor": self._actor, "act": act.value}
        await db.execute(_ADD, {**given, "subjects": list(subjects), "categories": list(categories)})


def only_fetch() -> str:
    """The name of a fetch that is never tried again: a mutation, or an event of a subscription."""
    return uuid4().hex


def repeated_fetch(asked: str, variables: Mapping[str, Any], deadline: str) -> str:
    """The name of a query's fetch, the same for its retries, which come with the same request id, body and deadline.

    The deadline, Unix time in milliseconds, is what tells it from a later fetch that only looks alike: clients may choose
    the request id. It must be one that cannot have been set long ago; where there is none, each fetch is another.
    """
    given = orjson.dumps((logs.request_id.get(), deadline, asked, variables))
    return hashlib.sha256(given).hexdigest()[:32]
