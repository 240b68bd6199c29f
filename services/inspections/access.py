"""Who may see an inspection, decided beside the row.

An owner sees what concerns the own businesses; inspectors, reviewers and ministry administrators see all. Nobody else sees
anything, whatever scope the token carries. Whose a business is, the registry said in its events.
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
from services.kit.ownership import owned

READ, CONDUCT, REVIEW = "inspection:read", "inspection:conduct", "inspection:review"
CATEGORY = "inspections"  # of what is about people
STAFF = frozenset({"inspector", "reviewer", "ministry_administrator"})
# The code is the catalogue's, the words say more than that a scope is missing: it is not.
SOMEBODY_ELSES = faults.Fault(
    faults.FORBIDDEN.code,
    faults.FORBIDDEN.status,
    Words(
        "This business is somebody else’s: its owner and those who work with inspections see them.",
        "Cette entreprise est à une autre personne : elle seule et le personnel des inspections y ont accès.",
    ),
)
STAFF_ONLY = faults.Fault(
    faults.FORBIDDEN.code,
    faults.FORBIDDEN.status,
    Words(
        "Only those who work with inspections change them.",
        "Seul le personnel des inspections les modifie.",
    ),
)


def works_here(caller: Caller) -> bool:
    """Whether the caller works with everybody's inspections."""
    return caller.signed_in and not STAFF.isdisjoint(caller.roles)


def owns(caller: Caller, business: KnownBusiness) -> bool:
    """Whether the business is the caller's, or theirs for whom they act."""
    return caller.owns(business.registered_by, business.number)


async def may_read(db: Db, caller: Caller, log: AccessLog, business_number: str) -> bool:
    """Whether the caller may see what concerns a business, which is then noted."""
    business = await db.one(KnownBusiness, business_number)
    allowed = business is not None and _sees(caller, log, business)
    if business is not None and allowed:
        note(log, business)
    return allowed


def _sees(caller: Caller, log: AccessLog, business: KnownBusiness) -> bool:
    allowed = works_here(caller) or owns(caller, business)
    if not allowed:
        log.refuse(business.registered_by, CATEGORY, business.number)
    return allowed


def note(log: AccessLog, *businesses: KnownBusiness) -> None:
    """Note whose businesses' inspections are shown, or changed."""
    log.note_each(CATEGORY, ((business.registered_by, business.number) for business in businesses))


async def note_all(db: Db, caller: Caller, log: AccessLog, business_numbers: Iterable[str]) -> None:
    """The same of a page: by one statement, and none for who sees only the own."""
    numbers = set(business_numbers)
    if not works_here(caller):
        log.note_each(CATEGORY, ((caller.subject, number) for number in numbers))
        return
    found = await asyncio.gather(*(db.one(KnownBusiness, number) for number in numbers))
    note(log, *(business for business in found if business is not None))


def readable_numbers(caller: Caller, number: Mapped[str]) -> ColumnElement[bool]:
    """The same rule as a condition on a column of business numbers."""
    if works_here(caller):
        return true()
    mine = select(KnownBusiness.number).where(
        owned(caller, col(KnownBusiness.registered_by), col(KnownBusiness.number))
    )
    return number.in_(mine)


async def readable(db: Db, caller: Caller, log: AccessLog, business_number: str) -> KnownBusiness | None:
    """A business whose inspections the caller may see; None while its registration has not arrived here. Who shows them notes it,
    once they are at hand.

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
