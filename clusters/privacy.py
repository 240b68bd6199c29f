"""`onedoor plan --privacy`: which ministries tell what about people in an operation, for which purposes, and what passes between
them by @requires, before anything runs. As text and for programs here; as a picture and as `docs/privacy.md` beside it.

The caller's office sees all that is told. What is planned counts, projected away or not: its owner hands it out.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from clusters.planning import Explained
from gateway.engine.plan import Fetch
from gateway.personal import Exposed, Personal, Told
from services.catalogue.cluster_folder import read_folder
from services.kit.language import Words, spoken
from services.kit.purposes import Purpose, purposes

FOLDER = Path(__file__).parent
_CARRIED = re.compile(r"^# Purpose: (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Telling:
    """What one service tells about people: fields, each with its category."""

    service: str
    fields: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Passing:
    """What one service's fields another gets through @requires; those that are about nobody have no category."""

    source: str
    to: str
    fields: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What an operation means for the people whose data it reads. `chosen` are the purposes that its file carries, else all that
    cover it; `is_carried` tells which."""

    name: str
    exposed: Exposed
    tellings: tuple[Telling, ...]
    passings: tuple[Passing, ...]
    chosen: tuple[Purpose, ...]
    is_carried: bool

    def __str__(self) -> str:
        if not self.tellings:
            return spoken(f"{self.name}: nothing about people", f"{self.name}\u00a0: rien sur des personnes")
        return "\n".join([f"{self.name}", *self._lines()])

    def _lines(self) -> Iterator[str]:
        yield spoken("for", "fin") if self.is_carried else spoken("would do", "conviendraient")
        for purpose in self.chosen:
            yield f"  {purpose.code}: {spoken(purpose.words.en, purpose.words.fr)}"
            yield f"    {spoken(purpose.basis.en, purpose.basis.fr)}"
        if not self.chosen:
            yield spoken("  no purpose covers it", "  aucune fin ne la couvre")
        for telling in self.tellings:
            ministry = ministry_of(telling.service)
            yield spoken(f"{telling.service} ({ministry.en}) tells", f"{telling.service} ({ministry.fr}) dit")
            for category, fields in by_category(telling.fields).items():
                yield f"  {category}: {', '.join(fields)}"
        for passing in self.passings:
            yield spoken(f"{passing.source} passes to {passing.to}", f"{passing.source} transmet à {passing.to}")
            for category, fields in by_category(passing.fields).items():
                yield f"  {category or spoken('about nobody', 'sur personne')}: {', '.join(fields)}"

    def as_json(self) -> str:
        """The same for programs."""
        told = {
            "operation": self.name,
            "categories": sorted(self.exposed.categories),
            "recipients": sorted(self.exposed.recipients),
            "carried": self.is_carried,
            "purposes": [
                {"code": p.code, "name": vars_of(p.words), "basis": vars_of(p.basis), "roles": sorted(p.roles)}
                for p in self.chosen
            ],
            "tells": [
                {"service": t.service, "ministry": vars_of(ministry_of(t.service)), "fields": _fields(t.fields)}
                for t in self.tellings
            ],
            "passes": [{"from": p.source, "to": p.to, "fields": _fields(p.fields)} for p in self.passings],
        }
        return json.dumps(told, indent=1, ensure_ascii=False)

    def problems(self) -> Iterator[str]:
        """What is wrong with the purposes that a trusted document carries."""
        if self.tellings and not self.is_carried:
            yield spoken(
                f"{self.name} tells about people and carries no purpose; name some in a comment, as contracts/README.md shows",
                f"{self.name} porte sur des personnes, sans fin\u00a0; nommez-en en commentaire, comme dans contracts/README.md",
            )
        for purpose in self.chosen:
            if purpose.roles and not purpose.covers(*self.exposed):
                yield spoken(
                    f"{self.name} is for {purpose.code}, which does not cover {_said(self.exposed)}",
                    f"{self.name} sert {purpose.code}, qui ne couvre pas {_said(self.exposed)}",
                )


class UnknownPurpose(Exception):
    """A file names a purpose that there is not; the text says which."""


def report(explained: Explained, text: str) -> Report:
    """The report on a planned operation of a text. Raises UnknownPurpose."""
    personal, fetches = Personal(explained.supergraph.document), explained.plan.fetches
    told: dict[str, dict[Told, None]] = {}
    for fetch in fetches:
        if found := personal.told(fetch.document):
            told.setdefault(fetch.subgraph, {}).update(dict.fromkeys(found))
    exposed, carried = personal.exposed(fetches), purposes_in(text)
    if unknown := [code for code in carried if code not in purposes()]:
        names = ", ".join(unknown)
        raise UnknownPurpose(spoken(f"there is no purpose {names}", f"il n’y a pas de fin {names}"))
    fitting = (p for p in purposes().values() if not p.kind and p.roles and p.covers(*exposed))
    chosen = (purposes()[code] for code in carried) if carried else fitting if told else ()
    return Report(
        explained.name,
        exposed,
        tuple(Telling(service, tuple(fields)) for service, fields in told.items()),
        tuple(_passings(personal, fetches)),
        tuple(chosen),
        bool(carried),
    )


def purposes_in(text: str) -> list[str]:
    """The codes of the purposes that an operation's file carries, in a comment: `# Purpose: inspection-conduct, self-service`."""
    found = _CARRIED.search(text)
    return [code.strip() for code in found[1].split(",")] if found else []


@cache
def ministries() -> Mapping[str, Words]:
    """The names of the ministries that answer for subgraphs, by subgraph."""
    clusters = read_folder(FOLDER)
    names = {m.code: Words(m.name.en, m.name.fr) for cluster in clusters for m in cluster.ministries}
    return {s.name: names[s.owner] for cluster in clusters for s in cluster.subgraphs}


def ministry_of(subgraph: str) -> Words:
    """The ministry that answers for a subgraph; its own name where the cluster files name none."""
    return ministries().get(subgraph, Words(subgraph, subgraph))


def by_category(fields: Sequence[Told]) -> dict[str, list[str]]:
    """Fields by category, in their order."""
    found: dict[str, list[str]] = {}
    for told in fields:
        found.setdefault(told.category, []).append(told.field)
    return found


def vars_of(words: Words) -> dict[str, str]:
    """A text in both languages, as JSON values."""
    return {"en": words.en, "fr": words.fr}


def _passings(personal: Personal, fetches: Sequence[Fetch]) -> Iterator[Passing]:
    found: dict[tuple[str, str], dict[Told, None]] = {}
    for before, to, told in personal.passings(fetches):
        found.setdefault((before.subgraph, to), {}).update(dict.fromkeys(told))
    for (source, to), fields in found.items():
        yield Passing(source, to, tuple(fields))


def _fields(fields: Sequence[Told]) -> list[dict[str, str | None]]:
    return [{"field": told.field, "category": told.category or None} for told in fields]


def _said(exposed: Exposed) -> str:
    to = f" → {', '.join(sorted(exposed.recipients))}" if exposed.recipients else ""
    return ", ".join(sorted(exposed.categories)) + to
