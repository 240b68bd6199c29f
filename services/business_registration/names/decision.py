"""The decision about a name: malformed, restricted, identical, similar or available; explained, with the rules' version.

Pure: the names that are held come in as data. Source: Ontario's practice, where an identical name is refused, a similar one
is the applicant's own risk, and a sole proprietorship's or partnership's name blocks no other.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from services.business_registration.models import LegalType
from services.business_registration.names.normalise import (
    composed,
    designations,
    folded,
    forms,
    identical_key,
    normalised,
    tokens,
    words,
)
from services.business_registration.names.rules import Rules, rules
from services.business_registration.names.similarity import likeness
from services.kit.language import Words
from services.kit.text import Text

MOST_EVIDENCE = 10
# What the registry itself calls numbered corporations; nobody chooses such a name.
_NUMBERED = re.compile(r"\d{5,10} (?:ontario|canada)(?: [a-z.]+)?")


class NameOutcome(Enum):
    """What was found, from the strongest obstacle to none."""

    MALFORMED = "MALFORMED"
    RESTRICTED = "RESTRICTED"
    IDENTICAL = "IDENTICAL"
    SIMILAR = "SIMILAR"
    AVAILABLE = "AVAILABLE"


@dataclass(frozen=True, slots=True)
class Holder:
    """One form of a name that is held. `blocks` is true for a corporation's or a reserved name; `former`, of one that its
    business has given up less than ten years ago."""

    name: str
    identical_key: str
    words: tuple[str, ...]
    business_number: str | None
    blocks: bool
    former: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason: the kind of rule, the name or word that it met, its strength from 0 to 1, and the reason in words."""

    kind: str
    name: str
    score: float
    explanation: Text
    business_number: str | None = None

    def holders(self) -> Iterator[Holder]:
        """The held name that it speaks of, form by form; nothing for a rule that met no other name."""
        if self.kind not in _KINDS:
            return
        blocks, former = _KINDS[self.kind]
        for form in forms(self.name):
            yield Holder(self.name, identical_key(form), words(form), self.business_number, blocks, former)


@dataclass(frozen=True, slots=True)
class Decision:
    """An outcome that can be explained and repeated: same rules, same names held, same decision."""

    name: str
    legal_type: LegalType
    outcome: NameOutcome
    explanation: Text
    rule_version: str
    normalised: str
    evidence: list[Evidence] = field(default_factory=list)

    @classmethod
    def restored(cls, recorded: Mapping[str, Any]) -> "Decision":
        """A decision from its JSON form, as an application keeps it. Raises KeyError for what is none."""
        evidence = [Evidence(**{**one, "explanation": Text(**one["explanation"])}) for one in recorded["evidence"]]
        changed = {
            "legal_type": LegalType(recorded["legal_type"]),
            "outcome": NameOutcome(recorded["outcome"]),
            "explanation": Text(**recorded["explanation"]),
            "evidence": evidence,
        }
        return cls(**{**recorded, **changed})

    def replayed(self) -> "Decision":
        """The decision that today's rules make of the same name against the names of its evidence: equal to this one while
        the rules have its version."""
        return decide(self.name, self.legal_type, [h for one in self.evidence for h in one.holders()])


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
_SAID = {  # of each kind of evidence about another name
    "identical": Words("identical to “{name}”", "identique à « {name} »"),
    "identical_former": Words(
        "identical to “{name}”, a name given up less than ten years ago",
        "identique à « {name} », un nom abandonné il y a moins de dix ans",
    ),
    "identical_not_blocking": Words(
        "identical to “{name}”, which a sole proprietorship or partnership uses without barring others",
        "identique à « {name} », qu’une entreprise individuelle ou une société de personnes utilise sans exclure les autres",
    ),
    "similar": Words("similar to “{name}”", "semblable à « {name} »"),
}
_STRENGTHS = {"identical": 2, "identical_former": 2, "identical_not_blocking": 1, "similar": 0}
# Kinds of evidence about other names → whether such a name blocks, whether it is a former one.
_KINDS = {
    "identical": (True, False),
    "identical_former": (True, True),
    "identical_not_blocking": (False, False),
    "similar": (False, False),
}
_Met = tuple[int, float, str]  # how two names met: strength, score, kind
_UNLIKE: _Met = (-1, 0.0, "")


def decide(name: str, legal_type: LegalType, holders: Sequence[Holder]) -> Decision:
    """The decision about a name of a legal type, given the names that are held and could be alike. Never raises."""
    held, name = rules(), composed(name)
    outcome, evidence = NameOutcome.MALFORMED, list(_malformed(name, legal_type, held))
    if not evidence:
        outcome, evidence = NameOutcome.RESTRICTED, list(_restricted(name, held))
    if not evidence:
        evidence = sorted(_alike(name, holders, held), key=lambda e: (-_STRENGTHS[e.kind], -e.score, e.name))
        outcome = _OUTCOMES[_STRENGTHS[evidence[0].kind] if evidence else None]
    words_ = _EXPLANATIONS.get(outcome)
    explanation = Text.from_words(words_) if words_ else evidence[0].explanation
    shown = name[: held.longest]
    return Decision(shown, legal_type, outcome, explanation, held.version, normalised(shown), evidence[:MOST_EVIDENCE])


