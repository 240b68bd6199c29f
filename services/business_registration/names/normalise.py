"""Names as the rules compare them: folded, cut into words, stripped of what carries no weight. Pure text, no I/O.

Sources: the Ontario Business Registry's notion of an identical name (Reg. 62, s. 1: designation, punctuation, spacing,
accents, plural “and” make no difference), and Nuans' practice for the rest.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from services.business_registration.names.rules import Rules, rules

_MARKS = str.maketrans(dict.fromkeys("™®©℠"))  # before NFKC, which makes letters of some
_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ß": "ss", "ø": "o", "ł": "l", "đ": "d"})
_NUMBERING = re.compile(r"\(?\bno\.? ?\d+\)?|\((?:19|20)\d\d\)")
_POSSESSIVE = re.compile(r"(?<=[a-z0-9])['’]s\b")
_ELISION = re.compile(r"\b([ldjmnstc]|qu)['’](?=[a-z])")
_APOSTROPHES = re.compile(r"['’‘`´]")
_WORDS = re.compile(r"[a-z0-9]+")
_LETTERS = re.compile(r"[a-z]+")
_COMPOUND = re.compile(r"\b([2-9])0[ -]([1-9])\b")
_DOTTED = re.compile(r"\b[a-z0-9](?:\.\s?[a-z0-9]\b)+\.?")
_INITIALS = re.compile(r"\b[a-z0-9](?:(?:\.\s?|\s*&\s*|\s+and\s+|\s+et\s+|\s)[a-z0-9]\b)+\.?")
_PREFIXED = re.compile(r"\b([a-z]+)[/-]([a-z0-9]+)")
_BETWEEN_FORMS = re.compile(r"\s*/\s*|\s+[-–]\s+")
_DOUBLED = re.compile(r"([a-z])\1+")


def composed(name: str) -> str:
    """The name with each accented letter as one character, as it is stored and shown. Source: Unicode NFC."""
    return unicodedata.normalize("NFC", name)


@lru_cache(maxsize=4096)
def folded(name: str) -> str:
    """Lower case, without accents, ligatures or trade marks, compatible forms unified."""
    text = unicodedata.normalize("NFKC", name.translate(_MARKS)).casefold().translate(_LIGATURES)
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


@lru_cache(maxsize=4096)
def forms(name: str) -> tuple[str, ...]:
    """The forms of a name in one language each. `Lake Bakery Inc. / Boulangerie du Lac inc.` has two, most names have one: a
    slash or a dash that follows a designation stands between them."""
    found, start = [], 0
    for between in _BETWEEN_FORMS.finditer(name):
        if designations(name[start : between.start()])[1]:
            found.append(name[start : between.start()])
            start = between.end()
    return tuple(form for form in (*found, name[start:]) if form.strip()) or (name,)


@lru_cache(maxsize=4096)
def words(name: str) -> tuple[str, ...]:
    """The words that count when names are compared, in order. Never empty for a name that has letters or digits: where
    nothing but weightless words is left, those count. The words of these words are themselves."""
    found = _words(folded(name))
    while (again := _words(" ".join(found))) != found and len(" ".join(again)) < len(" ".join(found)):
        found = again
    return found


def _words(text: str) -> tuple[str, ...]:
    held = rules()
    text = _NUMBERING.sub(" ", text)
    text = _APOSTROPHES.sub("", _ELISION.sub(r"\1 ", _POSSESSIVE.sub("", text)))
    text = held.web_endings.sub(" ", text)
    text = _INITIALS.sub(lambda m: re.sub(r"[^a-z0-9]|\band\b|\bet\b", "", m[0]) + " ", _numbers(text, held))
    cut = _WORDS.findall(_joined(text, held))
    kept = [w for w in cut if w not in held.stop and w not in held.conjunctions and w not in held.designations]
    return _without_repeats(_without_interior_numbers(kept or cut))


def _numbers(text: str, held: Rules) -> str:
    """One is 1, twenty-one is 21."""
    return _COMPOUND.sub(r"\1\2", _LETTERS.sub(lambda m: held.numbers.get(m[0], m[0]), text))


def _joined(text: str, held: Rules) -> str:
    """RE/MAX and re-max are one word."""
    return _PREFIXED.sub(lambda m: m[1] + m[2] if m[1] in held.joined_prefixes else m[0], text)


def _without_interior_numbers(kept: Sequence[str]) -> Sequence[str]:
    """Route 66 Diner is Route Diner; 7 Eleven stays what it is, for it begins with its numbers."""
    lead = next((i for i, word in enumerate(kept) if not word.isdigit()), len(kept))
    return [word for i, word in enumerate(kept) if i < lead or not word.isdigit()]


def _without_repeats(kept: Sequence[str]) -> tuple[str, ...]:
    """JOHNSON & JOHNSON is JOHNSON."""
    return tuple(word for i, word in enumerate(kept) if i == 0 or word != kept[i - 1])


def normalised(name: str) -> str:
    """The name as the rules see it: its words with one space between, its forms with a slash."""
    return " / ".join(" ".join(words(form)) for form in forms(name))


@lru_cache(maxsize=4096)
def identical_key(name: str) -> str:
    """Two names of one form are identical when this key is: without designations, “and”, “or”, punctuation, accents, spaces
    and doubled letters. Empty only for a name without any letter or digit."""
    held = rules()
    cut = [held.numbers.get(word, word) for word in tokens(name)]
    kept = [word for word in cut if word not in held.designations and word not in held.conjunctions]
    return _DOUBLED.sub(r"\1", "".join(kept or cut))


def tokens(name: str) -> list[str]:
    """Every word of a name, folded, whatever its weight; dotted initials and joined prefixes are one word."""
    text = _DOTTED.sub(lambda m: "".join(_WORDS.findall(m[0])) + " ", folded(name))
    return _WORDS.findall(_joined(_APOSTROPHES.sub("", text), rules()))


def designations(form: str) -> tuple[tuple[str, ...], bool]:
    """The corporate designations in one form of a name, in order, and whether its last word is one of them."""
    cut = tokens(form)
    corporate = rules().corporate
    return tuple(word for word in cut if word in corporate), bool(cut) and cut[-1] in corporate
