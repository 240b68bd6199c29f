"""For which purpose somebody gets another person's data: `clusters/purposes.toml`, and what it covers.

A purpose is chosen by who asks and never grants. The owner of the data judges it where it hands them out, and the gateway asks
the same functions before it fetches anything, so that nobody is asked in vain. Nothing here needs a database.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from services.kit import faults
from services.kit.context import Chosen
from services.kit.faults import Faulted
from services.kit.language import Words

FILE = Path(__file__).parents[2] / "clusters" / "purposes.toml"
SELF_SERVICE = "self-service"
# What holds where nothing is chosen, by how somebody acts: for themselves, or under which kind of grant.
DEFAULTS = {"": SELF_SERVICE, "delegation": "representation", "assisted": "assisted-service"}
_CASE = re.compile(r"(?=.*[0-9])[A-Za-z0-9][A-Za-z0-9./-]{3,39}")
_SHORTEST_REASON = 10  # characters
_KEYS = {
    *("code", "en", "fr", "basis", "roles", "categories", "recipients", "kind"),
    *("needs_consent", "retention_days", "disclosure_delay_days", "case_required"),
}


@dataclass(frozen=True, slots=True)
class Purpose:
    """A purpose, as the file explains its keys. `kind` is that of the grant under which alone it holds, empty for none."""

    code: str
    words: Words
    basis: Words
    roles: frozenset[str]
    categories: frozenset[str]
    recipients: frozenset[str]
    kind: str
    needs_consent: bool
    case_required: bool
    retention_days: int
    disclosure_delay_days: int

    @property
    def is_asked_for(self) -> bool:
        """Whether it holds only where it was named: with a case, or with the person's consent."""
        return self.case_required or self.needs_consent

    def is_for(self, roles: Iterable[str], kind: str) -> bool:
        """Whether somebody in these roles, who acts under this kind of grant, may name it for others' data."""
        return kind == self.kind and not self.roles.isdisjoint(roles)

    def covers(self, categories: Iterable[str], recipients: Iterable[str]) -> bool:
        """Whether it covers all of some categories of data, passed on to some services."""
        return self.categories.issuperset(categories) and self.recipients.issuperset(recipients)


@cache
def purposes() -> Mapping[str, Purpose]:
    """The purposes by code, in the file's order. Raises ValueError naming the one that says too much or too little."""
    found = [_purpose(entry) for entry in tomllib.loads(FILE.read_text(encoding="utf-8"))["purposes"]]
    by_code = {purpose.code: purpose for purpose in found}
    if len(by_code) != len(found) or not by_code.keys() >= set(DEFAULTS.values()):
        raise ValueError(f"{FILE} names a purpose twice, or lacks one of {', '.join(DEFAULTS.values())}")
    return by_code


def chosen(told: Chosen, kind: str) -> Purpose | None:
    """The purpose that holds for somebody who acts under a kind of grant, None where there is none of that name."""
    return purposes().get(told.purpose or DEFAULTS[kind])


def problem(
    told: Chosen,
    roles: frozenset[str],
    kind: str,
    categories: Iterable[str],
    recipients: Iterable[str],
    known: Mapping[str, Purpose] | None = None,
) -> Faulted | None:
    """Why others' data of some categories, passed on to some services, may not be had for the purpose that was chosen by somebody
    in some roles, who acts under a kind of grant; None where they may. What would do is listed with the refusal. `known` are the
    purposes that may be chosen, if not all of the file."""
    known = purposes() if known is None else known
    code = told.purpose or DEFAULTS[kind]
    purpose = known.get(code)
    if purpose is None or not (purpose.is_for(roles, kind) and purpose.covers(categories, recipients)):
        would_do = [p for p in known.values() if p.is_for(roles, kind) and p.covers(categories, recipients)]
        return _refusal(code, would_do)
    return _case_lacking(told, purpose)


def _refusal(code: str, would_do: Sequence[Purpose]) -> Faulted:
    """That the purpose of a code does not do, or that none was chosen; and which would do, for people and for programs."""
    named: dict[str, Any] = {
        "would_do_en": ", ".join(f"{p.code} ({p.words.en})" for p in would_do) or "none of yours",
        "would_do_fr": ", ".join(f"{p.code} ({p.words.fr})" for p in would_do) or "aucune des vôtres",
        "purposes": [_described(purpose) for purpose in would_do],
    }
    if code == SELF_SERVICE:
        return Faulted(faults.PURPOSE_REQUIRED, **named)
    return Faulted(faults.PURPOSE_NOT_COVERING, purpose=code, **named)


def _described(purpose: Purpose) -> dict[str, Any]:
    return {
        "code": purpose.code,
        "name": {"en": purpose.words.en, "fr": purpose.words.fr},
        "basis": {"en": purpose.basis.en, "fr": purpose.basis.fr},
        "needsConsent": purpose.needs_consent,
        "caseRequired": purpose.case_required,
    }


def _case_lacking(told: Chosen, purpose: Purpose) -> Faulted | None:
    """What is wrong with the case that a purpose asks for."""
    if not purpose.case_required:
        return None
    if not _CASE.fullmatch(told.case):
        return Faulted(faults.CASE_REQUIRED, field="case", purpose=purpose.code, lacking="case")
    if len(told.reason.strip()) < _SHORTEST_REASON or len(told.reason.split()) < 2:
        return Faulted(faults.CASE_REQUIRED, field="reason", purpose=purpose.code, lacking="reason")
    return None


def _purpose(entry: dict[str, Any]) -> Purpose:
    code = entry.get("code", "?")
    if unknown := entry.keys() - _KEYS:
        raise ValueError(f"{FILE}: {code} has {', '.join(sorted(unknown))}, which nothing reads")
    try:
        return Purpose(
            code,
            Words(entry["en"], entry["fr"]),
            Words(entry["basis"]["en"], entry["basis"]["fr"]),
            frozenset(entry["roles"]),
            frozenset(entry["categories"]),
            frozenset(entry["recipients"]),
            entry.get("kind", ""),
            entry.get("needs_consent", False),
            entry.get("case_required", False),
            entry["retention_days"],
            entry.get("disclosure_delay_days", 0),
        )
    except KeyError as lacking:
        raise ValueError(f"{FILE}: {code} lacks {lacking}") from None
