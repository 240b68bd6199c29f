"""Whose a record is, and who else may see it: the register's facts are public, an applicant's are not."""

from services.kit import faults
from services.kit.access_log import AccessLog
from services.kit.caller import Caller

READ = "business:read"
READ_ALL = "business:read-all"
REGISTER = "business:register"
# The categories of what is about people.
ADDRESS, APPLICATION, PROGRAMS = "business-address", "application", "program-accounts"
IDENTITY, OWNERSHIP = "identity", "ownership"


def sees(caller: Caller, log: AccessLog, owner: str, category: str, business: str = "") -> bool:
    """Whether the caller owns the record, of a business where that has its number, or may read everyone's; who may not is noted.
    Who shows the record notes it, once it is at hand."""
    allowed = caller.owns(owner, business) or caller.may(READ_ALL)
    if not allowed:
        log.refuse(owner, category, business)
    return allowed


def require_sight(caller: Caller, log: AccessLog, owner: str, category: str, business: str) -> None:
    """Raises Faulted FORBIDDEN when the record is neither the caller's own nor open to the caller's office."""
    if not sees(caller, log, owner, category, business):
        raise faults.Faulted(faults.FORBIDDEN, scope=READ_ALL)
