"""Inspections, for all ministries. Importing this declares the whole service."""

from services.inspections import business, checklists, conduct, models, premises, reading, scheduling
from services.inspections.events import InspectionScheduled
from services.inspections.subgraph import service

__all__ = ["business", "checklists", "conduct", "models", "premises", "reading", "scheduling", "service"]

service.emits(InspectionScheduled)
