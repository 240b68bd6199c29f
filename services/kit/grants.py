"""Grants that a service holds, by which a person acts for another or lets an office see data; what is done on their authority.

The service `accounts` announces them as revisions; the newest of each is kept here. An operation names one by `authority`: naming
selects, it never grants. What it may do then is what the grant says, and never more than a citizen may.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AwareDatetime, ConfigDict, Field
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Integer, Table, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from services.kit import faults, purposes
from services.kit.caller import CITIZEN, Caller, Kind, citizens_scopes
from services.kit.context import SELF
from services.kit.roles import KEPT
from services.kit.tables import METADATA

if TYPE_CHECKING:
    from services.kit.access_log import AccessLog
    from services.kit.database import Db
    from services.kit.operation import Operation

STRICT = ConfigDict(extra="forbid", strict=True)  # what is told of grants is known to the last field, or refused
grants = Table(
    "grants",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("rev", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("grantor", Text, nullable=False),
    Column("actors", ARRAY(Text), nullable=False),
    Column("subject", Text, nullable=False, index=True),  # consents are looked for by whom they are about
    Column("business", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("purposes", ARRAY(Text), nullable=False),
    Column("categories", ARRAY(Text), nullable=False),
    Column("begins", DateTime(timezone=True), nullable=False),
    Column("ends", DateTime(timezone=True), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("confirmed", JSONB, nullable=False),
    Column("seq", BigInteger, nullable=False, index=True),  # the place of the revision among all that accounts has told
    info=KEPT["info"],
)
_FIELDS = [column.name for column in grants.columns if column.name != "seq"]
_FIND = select(*(grants.c[name] for name in _FIELDS)).where(grants.c.id == bindparam("grant"))
_SHARE = _FIND.with_for_update(read=True)


@dataclass(frozen=True, slots=True)
class Grant:
    """One revision of a grant. `actors` are people as tokens name them, or `role:NAME` for an office, as in a consent; `business`
    limits it to one, by number. `confirmed` are acts that the subject has agreed to by a code: `{act, until}`."""

    __pydantic_config__: ClassVar = STRICT
    id: str
    rev: int
    kind: Kind
    grantor: str
    actors: tuple[str, ...]
    subject: str
    begins: AwareDatetime
    ends: AwareDatetime
    active: bool = True
    business: str = ""
    scopes: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    confirmed: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)

    def holds(self, now: float) -> bool:
        """Whether it is in force at a moment (Unix time in seconds)."""
        return self.active and self.begins.timestamp() <= now < self.ends.timestamp()

    def lets(self, actor: str, purpose: str, now: float) -> bool:
        """Whether a person may act on it for a purpose, the usual one where none is chosen. On a consent nobody acts."""
        usual = purposes.DEFAULTS.get(self.kind.value)
        fits = usual is not None and (purpose or usual) in self.purposes
        return fits and actor in self.actors and self.holds(now)

    def used_by(self, own: Caller) -> Caller:
        """Who acts on it, from the caller that a token speaks for. An office's powers are left behind."""
        return replace(
            own,
            subject=self.subject,
            scopes=citizens_scopes(self.kind).intersection(self.scopes),
            roles=frozenset({CITIZEN}),
            ministries=frozenset(),
            actor=own.subject,
            offices=own.roles if self.kind is Kind.ASSISTED else frozenset({CITIZEN}),
            authority=self.id,
            kind=self.kind,
            business=self.business,
        )


@dataclass(frozen=True, slots=True)
class Revision:
    """A grant as it has become, and the place of this change among those of all grants, counted from 1."""

    __pydantic_config__: ClassVar = STRICT
    seq: Annotated[int, Field(ge=1)]
    grant: Grant

    def row(self) -> dict[str, Any]:
        """As it is kept."""
        values = {name: getattr(self.grant, name) for name in _FIELDS} | {
            "kind": self.grant.kind.value,
            "seq": self.seq,
        }
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


