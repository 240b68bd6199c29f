"""Conducting an inspection: started, recorded, reviewed by somebody else, corrected, closed; or cancelled.

Every change names the version that the caller saw, and waits for its turn on the row: of two at once, one is refused.
"""

from collections.abc import Sequence
from datetime import date, timedelta

from sqlmodel import col, select

from services.inspections import access, life, refusals
from services.inspections.known_business import KnownBusiness
from services.inspections.life import InspectionStatus, Move
from services.inspections.models import (
    Checklist,
    ChecklistItem,
    Finding,
    FirstContactDuty,
    Inspection,
    Review,
    ReviewDecision,
    Transition,
)
from services.inspections.subgraph import service
from services.kit import business_days
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.columns import now
from services.kit.database import Db
from services.kit.inputs import Input, rule

LONGEST_CORRECTION = timedelta(days=366)


class InspectionChange(Input):
    """Which inspection, and the version of it that the caller saw."""

    number: str = rule(min_length=1, max_length=20)
    version: int = rule(ge=1)


class StartInspectionInput(InspectionChange):
    """The caller begins the visit."""


class FindingInput(Input):
    """Something found against the law that a checklist's item asks about."""

    item: str = rule(min_length=1, max_length=20, description="The code of an item of the inspection's checklist.")
    comment: str = rule(min_length=3, max_length=2000)
    corrected_on_the_spot: bool = False
    correct_by: date | None = rule(default=None, description="By when, unless it was corrected on the spot.")


class RecordFindingsInput(InspectionChange):
    """What the visit found. Items that are neither found against nor named as not applicable were in order."""

    findings: list[FindingInput] = rule(max_length=200)
    not_applicable: list[str] = rule(default_factory=list, max_length=200)
    first_contact: list[FirstContactDuty] = rule(max_length=10, description="What was done at first contact.")


class ReviewInspectionInput(InspectionChange):
    """A decision about a record; a record that is sent back needs a reason."""

    decision: ReviewDecision
    comment: str = rule(default="", max_length=2000)


class ConfirmCorrectionInput(InspectionChange):
    """A finding was put right."""

    item: str = rule(min_length=1, max_length=20)


class CloseInspectionInput(InspectionChange):
    """Everything is settled."""


class CancelInspectionInput(InspectionChange):
    """The visit does not take place, and why."""

    reason: str = rule(min_length=3, max_length=2000)


@service.mutation(scope=access.CONDUCT)
async def start_inspection(db: Db, caller: Caller, log: AccessLog, input: StartInspectionInput) -> Inspection:
    """Begin a visit; the caller is its inspector from now on."""
    inspection = await _held(db, caller, log, input)
    if inspection.assigned_to not in (None, caller.subject):
        raise refusals.AnotherInspector()
    _move(db, inspection, Move.START, caller)
    inspection.assigned_to, inspection.started_at = caller.subject, now()
    return inspection


@service.mutation(scope=access.CONDUCT)
async def record_findings(db: Db, caller: Caller, log: AccessLog, input: RecordFindingsInput) -> Inspection:
    """Record what was found, each finding with its item's law. A record that was sent back is kept beside the new one."""
    inspection = await _held(db, caller, log, input)
    _move(db, inspection, Move.RECORD, caller)
    if inspection.assigned_to != caller.subject:
        raise refusals.AnotherInspector()
    if missing := [duty.words for duty in FirstContactDuty if duty not in input.first_contact]:
        english, french = (", ".join(half) for half in zip(*((w.en, w.fr) for w in missing), strict=True))
        raise refusals.FirstContactIncomplete(missing_en=english, missing_fr=french)
    checklist = await db.one(Checklist, inspection.checklist_id)
    assert checklist is not None  # noqa: S101 - a foreign key
    items = {item.code: item for item in checklist._items()}
    _check_answers(input, items, checklist.id)
    inspection.round += 1
    inspection.recorded_at = now()
    inspection.not_applicable = sorted(input.not_applicable)
    inspection.first_contact = sorted(duty.value for duty in input.first_contact)
    db.add(*(_finding(inspection, items[found.item], found) for found in input.findings))
    return inspection


@service.mutation(scope=access.REVIEW, policy="second_factor")
async def review_inspection(db: Db, caller: Caller, log: AccessLog, input: ReviewInspectionInput) -> Inspection:
    """Approve a record, or send it back to its inspector. The reviewer is never the inspector."""
    inspection = await _held(db, caller, log, input)
    approved = input.decision is ReviewDecision.APPROVED
    _move(db, inspection, Move.APPROVE if approved else Move.SEND_BACK, caller, input.comment)
    if inspection.assigned_to == caller.subject:
        raise refusals.FourEyes()
    if not approved and not input.comment:
        raise refusals.ReasonNeeded()
    inspection.reviewed_at = now() if approved else None
    review = Review(
        inspection_id=inspection.id,
        decision=input.decision,
        comment=input.comment,
        reviewer=caller.subject,
    )
    db.add(review)
    return inspection


