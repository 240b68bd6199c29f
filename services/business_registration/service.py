"""Business registration: names, applications and the register. Importing this declares the whole service."""

from services.business_registration import (
    addresses,
    applications,
    events,
    filing,
    naming,
    programs,
    register,
    rekeying,
    seeds,
    transfers,
)
from services.business_registration.subgraph import service

__all__ = [
    "addresses",
    "applications",
    "filing",
    "naming",
    "programs",
    "register",
    "rekeying",
    "seeds",
    "service",
    "transfers",
]

service.emits(
    events.BusinessRegistered,
    events.BusinessAddressChanged,
    events.BusinessPartyChanged,
    events.ProgramRequested,
    events.ApplicationStatusChanged,
)
