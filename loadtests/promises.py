"""What `thresholds.toml` says, typed. The one place that reads it."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("thresholds.toml")


@dataclass(frozen=True, slots=True)
class Promises:
    """Rates in operations per second, latencies in milliseconds at the 95th percentile, ratios from 0 to 1."""

    everyday_rate: float
    monday_morning_factor: float
    surge_factor: float
    weights: dict[str, int]
    max_error_ratio: float
    latency_ms: dict[str, float]
    max_generator_cpu_percent: float

    def p95_ms(self, operation: str) -> float:
        """The promised p95 of an operation: its own line, or the default."""
        return self.latency_ms.get(operation, self.latency_ms["default"])


def read(file: Path = FILE) -> Promises:
    """Read the file. Raises KeyError naming the missing entry, tomllib.TOMLDecodeError on a malformed file."""
    raw = tomllib.loads(file.read_text())
    return Promises(
        everyday_rate=float(raw["rates"]["everyday"]),
        monday_morning_factor=float(raw["rates"]["monday_morning_factor"]),
        surge_factor=float(raw["rates"]["surge_factor"]),
        weights={name: int(weight) for name, weight in raw["weights"].items()},
        max_error_ratio=float(raw["errors"]["max_ratio"]),
        latency_ms={name: float(limit) for name, limit in raw["latency_ms"].items()},
        max_generator_cpu_percent=float(raw["generator"]["max_cpu_percent"]),
    )
