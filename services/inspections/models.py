"""The tables of inspections, which are its GraphQL types where both are the same thing.

A checklist's version never changes once it was used, and an inspection keeps the version it was scheduled with. What
happened to an inspection is only ever added to (`transition`), which the database itself enforces.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from sqlalchemy import Column, Index, Sequence, String, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from services.inspections import access
from services.inspections.known_business import KnownBusiness
from services.inspections.life import InspectionStatus
from services.inspections.premises import ImportedRow, Infraction, Premises, PremisesVisit
from services.inspections.rows import Row
from services.inspections.severity import GRAVITY, Severity
from services.inspections.subgraph import service
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.columns import as_id, id_column, moment, now, one_of
from services.kit.database import Db
from services.kit.language import Words
from services.kit.roles import ADDED_ONLY
from services.kit.text import Text, text_column

if TYPE_CHECKING:
    from services.inspections.business import Business

# With those below, all tables that the migrations know.
__all__ = ["ImportedRow", "Infraction", "KnownBusiness", "Premises", "PremisesVisit", "Row"]
ID = strawberry.ID
NUMBERS_FROM = 100_001


# People quote an inspection's number on the telephone: short, and never given twice.
NUMBERS = Sequence("inspection_number", start=NUMBERS_FROM, metadata=Row.metadata)


@strawberry.enum(description="Why an inspection takes place.")
class InspectionReason(Enum):
    """A business has at most one FIRST inspection."""

    FIRST = "FIRST"
    ROUTINE = "ROUTINE"
    COMPLAINT = "COMPLAINT"
    FOLLOW_UP = "FOLLOW_UP"


@strawberry.enum(description="What a reviewer decides.")
class ReviewDecision(Enum):
    """APPROVED leads to reviewed; SENT_BACK returns the record to its inspector."""

    APPROVED = "APPROVED"
    SENT_BACK = "SENT_BACK"


@strawberry.enum(description="What an inspector owes the people visited, at first contact.")
class FirstContactDuty(Enum):
    """Source: Ontario's regulator's code of professionalism."""

    INTRODUCED_SELF_AND_MINISTRY = "INTRODUCED_SELF_AND_MINISTRY"
    STATED_AUTHORITY = "STATED_AUTHORITY"
    EXPLAINED_PROCESS = "EXPLAINED_PROCESS"
    LEFT_CONTACT_NUMBER = "LEFT_CONTACT_NUMBER"

    @property
    def words(self) -> Words:
        """The duty for a person."""
        return _DUTIES[self]


_DUTIES: Mapping[FirstContactDuty, Words] = {
    FirstContactDuty.INTRODUCED_SELF_AND_MINISTRY: Words(
        "introduce yourself and the ministry", "se présenter et nommer le ministère"
    ),
    FirstContactDuty.STATED_AUTHORITY: Words("state the authority", "indiquer ses pouvoirs"),
    FirstContactDuty.EXPLAINED_PROCESS: Words("explain the process", "expliquer la démarche"),
    FirstContactDuty.LEFT_CONTACT_NUMBER: Words("leave a contact number", "laisser un numéro où joindre le ministère"),
}


def inspection_reference() -> Any:
    """The inspection that a row belongs to."""
    return Field(sa_type=Uuid(as_uuid=False), foreign_key="inspection.id", index=True, exclude=True)


@service.object_type()
@dataclass
class ChecklistItem:
    """One thing to check, and the law that asks for it."""

    code: str
    question: Text
    law: Text
    section: str
    severity: Severity


@service.entity(key="id")
class Checklist(Row, table=True):
    """A version of a checklist. Its id is `code@version`; it never changes once it is published."""

    id: ID = Field(sa_type=String, primary_key=True)
    code: str = Field(index=True)
    version: int
    title: Text = text_column()
    sector: Text = text_column()
    data: list[dict[str, Any]] = Field(sa_type=JSONB, exclude=True)
    published_at: datetime = moment(default_factory=now)
    retired_at: datetime | None = moment(default=None, nullable=True)

    def items(self) -> list[ChecklistItem]:
        """What is checked, in order."""
        return self._items()

    def _items(self) -> list[ChecklistItem]:
        return [
            ChecklistItem(
                code=item["code"],
                question=Text(**item["question"]),
                law=Text(**item["law"]),
                section=item["section"],
                severity=Severity(item["severity"]),
            )
            for item in self.data
        ]


@service.entity(key="id", scope=access.READ, personal=access.CATEGORY)
class Inspection(Row, table=True):
    """A visit to a business: planned, made, recorded, reviewed by somebody else, closed."""

    __table_args__ = (
        Index("uq_first_inspection", "business_number", unique=True, postgresql_where=text("reason = 'FIRST'")),
        Index("ix_inspection_by_status", "status", "scheduled_for", "id"),
        Index("ix_inspection_by_date", "scheduled_for", "id"),
    )

    id: ID = id_column()
    number: str = Field(unique=True)
    business_number: str = Field(index=True, foreign_key="known_business.number")
    sector: str
    reason: InspectionReason = one_of(InspectionReason)
    status: InspectionStatus = one_of(InspectionStatus, default=InspectionStatus.SCHEDULED)
    scheduled_for: date
    checklist_id: str = Field(foreign_key="checklist.id", exclude=True)
    assigned_to: str | None = Field(default=None, index=True, exclude=True)
    version: int = 1
    round: int = Field(default=0, exclude=True)  # how often it was recorded: what was sent back stays on file
    not_applicable: list[str] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False))
    first_contact: list[str] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False), exclude=True)
    scheduled_at: datetime = moment(default_factory=now)
    started_at: datetime | None = moment(default=None, nullable=True)
    recorded_at: datetime | None = moment(default=None, nullable=True)
    reviewed_at: datetime | None = moment(default=None, nullable=True)
    closed_at: datetime | None = moment(default=None, nullable=True)

    @classmethod
    async def find(cls, db: Db, caller: Caller, log: AccessLog, id: str) -> "Inspection | None":
        """By id, as far as the caller may see it; None otherwise, so that nobody learns what there is."""
        found = await db.one(cls, key) if (key := as_id(id)) else None
        # Asked even where there is nothing, so that the work which is done does not tell what there is.
        shown = await access.may_read(db, caller, log, found.business_number if found else "")
        return found if shown else None

    def business(self) -> Annotated["Business", strawberry.lazy("services.inspections.business")]:
        """The business visited."""
        from services.inspections.business import Business

        return Business(business_number=ID(self.business_number))  # type: ignore[call-arg] # the kit makes it a dataclass

    async def checklist(self, db: Db) -> Checklist | None:
        """The version of the checklist that it was scheduled with."""
        return await db.one(Checklist, self.checklist_id)

    def inspector(self, caller: Caller) -> ID | None:
        """The subject of the inspector, for those who work with inspections; null for others."""
        return ID(self.assigned_to) if self.assigned_to and access.works_here(caller) else None

    async def findings(self, db: Db) -> list["Finding"]:
        """What was found against the law, gravest first: the latest record."""
        return await self._findings(db)

    async def _findings(self, db: Db) -> list["Finding"]:
        rows = [row for row in await db.where(Finding, inspection_id=self.id) if row.round == self.round]
        return sorted(rows, key=lambda finding: (-GRAVITY[finding.severity], finding.item_code))

    async def reviews(self, db: Db, caller: Caller) -> list["Review"]:
        """What reviewers decided, in order, for those who work with inspections; none for others."""
        if not access.works_here(caller):
            return []
        return sorted(await db.where(Review, inspection_id=self.id), key=lambda review: review.at)

    async def history(self, db: Db) -> list["Transition"]:
        """Each state that it came into, in order."""
        return sorted(await db.where(Transition, inspection_id=self.id), key=lambda step: step.position)


@service.object_type(personal=access.CATEGORY)
class Finding(Row, table=True):
    """Something found against the law, with the law as it stood in the checklist."""

    __table_args__ = (UniqueConstraint("inspection_id", "round", "item_code"),)

    id: ID = id_column()
    inspection_id: str = inspection_reference()
    round: int = Field(exclude=True)
    item_code: str
    law: Text = text_column()
    section: str
    severity: Severity = one_of(Severity)
    comment: str
    corrected_on_the_spot: bool
    correct_by: date | None = None
    corrected_on: date | None = None

    @property
    def is_open(self) -> bool:
        """Whether it waits for its correction."""
        return self.corrected_on is None


@service.object_type(personal=access.CATEGORY)
class Review(Row, table=True):
    """What somebody other than the inspector decided about a record."""

    __table_args__ = ADDED_ONLY

    id: ID = id_column()
    inspection_id: str = inspection_reference()
    decision: ReviewDecision = one_of(ReviewDecision)
    comment: str
    reviewer: str = Field(exclude=True)
    at: datetime = moment(default_factory=now)


@service.object_type(name="InspectionTransition", personal=access.CATEGORY)
class Transition(Row, table=True):
    """A state that an inspection came into, when, by whom and why. Rows are added, never changed or deleted."""

    __table_args__ = ADDED_ONLY

    inspection_id: str = Field(sa_type=Uuid(as_uuid=False), foreign_key="inspection.id", primary_key=True, exclude=True)
    position: int = Field(primary_key=True, exclude=True)
    status: InspectionStatus = one_of(InspectionStatus)
    at: datetime = moment(default_factory=now)
    by: str = Field(exclude=True)
    remark: str = Field(default="", exclude=True)

    def note(self, caller: Caller) -> str | None:
        """The reason that was given, for those who work with inspections; null for others."""
        return self.remark if access.works_here(caller) else None
