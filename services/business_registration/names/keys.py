"""The keys under which a name is stored, so that names alike are found by index: identical, by sound, by stem."""

import re
from dataclasses import dataclass
from functools import lru_cache

import snowballstemmer
from doublemetaphone import doublemetaphone

from services.business_registration.names.normalise import identical_key, words
from services.business_registration.names.rules import rules

_ENGLISH, _FRENCH = snowballstemmer.stemmer("english"), snowballstemmer.stemmer("french")
# Spellings that sound alike, in the order in which they are replaced. Source: the registry's notes on phonetic search.
_SOUNDS = tuple(
    (re.compile(pattern), by)
    for pattern, by in (
        (r"^ma[ck](?=[a-z])", "mc"), (r"ph", "f"), (r"kh", "k"), (r"qu", "k"), (r"c(?=[eiy])", "s"), (r"ck|c", "k"),
        (r"^ex", "x"), (r"ea", "ee"), (r"z", "s"), (r"y", "i"), (r"a", "o"), (r"(.)\1+", r"\1"),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Keys:
    """What is stored beside a name. `phonetic` and `stems` hold one entry per word that counts, sorted, without doubles."""

    identical_key: str
    phonetic: tuple[str, ...]
    stems: tuple[str, ...]


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """The stem that a word shares with its inflected forms, in either language: the shorter of both stemmers' answers."""
    shortest: str = min(_ENGLISH.stemWord(word), _FRENCH.stemWord(word), key=lambda s: (len(s), s))
    return shortest


@lru_cache(maxsize=65_536)
def sound(word: str) -> str:
    """How a word sounds, roughly: words that sound alike share it. Digits stand for themselves."""
    if not word.isalpha():
        return word
    text = word
    for pattern, by in _SOUNDS:
        text = pattern.sub(by, text)
    primary: str = doublemetaphone(text)[0]
    return primary or text


def keys_of(name: str) -> Keys:
    """The keys of a name. Words that merely describe count only where a name has no others."""
    telling = distinctive(words(name))
    return Keys(
        identical_key=identical_key(name),
        phonetic=tuple(sorted({sound(word) for word in telling})),
        stems=tuple(sorted({stem(word) for word in telling})),
    )


def distinctive(cut: tuple[str, ...]) -> tuple[str, ...]:
    """The words that tell a name from others: those that describe no trade or place, or all where there is no such word."""
    described = rules().descriptive
    return tuple(word for word in cut if word not in described) or cut
