"""What a running realm must be: what the code says, over what Keycloak fills in where the code says nothing.

The filling is kept in `filled-in.json`, learned from a realm that was just made on this version. With it, `check` sees any
change to any field, said or not; and a new version's own changes are seen when it is learned again.
Write it from a running server, as KEYCLOAK_URL and the others say: `python -m clusters.keycloak.expected`.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from keycloak import KeycloakAdmin

from clusters.access import access
from clusters.keycloak import clients, connection, realm
from clusters.keycloak.state import Json, Resource, State, described, overlaid

FILE = Path(__file__).parent / "filled-in.json"
MENDS = "python -m clusters.keycloak.expected"
# Of these the code says many, alike; what is filled in is the same for each, so that a new one needs nothing learned.
ALIKE = frozenset(
    {"client", "scope", "scope mapper", "role", "group", "service account", "flow", "required action", "component"}
)
Filling = dict[str, dict[str, Json]]


def expected(wanted: Json, filling: Filling | None = None) -> State:
    """The whole state of a realm that is as its representation says. Names without a filling of their own take their kind's."""
    filled = filling if filling is not None else json.loads(FILE.read_text(encoding="utf-8"))
    said = described(wanted)
    under = {(kind, name): fields for kind, named in filled.items() for name, fields in named.items() if name != "*"}
    for kind, name in said:
        if kind in ALIKE:
            under.setdefault((kind, name), filled.get(kind, {}).get("*", {}))
    return overlaid(under, said)


def learned(wanted: Json, running: State) -> Filling:
    """What a realm that was made as `wanted` shows beyond it: by kind and name; `*` is what all of a kind have in common."""
    said = described(wanted)
    found: Filling = {}
    for (kind, name), fields in running.items():
        beyond = _beyond(said.get((kind, name), {}), fields)
        found.setdefault(kind, {})[name] = beyond
    for kind in ALIKE & found.keys():
        ours = {name: found[kind].pop(name) for name in list(found[kind]) if (kind, name) in said}
        common = _common(list(ours.values()))
        found[kind]["*"] = common
        found[kind] |= {name: fields for name, fields in ours.items() if fields != common}
    return {kind: dict(sorted(named.items())) for kind, named in sorted(found.items())}


def _beyond(said: Json, fields: Json) -> Json:
    beyond: Json = {}
    for name, value in fields.items():
        if name not in said:
            beyond[name] = value
        elif isinstance(value, dict) and (rest := {k: v for k, v in value.items() if k not in said[name]}):
            beyond[name] = rest
    return beyond


def _common(many: list[Json]) -> Json:
    """What most have alike, so that few need a filling of their own."""
    written = [json.dumps(fields, sort_keys=True) for fields in many]
    found: Json = json.loads(max(written, key=written.count)) if written else {}
    return found


def running(admin: KeycloakAdmin) -> State:
    """The state of a running realm: its export, demo users that are there, and who has rights over the realm itself."""
    exported = admin.export_realm(export_clients=True, export_groups_and_role=True)
    found = described(exported)
    accounts = {user["username"] for user in exported.get("users", ())}
    return found | dict(_demo_users(admin)) | dict(_holders(admin, accounts))


def _demo_users(admin: KeycloakAdmin) -> Iterator[tuple[Resource, Json]]:
    """Users whose passwords everybody knows, told by their identifier."""
    for user in access().users.values():
        for found in admin.get_users({"username": user.name, "exact": True}):
            if found["id"] == user.subject:
                roles = (role["name"] for role in admin.get_realm_roles_of_user(user.subject))
                held = {
                    "enabled": found["enabled"],
                    "realmRoles": sorted(name.removesuffix(f"-{admin.connection.realm_name}") for name in roles),
                    "clientRoles": {},
                    "groups": sorted(group["path"] for group in admin.get_user_groups(user.subject)),
                }
                yield ("demo user", user.name), held


def _holders(admin: KeycloakAdmin, accounts: set[str]) -> Iterator[tuple[Resource, Json]]:
    """People with a right over the realm; service accounts are judged by themselves."""
    client = str(admin.get_client_id(clients.REALM_MANAGEMENT))
    for role in admin.get_client_roles(client):
        for user in admin.get_client_role_members(client, role["name"]):
            if user["username"] not in accounts:
                yield ("holder", f"{role['name']}/{user['username']}"), {}


def learn(admin: KeycloakAdmin) -> Filling:
    """Make a realm, look at what it became, and delete it."""
    rules = replace(access(), realm=f"learning-{uuid4().hex[:8]}")
    wanted = realm.realm(rules)
    before: Any = admin.connection.realm_name
    admin.create_realm(wanted)
    admin.connection.realm_name = rules.realm
    try:
        return learned(wanted, running(admin))
    finally:
        admin.delete_realm(rules.realm)
        admin.connection.realm_name = before


def written(filling: Filling) -> str:
    """The filling as the committed file holds it."""
    return json.dumps(filling, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    account = connection.account(os.environ, "master")
    FILE.write_text(written(learn(connection.connected(account, "master"))), encoding="utf-8")
