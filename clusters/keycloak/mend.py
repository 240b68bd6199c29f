"""Makes a running realm what it must be, resource by resource, each by its own call: nothing is imported over what is there.

A pass may uncover what only a later one can mend (a new flow has no steps yet), so `apply` looks again until nothing is left.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from keycloak import KeycloakAdmin
from keycloak.exceptions import KeycloakError

from clusters.access import access
from clusters.keycloak import mend_flows
from clusters.keycloak.clients import REALM_MANAGEMENT
from clusters.keycloak.differences import Difference
from clusters.keycloak.state import KEY_TYPE, Json, State, component_name
from clusters.keycloak.work import Work

# What others lean on comes first, and is taken away last.
ORDER = (
    *("flow", "realm", "texts", "required action", "client role", "role", "group", "scope", "scope mapper"),
    *("scopes of new clients", "client", "client mapper", "clientProfiles", "clientPolicies"),
    *("service account", "demo user", "holder", "identity provider", "component", "key"),
)
FORBIDDEN = 403
_APART = frozenset({"roles", "clientRoles", "defaultClientScopes", "optionalClientScopes"})
_EMPTY: Mapping[type, Any] = {str: "", bool: False, list: [], dict: {}, int: 0}


def mend(admin: KeycloakAdmin, expected: State, found: State, deviations: Iterable[Difference]) -> list[str]:
    """Mend each resource that deviates; what must go is taken away last. Returns what Keycloak forbade, in its words: who has
    no right over the realm may not take one from another. Raises KeycloakError for anything else."""
    resources = sorted({d.resource for d in deviations}, key=lambda r: (ORDER.index(r[0]), r[1]))
    first, last = [r for r in resources if r in expected], [r for r in reversed(resources) if r not in expected]
    forbidden = []
    for kind, name in (*first, *last):
        work = Work(admin, expected, (kind, name), expected.get((kind, name)), found.get((kind, name)))
        try:
            _MENDS[kind](work)
        except KeycloakError as problem:
            if problem.response_code != FORBIDDEN:
                raise
            forbidden.append(f"{kind} {name}: {problem}")
    return forbidden


def _realm(work: Work) -> None:
    wanted, found = work.wanted or {}, work.found or {}
    changed = {
        name: wanted.get(name, _EMPTY.get(type(found.get(name))))
        for name in wanted.keys() | found.keys()
        if wanted.get(name) != found.get(name)
    }
    work.admin.update_realm(work.realm, changed)


def _policies(work: Work) -> None:
    work.call("put", "client-policies/" + work.resource[0].removeprefix("client").lower(), work.wanted)


def _required_action(work: Work) -> None:
    if work.wanted is None:
        work.call("delete", f"authentication/required-actions/{work.name}")
        return
    if work.found is None:
        named = {"providerId": work.wanted["providerId"], "name": work.wanted["name"]}
        work.call("post", "authentication/register-required-action", named)
    work.admin.update_required_action(work.name, {"alias": work.name, **work.wanted})


def _texts(work: Work) -> None:
    """All of a language's at once: what is there goes, then ours come."""
    if work.found is not None:
        work.call("delete", f"localization/{work.name}")
    if work.wanted is not None:
        work.call("post", f"localization/{work.name}", work.wanted)


def _role(work: Work) -> None:
    name = f"default-roles-{work.realm}" if work.name == "default-roles" else work.name
    if work.wanted is None:
        work.admin.delete_realm_role(name)
        return
    plain = {"name": name, **{key: value for key, value in work.wanted.items() if key != "composites"}}
    if work.found is None:
        work.admin.create_realm_role(plain)
    else:
        work.admin.update_realm_role(name, plain)
    _composites(work, work.admin.get_realm_role(name)["id"])


def _client_role(work: Work) -> None:
    owner, name = work.name.split("/", 1)
    client = _client_id(work, owner)
    if work.wanted is None:
        work.admin.delete_client_role(client, name)
        return
    plain = {"name": name, **{key: value for key, value in work.wanted.items() if key != "composites"}}
    if work.found is None:
        work.admin.create_client_role(client, plain)
    else:
        work.admin.update_client_role(client, name, plain)
    _composites(work, work.admin.get_client_role(client, name)["id"])


def _composites(work: Work, role: str) -> None:
    wanted, found = ((side or {}).get("composites", {}) for side in (work.wanted, work.found))
    path = f"roles-by-id/{role}/composites"
    _hold(work, path, wanted.get("realm", ()), found.get("realm", ()))
    _hold_of_clients(work, lambda _: path, wanted.get("client", {}), found.get("client", {}))


