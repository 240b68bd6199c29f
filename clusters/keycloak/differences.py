"""Where a running realm is not what it must be: resource, field, expected, found."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from clusters.keycloak.state import Json, Resource, State
from services.kit.language import Words, spoken

KINDS: dict[str, Words] = {
    "realm": Words("realm", "domaine"),
    "scopes of new clients": Words("scopes of new clients", "portées des nouveaux clients"),
    "clientProfiles": Words("client profiles", "profils de clients"),
    "clientPolicies": Words("client policies", "politiques de clients"),
    "role": Words("role", "rôle"),
    "client role": Words("client role", "rôle de client"),
    "group": Words("group", "groupe"),
    "scope": Words("scope", "portée"),
    "scope mapper": Words("scope mapper", "mappeur de portée"),
    "client": Words("client", "client"),
    "client mapper": Words("client mapper", "mappeur de client"),
    "service account": Words("service account", "compte de service"),
    "flow": Words("sign-in flow", "flux de connexion"),
    "required action": Words("required action", "action requise"),
    "texts": Words("texts of pages", "textes des pages"),
    "identity provider": Words("identity provider", "fournisseur d’identité"),
    "component": Words("component", "composant"),
    "key": Words("key provider", "fournisseur de clés"),
    "holder": Words("right over the realm", "droit sur le domaine"),
    "demo user": Words("demo user", "compte de démonstration"),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One deviation. `field` is a dotted path; empty for a resource that is missing or that nothing here names."""

    kind: str
    name: str
    field: str
    expected: Any
    found: Any

    @property
    def resource(self) -> Resource:
        return self.kind, self.name

    def __str__(self) -> str:
        kind = KINDS[self.kind]
        where = f"{spoken(kind.en, kind.fr)} {self.name}".rstrip()
        if not self.field and self.found is None:
            return spoken(f"{where}: missing", f"{where}\u00a0: manque")
        if not self.field:
            return spoken(f"{where}: not managed here, yet there", f"{where}\u00a0: présent sans être géré ici")
        return spoken(
            f"{where}: {self.field}: expected {shown(self.expected)}, found {shown(self.found)}",
            f"{where}\u00a0: {self.field}\u00a0: attendu {shown(self.expected)}, trouvé {shown(self.found)}",
        )


def shown(value: Any) -> str:
    """A value for people; long ones are cut."""
    if value is None:
        return spoken("nothing", "rien")
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:199] + "…"


def differences(expected: State, found: State) -> tuple[Difference, ...]:
    """Every deviation, in order of kind and name."""
    return tuple(_differences(expected, found))


def _differences(expected: State, found: State) -> Iterator[Difference]:
    for kind, name in sorted(expected.keys() | found.keys(), key=lambda r: (list(KINDS).index(r[0]), r[1])):
        wanted, seen = expected.get((kind, name)), found.get((kind, name))
        if wanted is None or seen is None:
            yield Difference(kind, name, "", wanted and "present", seen and "present")
        else:
            for field, one, other in _fields(wanted, seen):
                yield Difference(kind, name, field, one, other)


def _fields(wanted: Json, seen: Json, above: str = "") -> Iterator[tuple[str, Any, Any]]:
    for name in sorted(wanted.keys() | seen.keys()):
        one, other = wanted.get(name), seen.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from _fields(one, other, f"{above}{name}.")
        elif one != other:
            yield f"{above}{name}", one, other