async def keep(db: "Db", revisions: Iterable[Revision]) -> None:
    """Keep the newest of some revisions in their order, but for those of which a newer one is there. Whoever acts on such a grant
    in a transaction of their own ends that first."""
    newest = {revision.grant.id: revision.row() for revision in revisions}
    put = insert(grants).values(list(newest.values()))
    newer = put.on_conflict_do_update(
        index_elements=[grants.c.id],
        set_={name: put.excluded[name] for name in (*_FIELDS, "seq") if name != "id"},
        where=grants.c.rev < put.excluded.rev,
    )
    await db.execute(newer)


async def find(db: "Db", grant_id: str, *, share: bool = False) -> Grant | None:
    """The newest revision of a grant that is held here; to `share` it is to have the next revision wait for this transaction."""
    row = (await db.execute(_SHARE if share else _FIND, {"grant": grant_id})).first()
    if row is None:
        return None
    held: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in zip(_FIELDS, row, strict=True)}
    return Grant(**{**held, "kind": Kind(held["kind"])})


async def represent(operation: "Operation") -> None:
    """Have an operation act on the authority that it names, before anything else is done for it. For oneself it costs nothing.

    Raises Faulted UNAUTHENTICATED, AUTHORITY_UNAVAILABLE, and AUTHORITY_REFUSED whatever is wrong with the grant.
    """
    authority = operation.context.authority
    if authority == SELF:
        return
    if not operation.caller.signed_in:
        raise faults.Faulted(faults.UNAUTHENTICATED)
    reliance = operation.rely(authority)  # before it is read, so that no revision comes unseen between
    grant = await _used(operation, operation.reader)
    reliance.ends = grant.ends.timestamp()
    operation.caller = grant.used_by(operation.caller)


async def share(operation: "Operation", db: "Db") -> None:
    """Have the grant that an operation acts on stay as it is until a mutation's transaction ends: what ends it comes before that,
    and this is refused, or after. Raises Faulted AUTHORITY_REFUSED."""
    if operation.caller.kind is not None:
        await _used(operation, db, share=True)


async def require_consent(operation: "Operation", db: "Db", log: "AccessLog") -> None:
    """Where the purpose of what is noted needs consent: that each person of whom something is noted has given it, for this
    purpose and category, to an office in which the caller acts. Raises Faulted CONSENT_REQUIRED and AUTHORITY_UNAVAILABLE."""
    purpose, needed = log.needing_consent()
    if not needed:
        return
    subjects = sorted({subject for subject, _ in needed})
    reliances = {subject: operation.rely(consents_of(subject), faults.CONSENT_REQUIRED) for subject in subjects}
    offices = [f"role:{office}" for office in operation.caller.offices]
    given = select(grants.c.subject, grants.c.categories, grants.c.ends).where(
        grants.c.kind == Kind.CONSENT.value,
        grants.c.subject.in_(subjects),
        grants.c.active,
        grants.c.purposes.contains([purpose]),
        grants.c.actors.overlap(offices),
        grants.c.begins <= func.clock_timestamp(),
        grants.c.ends > func.clock_timestamp(),
    )
    held = {(row.subject, category): row.ends for row in await db.execute(given) for category in row.categories}
    if lacking := needed - held.keys():
        for subject, category in lacking:
            log.refuse(subject, category)
        raise faults.Faulted(faults.CONSENT_REQUIRED)
    for subject, category in needed:
        reliance = reliances[subject]
        reliance.ends = min(reliance.ends, held[subject, category].timestamp())


def consents_of(subject: str) -> str:
    """What is relied on by who relies on the consents of a person."""
    return f"consents of {subject}"


async def _used(operation: "Operation", db: "Db", *, share: bool = False) -> Grant:
    grant = await find(db, operation.context.authority, share=share)
    if grant is None or not grant.lets(operation.caller.actor, operation.context.purpose, time.time()):
        raise faults.Faulted(faults.AUTHORITY_REFUSED)
    return grant
