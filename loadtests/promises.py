"""What `thresholds.toml` says, typed. The one place that reads it; the variable THRESHOLDS names another file."""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("thresholds.toml")


@dataclass(frozen=True, slots=True)
class Stage:
    """Until `until_s` seconds after the start, `rate` operations per second."""

    until_s: float
    rate: float


@dataclass(frozen=True, slots=True)
class Promises:
    """Rates in operations per second, latencies in milliseconds at the 95th percentile, ratios from 0 to 1."""

    everyday_rate: float
    shapes: dict[str, tuple[Stage, ...]]
    weights: dict[str, int]
    max_error_ratio: float
    latency_ms: dict[str, float]
    max_generator_cpu_percent: float

    def stages(self, shape: str) -> tuple[Stage, ...]:
        """How many come, over time, in a shape. Raises ValueError naming the shapes there are."""
        if shape not in self.shapes:
            raise ValueError(f"no shape {shape!r}; there are {', '.join(self.shapes)}")
        return self.shapes[shape]

    def p95_ms(self, operation: str) -> float:
        """The promised p95 of an operation: its own line, or the default."""
        return self.latency_ms.get(operation, self.latency_ms["default"])


def read(file: Path | None = None) -> Promises:
    """Read the file. Raises KeyError naming the missing entry, ValueError on a malformed file."""
    raw = tomllib.loads((file or Path(os.environ.get("THRESHOLDS", FILE))).read_text())
    everyday = float(raw["rates"]["everyday"])
    return Promises(
        everyday_rate=everyday,
        shapes={
            name: tuple(Stage(float(until_s), everyday * float(times)) for until_s, times in stages)
            for name, stages in raw["shapes"].items()
        },
        weights={name: int(weight) for name, weight in raw["weights"].items()},
        max_error_ratio=float(raw["errors"]["max_ratio"]),
        latency_ms={name: float(limit) for name, limit in raw["latency_ms"].items()},
        max_generator_cpu_percent=float(raw["generator"]["max_cpu_percent"]),
    )
