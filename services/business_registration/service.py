"""Business registration: names, applications and the register. Importing this declares the whole service."""

from services.business_registration import applications, events, filing, naming, programs, register, rekeying, seeds
from services.business_registration.subgraph import service

__all__ = ["applications", "filing", "naming", "programs", "register", "rekeying", "seeds", "service"]

service.emits(events.BusinessRegistered, events.ProgramRequested, events.ApplicationStatusChanged)
