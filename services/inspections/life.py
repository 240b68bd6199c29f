"""An inspection's life as a state machine: which move leads from where to where. Pure.

scheduled → started → recorded → reviewed → closed. A reviewer may send a record back to its inspector; what has not been
recorded yet may be cancelled. Nothing leads out of closed and cancelled.
"""

from collections.abc import Mapping
from enum import Enum

import strawberry

from services.kit.language import Words


@strawberry.enum(description="How far an inspection is.")
class InspectionStatus(Enum):
    """The states; see the table `MOVES`."""

    SCHEDULED = "SCHEDULED"
    STARTED = "STARTED"
    RECORDED = "RECORDED"
    REVIEWED = "REVIEWED"
    CLOSED = "CLOSED"
    CANCELLED = "CANCELLED"

    @property
    def words(self) -> Words:
        """The state for a person."""
        return _WORDS[self]


class Move(Enum):
    """What can be done with an inspection."""

    START = "START"
    RECORD = "RECORD"
    APPROVE = "APPROVE"
    SEND_BACK = "SEND_BACK"
    CLOSE = "CLOSE"
    CANCEL = "CANCEL"


_WORDS: Mapping[InspectionStatus, Words] = {
    InspectionStatus.SCHEDULED: Words("scheduled", "prévue"),
    InspectionStatus.STARTED: Words("started", "commencée"),
    InspectionStatus.RECORDED: Words("recorded", "consignée"),
    InspectionStatus.REVIEWED: Words("reviewed", "révisée"),
    InspectionStatus.CLOSED: Words("closed", "close"),
    InspectionStatus.CANCELLED: Words("cancelled", "annulée"),
}

MOVES: Mapping[tuple[InspectionStatus, Move], InspectionStatus] = {
    (InspectionStatus.SCHEDULED, Move.START): InspectionStatus.STARTED,
    (InspectionStatus.SCHEDULED, Move.CANCEL): InspectionStatus.CANCELLED,
    (InspectionStatus.STARTED, Move.RECORD): InspectionStatus.RECORDED,
    (InspectionStatus.STARTED, Move.CANCEL): InspectionStatus.CANCELLED,
    (InspectionStatus.RECORDED, Move.APPROVE): InspectionStatus.REVIEWED,
    (InspectionStatus.RECORDED, Move.SEND_BACK): InspectionStatus.STARTED,
    (InspectionStatus.REVIEWED, Move.CLOSE): InspectionStatus.CLOSED,
}


def after(status: InspectionStatus, move: Move) -> InspectionStatus | None:
    """The state that a move leads to, or None where it is not allowed."""
    return MOVES.get((status, move))
