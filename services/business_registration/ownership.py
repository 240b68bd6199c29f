"""Whose a record is, and who else may see it: the register's facts are public, an applicant's are not."""

from services.kit import faults
from services.kit.caller import Caller

READ = "business:read"
READ_ALL = "business:read-all"
REGISTER = "business:register"


def may_see(caller: Caller, owner: str) -> bool:
    """Whether the caller owns the record or may read everyone's."""
    return caller.subject == owner or caller.may(READ_ALL)


def require_sight(caller: Caller, owner: str) -> None:
    """Raises Faulted FORBIDDEN when the record is neither the caller's own nor open to the caller's office."""
    if not may_see(caller, owner):
        raise faults.Faulted(faults.FORBIDDEN, scope=READ_ALL)
