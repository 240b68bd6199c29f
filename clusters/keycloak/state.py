"""A realm's representation as resources that can be compared one by one: by kind and name, without ids, order or secrets.

The same for what the code says, for what Keycloak exports, and for what it fills in where the code says nothing.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

Json = dict[str, Any]
Resource = tuple[str, str]  # kind, name
State = dict[Resource, Json]

# What Keycloak makes up, and what it never shows.
_NOT_COMPARED = frozenset(
    {"id", "containerId", "parentId", "path", "secret", "clientRole", "keycloakVersion", "flowId"}
)
_NOT_COMPARED_ATTRIBUTES = frozenset({"client.secret.creation.time"})
# Parts of a representation that are resources of their own.
_APART = frozenset(
    {"users", "roles", "defaultRole", "groups", "clientScopes", "scopeMappings", "clientScopeMappings", "clients"}
    | {"defaultDefaultClientScopes", "defaultOptionalClientScopes", "clientProfiles", "clientPolicies", "components"}
    | {"localizationTexts"}
    | {"authenticationFlows", "authenticatorConfig", "requiredActions", "identityProviders", "identityProviderMappers"}
)
KEY_TYPE = "org.keycloak.keys.KeyProvider"
RSA = "rsa-generated"
_USUAL_KEY = {"algorithm": ["RS256"], "keySize": ["2048"], "active": ["true"], "enabled": ["true"]}
_ROTATED = frozenset({"priority", "active", "enabled"})  # what `rotate-keys` changes in a key's life


def described(representation: Json) -> State:
    """The resources of a representation, as it is written or exported."""
    return dict(_resources(representation))


def _resources(rep: Json) -> Iterator[tuple[Resource, Json]]:
    # An empty field is shown or left out as Keycloak's caches have it.
    realm = {name: value for name, value in _plain(rep).items() if name not in _APART and value not in ("", [], {})}
    realm.pop("realm", None)
    if everybody := rep.get("defaultRole"):
        realm["defaultRole"] = _known(everybody["name"], rep)
    yield ("realm", ""), realm
    for kind in ("Default", "Optional"):
        if (names := rep.get(f"default{kind}ClientScopes")) is not None:
            yield ("scopes of new clients", kind.lower()), {"scopes": sorted(names)}
    for name in ("clientProfiles", "clientPolicies"):
        if name in rep:
            yield (name, ""), _plain(rep[name])
    yield from _roles(rep)
    yield from _groups(rep.get("groups", ()))
    yield from _scopes(rep)
    yield from _clients(rep)
    yield from _people(rep)
    yield from _flows(rep)
    yield from _components(rep.get("components", {}))
    for action in rep.get("requiredActions", ()):
        yield ("required action", action["alias"]), {k: v for k, v in _plain(action).items() if k != "alias"}
    for language, texts in rep.get("localizationTexts", {}).items():
        yield ("texts", language), dict(texts)
    for provider in rep.get("identityProviders", ()):
        yield ("identity provider", provider["alias"]), _plain(provider)


def _plain(value: Json) -> Json:
    """Without what Keycloak makes up; lists whose order says nothing are sorted, attributes without a value left out."""
    found = {name: _ordered(part) for name, part in value.items() if name not in _NOT_COMPARED}
    if isinstance(attributes := found.get("attributes"), dict):
        found["attributes"] = {
            name: part
            for name, part in attributes.items()
            if name not in _NOT_COMPARED_ATTRIBUTES and part not in ("", [])
        }
    return found


def _ordered(value: Any) -> Any:
    if isinstance(value, list):
        return sorted(map(_ordered, value), key=lambda part: json.dumps(part, sort_keys=True))
    return {name: _ordered(part) for name, part in value.items()} if isinstance(value, dict) else value


def _roles(rep: Json) -> Iterator[tuple[Resource, Json]]:
    roles = rep.get("roles", {})
    for role in roles.get("realm", ()):
        yield ("role", _known(role["name"], rep)), _role(role)
    for client, held in roles.get("client", {}).items():
        for role in held:
            yield ("client role", f"{client}/{role['name']}"), _role(role)


def _known(name: str, rep: Json) -> str:
    """The role of every person is named after the realm."""
    return name.removesuffix(f"-{rep['realm']}") if name.startswith("default-roles-") else name


def _role(role: Json) -> Json:
    return {name: value for name, value in _plain(role).items() if name not in ("name", "composite")}


def _groups(groups: Any, above: str = "") -> Iterator[tuple[Resource, Json]]:
    for group in groups:
        name = f"{above}/{group['name']}"
        yield ("group", name), {k: v for k, v in _plain(group).items() if k not in ("name", "subGroups")}
        yield from _groups(group.get("subGroups", ()), name)


def _scopes(rep: Json) -> Iterator[tuple[Resource, Json]]:
    mapped = {m["clientScope"]: sorted(m["roles"]) for m in rep.get("scopeMappings", ()) if "clientScope" in m}
    for scope in rep.get("clientScopes", ()):
        name = scope["name"]
        fields = {k: v for k, v in _plain(scope).items() if k not in ("name", "protocolMappers")}
        rights = {
            client: sorted(m["roles"])
            for client, mappings in rep.get("clientScopeMappings", {}).items()
            for m in mappings
            if m.get("clientScope") == name
        }
        yield ("scope", name), {**fields, "roles": mapped.get(name, []), "clientRoles": rights}
        for mapper in scope.get("protocolMappers", ()):
            yield ("scope mapper", f"{name}/{mapper['name']}"), _mapper(mapper)


def _mapper(mapper: Json) -> Json:
    return {name: value for name, value in _plain(mapper).items() if name != "name"}


def _clients(rep: Json) -> Iterator[tuple[Resource, Json]]:
    mapped = {m["client"]: sorted(m["roles"]) for m in rep.get("scopeMappings", ()) if "client" in m}
    for client in rep.get("clients", ()):
        name = client["clientId"]
        fields = {k: v for k, v in _plain(client).items() if k not in ("clientId", "protocolMappers")}
        rights = {
            owner: sorted(m["roles"])
            for owner, mappings in rep.get("clientScopeMappings", {}).items()
            for m in mappings
            if m.get("client") == name
        }
        yield ("client", name), {**fields, "roles": mapped.get(name, []), "clientRoles": rights}
        for mapper in client.get("protocolMappers", ()):
            yield ("client mapper", f"{name}/{mapper['name']}"), _mapper(mapper)


def _people(rep: Json) -> Iterator[tuple[Resource, Json]]:
    """Service accounts, and demo users where there are: people are no part of a realm's code, what they may do is."""
    for user in rep.get("users", ()):
        client = user.get("serviceAccountClientId")
        yield (
            ("service account", client) if client else ("demo user", user["username"]),
            {
                "enabled": user["enabled"],
                "realmRoles": sorted(_known(role, rep) for role in user.get("realmRoles", ())),
                "clientRoles": {name: sorted(held) for name, held in user.get("clientRoles", {}).items()},
                "groups": sorted(user.get("groups", ())),
            },
        )


