"""What every service announces of its audit: the entries that were sealed, for the people whom they are about, and its heads."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from services.kit.events import Event

MOST_ENTRIES = 100


class LoggedEntry(BaseModel):
    """One access entry: who did what with whose data, for which purpose, and when its subject is shown it."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    id: UUID
    at: datetime
    act: str
    actor: str
    role: str
    subject: str
    business: str
    category: str
    purpose: str
    authority: str
    kind: str
    operation: str
    recipients: list[str]
    case_number: str
    reason: str
    shown_after: datetime
    keep_until: date


class AccessLogged(Event, type="access.logged.v1", subject="batch"):
    """Access entries of a service, sealed in its chain, at most a hundred. `batch` names service and first seal: batches wait for
    no other."""

    batch: str
    service: str
    entries: Annotated[list[LoggedEntry], Field(min_length=1, max_length=MOST_ENTRIES)]


class AuditHead(Event, type="audit.head.v1", subject="service"):
    """What a service's chain is now: how many seals, and the hash of the last in hexadecimal; signed (JWS) where it has a key."""

    service: str
    count: Annotated[int, Field(ge=1)]
    hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    at: datetime
    jws: str