@service.mutation(scope=access.CONDUCT)
async def confirm_correction(db: Db, caller: Caller, log: AccessLog, input: ConfirmCorrectionInput) -> Inspection:
    """A finding of a reviewed inspection was put right, as an inspector saw today."""
    inspection = await _held(db, caller, log, input)
    if inspection.status is not InspectionStatus.REVIEWED:
        raise _not_now(inspection)
    found = next((f for f in await _open(db, inspection) if f.item_code == input.item), None)
    if found is None:
        raise refusals.NoOpenFinding(item=input.item)
    found.corrected_on = business_days.today()
    inspection.version += 1
    db.add(found, inspection)
    return inspection


@service.mutation(scope=access.REVIEW, policy="second_factor")
async def close_inspection(db: Db, caller: Caller, log: AccessLog, input: CloseInspectionInput) -> Inspection:
    """Close a reviewed inspection of which no finding is open."""
    inspection = await _held(db, caller, log, input)
    _move(db, inspection, Move.CLOSE, caller)
    if waiting := await _open(db, inspection):
        raise refusals.OpenFindings(count=len(waiting))
    inspection.closed_at = now()
    return inspection


@service.mutation(scope=access.CONDUCT)
async def cancel_inspection(db: Db, caller: Caller, log: AccessLog, input: CancelInspectionInput) -> Inspection:
    """Cancel a visit that was not recorded."""
    inspection = await _held(db, caller, log, input)
    _move(db, inspection, Move.CANCEL, caller, input.reason)
    return inspection


async def _held(db: Db, caller: Caller, log: AccessLog, change: InspectionChange) -> Inspection:
    """The inspection to change, which is noted, locked until the transaction ends. Raises a refusal, or Faulted FORBIDDEN."""
    access.require_staff(caller)
    locked = select(Inspection).where(col(Inspection.number) == change.number).with_for_update()
    inspection: Inspection | None = await db.first(locked)
    if inspection is None:
        raise refusals.NoSuchInspection(number=change.number)
    if inspection.version != change.version:
        raise refusals.OutdatedVersion(version=inspection.version)
    business = await db.one(KnownBusiness, inspection.business_number)
    if business is not None:
        if access.owns(caller, business):
            raise refusals.OwnBusiness(at="number")
        access.note(log, business)
    return inspection


def _move(db: Db, inspection: Inspection, move: Move, caller: Caller, note: str = "") -> None:
    following = life.after(inspection.status, move)
    if following is None:
        raise _not_now(inspection)
    inspection.status = following
    inspection.version += 1
    step = Transition(
        inspection_id=inspection.id,
        position=inspection.version,
        status=following,
        by=caller.subject,
        remark=note,
    )
    db.add(inspection, step)


def _not_now(inspection: Inspection) -> refusals.NotNow:
    words = inspection.status.words
    return refusals.NotNow(state_en=words.en, state_fr=words.fr)


def _check_answers(given: RecordFindingsInput, items: dict[str, ChecklistItem], checklist: str) -> None:
    first = business_days.today()
    last = first + LONGEST_CORRECTION
    answers = [(f"findings.{n}.item", found.item) for n, found in enumerate(given.findings)]
    answers += [(f"notApplicable.{n}", code) for n, code in enumerate(given.not_applicable)]
    seen: set[str] = set()
    for at, code in answers:
        if code not in items:
            raise refusals.UnknownItem(at=at, checklist=checklist, item=code)
        if code in seen:
            raise refusals.ItemTwice(at=at, item=code)
        seen.add(code)
    for n, found in enumerate(given.findings):
        due = found.correct_by
        sound = due is None if found.corrected_on_the_spot else due is not None and first <= due <= last
        if not sound:
            raise refusals.CorrectionDay(at=f"findings.{n}.correctBy", first=first, last=last)


def _finding(inspection: Inspection, item: ChecklistItem, found: FindingInput) -> Finding:
    return Finding(
        inspection_id=inspection.id,
        round=inspection.round,
        item_code=item.code,
        law=item.law,
        section=item.section,
        severity=item.severity,
        comment=found.comment,
        corrected_on_the_spot=found.corrected_on_the_spot,
        correct_by=found.correct_by,
        corrected_on=business_days.today() if found.corrected_on_the_spot else None,
    )


async def _open(db: Db, inspection: Inspection) -> Sequence[Finding]:
    rows = await db.where(Finding, inspection_id=inspection.id)
    return [row for row in rows if row.round == inspection.round and row.is_open]
