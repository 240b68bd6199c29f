"""Who looked: the entries that reading or changing another person's data leaves, and the one path by which they are written.

A query reads on a session that can write nothing. What it notes here is committed by a transaction of its own, in one
INSERT, before the answer leaves; where that fails, nothing leaves. What a mutation notes is committed with its change.
Entries are only ever added, which the database itself enforces.
"""

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson
from sqlalchemy import (
    ARRAY,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    bindparam,
    func,
    text,
)

from services.kit import purposes
from services.kit.audit.announced import AccessLogged, LoggedEntry
from services.kit.audit.tables import FUNCTIONS, Sealed, audited, declare
from services.kit.caller import CITIZEN, Caller
from services.kit.roles import APP, RETENTION
from services.kit.tables import METADATA

if TYPE_CHECKING:
    from graphql.pyutils import Path

    from services.kit.context import Context
    from services.kit.database import Db

KEPT_DAYS = 2_557  # seven years, where an entry has no purpose that the file knows


Noted = tuple[str, str, str]  # subject, category, business


class NotNoted(Exception):
    """An answer shows data about people that no resolver has noted: a mistake of the service, whose answer must not leave."""


class Act(Enum):
    """What was done with the data; REFUSED: somebody asked for them in vain."""

    READ = "READ"
    CHANGE = "CHANGE"
    REFUSED = "REFUSED"


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
    # On whose behalf: `self` or a grant's id, and what kind of grant. In which office, by which operation (its hash).
    Column("authority", Text, nullable=False, server_default="self"),
    Column("kind", Text, nullable=False, server_default=""),
    Column("role", Text, nullable=False, server_default=""),
    Column("operation", Text, nullable=False, server_default=""),
    Column(
        "recipients", ARRAY(Text), nullable=False, server_default="{}"
    ),  # the services that @requires passes the data to
    Column("business", Text, nullable=False, server_default=""),  # the number of the business that the data are about
    Column("case_number", Text, nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
    Column("shown_after", DateTime(timezone=True), nullable=False, server_default=func.now()),  # to the subject
    UniqueConstraint("subject", "fetch_id", "actor", "act", "purpose", "category", "business", name="uq_access_entry"),
    Column("salt", LargeBinary, nullable=False, server_default=text("uuid_send(gen_random_uuid())")),
    # What has had its time goes; who takes it away reads nothing of it.
    info={APP: ("SELECT", "INSERT"), RETENTION: ("SELECT (id)", "DELETE")},
)
declare(entries, *FUNCTIONS, *audited("access_entry"))  # for the owner too, who could grant more


def kept_until(entry: Mapping[str, Any]) -> date:
    """The last day of an entry, as its purpose said when it was sealed."""
    moment: datetime = entry["at"]
    purpose = purposes.purposes().get(entry["purpose"])
    return moment.astimezone(UTC).date() + timedelta(days=purpose.retention_days if purpose else KEPT_DAYS)


def logged(service: str, first: int, some: Sequence[Mapping[str, Any]]) -> AccessLogged:
    """The event that tells entries to the people whom they are about."""
    told = [LoggedEntry.model_validate(entry) for entry in some]
    return AccessLogged(batch=f"{service}/{first}", service=service, entries=told)


SEALED = Sealed(entries, kept_until, logged)

# One statement for any number of rows. They come sorted, so that a fetch and its retry never wait for one another in a circle.
_OF_EACH = ("subject", "category", "business")
_OF_ALL = ("request_id", "fetch_id", "actor", "act", "purpose", "authority", "kind", "role", "operation")
_OF_CASES = ("case_number", "reason")
_ADD = text(
    f"""INSERT INTO access_entry ({", ".join((*_OF_ALL, *_OF_CASES, "recipients", "shown_after", *_OF_EACH))})
    SELECT {", ".join(f":{name}" for name in (*_OF_ALL, *_OF_CASES, "recipients"))},
        now() + make_interval(days => :delay_days), noted.*
    FROM unnest({", ".join(f":{name}" for name in _OF_EACH)}) AS noted
    ON CONFLICT DO NOTHING"""  # noqa: S608 - the names are those above
).bindparams(
    *(bindparam(name, type_=Text()) for name in (*_OF_ALL, *_OF_CASES)),
    *(bindparam(name, type_=ARRAY(Text())) for name in ("recipients", *_OF_EACH)),
    bindparam("delay_days", type_=Integer()),
)


