"""How many people come, over time. The shape is chosen by the variable SHAPE; rates are data in `thresholds.toml`."""

from dataclasses import dataclass

from loadtests.promises import Promises


@dataclass(frozen=True, slots=True)
class Stage:
    """Until `until_s` seconds after the start, `rate` operations per second."""

    until_s: float
    rate: float


def stages(shape: str, promises: Promises) -> tuple[Stage, ...]:
    """The stages of a shape. Raises ValueError naming the shapes there are.

    smoke: 30 s of four ordinary days at once, so that rare tasks happen too. everyday: five minutes of one. monday_morning:
    the ordinary day, a ramp to four times as many, and back. surge: the ordinary day, then 26 times as many at once, then
    back.
    """
    day = promises.everyday_rate
    monday, surge = day * promises.monday_morning_factor, day * promises.surge_factor
    known = {
        "smoke": (Stage(30, day * 4),),
        "everyday": (Stage(300, day),),
        "monday_morning": (Stage(30, day), Stage(60, monday / 2), Stage(180, monday), Stage(210, day)),
        "surge": (Stage(20, day), Stage(110, surge), Stage(140, day)),
    }
    if shape not in known:
        raise ValueError(f"no shape {shape!r}; there are {', '.join(known)}")
    return known[shape]
