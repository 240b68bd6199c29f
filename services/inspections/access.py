"""Who may see an inspection, decided beside the row.

An owner sees what concerns the own businesses; inspectors and ministry administrators see all. Nobody else sees anything,
whatever scope the token carries. Whose a business is, the registry said in its event.
"""

from sqlalchemy import ColumnElement, true
from sqlalchemy.orm import Mapped
from sqlmodel import col, select

from services.inspections.known_business import KnownBusiness
from services.kit import faults
from services.kit.caller import Caller
from services.kit.database import Db
from services.kit.language import Words

READ, CONDUCT, REVIEW = "inspection:read", "inspection:conduct", "inspection:review"
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


async def may_read(db: Db, caller: Caller, business_number: str) -> bool:
    """Whether the caller may see what concerns a business."""
    if works_here(caller):
        return True
    business = await db.one(KnownBusiness, business_number)
    return business is not None and owns(caller, business)


def readable_numbers(caller: Caller, number: Mapped[str]) -> ColumnElement[bool]:
    """The same rule as a condition on a column of business numbers."""
    if works_here(caller):
        return true()
    mine = select(KnownBusiness.number).where(col(KnownBusiness.registered_by) == caller.subject)
    return number.in_(mine)


async def readable(db: Db, caller: Caller, business_number: str) -> KnownBusiness | None:
    """A business whose inspections the caller may see; None while its registration has not arrived here.

    Raises Faulted FORBIDDEN for somebody else's.
    """
    business = await db.one(KnownBusiness, business_number)
    if business is not None and not works_here(caller) and not owns(caller, business):
        raise faults.Faulted(SOMEBODY_ELSES)
    return business


def require_staff(caller: Caller) -> None:
    """Raises Faulted FORBIDDEN for who does not work with inspections, whatever scope the token carries."""
    if not works_here(caller):
        raise faults.Faulted(STAFF_ONLY)
