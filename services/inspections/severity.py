"""How grave a finding is: the one scale of checklists, findings, imported infractions and the risk model."""

from enum import Enum

import strawberry


@strawberry.enum(description="How grave a finding is.")
class Severity(Enum):
    """From least to gravest."""

    MINOR = "MINOR"
    SIGNIFICANT = "SIGNIFICANT"
    CRUCIAL = "CRUCIAL"


GRAVITY = {severity: rank for rank, severity in enumerate(Severity)}
