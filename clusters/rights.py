"""Reads `rights.toml`, the reviewed table of who may do what, typed and checked against the roles of `access.toml`.

A row stands for a root field, for a type or field that asks for a right or is about people, or for a property of an input.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from clusters.access import access
from services.kit.caller import CITIZEN
from services.kit.language import Words
from services.kit.purposes import purposes

FILE = Path(__file__).parent / "rights.toml"
NOBODY = "nobody"  # who is not signed in
ALLOWED, ABSENT, FORBIDDEN, UNAUTHENTICATED = "allowed", "absent", "FORBIDDEN", "UNAUTHENTICATED"
# Whose an object is, seen from the caller; `any` where it is nobody's in particular.
RELATIONS = ("own", "foreign", "any")
AUTHORITY_REFUSED, CODE_REQUIRED = "AUTHORITY_REFUSED", "CITIZEN_CODE_REQUIRED"
ASSISTING = "counter_officer"
STATUTORY, NOT_COVERING = "statutory-investigation", "PURPOSE_NOT_COVERING"


@dataclass(frozen=True, slots=True)
class Row:
    """The rights to one thing. `outcomes` are, by relation and role, what those get that are not refused as everybody is;
    `delegated` and `assisted` what is got on a delegation, and in an assisted session, where that is not what a citizen gets of
    their own; `other_ministry` what those get who would be allowed, of a thing of a ministry for which they do not work."""

    service: str
    name: str
    outcomes: Mapping[str, Mapping[str, str]]
    public: Words | None = None
    personal: str | None = None
    policy: str | None = None
    within: tuple[str, ...] = ()
    delegated: str | None = None
    assisted: str | None = None
    other_ministry: str | None = None

    def __str__(self) -> str:
        return f"{self.service}.{self.name}"

    def outcome(self, relation: str, role: str) -> str:
        """What a role gets of an object in a relation to it: `allowed`, `absent` or the code of a refusal."""
        if self.public is not None:
            return ALLOWED
        if role == NOBODY:
            return UNAUTHENTICATED
        return self.outcomes[relation].get(role, FORBIDDEN)

    def under_a_statute(self, role: str) -> str:
        """What a role gets of somebody else's object for an investigation, with its case: what it may have anyway, if it
        investigates at all. A purpose selects, it never grants."""
        usual = self.outcome("foreign", role)
        investigates = purposes()[STATUTORY].is_for([role], "")
        return usual if usual != ALLOWED or investigates else NOT_COVERING

    def of_another_ministry(self, role: str) -> str:
        """What a role gets of what is another ministry's and not the caller's own: where its own ministry's is allowed, what the
        row says."""
        usual = self.outcome("foreign" if "foreign" in self.outcomes else "any", role)
        return usual if usual != ALLOWED else self.other_ministry or ALLOWED

    def on_a_delegation(self, role: str) -> str:
        """What a role gets of the object of a person who has delegated to it all that can be: what a citizen gets of their own,
        and not one thing more. An office's powers stay behind."""
        if self.public is None and role == NOBODY:
            return UNAUTHENTICATED
        return self.delegated or self._of_a_citizens_own()

    def in_an_assisted_session(self, role: str) -> str:
        """What a role gets of the object of a person whom an officer assists: what a citizen gets of their own, but for what a
        person does by themselves alone or agrees to by a code. Nobody else acts on that session."""
        if role == ASSISTING:
            return self.assisted or self._of_a_citizens_own()
        return UNAUTHENTICATED if role == NOBODY else AUTHORITY_REFUSED

    def _of_a_citizens_own(self) -> str:
        return self.outcome("own" if "own" in self.outcomes else "any", CITIZEN)


@cache
def rights() -> Mapping[str, Row]:
    """The table: rows by `service.name`. Raises ValueError naming the row that says nothing, or too much, and KeyError for a role
    or row that there is not."""
    data = tomllib.loads(FILE.read_text(encoding="utf-8"))
    rows = [_row(service, name, said) for service, named in data.items() for name, said in named.items()]
    for row in rows:
        for name in row.within:
            data[row.service][name]
    return {str(row): row for row in rows}


def roles() -> tuple[str, ...]:
    """The columns of the table: nobody, then the roles."""
    return (NOBODY, *access().roles)


def _row(service: str, name: str, said: Mapping[str, object]) -> Row:
    left = dict(said)
    public, within = left.pop("public", None), left.pop("within", ())
    personal, policy, delegated, assisted, other = (
        left.pop(name, None) for name in ("personal", "policy", "delegated", "assisted", "other_ministry")
    )
    outcomes = {relation: _by_role(held) for relation in RELATIONS if (held := left.pop(relation, None)) is not None}
    if left or sum((public is not None, bool(within), bool(outcomes))) != 1:
        raise ValueError(
            f"{service}.{name} needs one of public, within or {', '.join(RELATIONS)}; not: {', '.join(left)}"
        )
    words = Words(**public) if isinstance(public, dict) else None
    return Row(service, name, outcomes, words, personal, policy, tuple(within), delegated, assisted, other)  # type: ignore[arg-type] # texts, which tests compare


def _by_role(held: object) -> dict[str, str]:
    assert isinstance(held, dict)  # noqa: S101 - a table, as TOML reads it
    given = [(role, outcome) for outcome, named in held.items() for role in named]
    for role, _ in given:
        access().roles[role]
    if len(dict(given)) != len(given):
        raise ValueError(f"a role stands twice: {held}")
    return dict(given)
