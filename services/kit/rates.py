"""How often one caller may ask a root field: said by its owner in the schema, kept by the gateway (`gateway/field_rates.py`).

For what can be guessed at, or costs the owner dear, by being asked again and again. What the owner itself can count by its
rows, such as reservations of a person, it refuses itself as well.
"""

from dataclasses import dataclass

from strawberry.federation.schema_directive import schema_directive
from strawberry.schema_directive import Location


@dataclass(frozen=True, slots=True)
class Rate:
    """So many times at once, and so many again in each period of so many seconds."""

    times: int
    seconds: int


@schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="rateLimit",
    compose=True,
    import_url="https://onedoor.example/specs/rateLimit/v1.0",
)
class RateLimit:
    """How often one caller may ask this field. Every alias counts."""

    times: int
    seconds: int


def rate_directive(rate: Rate | None) -> list[object]:
    """`@rateLimit`, or nothing."""
    return [] if rate is None else [RateLimit(times=rate.times, seconds=rate.seconds)]