class AccessLog:
    """What one operation reads, or one mutation changes, of other people's data, and what it was refused. False while there is
    nothing to commit with an answer."""

    __slots__ = ("_caller", "_categories", "_changed", "_covered", "_noted", "_path", "_refused", "_told")

    def __init__(self, caller: Caller, told: "Context") -> None:
        """`told` is what the call says of itself: for which request, operation and purpose, on whose authority."""
        self._caller, self._told = caller, told
        self._path: Path | None = None
        self._noted = dict[Noted, set["Path | None"]]()  # with the fields of the answer that tell it
        self._refused, self._changed = set[Noted](), set[Noted]()
        self._categories = set[str]()
        self._covered = set[str]()  # the categories that the purpose covers, as far as they were asked about

    def of_a_change(self) -> "AccessLog":
        """The log of one mutation, which is committed with its change: what it notes needs no entry as a read beside that."""
        log = self.at(None)
        log._noted = {}
        return log

    def at(self, path: "Path | None") -> "AccessLog":
        """The same log for the field at a path of the answer: what it notes was read only if that field is shown. None of a path
        is always shown."""
        log = AccessLog.__new__(AccessLog)
        for name in AccessLog.__slots__:  # `copy` takes four times as long
            setattr(log, name, getattr(self, name))
        log._path = path
        return log

    def __bool__(self) -> bool:
        return bool(self._noted)

    def note(self, subject: str, category: str, business: str = "") -> None:
        """The caller gets, or changes, data of this category about `subject`, a person as tokens name them, or about a business
        of theirs, by its number.

        Call it where the right has been checked, before the data are handed out. One's own data need no purpose and leave no
        entry, and the same twice leaves one. Raises Faulted PURPOSE_REQUIRED, PURPOSE_NOT_COVERING or CASE_REQUIRED for what the
        chosen purpose does not cover. Source: the access log's definition of a read.
        """
        self.note_each(category, [(subject, business)])

    def note_own(self, category: str) -> None:
        """The same of the subject whose rights are used."""
        self.note(self._caller.subject, category)

    def note_each(self, category: str, people: Iterable[tuple[str, str]]) -> None:
        """The same of several, each with a business's number or "": the rows of a page. None are there where a page is empty, or
        where the data came in by @requires, whose owner notes them with this service as the recipient."""
        self._categories.add(category)
        actor = self._caller.actor
        found = {(subject, category, business) for subject, business in people if subject != actor}
        if found and category not in self._covered:
            told, caller = self._told, self._caller
            if problem := purposes.problem(told.chosen, caller.offices, _kind(caller), [category], told.recipients):
                self._refused |= found
                raise problem
            self._covered.add(category)
        for each in found - self._changed:
            self._noted.setdefault(each, set()).add(self._path)

    def refuse(self, subject: str, category: str, business: str = "") -> None:
        """The caller asked for such data and may not have them. The entry is committed after the answer: how long that takes
        tells nobody whether there was something to refuse."""
        if subject != self._caller.actor:
            self._refused.add((subject, category, business))

    def require_noted(self, shown: Set[str]) -> None:
        """Raises NotNoted where one of the categories that an answer shows was noted by no resolver."""
        if missing := shown - self._categories:
            raise NotNoted(f"shown and not noted: {', '.join(sorted(missing))}")

    def keep_shown(self, data: Mapping[str, Any]) -> None:
        """Forget what is noted of fields that came to null after all, because of an error below them."""
        shown = {path: _is_shown(path, data) for paths in self._noted.values() for path in paths}
        for noted in [noted for noted, paths in self._noted.items() if not any(shown[path] for path in paths)]:
            del self._noted[noted]

    def begin_anew(self) -> None:
        """The next event of a subscription notes for itself."""
        for held in (self._noted, self._changed, self._categories):
            held.clear()

    def take_refused(self) -> "Refused | None":
        """What was refused since the last time, once the answer has left; None for nothing."""
        if not self._refused:
            return None
        taken = Refused(self._caller, self._told, frozenset(self._refused))
        self._refused.clear()
        return taken

    def needing_consent(self) -> tuple[str, set[tuple[str, str]]]:
        """The purpose, and whose data of which categories are noted, where the purpose needs people's consent; else nothing."""
        purpose = purposes.chosen(self._told.chosen, _kind(self._caller))
        if purpose is None or not purpose.needs_consent:
            return "", set()
        return purpose.code, {(subject, category) for subject, category, _ in self._noted}

    async def write(self, db: "Db", act: Act, fetch: str) -> None:
        """Add an entry for each thing noted since the last time, by one statement, in a transaction that may write.
        Entries of the same fetch that are there already stay as they are."""
        noted = set(self._noted)
        self._noted.clear()
        if act is Act.CHANGE:
            self._changed |= noted
        if noted:
            await db.execute(_ADD, _rows(noted, _said(self._caller, self._told, act, fetch)))


