"""Whose a record is, and who else may see it: the register's facts are public, an applicant's are not."""

from services.kit import faults
from services.kit.access_log import AccessLog
from services.kit.caller import Caller

READ = "business:read"
READ_ALL = "business:read-all"
REGISTER = "business:register"


# The categories of what is not public.
ADDRESS, APPLICATION, PROGRAMS = "business-address", "application", "program-accounts"


def sees(caller: Caller, log: AccessLog, owner: str, category: str) -> bool:
    """Whether the caller owns the record or may read everyone's, which is then noted: call it where the record is shown."""
    allowed = caller.subject == owner or caller.may(READ_ALL)
    if allowed:
        log.note(owner, category)
    return allowed


def require_sight(caller: Caller, log: AccessLog, owner: str, category: str) -> None:
    """Raises Faulted FORBIDDEN when the record is neither the caller's own nor open to the caller's office."""
    if not sees(caller, log, owner, category):
        raise faults.Faulted(faults.FORBIDDEN, scope=READ_ALL)
