"""Who may see an inspection, decided beside the row.

An owner sees what concerns the own businesses; inspectors and ministry administrators see all. Nobody else sees anything,
whatever scope the token carries. Whose a business is, the registry said in its event.
"""

import asyncio
from collections.abc import Iterable

from sqlalchemy import ColumnElement, true
from sqlalchemy.orm import Mapped
from sqlmodel import col, select

from services.inspections.known_business import KnownBusiness
from services.kit import faults
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.database import Db
from services.kit.language import Words

READ, CONDUCT, REVIEW = "inspection:read", "inspection:conduct", "inspection:review"
CATEGORY = "inspections"  # of what is noted in the access log
STAFF = frozenset({"inspector", "ministry_administrator"})
# The code is the catalogue's, the words say more than that a scope is missing: it is not.
SOMEBODY_ELSES = faults.Fault(
    faults.FORBIDDEN.code,
    faults.FORBIDDEN.status,
    Words(
        "This business is somebody else’s: its owner, inspectors and ministry administrators see its inspections.",
        "Cette entreprise est à une autre personne : elle, les inspecteurs et l’administration du ministère y ont accès.",
    ),
)
STAFF_ONLY = faults.Fault(
    faults.FORBIDDEN.code,
    faults.FORBIDDEN.status,
    Words(
        "Only inspectors and ministry administrators change inspections.",
        "Seuls les inspecteurs et l’administration du ministère modifient les inspections.",
    ),
)


def works_here(caller: Caller) -> bool:
    """Whether the caller works with everybody's inspections."""
    return caller.signed_in and not STAFF.isdisjoint(caller.roles)


def owns(caller: Caller, business: KnownBusiness) -> bool:
    """Whether the caller registered the business."""
    return caller.signed_in and business.registered_by == caller.subject


async def may_read(db: Db, caller: Caller, log: AccessLog, business_number: str) -> bool:
    """Whether the caller may see what concerns a business, which is then noted."""
    business = await db.one(KnownBusiness, business_number)
    return business is not None and _sees(caller, log, business)


def _sees(caller: Caller, log: AccessLog, business: KnownBusiness) -> bool:
    allowed = works_here(caller) or owns(caller, business)
    if allowed:
        log.note(business.registered_by, CATEGORY)
    return allowed


async def note(db: Db, caller: Caller, log: AccessLog, business_numbers: Iterable[str]) -> None:
    """Note whose businesses' inspections are shown: by one statement, and none for who sees only the own."""
    if works_here(caller):
        businesses = await asyncio.gather(*(db.one(KnownBusiness, number) for number in set(business_numbers)))
        for business in businesses:
            if business is not None:
                log.note(business.registered_by, CATEGORY)


def readable_numbers(caller: Caller, number: Mapped[str]) -> ColumnElement[bool]:
    """The same rule as a condition on a column of business numbers."""
    if works_here(caller):
        return true()
    mine = select(KnownBusiness.number).where(col(KnownBusiness.registered_by) == caller.subject)
    return number.in_(mine)


async def readable(db: Db, caller: Caller, log: AccessLog, business_number: str) -> KnownBusiness | None:
    """A business whose inspections the caller may see, which is noted; None while its registration has not arrived here.

    Raises Faulted FORBIDDEN for somebody else's.
    """
    business = await db.one(KnownBusiness, business_number)
    if business is not None and not _sees(caller, log, business):
        raise faults.Faulted(SOMEBODY_ELSES)
    return business


def require_staff(caller: Caller) -> None:
    """Raises Faulted FORBIDDEN for who does not work with inspections, whatever scope the token carries."""
    if not works_here(caller):
        raise faults.Faulted(STAFF_ONLY)
