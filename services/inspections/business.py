"""What inspections add to the registry's `Business`: its inspections, its compliance profile, its risk score.

Each reads by batched keys, so that a hundred businesses in one `_entities` call take as many statements as one.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

import strawberry

from services.inspections import access, risk
from services.inspections.life import InspectionStatus
from services.inspections.models import Finding, Inspection
from services.inspections.severity import GRAVITY, Severity
from services.inspections.subgraph import service
from services.kit import business_days, faults
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.database import Db
from services.kit.pages import Connection, Edge, PageInfo, decode_cursor, encode_cursor, page_size
from services.kit.service import external, field
from services.kit.text import Text

# A finding counts against a business when somebody other than the inspector has confirmed it.
CONFIRMED = (InspectionStatus.REVIEWED, InspectionStatus.CLOSED)
AHEAD = (InspectionStatus.SCHEDULED, InspectionStatus.STARTED)


@strawberry.enum(description="How high a risk is.")
class RiskBand(Enum):
    """From the model's file."""

    LOW = "LOW"
    MODERATE = "MODERATE"
    HIGH = "HIGH"


@strawberry.enum(description="How a business stands with the laws it was inspected under.")
class ComplianceStanding(Enum):
    """OVERDUE: a correction is late. TO_CORRECT: one is awaited. COMPLIANT: none is. NOT_INSPECTED: nothing is known."""

    NOT_INSPECTED = "NOT_INSPECTED"
    COMPLIANT = "COMPLIANT"
    TO_CORRECT = "TO_CORRECT"
    OVERDUE = "OVERDUE"


@service.object_type()
@dataclass
class RiskFactor:
    """One factor of a score: what was measured, and what it adds to the log-odds."""

    code: str
    label: Text
    value: float
    contribution: float


@service.object_type(personal=access.CATEGORY)
@dataclass
class RiskScore:
    """A score from 0 to 100 that explains itself: the contributions add up to its log-odds."""

    score: float
    band: RiskBand
    model_version: str
    factors: list[RiskFactor]
    contest: Text


@service.object_type()
@dataclass
class SeverityCount:
    """Confirmed findings of one severity: ever found, open now, open and late."""

    severity: Severity
    found: int
    open: int
    overdue: int


@service.object_type()
@dataclass
class LawStanding:
    """Confirmed findings under one law."""

    law: Text
    found: int
    open: int


@service.object_type(personal=access.CATEGORY)
@dataclass
class ComplianceProfile:
    """What all ministries' inspections say of a business. Only what was reviewed counts."""

    standing: ComplianceStanding
    inspections: int
    last_inspected_on: date | None
    next_inspection_on: date | None
    awaiting_review: int
    by_severity: list[SeverityCount]
    by_law: list[LawStanding]


@service.extends(key="businessNumber", scope=access.READ)
class Business:
    """The registry's business, with its inspections."""

    business_number: strawberry.ID
    sector: str = external()
    registered_at: datetime = external()

    @field(personal=access.CATEGORY)
    async def inspections(
        self, db: Db, caller: Caller, log: AccessLog, first: int | None = None, after: str | None = None
    ) -> Connection[Inspection]:
        """Its inspections, the latest day first."""
        size = page_size(first)
        bound = decode_cursor(after, (date, str)) if after is not None else None
        known = await access.readable(db, caller, log, str(self.business_number))
        found = sorted(await _inspections(db, self) if known else [], key=_sort_key, reverse=True)
        access.note(log, *([known] if known else []))
        rest = [inspection for inspection in found if bound is None or _sort_key(inspection) < bound]
        edges = [Edge(cursor=encode_cursor(_sort_key(i)), node=i) for i in rest[:size]]
        end = edges[-1].cursor if edges else None
        return Connection(edges=edges, page_info=PageInfo(has_next_page=len(rest) > size, end_cursor=end))

    async def compliance_profile(self, db: Db, caller: Caller, log: AccessLog) -> ComplianceProfile | None:
        """How it stands with the laws it was inspected under; null while its registration has not arrived here."""
        known = await access.readable(db, caller, log, str(self.business_number))
        if known is None:
            return None
        inspections = await _inspections(db, self)
        confirmed = [i for i in inspections if i.status in CONFIRMED]
        findings = [finding for group in await _findings(db, confirmed) for finding in group]
        access.note(log, known)
        return _profile(inspections, confirmed, findings, business_days.today())

    @field(requires="sector registeredAt")
    async def risk_score(self, db: Db, caller: Caller, log: AccessLog) -> RiskScore | None:
        """How likely grave findings are at the next visit, and why; null while its registration has not arrived here."""
        business = await access.readable(db, caller, log, str(self.business_number))
        if business is None:
            return None
        confirmed = [i for i in await _inspections(db, self) if i.status in CONFIRMED]
        groups = await _findings(db, confirmed)
        known = risk.Known(
            sector=str(self.sector),
            registered_on=business_days.day_of(_moment(self.registered_at)),
            visits=[
                risk.Visit(_visited_on(i), [f.severity for f in group])
                for i, group in zip(confirmed, groups, strict=True)
            ],
            open=[finding.severity for group in groups for finding in group if finding.is_open],
        )
        access.note(log, business)
        return _shown(risk.assess(known, business_days.today(), risk.model()))


