"""What verifying an exported chain finds, in words of both languages and for programs."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from services.kit.language import Words


class Kind(Enum):
    """What happened to the chain, as far as it can be told."""

    ALTERED = "ALTERED"
    REMOVED = "REMOVED"
    INSERTED = "INSERTED"
    CUT = "CUT"
    REWRITTEN = "REWRITTEN"
    BROKEN = "BROKEN"
    HEAD_ALTERED = "HEAD_ALTERED"
    FILE = "FILE"


_WORDS = {
    Kind.ALTERED: Words("{where} was altered", "{where} a été modifié"),
    Kind.REMOVED: Words("{where} was removed", "{where} a été retiré"),
    Kind.INSERTED: Words("{where} was inserted", "{where} a été ajouté"),
    Kind.CUT: Words(
        "the chain was cut: {where} is missing at its end", "la chaîne a été coupée\u00a0: {where} manque à la fin"
    ),
    Kind.REWRITTEN: Words(
        "{where} was told anew: an older head of the chain says otherwise",
        "{where} a été réécrit\u00a0: une tête antérieure de la chaîne dit autre chose",
    ),
    Kind.BROKEN: Words(
        "{where} was altered, or something beside it removed or inserted",
        "{where} a été modifié, ou quelque chose à côté a été retiré ou ajouté",
    ),
    Kind.HEAD_ALTERED: Words(
        "the head over {where} is not as its service signed it",
        "la tête qui couvre {where} n’est pas celle que son service a signée",
    ),
    Kind.FILE: Words(
        "the file is not a whole export: {where}", "le fichier n’est pas une exportation entière\u00a0: {where}"
    ),
}


@dataclass(unsafe_hash=True)
class Finding(Exception):
    """The first thing that is wrong: which seals, by number, and which entry, where one is known."""

    kind: Kind
    first: int = 0
    last: int = 0
    entry: str = ""
    what: Words | None = None

    def words(self) -> Words:
        """A sentence."""
        one = self.first == self.last
        where = self.what or (
            Words(f"entry {self.entry}", f"l’élément {self.entry}")
            if not self.first
            else Words(f"seal {self.first}", f"le sceau {self.first}")
            if one
            else Words(
                f"something from seal {self.first} to seal {self.last}",
                f"quelque chose du sceau {self.first} au sceau {self.last}",
            )
        )
        if self.first and one and self.entry:
            where = Words(f"{where.en} (entry {self.entry})", f"{where.fr} (élément {self.entry})")
        said = _WORDS[self.kind]
        en, fr = said.en.format(where=where.en), said.fr.format(where=where.fr)
        return Words(en[:1].upper() + en[1:] + ".", fr[:1].upper() + fr[1:] + ".")

    def described(self) -> dict[str, Any]:
        """For programs."""
        words = self.words()
        return {
            "kind": self.kind.value,
            "first": self.first or None,
            "last": self.last or None,
            "entry": self.entry or None,
            "message": {"en": words.en, "fr": words.fr},
        }
