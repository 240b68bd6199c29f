"""The events of inspections: what it hears from the registry, and what it announces."""

from datetime import date, datetime

from services.kit.events import Event


class BusinessRegistered(Event, type="business.registered.v1", subject="business_number"):
    """A business stands on the register. The fields that inspections read of it."""

    business_number: str
    legal_name: str
    sector: str
    registered_at: datetime
    registered_by: str


class BusinessPartyChanged(Event, type="business.party.changed.v1", subject="business_number"):
    """A business is somebody else's. The fields that inspections read of it."""

    business_number: str
    legal_name: str
    sector: str
    registered_at: datetime
    owner: str
    changed_at: datetime


class InspectionScheduled(Event, type="inspection.scheduled.v1", subject="inspection_id"):
    """An inspection of a business is planned for a day in Ontario."""

    inspection_id: str
    number: str
    business_number: str
    sector: str
    checklist: str
    scheduled_for: date
