"""Whose rows a statement may show: what `Caller.owns` says, as a condition."""

from typing import Any

from sqlalchemy import ColumnElement, and_, false
from sqlalchemy.orm import Mapped

from services.kit.caller import Caller


def owned(
    caller: Caller, person: "Mapped[Any] | Any", business: "Mapped[Any] | Any | None" = None
) -> ColumnElement[bool]:
    """Rows whose `person` is the subject whose rights are used; where those are limited to a business, rows of that one only.
    `business` is the column of business numbers, None for rows that belong to no business."""
    if not caller.signed_in:
        return false()
    mine = person == caller.subject
    if not caller.business:
        return mine
    return false() if business is None else and_(mine, business == caller.business)