async def _inspections(db: Db, business: Business) -> list[Inspection]:
    return await db.where(Inspection, business_number=str(business.business_number))


async def _findings(db: Db, inspections: Sequence[Inspection]) -> list[list[Finding]]:
    groups = await asyncio.gather(*(db.where(Finding, inspection_id=i.id) for i in inspections))
    return [[f for f in group if f.round == i.round] for i, group in zip(inspections, groups, strict=True)]


def _sort_key(inspection: Inspection) -> tuple[date, str]:
    return inspection.scheduled_for, str(inspection.id)


def _visited_on(inspection: Inspection) -> date:
    return business_days.day_of(inspection.recorded_at) if inspection.recorded_at else inspection.scheduled_for


def _moment(given: object) -> datetime:
    """A moment that the registry gave, as it comes in a representation. Raises Faulted BAD_USER_INPUT."""
    try:
        moment = datetime.fromisoformat(str(given))
        if moment.tzinfo is None:
            raise ValueError
    except ValueError:
        raise faults.Faulted(
            faults.BAD_USER_INPUT,
            field="registeredAt",
            detail_en="registeredAt is no moment with an offset",
            detail_fr="registeredAt n’est pas un instant avec décalage",
        ) from None
    return moment


def _profile(
    inspections: Sequence[Inspection], confirmed: Sequence[Inspection], findings: Sequence[Finding], today: date
) -> ComplianceProfile:
    open_ones = [f for f in findings if f.is_open]
    late = [f for f in open_ones if f.correct_by is not None and f.correct_by < today]
    if not confirmed:
        standing = ComplianceStanding.NOT_INSPECTED
    elif late:
        standing = ComplianceStanding.OVERDUE
    else:
        standing = ComplianceStanding.TO_CORRECT if open_ones else ComplianceStanding.COMPLIANT
    return ComplianceProfile(
        standing=standing,
        inspections=len(confirmed),
        last_inspected_on=max(map(_visited_on, confirmed), default=None),
        next_inspection_on=min((i.scheduled_for for i in inspections if i.status in AHEAD), default=None),
        awaiting_review=sum(i.status is InspectionStatus.RECORDED for i in inspections),
        by_severity=[
            SeverityCount(
                severity, *(sum(f.severity is severity for f in group) for group in (findings, open_ones, late))
            )
            for severity in sorted(Severity, key=GRAVITY.__getitem__, reverse=True)
        ],
        by_law=_laws(findings),
    )


def _laws(findings: Sequence[Finding]) -> list[LawStanding]:
    laws = {finding.law.en or "": finding.law for finding in findings}
    grouped = {name: [f for f in findings if f.law.en == name] for name in laws}
    standings = [LawStanding(laws[name], len(group), sum(f.is_open for f in group)) for name, group in grouped.items()]
    return sorted(standings, key=lambda standing: (-standing.open, -standing.found, standing.law.en or ""))


def _shown(assessment: risk.Assessment) -> RiskScore:
    words = risk.model()
    return RiskScore(
        score=assessment.score,
        band=RiskBand(assessment.band),
        model_version=assessment.version,
        factors=[
            RiskFactor(f.code, words.labels[f.code].as_text(), round(f.value, 3), round(f.contribution, 4))
            for f in assessment.factors
        ],
        contest=words.contest.as_text(),
    )
