"""The risk model: transparent, additive, versioned. Pure: what is known of a business → score, band, each contribution.

A logistic score as inspectorates use it: every factor adds its own number to the log-odds, so that each can be explained and
contested. Of one visit, and of what is open, only the gravest few findings count: more or graver findings never lower a score,
and no score leaves 0 to 100.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from services.inspections.data_files import Both, Part, read
from services.inspections.severity import Severity

FILE = Path(__file__).parent / "data" / "risk.toml"
DAYS_PER_YEAR = 365.25
BANDS = ("HIGH", "MODERATE")  # from the top; below them all is LOW


class Newness(Part):
    """Weight of a fresh registration."""

    weight: float


class Waiting(Part):
    """Weight per year without a visit, and how many years count."""

    weight: float
    most_years: float


class Weights(Part):
    """Weight of one finding, by severity."""

    MINOR: float
    SIGNIFICANT: float
    CRUCIAL: float

    def gravest(self, severities: Iterable[Severity], count: int) -> list[float]:
        """The weights of the gravest findings."""
        return sorted((float(getattr(self, severity.value)) for severity in severities), reverse=True)[:count]


class History(Weights):
    """Past visits."""

    findings_counted_per_visit: int


class Open(Weights):
    """What is not corrected."""

    findings_counted: int


class Model(Part):
    """The numbers of one version of the model, with its words."""

    version: str
    intercept: float
    bands: dict[str, float]
    sectors: dict[str, float]
    newness: Newness
    waiting: Waiting
    history: History
    open: Open
    labels: dict[str, Both]
    contest: Both


@dataclass(frozen=True, slots=True)
class Visit:
    """A reviewed visit: its day and how grave its findings were."""

    on: date
    findings: Sequence[Severity]


@dataclass(frozen=True, slots=True)
class Known:
    """What the score is made of."""

    sector: str
    registered_on: date
    visits: Sequence[Visit] = ()
    open: Sequence[Severity] = ()


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor: what was measured, and what it adds to the log-odds."""

    code: str
    value: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Assessment:
    """A score from 0 to 100, its band, and what it is made of: the contributions add up to its log-odds."""

    score: float
    band: str
    version: str
    factors: tuple[Factor, ...]


@cache
def model(path: Path = FILE) -> Model:
    """The model that ships. Raises BadData."""
    return read(path, Model)


def assess(known: Known, today: date, by: Model) -> Assessment:
    """The risk of a business on a day."""
    age = years_between(known.registered_on, today)
    last = max((visit.on for visit in known.visits), default=known.registered_on)
    waited = min(years_between(last, today), by.waiting.most_years)
    past = [
        math.exp(-years_between(visit.on, today))
        * sum(by.history.gravest(visit.findings, by.history.findings_counted_per_visit))
        for visit in known.visits
    ]
    factors = (
        Factor("BASE", 1.0, by.intercept),
        Factor("SECTOR", 1.0, by.sectors.get(known.sector[:2], by.sectors["default"])),
        Factor("NEWNESS", age, by.newness.weight * math.exp(-age)),
        Factor("WAITING", waited, by.waiting.weight * waited),
        Factor("HISTORY", float(sum(len(visit.findings) for visit in known.visits)), math.fsum(past)),
        Factor("OPEN", float(len(known.open)), sum(by.open.gravest(known.open, by.open.findings_counted))),
    )
    score = round(100 * _logistic(math.fsum(factor.contribution for factor in factors)), 1)
    band = next((name for name in BANDS if score >= by.bands[name]), "LOW")
    return Assessment(score, band, by.version, factors)


def years_between(earlier: date, later: date) -> float:
    """Years, never negative: what lies ahead counts as today."""
    return max((later - earlier).days, 0) / DAYS_PER_YEAR


def _logistic(odds: float) -> float:
    return 1 / (1 + math.exp(-odds)) if odds >= 0 else math.exp(odds) / (1 + math.exp(odds))