_OUTCOMES = {
    None: NameOutcome.AVAILABLE,
    0: NameOutcome.SIMILAR,
    1: NameOutcome.SIMILAR,
    2: NameOutcome.IDENTICAL,
}


def _alike(name: str, holders: Sequence[Holder], held: Rules) -> Iterator[Evidence]:
    """At most one piece of evidence for each held name, the strongest over the forms of both."""
    asked = [(identical_key(form), words(form)) for form in forms(name)]
    strongest: dict[tuple[str, str | None], _Met] = {}
    for holder in holders:
        found = max(_met(key, cut, holder) for key, cut in asked)
        which = (holder.name, holder.business_number)
        if found[:2] > strongest.get(which, _UNLIKE)[:2]:
            strongest[which] = found
    for (other, number), (strength, score, kind) in strongest.items():
        if strength or score >= held.conflict:
            yield Evidence(kind, other, score, Text.from_words(_SAID[kind].filled(name=other)), number)


def _met(key: str, cut: tuple[str, ...], holder: Holder) -> _Met:
    if holder.identical_key != key:
        return 0, round(likeness(cut, holder.words).score, 3), "similar"
    kind = ("identical_former" if holder.former else "identical") if holder.blocks else "identical_not_blocking"
    return _STRENGTHS[kind], 1.0, kind


def _restricted(name: str, held: Rules) -> Iterator[Evidence]:
    """Restricted words and phrases, whether they carry weight in comparisons or not."""
    texts = [f" {' '.join(cut)} " for form in forms(name) for cut in (words(form), tokens(form))]
    for phrase, found in held.restricted.items():
        if any(f" {phrase} " in text for text in texts):
            yield Evidence(f"restricted_{found.rule}", phrase, 1.0, Text.from_words(found.words))


def _malformed(name: str, legal_type: LegalType, held: Rules) -> Iterator[Evidence]:
    if legal_type is LegalType.NUMBERED_CORPORATION:
        yield _wrong(
            "name_not_chosen",
            name[: held.longest],
            "The registry names numbered corporations. Choose a named corporation to have a name of your own.",
            "Le registre donne leur nom aux sociétés à dénomination numérique. Choisissez une société nommée pour avoir un nom "
            "à vous.",
        )
    elif not name.strip():
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
            f"The character {code} cannot stand in a name. Use letters of English and French, digits and common punctuation.",
            f"Le caractère {code} ne peut figurer dans un nom. Utilisez des lettres de l’anglais et du français, des chiffres "
            "et la ponctuation courante.",
        )
    else:
        yield from _misshapen(name)
        for form in forms(name):
            yield from _misdesignated(form, legal_type, held)


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
    if _NUMBERED.fullmatch(folded(name.strip())):
        yield _wrong(
            "numbered_form",
            name,
            "Only the registry gives names of this form. Choose a name, or register a numbered corporation.",
            "Seul le registre donne des noms de cette forme. Choisissez un nom, ou constituez une société à dénomination "
            "numérique.",
        )
    if "  " in name or name != name.strip():
        yield _wrong(
            "spaces",
            name,
            "A name has single spaces, between words only. Remove the others.",
            "Un nom n’a que des espaces simples, entre les mots. Retirez les autres.",
        )


def _misdesignated(form: str, legal_type: LegalType, held: Rules) -> Iterator[Evidence]:
    found, is_last = designations(form)
    foreign = [word for word in tokens(form) if word in held.designations - held.corporate - held.restricted.keys()]
    if foreign or (found and not legal_type.corporation):
        told = (foreign or list(found))[0]
        yield _wrong(
            "designation_not_allowed",
            form,
            f"“{told}” belongs to businesses of another legal form. Remove it, or register that form.",
            f"« {told} » appartient aux entreprises d’une autre forme juridique. Retirez-le ou inscrivez cette forme.",
        )
    elif not legal_type.corporation:
        return
    elif not found:
        yield _wrong(
            "designation_missing",
            form,
            "A corporation’s name ends in Limited, Incorporated, Corporation, their abbreviations or French forms. Add one.",
            "Le nom d’une société par actions finit par Limitée, Incorporée, Corporation, leur abréviation ou leur forme "
            "anglaise. Ajoutez-en une.",
        )
    elif len(found) == len(tokens(form)):
        yield _wrong(
            "designation_alone",
            form,
            f"“{found[0]}” is no name by itself. Put a word before it.",
            f"« {found[0]} » n’est pas un nom à lui seul. Faites-le précéder d’un mot.",
        )
    elif len(found) > 1:
        yield _wrong(
            "designation_doubled",
            form,
            "A corporation’s name has one designation in each language. Keep only the last one.",
            "Le nom d’une société par actions a une désignation par langue. Ne gardez que la dernière.",
        )
    elif not is_last:
        yield _wrong(
            "designation_misplaced",
            form,
            f"“{found[0]}” stands at the end of a corporation’s name. Move it there.",
            f"« {found[0]} » se place à la fin du nom d’une société par actions. Déplacez-le.",
        )


def _allowed(character: str, held: Rules) -> bool:
    """Letters that English and French write, digits, common marks. A letter that only looks like one of them would make a
    name that is read alike and compared as another."""
    if character.isascii():
        return character.isalnum() or character in held.punctuation
    if character in held.punctuation:
        return True
    plain = folded(character)
    return unicodedata.name(character, "").startswith("LATIN ") and plain.isascii() and plain.isalpha()
