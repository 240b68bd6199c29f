"""How alike two names are: a score from 0 to 1 with its parts, so that a decision can be explained."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

from rapidfuzz.distance import DamerauLevenshtein

from services.business_registration.names.keys import consonants, sound, stem
from services.business_registration.names.rules import rules

EXACT, STEM, SOUND, SYNONYM, TYPO = 1.0, 0.85, 0.75, 0.65, 0.7
SHORTEST_TYPO = 5  # letters: shorter words differ by one letter too easily
ALIKE_IN_WRITING = 0.5  # of the letters: the same consonants alone make QUIET and CAT sound alike


@dataclass(frozen=True, slots=True)
class Likeness:
    """`score` is the mean of `distinctive` and `descriptive`, each the cosine of matched words × their mean weight."""

    score: float
    distinctive: float
    descriptive: float


def likeness(one: Sequence[str], other: Sequence[str]) -> Likeness:
    """How alike two names are, given their words; the same whichever comes first.

    A word of no known trade or place counts in both classes. Source: the registry's notes on similarity of names.
    """
    a, b = _aligned(one, other), _aligned(other, one)
    described = rules().descriptive
    distinctive = _class([w for w in a if w not in described], [w for w in b if w not in described])
    descriptive = _class(a, b) or 0.0
    if distinctive is None:  # neither has a word of its own
        return Likeness(descriptive, 0.0, descriptive)
    return Likeness((distinctive + descriptive) / 2, distinctive, descriptive)


def _aligned(words: Sequence[str], other: Sequence[str]) -> list[str]:
    """The words, with neighbours run together where the other name writes them as one: SUN RISE beside SUNRISE."""
    wanted, found, i = set(other), [], 0
    while i < len(words):
        together = "".join(words[i : i + 2])
        is_one = i + 1 < len(words) and together in wanted
        found.append(together if is_one else words[i])
        i += 2 if is_one else 1
    return found


def _class(a: Sequence[str], b: Sequence[str]) -> float | None:
    """Cosine of matched words × mean weight; None where neither name has a word of the class."""
    if not a and not b:
        return None
    if "".join(a) == "".join(b):
        return EXACT
    pairs = [(found, i, j) for i, x in enumerate(a) for j, y in enumerate(b) if (found := weight(x, y))]
    # Best matches first; ties in an order that does not depend on which name comes first.
    if len(pairs) > 1:
        pairs.sort(key=lambda p: (-p[0], min(a[p[1]], b[p[2]]), max(a[p[1]], b[p[2]])))
    left, right = set(range(len(a))), set(range(len(b)))
    matched = 0.0
    for found, i, j in pairs:
        if i in left and j in right:
            left.discard(i)
            right.discard(j)
            matched += found
    return matched / sqrt(len(a) * len(b)) if matched else 0.0


@lru_cache(maxsize=65_536)
def weight(a: str, b: str) -> float:
    """How strongly two words match: the same, one stem, one sound, one letter apart, one meaning, or not at all (0)."""
    if a == b:
        return EXACT
    if a.isdigit() or b.isdigit():
        return 0.0
    if stem(a) == stem(b):
        return STEM
    if _sound_alike(a, b):
        return SOUND
    if min(len(a), len(b)) >= SHORTEST_TYPO and DamerauLevenshtein.distance(a, b, score_cutoff=1) <= 1:
        return TYPO
    described = rules().descriptive
    if a in described and described.get(a) == described.get(b):
        return SYNONYM
    return 0.0


def _sound_alike(a: str, b: str) -> bool:
    if min(len(a), len(b)) < 3:
        return False
    if sound(a) == sound(b):
        return True
    written = DamerauLevenshtein.normalized_similarity(a, b)
    return written >= ALIKE_IN_WRITING and not consonants(a).isdisjoint(consonants(b))