def _hold(work: Work, path: str, wanted: Collection[str], found: Collection[str], owner: str | None = None) -> None:
    """Add the roles that are missing to a list of roles, and take away those that must not be in it."""
    for method, names in (("post", set(wanted) - set(found)), ("delete", set(found) - set(wanted))):
        if names:
            held = [
                work.admin.get_client_role(owner, name) if owner else work.admin.get_realm_role(_spelt(work, name))
                for name in sorted(names)
            ]
            work.call(method, path, held)


def _hold_of_clients(
    work: Work, path: Callable[[str], str], wanted: Mapping[str, Collection[str]], found: Mapping[str, Collection[str]]
) -> None:
    for client in sorted(wanted.keys() | found.keys()):
        owner = _client_id(work, client)
        _hold(work, path(owner), wanted.get(client, ()), found.get(client, ()), owner)


def _spelt(work: Work, role: str) -> str:
    return f"{role}-{work.realm}" if role == "default-roles" else role


def _client_id(work: Work, client: str) -> str:
    return str(work.admin.get_client_id(client))


def _group(work: Work) -> None:
    above, _, name = work.name.rpartition("/")
    if work.found is None:
        parent = work.admin.get_group_by_path(above)["id"] if above else None
        work.admin.create_group({"name": name}, parent=parent, skip_exists=True)
    group = work.admin.get_group_by_path(work.name)["id"]
    if work.wanted is None:
        work.admin.delete_group(group)
        return
    found = work.found or {}
    if work.wanted.get("attributes") != found.get("attributes", {}):
        work.admin.update_group(group, {"name": name, "attributes": work.wanted.get("attributes", {})})
    _mapped(work, f"groups/{group}/role-mappings", "realmRoles")


def _mapped(work: Work, path: str, roles: str = "roles") -> None:
    """The roles that are mapped to a group, a user, a client or a scope."""
    wanted, found = work.wanted or {}, work.found or {}
    _hold(work, f"{path}/realm", wanted.get(roles, ()), found.get(roles, ()))
    _hold_of_clients(
        work, lambda owner: f"{path}/clients/{owner}", wanted.get("clientRoles", {}), found.get("clientRoles", {})
    )


def _scope(work: Work) -> None:
    if work.wanted is None:
        work.admin.delete_client_scope(_scope_ids(work)[work.name])
        return
    plain = {"name": work.name, **{key: value for key, value in work.wanted.items() if key not in _APART}}
    if work.found is None:
        work.admin.create_client_scope(plain)
    else:
        plain["attributes"] = _without_strangers(plain, work.found)
        work.admin.update_client_scope(_scope_ids(work)[work.name], plain)
    _mapped(work, f"client-scopes/{_scope_ids(work)[work.name]}/scope-mappings")


def _scope_ids(work: Work) -> dict[str, str]:
    return {scope["name"]: scope["id"] for scope in work.admin.get_client_scopes()}


def _without_strangers(plain: Json, found: Json) -> Json:
    """Attributes; those that must go are named without a value."""
    wanted = plain.get("attributes", {})
    return {**dict.fromkeys(found.get("attributes", {}).keys() - wanted.keys()), **wanted}


def _scope_mapper(work: Work) -> None:
    scope, name = work.name.split("/", 1)
    _mapper(work, f"client-scopes/{_scope_ids(work)[scope]}", name)


def _client_mapper(work: Work) -> None:
    client, name = work.name.split("/", 1)
    _mapper(work, f"clients/{_client_id(work, client)}", name)


def _mapper(work: Work, owner: str, name: str) -> None:
    path = f"{owner}/protocol-mappers/models"
    held = {mapper["name"]: mapper["id"] for mapper in work.call("get", path)}
    if work.wanted is None:
        work.call("delete", f"{path}/{held[name]}")
    elif work.found is None:
        work.call("post", path, {"name": name, **work.wanted})
    else:
        work.call("put", f"{path}/{held[name]}", {"id": held[name], "name": name, **work.wanted})


def _scopes_of_new_clients(work: Work) -> None:
    wanted, found = set((work.wanted or {})["scopes"]), set((work.found or {})["scopes"])
    ids, path = _scope_ids(work), f"default-{work.name}-client-scopes"
    for method, names in (("put", wanted - found), ("delete", found - wanted)):
        for name in sorted(names):
            work.call(method, f"{path}/{ids[name]}", {})


