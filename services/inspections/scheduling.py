"""Scheduling: a first inspection by rule when a business is registered, and any other by an inspector."""

from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated

import strawberry
from pydantic import Field
from sqlalchemy import select as select_value
from sqlalchemy.dialects.postgresql import insert

from services.inspections import access, checklists, refusals
from services.inspections.data_files import Part, read
from services.inspections.events import BusinessRegistered, InspectionScheduled
from services.inspections.known_business import KnownBusiness
from services.inspections.models import NUMBERS, Checklist, Inspection, InspectionReason, Transition
from services.inspections.subgraph import service
from services.kit import business_days
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.database import Db
from services.kit.inputs import Input, rule
from services.kit.properties import Only

RULES = Path(__file__).parent / "data" / "first_inspections.toml"
BY_RULE = "rule"
PLANNED_AT_MOST = timedelta(days=730)


class FirstVisit(Part):
    """With which checklist, and within how many business days, a new business is visited."""

    checklist: str
    within_business_days: int = Field(ge=1, le=260)


class SectorRule(FirstVisit):
    """The same for some sectors."""

    sectors: frozenset[str]


class Rules(Part):
    """The file of rules."""

    default: FirstVisit
    rules: tuple[SectorRule, ...]

    def of(self, sector: str) -> FirstVisit:
        """The rule of a sector (NAICS; its first two digits count)."""
        return next((rule for rule in self.rules if sector[:2] in rule.sectors), self.default)


@cache
def first_visit_rules(path: Path = RULES) -> Rules:
    """The rules that ship. Raises BadData."""
    return read(path, Rules)


@service.on(BusinessRegistered)
async def keep_and_schedule(event: BusinessRegistered, db: Db) -> None:
    """Keep the business, and schedule its first inspection. A second delivery finds both done; a change of its owner that came
    before leaves the second."""
    business = KnownBusiness(
        number=event.business_number,
        name=event.legal_name,
        sector=event.sector,
        registered_by=event.registered_by,
        registered_at=event.registered_at,
    )
    await db.execute(insert(KnownBusiness).values(**business.model_dump()).on_conflict_do_nothing())
    if await _first_of(db, business.number):
        return
    visit = first_visit_rules().of(event.sector)
    checklist = await checklists.current(db, visit.checklist)
    if checklist is None:
        raise LookupError(f"no checklist {visit.checklist} is in force, which {RULES.name} asks for")
    known_since = max(business_days.day_of(event.registered_at), business_days.today())
    day = business_days.after(known_since, visit.within_business_days)
    await _plan(db, business, checklist, InspectionReason.FIRST, day, by=BY_RULE)


class ScheduleInspectionInput(Input):
    """Which business is visited, with which checklist, when and why. `inspector` may stay open: whoever begins has the visit. To
    name a colleague is for who answers for others' work."""

    business_number: str = rule(min_length=1, max_length=20)
    checklist: str = rule(min_length=1, max_length=40, description="The code of a checklist in force.")
    scheduled_for: date = rule(description="A business day in Ontario.")
    reason: InspectionReason = InspectionReason.ROUTINE
    inspector: Annotated[strawberry.ID | None, Only(access.REVIEW, oneself=True)] = rule(
        default=None, max_length=64, description="The subject of an inspector."
    )
    idempotency_key: strawberry.ID


@service.mutation(scope=access.CONDUCT)
async def schedule_inspection(db: Db, caller: Caller, log: AccessLog, input: ScheduleInspectionInput) -> Inspection:
    """Plan a visit with the checklist's version that is in force now."""
    access.require_staff(caller)
    business = await db.one(KnownBusiness, input.business_number)
    if business is None:
        raise refusals.UnknownBusiness(number=input.business_number)
    if access.owns(caller, business):
        raise refusals.OwnBusiness(at="businessNumber")
    if input.inspector == business.registered_by:
        raise refusals.OwnBusiness(at="inspector")
    checklist = await checklists.current(db, input.checklist)
    if checklist is None:
        raise refusals.UnknownChecklist(code=input.checklist)
    _check_day(input.scheduled_for)
    if input.reason is InspectionReason.FIRST and await _first_of(db, business.number):
        raise refusals.FirstInspectionExists(number=business.number)
    access.note(log, business)
    return await _plan(
        db, business, checklist, input.reason, input.scheduled_for, by=caller.subject, inspector=input.inspector
    )


async def _first_of(db: Db, number: str) -> list[Inspection]:
    return await db.where(Inspection, business_number=number, reason=InspectionReason.FIRST)


def _check_day(day: date) -> None:
    first = business_days.today()
    last = first + PLANNED_AT_MOST
    if not first <= day <= last:
        raise refusals.DayOutOfRange(first=first, last=last)
    if not business_days.is_business_day(day):
        raise refusals.NotABusinessDay(day=day, next=business_days.after(day, 1))


async def _plan(
    db: Db,
    business: KnownBusiness,
    checklist: Checklist,
    reason: InspectionReason,
    day: date,
    *,
    by: str,
    inspector: str | None = None,
) -> Inspection:
    serial = (await db.execute(select_value(NUMBERS.next_value()))).scalar_one()
    inspection = Inspection(
        number=f"IN-{serial}",
        business_number=business.number,
        sector=business.sector,
        reason=reason,
        scheduled_for=day,
        checklist_id=checklist.id,
        assigned_to=inspector,
    )
    db.add(inspection)
    await db.flush()
    db.add(Transition(inspection_id=inspection.id, position=1, status=inspection.status, by=by))
    db.emit(
        InspectionScheduled(
            inspection_id=inspection.id,
            number=inspection.number,
            business_number=business.number,
            sector=business.sector,
            checklist=checklist.id,
            scheduled_for=day,
        )
    )
    return inspection