@dataclass(frozen=True, slots=True)
class Refused:
    """What an operation was refused."""

    caller: Caller
    told: "Context"
    what: frozenset[Noted]

    def key(self) -> Hashable:
        """The same for all that is one entry: whatever is refused again to the same person by the same operation."""
        return self.caller.actor, self.told.op, self.told.authority, self.what


async def write_refused(db: "Db", some: Iterable[Refused]) -> None:
    """Add an entry for each subject, unless this hour has one already. Source: the access log's rule for refusals."""
    hour = datetime.now(UTC).strftime("%Y-%m-%dT%H")
    some = sorted(some, key=lambda each: (each.caller.actor, each.told.op))  # as other processes do, see `_ADD`
    said = (_said(each.caller, each.told, Act.REFUSED, f"{each.told.op}@{hour}") for each in some)
    await db.execute(_ADD, [_rows(each.what, of_all) for each, of_all in zip(some, said, strict=True)])


def _is_shown(path: "Path | None", data: Any) -> bool:
    for key in path.as_list() if path else ():
        if data is None:
            return False
        data = data[key]
    return data is not None


def _rows(noted: Set[Noted], said: Mapping[str, Any]) -> dict[str, Any]:
    """What `_ADD` is given."""
    of_each = zip(_OF_EACH, zip(*sorted(noted), strict=True), strict=True)
    return {**said, **{name: list(values) for name, values in of_each}}


def _said(caller: Caller, told: "Context", act: Act, fetch: str) -> dict[str, Any]:
    """What all entries of a fetch have in common. Of a purpose that does not exist nothing is said."""
    purpose = purposes.chosen(told.chosen, _kind(caller))
    with_case = purpose is not None and purpose.case_required
    return {
        "request_id": told.rid,
        "fetch_id": fetch,
        "actor": caller.actor,
        "act": act.value,
        "purpose": purpose.code if purpose else "",
        "authority": told.authority,
        "kind": _kind(caller),
        "role": _office(caller.offices, purpose),
        "operation": told.op,
        "recipients": sorted(told.recipients),
        "case_number": told.case if with_case else "",
        "reason": told.reason if with_case else "",
        "delay_days": purpose.disclosure_delay_days if purpose else 0,
    }


def _kind(caller: Caller) -> str:
    return caller.kind.value if caller.kind else ""


def _office(offices: frozenset[str], purpose: purposes.Purpose | None) -> str:
    """In which office somebody acts: one that the purpose is for; else an officer, who is a citizen too, asks as an officer."""
    fitting = purpose.roles & offices if purpose else frozenset()
    return min(fitting or offices - {CITIZEN} or offices, default="")


def only_fetch() -> str:
    """The name of a fetch that is never tried again: a mutation, or an event of a subscription."""
    return uuid4().hex


def repeated_fetch(asked: str, variables: Mapping[str, Any], told: "Context") -> str:
    """The name of a query's fetch, the same for its retries, which come with the same request id, body, authority,
    purpose and deadline.

    The deadline, Unix time in milliseconds, is what tells it from a later fetch that only looks alike: clients may choose
    the request id. It must be one that cannot have been set long ago; where there is none, each fetch is another.
    """
    given = orjson.dumps((told.rid, told.deadline_ms, told.authority, told.chosen.header(), asked, variables))
    return hashlib.sha256(given).hexdigest()[:32]
