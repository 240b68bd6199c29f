"""Names as the rules compare them: folded, cut into words, stripped of what carries no weight. Pure text, no I/O.

Sources: the Ontario Business Registry's notion of an identical name (Reg. 62, s. 1: designation, punctuation, spacing,
accents, plural “and” make no difference), and Nuans' practice for the rest.
"""

import re
import unicodedata
from functools import lru_cache

from services.business_registration.names.rules import Rules, rules

_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ß": "ss", "ø": "o", "ł": "l", "đ": "d"})
_NUMBERING = re.compile(r"\(?\bno\.? ?\d+\)?|\((?:19|20)\d\d\)")
_POSSESSIVE = re.compile(r"(?<=[a-z0-9])['’]s\b")
_ELISION = re.compile(r"\b([ldjmnstc]|qu)['’](?=[a-z])")
_APOSTROPHES = re.compile(r"['’‘`´]")
_WORDS = re.compile(r"[a-z0-9]+")
_INITIALS = re.compile(r"\b[a-z0-9](?:(?:\.\s?|\s*&\s*|\s+and\s+|\s+et\s+)[a-z0-9]\b)+\.?")
_DOUBLED = re.compile(r"(.)\1+")


def folded(name: str) -> str:
    """Lower case, without accents or ligatures, compatible forms unified."""
    text = unicodedata.normalize("NFKC", name).casefold().translate(_LIGATURES)
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


@lru_cache(maxsize=4096)
def words(name: str) -> tuple[str, ...]:
    """The words that count when names are compared, in order. Never empty for a name that has letters or digits: where
    nothing but weightless words is left, those count."""
    held = rules()
    text = _NUMBERING.sub(" ", folded(name))
    text = _APOSTROPHES.sub("", _ELISION.sub(r"\1 ", _POSSESSIVE.sub("s", text)))
    text = re.sub(r"\.(?:" + "|".join(sorted(held.web)) + r")\b", " ", text)
    text = _INITIALS.sub(lambda m: re.sub(r"[^a-z0-9]|\band\b|\bet\b", "", m[0]) + " ", text)
    cut = [held.numbers.get(word, word) for word in _WORDS.findall(_joined(text, held))]
    kept = [w for w in cut if w not in held.stop and w not in held.conjunctions and w not in held.designations]
    return tuple(_without_repeats(kept or cut))


def _joined(text: str, held: Rules) -> str:
    """RE/MAX and re-max are one word."""

    def join(found: re.Match[str]) -> str:
        return found[1] + found[2] if found[1] in held.joined_prefixes else found[0]

    return re.sub(r"\b([a-z]+)[/-]([a-z0-9]+)", join, text)


def _without_repeats(kept: list[str]) -> list[str]:
    """JOHNSON & JOHNSON is JOHNSON."""
    return [word for i, word in enumerate(kept) if i == 0 or word != kept[i - 1]]


def normalised(name: str) -> str:
    """The name as the rules see it: its words with one space between."""
    return " ".join(words(name))


@lru_cache(maxsize=4096)
def identical_key(name: str) -> str:
    """Two names are identical when this key is: without designations, “and”, “or”, punctuation, accents, spaces and doubled
    letters. Empty only for a name without any letter or digit."""
    held = rules()
    text = _APOSTROPHES.sub("", folded(name).replace("&", " and "))
    cut = [held.numbers.get(word, word) for word in _WORDS.findall(text)]
    kept = [word for word in cut if word not in held.designations and word not in held.conjunctions]
    return _DOUBLED.sub(r"\1", "".join(kept or cut))


def designations(name: str) -> tuple[tuple[str, ...], bool]:
    """The corporate designations in a name, in order, and whether its last word is one of them."""
    cut = _WORDS.findall(folded(name))
    found = tuple(word for word in cut if word in rules().corporate)
    return found, bool(cut) and cut[-1] in rules().corporate
