"""The keys under which a name is stored, so that names alike are found by index: identical, by sound, by stem."""

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import Stemmer
from doublemetaphone import doublemetaphone

from services.business_registration.names.normalise import identical_key, words
from services.business_registration.names.rules import rules

_ENGLISH, _FRENCH = Stemmer.Stemmer("english"), Stemmer.Stemmer("french")
# Spellings that sound alike, in the order in which they are replaced. Source: the registry's notes on phonetic search.
_SOUNDS = tuple(
    (re.compile(pattern), by)
    for pattern, by in (
        (r"^ma[ck](?=[a-z])", "mc"), (r"ph", "f"), (r"kh", "k"), (r"qu", "k"), (r"kw", "k"), (r"^kn", "n"),
        (r"c(?=[eiy])", "s"), (r"ck|c", "k"), (r"^ex", "x"), (r"ea", "ee"), (r"oe", "e"), (r"z", "s"), (r"y", "i"), (r"a", "o"),
        (r"(.)\1+", r"\1"),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Keys:
    """What is stored beside one form of a name. `words` are in order; `phonetic` and `stems` hold the keys of each word that
    counts, sorted, without doubles; stems also those of neighbours run together, so that SUN RISE finds SUNRISE."""

    identical_key: str
    words: tuple[str, ...]
    phonetic: tuple[str, ...]
    stems: tuple[str, ...]


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """The stem that a word shares with its inflected forms, in either language: the shorter of both stemmers' answers."""
    shortest: str = min(_ENGLISH.stemWord(word), _FRENCH.stemWord(word), key=lambda s: (len(s), s))
    return shortest


@lru_cache(maxsize=65_536)
def sound(word: str) -> str:
    """How a word sounds, spelled plainly: words that sound alike share it. Digits stand for themselves."""
    if not word.isalpha():
        return word
    text = word
    for pattern, by in _SOUNDS:
        text = pattern.sub(by, text)
    return text


@lru_cache(maxsize=65_536)
def consonants(word: str) -> frozenset[str]:
    """The Double Metaphone codes of a word, one or two, in capitals; none for a word too short to tell. Looser than `sound`."""
    return frozenset(code for code in doublemetaphone(word) if len(code) > 1)


@lru_cache(maxsize=4096)
def keys_of(form: str) -> Keys:
    """The keys of one form of a name. Words that merely describe count only where a name has no others."""
    cut = words(form)
    telling = distinctive(cut)
    together = (one + other for one, other in pairwise(telling))
    sounds = {sound(word) for word in telling}.union(*(consonants(word) for word in telling))
    return Keys(
        identical_key=identical_key(form),
        words=cut,
        phonetic=tuple(sorted(sounds)),
        stems=tuple(sorted({stem(word) for word in (*telling, *together)})),
    )


def distinctive(cut: tuple[str, ...]) -> tuple[str, ...]:
    """The words that tell a name from others: those that describe no trade or place, or all where there is no such word."""
    described = rules().descriptive
    return tuple(word for word in cut if word not in described) or cut
