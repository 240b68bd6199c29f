"""What the chain stands on in PostgreSQL: the queue of entries to seal, the seals, the heads; and what the database refuses.

Whoever adds an entry queues it, by a trigger; only what is sealed leaves the queue; seals and heads are only ever added; an
entry is never changed, and goes only after the day that its seal names. Triggers fire always, whatever part a session plays.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import DDL, BigInteger, Column, Date, DateTime, LargeBinary, Table, Text, Uuid, event

from services.kit.events import Event
from services.kit.roles import ADDED_ONLY, APP, RETENTION
from services.kit.tables import METADATA

unsealed = Table(
    "audit_unsealed",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("kept_in", Text, nullable=False),  # the entry's table
    info={APP: ("SELECT", "DELETE")},  # its rows come by the trigger only
)
seals = Table(
    "audit_seal",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("entry_id", Uuid, nullable=False, unique=True),
    Column("digest", LargeBinary, nullable=False),
    Column("keep_until", Date, nullable=False),
    Column("prev", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    info={APP: ("SELECT", "INSERT"), RETENTION: ("SELECT",)},
)
# The last seal of each batch, signed where the service has a key.
heads = Table(
    "audit_head",
    METADATA,
    Column("count", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("jws", Text, nullable=False),
    info=ADDED_ONLY["info"],
)
# The Merkle root of the seals of a day (UTC), from the `first` to the `last`.
days = Table(
    "audit_day",
    METADATA,
    Column("day", Date, primary_key=True),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("jws", Text, nullable=False),
    info=ADDED_ONLY["info"],
)
# Heads of other services' chains, as they were heard: two of one count and different hashes are kept both.
witnesses = Table(
    "audit_witness",
    METADATA,
    Column("service", Text, primary_key=True),
    Column("count", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("jws", Text, nullable=False),
    info={APP: ("SELECT", "INSERT"), RETENTION: ("SELECT", "DELETE")},
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A table whose rows are sealed, until which day (UTC) each is kept, and how they are told (the service, the number of the
    first seal, the rows with their `keep_until`), where they are."""

    table: Table
    kept_until: Callable[[Mapping[str, Any]], date]
    told: Callable[[str, int, Sequence[Mapping[str, Any]]], Event] | None = None


FUNCTIONS = (
    """CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$""",
    """CREATE OR REPLACE FUNCTION audit_queue() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO public.audit_unsealed (id, kept_in) SELECT id, TG_TABLE_NAME FROM added;
    RETURN NULL;
END $$""",
    """CREATE OR REPLACE FUNCTION audit_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM public.audit_seal WHERE entry_id = OLD.id AND keep_until < (now() AT TIME ZONE 'UTC')::date) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is kept until the day that its seal names', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$""",
    """CREATE OR REPLACE FUNCTION audit_dequeue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM public.audit_seal WHERE entry_id = OLD.id) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'an entry leaves the queue when it is sealed' USING ERRCODE = 'restrict_violation';
END $$""",
)


def _trigger(table: str, name: str, when: str, each: str, function: str) -> tuple[str, str]:
    made = f"CREATE TRIGGER {name} {when} ON {table} {each} EXECUTE FUNCTION {function}()"
    return made, f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"


def only_added(table: str) -> tuple[str, ...]:
    """The statements by which rows of a table are never changed or deleted, whoever tries."""
    return _trigger(table, "append_only", "BEFORE UPDATE OR DELETE OR TRUNCATE", "FOR EACH STATEMENT", "audit_refuse")


def audited(table: str) -> tuple[str, ...]:
    """The statements by which a table's rows are queued to be sealed, never changed, and kept for their time. The table has a
    column `id` (uuid, version 7) and a column `salt`."""
    added = "REFERENCING NEW TABLE AS added FOR EACH STATEMENT"
    return (
        *_trigger(table, "append_only", "BEFORE UPDATE OR TRUNCATE", "FOR EACH STATEMENT", "audit_refuse"),
        *_trigger(table, "keep", "BEFORE DELETE", "FOR EACH ROW", "audit_keep"),
        *_trigger(table, "queue", "AFTER INSERT", added, "audit_queue"),
    )


def queue(table: str) -> tuple[str, ...]:
    """The statements by which rows leave the queue only when they are sealed."""
    return (
        *_trigger(table, "append_only", "BEFORE UPDATE OR TRUNCATE", "FOR EACH STATEMENT", "audit_refuse"),
        *_trigger(table, "dequeue", "BEFORE DELETE", "FOR EACH ROW", "audit_dequeue"),
    )


def declare(table: Table, *statements: str) -> None:
    """Have statements run when a table is made. Alembic sees neither functions nor triggers: migrations repeat these statements,
    and a test compares what came of them."""
    for statement in statements:
        event.listen(table, "after_create", DDL(statement.replace("%", "%%")))  # type: ignore[no-untyped-call]


declare(unsealed, *FUNCTIONS, *queue("audit_unsealed"))
declare(seals, *FUNCTIONS, *only_added("audit_seal"))
declare(heads, *FUNCTIONS, *only_added("audit_head"))
declare(days, *FUNCTIONS, *only_added("audit_day"))
