"""The decision about a name: malformed, restricted, identical, similar or available; explained, with the rules' version.

Pure: the names that are held come in as data. Source: Ontario's practice, where an identical name is refused, a similar one
is the applicant's own risk, and a sole proprietorship's or partnership's name blocks no other.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from services.business_registration.models import LegalType
from services.business_registration.names.normalise import designations, folded, identical_key, normalised, words
from services.business_registration.names.rules import Rules, rules
from services.business_registration.names.similarity import likeness
from services.kit.language import Words
from services.kit.text import Text

MOST_EVIDENCE = 10


class NameOutcome(Enum):
    """What was found, from the strongest obstacle to none."""

    MALFORMED = "MALFORMED"
    RESTRICTED = "RESTRICTED"
    IDENTICAL = "IDENTICAL"
    SIMILAR = "SIMILAR"
    AVAILABLE = "AVAILABLE"


@dataclass(frozen=True, slots=True)
class Holder:
    """A name that is held. `blocks` is true for a corporation's or a reserved name."""

    name: str
    identical_key: str
    business_number: str | None
    blocks: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason: the kind of rule, the name or word that it met, its strength from 0 to 1, and the reason in words."""

    kind: str
    name: str
    score: float
    explanation: Text
    business_number: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """An outcome that can be explained and repeated: same rules, same names held, same decision."""

    outcome: NameOutcome
    explanation: Text
    rule_version: str
    normalised: str
    evidence: list[Evidence] = field(default_factory=list)


_EXPLANATIONS = {
    NameOutcome.AVAILABLE: Words(
        "No identical or similar name is held. A check reserves nothing: reserve the name or submit your application.",
        "Aucun nom identique ou semblable n’est détenu. Une vérification ne réserve rien : réservez le nom ou présentez "
        "votre demande.",
    ),
    NameOutcome.SIMILAR: Words(
        "Similar names are held. You may use this name at your own risk, once you confirm that you have seen them.",
        "Des noms semblables sont détenus. Vous pouvez utiliser ce nom à vos risques, après avoir confirmé les avoir vus.",
    ),
    NameOutcome.IDENTICAL: Words(
        "An identical name is held by a corporation or a reservation. Choose another name.",
        "Un nom identique est détenu par une société ou une réservation. Choisissez un autre nom.",
    ),
}
_IDENTICAL = Words("identical to “{name}”", "identique à « {name} »")
_NOT_BLOCKING = Words(
    "identical to “{name}”, which a sole proprietorship or partnership uses without barring others",
    "identique à « {name} », qu’une entreprise individuelle ou une société de personnes utilise sans exclure les autres",
)
_SIMILAR = Words("similar to “{name}”", "semblable à « {name} »")


def decide(name: str, legal_type: LegalType, holders: Sequence[Holder]) -> Decision:
    """The decision about a name of a legal type, given the names that are held and could be alike. Never raises."""
    held = rules()
    evidence = list(_malformed(name, legal_type, held))
    if evidence:
        return _decision(NameOutcome.MALFORMED, name[: held.longest], evidence[:MOST_EVIDENCE], held)
    evidence = list(_restricted(name, held))
    if evidence:
        return _decision(NameOutcome.RESTRICTED, name, evidence, held)
    evidence = sorted(_alike(name, holders, held), key=lambda e: (-_strength(e), -e.score, e.name))[:MOST_EVIDENCE]
    if not evidence:
        return _decision(NameOutcome.AVAILABLE, name, [], held)
    outcome = NameOutcome.IDENTICAL if evidence[0].kind == "identical" else NameOutcome.SIMILAR
    return _decision(outcome, name, evidence, held)


def _decision(outcome: NameOutcome, name: str, evidence: list[Evidence], held: Rules) -> Decision:
    words_ = _EXPLANATIONS.get(outcome)
    explanation = Text.from_words(words_) if words_ else evidence[0].explanation
    return Decision(outcome, explanation, held.version, normalised(name), evidence)


def _strength(evidence: Evidence) -> int:
    return {"identical": 2, "identical_not_blocking": 1}.get(evidence.kind, 0)


def _alike(name: str, holders: Sequence[Holder], held: Rules) -> Iterator[Evidence]:
    key = identical_key(name)
    for holder in holders:
        if holder.identical_key == key:
            kind, words_ = ("identical", _IDENTICAL) if holder.blocks else ("identical_not_blocking", _NOT_BLOCKING)
            score = 1.0
        else:
            kind, words_ = "similar", _SIMILAR
            score = round(likeness(name, holder.name).score, 3)
            if score < held.conflict:
                continue
        yield Evidence(
            kind, holder.name, score, Text.from_words(words_.filled(name=holder.name)), holder.business_number
        )


def _restricted(name: str, held: Rules) -> Iterator[Evidence]:
    for word in dict.fromkeys(words(name)):
        if found := held.restricted.get(word):
            yield Evidence(f"restricted_{found.rule}", word, 1.0, Text.from_words(found.words))


def _malformed(name: str, legal_type: LegalType, held: Rules) -> Iterator[Evidence]:
    if not name.strip():
        yield _wrong("empty", name, "Give a name.", "Donnez un nom.")
    elif len(name) > held.longest:
        yield _wrong(
            "too_long",
            name[: held.longest],
            f"A name has at most {held.longest} characters; this one has {len(name)}. Shorten it.",
            f"Un nom compte au plus {held.longest} caractères; celui-ci en a {len(name)}. Raccourcissez-le.",
        )
    elif stranger := next((c for c in name if not _allowed(c, held)), None):
        code = f"U+{ord(stranger):04X}"
        yield _wrong(
            "character",
            name,
            f"The character {code} cannot stand in a name. Use Latin letters, digits and common punctuation.",
            f"Le caractère {code} ne peut figurer dans un nom. Utilisez des lettres latines, des chiffres et la ponctuation "
            "courante.",
        )
    else:
        yield from _misshapen(name)
        yield from _misdesignated(name, legal_type)


def _wrong(kind: str, name: str, en: str, fr: str) -> Evidence:
    return Evidence(kind, name, 1.0, Text(en=en, fr=fr))


def _misshapen(name: str) -> Iterator[Evidence]:
    if not folded(name.strip())[:1].isalnum() or not identical_key(name):
        yield _wrong(
            "first_character",
            name,
            "A name begins with a letter or a digit. Put one first.",
            "Un nom commence par une lettre ou un chiffre. Mettez-en un en tête.",
        )
    if "  " in name or name != name.strip():
        yield _wrong(
            "spaces",
            name,
            "A name has single spaces, between words only. Remove the others.",
            "Un nom n’a que des espaces simples, entre les mots. Retirez les autres.",
        )


def _misdesignated(name: str, legal_type: LegalType) -> Iterator[Evidence]:
    found, is_last = designations(name)
    if not legal_type.corporation:
        if found:
            yield _wrong(
                "designation_not_allowed",
                name,
                f"Only a corporation’s name holds “{found[0]}”. Remove it, or register a corporation.",
                f"Seul le nom d’une société par actions contient « {found[0]} ». Retirez-le ou constituez une société.",
            )
    elif not found or not is_last:
        yield _wrong(
            "designation_missing",
            name,
            "A corporation’s name ends in Limited, Incorporated, Corporation, their abbreviations or French forms. Add one.",
            "Le nom d’une société par actions finit par Limitée, Incorporée, Corporation, leur abréviation ou leur forme "
            "anglaise. Ajoutez-en une.",
        )
    elif len(found) > 1:
        yield _wrong(
            "designation_doubled",
            name,
            "A corporation’s name has one designation. Keep only the last one.",
            "Le nom d’une société par actions n’a qu’une désignation. Ne gardez que la dernière.",
        )


def _allowed(character: str, held: Rules) -> bool:
    if character.isascii():
        return character.isalnum() or character in held.punctuation
    if character in held.punctuation:
        return True
    return character.isalpha() and unicodedata.name(character, "").startswith("LATIN ")
