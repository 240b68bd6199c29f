"""The security audit: what the door refused, and who signed in, or tried to, at the issuer. Sealed like entries, for auditors.

It comes by events of the gateway and of `onedoor keycloak events`, each told at least once and kept once. It holds nothing about
people but who acted, by the id that tokens name them by.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import strawberry
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from sqlalchemy import Column, Index, LargeBinary, Uuid, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field as ColumnField
from sqlmodel import col

from services.accounts.models import Row, service
from services.kit.access_log import AccessLog
from services.kit.audit.tables import FUNCTIONS, Sealed, audited, declare
from services.kit.columns import moment
from services.kit.database import Db
from services.kit.events import Event
from services.kit.pages import Connection, page
from services.kit.roles import APP, RETENTION

AUDIT = "audit:read"
SIGN_IN = "sign-in"  # the category
KEPT_DAYS = 730
Short = Annotated[str, Field(max_length=300)]


class Observed(BaseModel):
    """One thing that was seen, or `count` alike within seconds, from `at` to `lastAt`. `id` is the observer's."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    id: Annotated[str, Field(min_length=1, max_length=100)]
    at: datetime
    last_at: datetime
    kind: Annotated[str, Field(min_length=1, max_length=100)]
    actor: Short
    client: Short
    operation: Short
    detail: Short
    count: Annotated[int, Field(ge=1)]


class SecurityObserved(Event, type="security.observed.v1", subject="observer"):
    """What the gateway refused, or what happened at the issuer. `observer` names the process that tells it."""

    observer: Annotated[str, Field(min_length=1, max_length=100)]
    source: Literal["gateway", "issuer"]
    events: Annotated[list[Observed], Field(min_length=1, max_length=100)]


class SecurityRecord(Row, table=True):
    """A row of the security audit."""

    __tablename__ = "security_event"
    __table_args__ = (
        Index("ix_security_event_last_at", "last_at", "id"),
        {"info": {APP: ("SELECT", "INSERT"), RETENTION: ("SELECT (id)", "DELETE")}},
    )

    id: UUID | None = ColumnField(
        default=None,
        sa_column=Column(Uuid(), primary_key=True, server_default=text("uuidv7()")),
    )
    key: str = ColumnField(unique=True)
    source: str
    at: datetime = moment()
    last_at: datetime = moment()
    kind: str
    actor: str
    client: str
    operation: str
    detail: str
    count: int
    salt: bytes | None = ColumnField(
        default=None,
        sa_column=Column(LargeBinary, nullable=False, server_default=text("uuid_send(gen_random_uuid())")),
    )


records = SecurityRecord.metadata.tables["security_event"]
declare(records, *FUNCTIONS, *audited("security_event"))


def kept_until(record: Mapping[str, Any]) -> date:
    """The last day of a record."""
    moment: datetime = record["last_at"]
    return moment.astimezone(UTC).date() + timedelta(days=KEPT_DAYS)


service.sealed.append(Sealed(records, kept_until))


@service.on(SecurityObserved)
async def observed(event: SecurityObserved, db: Db) -> None:
    """Keep what was told, each once."""
    rows = [
        {**seen.model_dump(exclude={"id"}), "key": f"{event.source}/{seen.id}", "source": event.source}
        for seen in event.events
    ]
    await db.execute(insert(records).on_conflict_do_nothing(), rows)


@service.object_type(personal=SIGN_IN)
class SecurityEvent:
    """Something that the door refused, or that happened at the issuer; or several alike within seconds."""

    id: strawberry.ID
    source: str
    """`gateway` or `issuer`."""
    kind: str
    at: datetime
    last_at: datetime
    count: int
    actor: str
    client: str
    operation: str
    detail: str


@service.query(scope=AUDIT)
async def security_events(
    db: Db,
    log: AccessLog,
    first: int | None = None,
    after: str | None = None,
    source: str | None = None,
    kind: str | None = None,
    actor: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Connection[SecurityEvent]:
    """What was refused at the door and what happened at the issuer, the latest first. For auditors."""
    asked = select(SecurityRecord)
    for name, value in {"source": source, "kind": kind, "actor": actor}.items():
        if value is not None:
            asked = asked.where(records.c[name] == value)
    if since is not None:
        asked = asked.where(col(SecurityRecord.last_at) >= since)
    if until is not None:
        asked = asked.where(col(SecurityRecord.last_at) < until)
    order: Sequence[Any] = (SecurityRecord.last_at, SecurityRecord.id)
    found = await page(db, asked, order=order, first=first, after=after, as_node=_shown, descending=True)
    log.note_each(SIGN_IN, ((edge.node.actor, "") for edge in found.edges if edge.node.actor))
    return found


def _shown(record: SecurityRecord) -> SecurityEvent:
    told = {name: getattr(record, name) for name in SecurityEvent.__annotations__}
    return SecurityEvent(**{**told, "id": strawberry.ID(str(record.id))})
