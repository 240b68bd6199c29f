"""The registry's events: what it announces, and the programs' answers that it listens to."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from services.kit.events import Event


class Part(BaseModel):
    """A part of an event's data."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class Address(Part):
    """A place in Ontario."""

    street: str
    city: str
    province: str
    postal_code: str


class Reason(Part):
    """Why a program refused, in both languages."""

    en: str
    fr: str


class BusinessRegistered(Event, type="business.registered.v1", subject="business_number"):
    """A business has its number and stands on the register."""

    business_number: str
    legal_name: str
    legal_type: str
    sector: str
    registered_at: datetime
    registered_by: str
    address: Address


class BusinessAddressChanged(Event, type="business.address_changed.v1", subject="business_number"):
    """A business is at another address."""

    business_number: str
    address: Address
    changed_at: datetime


class BusinessPartyChanged(Event, type="business.party.changed.v1", subject="business_number"):
    """A business is somebody else's: who was its owner, and who is from now on. With what its registration said that does not
    change, for who has not heard of that yet."""

    business_number: str
    legal_name: str
    sector: str
    registered_at: datetime
    former_owner: str
    owner: str
    changed_at: datetime


class ProgramRequested(Event, type="program.requested.v1", subject="application_id"):
    """A program is asked to decide about a business."""

    request_id: str
    application_id: str
    business_number: str
    legal_name: str
    legal_type: str
    sector: str
    program: str


class ProgramDecided(Event, type="program.decided.v1", subject="application_id"):
    """A program has decided."""

    request_id: UUID
    application_id: str
    program: str
    outcome: Literal["APPROVED", "REFUSED"]
    decided_at: datetime
    account_number: str | None = None
    reason_code: str | None = None
    reason: Reason | None = None


class ApplicationStatusChanged(Event, type="application.status_changed.v1", subject="application_id"):
    """An application, or a program's part of it, came into another state."""

    application_id: str
    status: str
    changed_at: datetime
