"""The rules of names as data: read once from `data/rules.toml`, with the version that every decision quotes."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from services.kit.language import Words

FILE = Path(__file__).parent / "data" / "rules.toml"


@dataclass(frozen=True, slots=True)
class Restricted:
    """A word or phrase that needs a consent (`consent`) or that no business may use (`forbid`), and why."""

    rule: str
    words: Words


@dataclass(frozen=True, slots=True)
class Rules:
    """One version of the rules. Words are folded: lower case, without accents."""

    version: str
    longest: int
    conflict: float
    punctuation: frozenset[str]
    stop: frozenset[str]
    conjunctions: frozenset[str]
    web_endings: re.Pattern[str]
    joined_prefixes: frozenset[str]
    numbers: Mapping[str, str]
    corporate: frozenset[str]
    designations: frozenset[str]
    descriptive: Mapping[str, str]  # word → meaning, which words of one meaning share
    restricted: Mapping[str, Restricted]


@cache
def rules() -> Rules:
    """The rules in force. Raises KeyError and TOMLDecodeError for a file that is not complete."""
    data = tomllib.loads(FILE.read_text(encoding="utf-8"))
    form, words, designations = data["form"], data["words"], data["designations"]
    restricted = {
        word: Restricted(entry["rule"], Words(entry["en"], entry["fr"]))
        for entry in data["restricted"]
        for word in entry["words"]
    }
    descriptive = {word: meaning for meaning, members in data["descriptive"].items() for word in members}
    return Rules(
        version=data["version"],
        longest=form["longest"],
        conflict=form["conflict"],
        punctuation=frozenset(form["punctuation"]),
        stop=frozenset(words["stop"]),
        conjunctions=frozenset(words["conjunctions"]),
        web_endings=re.compile(
            r"\bwww\.(?=[a-z0-9])|(?<=[a-z0-9])\.(?:" + "|".join(map(re.escape, words["web"])) + r")\b"
        ),
        joined_prefixes=frozenset(words["joined_prefixes"]),
        numbers=MappingProxyType(words["numbers"]),
        corporate=frozenset(designations["corporate"]),
        designations=frozenset(designations["corporate"]) | frozenset(designations["other"]),
        descriptive=MappingProxyType(descriptive),
        restricted=MappingProxyType(restricted),
    )