def _client(work: Work) -> None:
    if work.wanted is None:
        work.admin.delete_client(_client_id(work, work.name))
        return
    plain = {"clientId": work.name, **{key: value for key, value in work.wanted.items() if key not in _APART}}
    if work.found is None:
        work.admin.create_client(plain)
    else:
        plain["attributes"] = _without_strangers(plain, work.found)
        cleared = {k: _EMPTY.get(type(v)) for k, v in work.found.items() if k not in work.wanted}
        work.admin.update_client(_client_id(work, work.name), {**cleared, **plain})
    client = _client_id(work, work.name)
    running = work.admin.get_client(client)
    ids = _scope_ids(work)
    for kind in ("default", "optional"):
        wanted, found = set(work.wanted[f"{kind}ClientScopes"]), set(running[f"{kind}ClientScopes"])
        for method, names in (("delete", found - wanted), ("put", wanted - found)):
            for name in sorted(names):
                work.call(method, f"clients/{client}/{kind}-client-scopes/{ids[name]}", {})
    _mapped(work, f"clients/{client}/scope-mappings")


def _service_account(work: Work) -> None:
    if work.wanted is None:
        return  # goes with its client, or with the client's right to act by itself
    user = work.admin.get_client_service_account_user(_client_id(work, work.name))
    if not user["enabled"]:
        work.admin.enable_user(user["id"])
    held = {
        "realmRoles": [r["name"] for r in work.admin.get_realm_roles_of_user(user["id"])],
        "clientRoles": (work.found or {}).get("clientRoles", {}),
    }
    held["realmRoles"] = [name.removesuffix(f"-{work.realm}") for name in held["realmRoles"]]
    _mapped(replace(work, found=held), f"users/{user['id']}/role-mappings", "realmRoles")
    for path in (work.found or {}).get("groups", ()):
        work.admin.group_user_remove(user["id"], work.admin.get_group_by_path(path)["id"])


def _demo_user(work: Work) -> None:
    subject = access().users[work.name].subject
    if work.wanted is None:
        work.admin.delete_user(subject)
    elif work.found is not None:  # a missing one comes with a new realm only
        found = set(work.found["groups"])
        _mapped(work, f"users/{subject}/role-mappings", "realmRoles")
        for path in set(work.wanted["groups"]) - found:
            work.admin.group_user_add(subject, work.admin.get_group_by_path(path)["id"])
        for path in found - set(work.wanted["groups"]):
            work.admin.group_user_remove(subject, work.admin.get_group_by_path(path)["id"])
        if not work.found["enabled"]:
            work.admin.enable_user(subject)


def _holder(work: Work) -> None:
    role, name = work.name.split("/", 1)
    owner = _client_id(work, REALM_MANAGEMENT)
    user = str(work.admin.get_user_id(name))
    work.call("delete", f"users/{user}/role-mappings/clients/{owner}", [work.admin.get_client_role(owner, role)])


def _identity_provider(work: Work) -> None:
    if work.wanted is None:
        work.admin.delete_idp(work.name)


def _component(work: Work) -> None:
    realm = work.admin.get_realm(work.realm)["id"]
    held = {component_name(c): c["id"] for c in work.admin.get_components()}
    if work.wanted is None:
        work.admin.delete_component(held[work.name])
        return
    fields = dict(work.wanted)
    kind = fields.pop("type", KEY_TYPE)
    payload = {"providerType": kind, "parentId": realm, "name": work.name.rsplit("/", 1)[-1], **fields}
    if work.found is None:
        work.admin.create_component(payload)
    else:
        running = work.admin.get_component(held[work.name])
        payload["config"] = {**{key: [] for key in running.get("config", {})}, **fields.get("config", {})}
        work.admin.update_component(held[work.name], {**running, **payload, "name": running.get("name")})


def _key(work: Work) -> None:
    """A key provider that nobody here made signs nothing any more; one that was changed or taken away is made anew."""
    held = [c for c in work.admin.get_components() if c["providerType"] == KEY_TYPE]
    if work.wanted is None:
        for component in held:
            if work.name in (component["providerId"], f"{component['providerId']} ({component['name']})"):
                work.admin.delete_component(component["id"])
        return
    payload = {"providerType": KEY_TYPE, "parentId": work.admin.get_realm(work.realm)["id"], "name": work.name}
    payload |= {"providerId": work.wanted["providerId"], "config": {**work.wanted["config"], "priority": ["100"]}}
    work.admin.create_component(payload)
    for component in held if work.found is not None else ():
        if component["providerId"] == work.wanted["providerId"]:
            work.admin.delete_component(component["id"])


_MENDS: Mapping[str, Callable[[Work], None]] = {
    "flow": mend_flows.flow,
    "realm": _realm,
    "texts": _texts,
    "required action": _required_action,
    "role": _role,
    "client role": _client_role,
    "group": _group,
    "scope": _scope,
    "scope mapper": _scope_mapper,
    "scopes of new clients": _scopes_of_new_clients,
    "client": _client,
    "client mapper": _client_mapper,
    "clientProfiles": _policies,
    "clientPolicies": _policies,
    "service account": _service_account,
    "demo user": _demo_user,
    "holder": _holder,
    "identity provider": _identity_provider,
    "component": _component,
    "key": _key,
}
