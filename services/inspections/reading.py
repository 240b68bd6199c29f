"""Reading inspections: one by its number, or a page of all that the caller may see."""

from sqlmodel import col, select

from services.inspections import access
from services.inspections.life import InspectionStatus
from services.inspections.models import Inspection
from services.inspections.subgraph import service
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.database import Db
from services.kit.pages import Connection, page


@service.query(scope=access.READ)
async def inspection(db: Db, caller: Caller, log: AccessLog, number: str) -> Inspection | None:
    """An inspection by its number; null when there is none, or when it is not the caller's to see."""
    found: Inspection | None = await db.first(select(Inspection).where(col(Inspection.number) == number))
    return found if await access.may_read(db, caller, log, found.business_number if found else "") else None


@service.query(scope=access.READ, personal=access.CATEGORY)
async def inspections(
    db: Db,
    caller: Caller,
    log: AccessLog,
    status: InspectionStatus | None = None,
    mine: bool | None = None,
    first: int | None = None,
    after: str | None = None,
) -> Connection[Inspection]:
    """The inspections that the caller may see, by day: an owner's own, or all for those who work with them.

    `mine` leaves those that the caller conducts: an inspector's work list.
    """
    found = select(Inspection).where(access.readable_numbers(caller, col(Inspection.business_number)))
    if status is not None:
        found = found.where(col(Inspection.status) == status)
    if mine:
        found = found.where(col(Inspection.assigned_to) == caller.subject)
    order = [col(Inspection.scheduled_for), col(Inspection.id)]
    shown = await page(db, found, order=order, first=first, after=after)
    await access.note_all(db, caller, log, (edge.node.business_number for edge in shown.edges))
    return shown
