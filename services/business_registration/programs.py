"""The programs' answers: each ends one part of an application, the last one ends the whole."""

from sqlmodel import select

from services.business_registration.applications import enter
from services.business_registration.events import ApplicationStatusChanged, ProgramDecided
from services.business_registration.models import (
    ApplicationRecord,
    ApplicationStatus,
    ProgramRecord,
    ProgramState,
)
from services.business_registration.subgraph import service
from services.kit.columns import now
from services.kit.database import Db
from services.kit.text import Text


@service.on(ProgramDecided)
async def record_decision(event: ProgramDecided, db: Db) -> None:
    """Note a program's answer. A first answer stands: what comes again, or answers nothing that was asked, changes nothing."""
    asked = select(ProgramRecord.application_id).where(ProgramRecord.request_id == event.request_id)
    application_id = await db.first(asked)
    if application_id is None:
        return
    locked = select(ApplicationRecord).where(ApplicationRecord.id == application_id).with_for_update()
    application = (await db.execute(locked)).scalar_one()
    programs = await db.where(ProgramRecord, application_id=application_id)
    decided = next(program for program in programs if program.request_id == event.request_id)
    if decided.state != ProgramState.REQUESTED.value:
        return
    decided.state, decided.decided_at = event.outcome, event.decided_at
    decided.account_number = event.account_number
    decided.reason = Text(en=event.reason.en, fr=event.reason.fr) if event.reason else None
    states = {program.state for program in programs}
    if ProgramState.REQUESTED.value in states:
        changed = ApplicationStatusChanged(
            application_id=str(application_id), status=application.status, changed_at=now()
        )
        db.emit(changed)
    else:
        all_approved = states == {ProgramState.APPROVED.value}
        final = ApplicationStatus.COMPLETED if all_approved else ApplicationStatus.PARTLY_COMPLETED
        await enter(db, application, final)