def _flows(rep: Json) -> Iterator[tuple[Resource, Json]]:
    configs = {config["alias"]: config["config"] for config in rep.get("authenticatorConfig", ())}
    for flow in rep.get("authenticationFlows", ()):
        steps = sorted(flow["authenticationExecutions"], key=lambda step: step.get("priority", 0))
        fields = {k: v for k, v in _plain(flow).items() if k not in ("alias", "authenticationExecutions")}
        yield ("flow", flow["alias"]), {**fields, "steps": [_step(step, configs) for step in steps]}


def _step(step: Json, configs: Mapping[str, Json]) -> Json:
    """A step of a flow; `does` names an authenticator, or a flow inside."""
    config = step.get("authenticatorConfig")
    return {
        "does": step.get("flowAlias") or step["authenticator"],
        "flow": bool(step.get("flowAlias")),
        "requirement": step["requirement"],
        **({"config": {"alias": config, **configs.get(config, {})}} if config else {}),
    }


def _components(components: Mapping[str, list[Json]]) -> Iterator[tuple[Resource, Json]]:
    seen: State = {}
    for kind, held in components.items():
        for component in sorted(held, key=_is_unusual_key):
            fields = _plain(component)
            fields.pop("subComponents", None)
            name = fields.pop("name", None)
            if kind == KEY_TYPE:
                fields["config"] = _key(component["providerId"], fields["config"])
                alike = seen.setdefault(("key", component["providerId"]), fields)
                if alike != fields:  # another of its kind, not made by a rotation
                    seen["key", f"{component['providerId']} ({name})"] = fields
            else:
                seen["component", component_name({"providerType": kind, **component})] = {"type": kind, **fields}
    yield from seen.items()


def component_name(component: Json) -> str:
    """A component's name among all: its type, sub-type and own name, which it shares with others."""
    kind = component["providerType"].rsplit(".", 1)[1]
    name = component.get("name") or component["providerId"]
    return "/".join(filter(None, (kind, component.get("subType"), name)))


def _is_unusual_key(component: Json) -> bool:
    """So that of several signing keys it is the strange one that is told as such."""
    config = _key(component["providerId"], component.get("config", {}))
    return component["providerId"] == RSA and config != _key(RSA, {})


def _key(provider: str, config: Json) -> Json:
    usual = _USUAL_KEY if provider == RSA else {}
    return {name: value for name, value in {**usual, **config}.items() if name not in _ROTATED}


def overlaid(under: State, over: State) -> State:
    """What `over` says, and what `under` says of that where it says nothing."""
    return {resource: _merged(under.get(resource, {}), fields) for resource, fields in over.items()} | {
        resource: fields for resource, fields in under.items() if resource not in over
    }


def _merged(under: Json, over: Json) -> Json:
    both = {**under, **over}
    for name, value in over.items():
        if isinstance(value, dict) and isinstance(under.get(name), dict):
            both[name] = {**under[name], **value}
    return both
