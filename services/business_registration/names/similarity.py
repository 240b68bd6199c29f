"""How alike two names are: a score from 0 to 1 with its parts, so that a decision can be explained."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

from rapidfuzz.distance import DamerauLevenshtein

from services.business_registration.names.keys import sound, stem
from services.business_registration.names.normalise import words
from services.business_registration.names.rules import rules

EXACT, STEM, SOUND, SYNONYM, TYPO = 1.0, 0.85, 0.75, 0.65, 0.7
SHORTEST_TYPO = 5  # letters: shorter words differ by one letter too easily


@dataclass(frozen=True, slots=True)
class Likeness:
    """`score` is the mean of `distinctive` and `descriptive`, each the cosine of matched words × their mean weight."""

    score: float
    distinctive: float
    descriptive: float


def likeness(one: str, other: str) -> Likeness:
    """How alike two names are; the same whichever comes first.

    A word of no known trade or place counts in both classes. Source: the registry's notes on similarity of names.
    """
    a, b = words(one), words(other)
    described = rules().descriptive
    distinctive = _class([w for w in a if w not in described], [w for w in b if w not in described])
    descriptive = _class(a, b)
    if distinctive is None:  # neither has a word of its own
        return Likeness(descriptive or 0.0, 0.0, descriptive or 0.0)
    return Likeness((distinctive + (descriptive or 0.0)) / 2, distinctive, descriptive or 0.0)


def _class(a: Sequence[str], b: Sequence[str]) -> float | None:
    """Cosine of matched words × mean weight; None where neither name has a word of the class."""
    if not a and not b:
        return None
    if not a or not b:
        return 0.0
    if "".join(a) == "".join(b):  # SUN RISE and SUNRISE
        return EXACT
    pairs = sorted(((weight(x, y), i, j) for i, x in enumerate(a) for j, y in enumerate(b)), key=lambda p: -p[0])
    left, right = set(range(len(a))), set(range(len(b)))
    matched: list[float] = []
    for found, i, j in pairs:
        if found and i in left and j in right:
            left.discard(i)
            right.discard(j)
            matched.append(found)
    if not matched:
        return 0.0
    return len(matched) / sqrt(len(a) * len(b)) * (sum(matched) / len(matched))


@lru_cache(maxsize=65_536)
def weight(a: str, b: str) -> float:
    """How strongly two words match: the same, one stem, one sound, one letter apart, one meaning, or not at all (0)."""
    if a == b:
        return EXACT
    if a.isdigit() or b.isdigit():
        return 0.0
    if stem(a) == stem(b):
        return STEM
    if min(len(a), len(b)) > 2 and sound(a) == sound(b):
        return SOUND
    if min(len(a), len(b)) >= SHORTEST_TYPO and DamerauLevenshtein.distance(a, b, score_cutoff=1) <= 1:
        return TYPO
    described = rules().descriptive
    if a in described and described.get(a) == described.get(b):
        return SYNONYM
    return 0.0
