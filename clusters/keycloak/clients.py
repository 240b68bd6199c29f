"""The realm's clients and scopes, made from `access.toml`: who may ask for tokens, how, and what stands in them.

Everything that Keycloak would choose by itself is said, since its defaults are wide.
"""

import json
from collections.abc import Mapping
from typing import Any

from clusters.access import Access, Authentication, Client, Flow

# Keycloak makes these in every realm; none is ours, and one of them takes passwords. Disabled, they hand out nothing.
BUILT_IN = ("account", "account-console", "admin-cli", "broker", "security-admin-console")
# Scopes that put into a token what every token carries. A realm that declares scopes gets none of Keycloak's own.
ALWAYS = ("basic", "acr", "roles", "ministries", "audiences")
ACCOUNT = "account"  # Keycloak’s client whose one role here lets people see and end their own sessions; its name for our scope
OWN_SESSIONS = "manage-account"
OF_ACCOUNT = ("basic", "acr", ACCOUNT)
REALM_MANAGEMENT = "realm-management"  # Keycloak's client whose roles are rights over the realm
KEY_ALGORITHM = (
    "ES256"  # of the JWT by which a client proves itself; Keycloak 26 does not know Ed25519 by that name (RFC 9864)
)
NOWHERE = "-"
Json = dict[str, Any]


def clients(rules: Access, keys: Mapping[str, Json], *, demo: bool) -> list[Json]:
    """Our clients, and Keycloak's own, which sign nobody in. `keys`: public JWK sets by client; without its own, one is shut out.

    `demo` gives those that have one their local secret, and asks nobody for a proof of possession.
    """
    return [
        *(_client(client, rules, keys.get(client.id), demo=demo) for client in rules.clients.values()),
        *map(_built_in, BUILT_IN),
    ]


def _client(client: Client, rules: Access, key: Json | None, *, demo: bool) -> Json:
    public = client.authentication is Authentication.NONE
    secret = client.secret if demo else None
    return {
        "clientId": client.id,
        "protocol": "openid-connect",
        "enabled": True,
        "publicClient": public,
        "bearerOnly": False,
        **_authentication(public=public, secret=secret),
        "standardFlowEnabled": Flow.CODE in client.flows,
        "serviceAccountsEnabled": Flow.CREDENTIALS in client.flows,
        "implicitFlowEnabled": False,
        "directAccessGrantsEnabled": False,
        "fullScopeAllowed": False,
        "consentRequired": False,
        "frontchannelLogout": False,
        "redirectUris": list(client.redirect_uris),
        "webOrigins": [],
        "attributes": {
            "pkce.code.challenge.method": "S256",
            "access.token.header.type.rfc9068": "true",
            "oauth2.device.authorization.grant.enabled": _said(Flow.DEVICE in client.flows),
            "require.pushed.authorization.requests": _said(client.pushed),
            "dpop.bound.access.tokens": _said(client.bound and not demo),
            "client_credentials.use_refresh_token": "false",
            "post.logout.redirect.uris": "##".join(client.after_logout) or NOWHERE,
            **_logout(client),
            **(_key(key) if not public and secret is None else {}),
        },
        "defaultClientScopes": list(OF_ACCOUNT) if client.account else [*ALWAYS, *rules.scopes],
        "optionalClientScopes": [],
    }


def _said(value: bool) -> str:
    return str(value).lower()


def _authentication(*, public: bool, secret: str | None) -> Json:
    if public or secret is not None:
        return {"clientAuthenticatorType": "client-secret"} | ({"secret": secret} if secret else {})
    return {"clientAuthenticatorType": "client-jwt"}


def _logout(client: Client) -> Json:
    """Source: OpenID Connect Back-Channel Logout 1.0, section 2.2."""
    if client.logout is None:
        return {}
    return {"backchannel.logout.url": client.logout, "backchannel.logout.session.required": "true"}


def _key(key: Json | None) -> Json:
    """Source: RFC 7523. A client without a key here can prove nothing, and is refused."""
    held = json.dumps(key or {"keys": []}, sort_keys=True)
    return {"use.jwks.string": "true", "jwks.string": held, "token.endpoint.auth.signing.alg": KEY_ALGORITHM}


def _built_in(name: str) -> Json:
    """Disabled, and so is every way to sign in through it. `account` stands for the address of people's own sessions, which
    answers while it is enabled."""
    return {
        "clientId": name,
        "protocol": "openid-connect",
        "enabled": name == ACCOUNT,
        "publicClient": True,
        "bearerOnly": False,
        "serviceAccountsEnabled": False,
        "consentRequired": False,
        "frontchannelLogout": False,
        "clientAuthenticatorType": "client-secret",
        "webOrigins": [],
        "attributes": {"post.logout.redirect.uris": NOWHERE, "pkce.code.challenge.method": "S256"},
        "standardFlowEnabled": False,
        "implicitFlowEnabled": False,
        "directAccessGrantsEnabled": False,
        "fullScopeAllowed": False,
        "redirectUris": [],
        "defaultClientScopes": [],
        "optionalClientScopes": [],
    }


def service_accounts(rules: Access) -> list[Json]:
    """The users that stand for clients which act by themselves. Those without a role hold none, not even everybody's."""
    return [
        {
            "username": f"service-account-{client.id}",
            "enabled": True,
            "serviceAccountClientId": client.id,
            "realmRoles": [client.role] if client.role else [],
            "clientRoles": {REALM_MANAGEMENT: list(client.administers)} if client.administers else {},
        }
        for client in rules.clients.values()
        if Flow.CREDENTIALS in client.flows
    ]


def rights_in_tokens(rules: Access) -> Json:
    """Full scope is off, so what a client may do over the realm counts only when it is mapped to the client as well."""
    mapped = [{"client": c.id, "roles": list(c.administers)} for c in rules.clients.values() if c.administers]
    return {REALM_MANAGEMENT: mapped, ACCOUNT: [{"clientScope": ACCOUNT, "roles": [OWN_SESSIONS]}]}


def scopes(rules: Access) -> list[Json]:
    """What every token carries, then our scopes. Mapped to roles, these are given to who has one, and to nobody else."""
    return [*_scopes_of_tokens(rules), *(_scope(name, rules) for name in rules.scopes)]


def scope_mappings(rules: Access) -> list[Json]:
    """Which roles carry each scope."""
    return [
        {"clientScope": scope, "roles": [role for role, held in rules.roles.items() if scope in held]}
        for scope in rules.scopes
    ]


def _scopes_of_tokens(rules: Access) -> list[Json]:
    """`sub`, `auth_time`, `acr`, roles, groups of staff, an audience for the gateway and for each service; of `account`, its own
    alone."""
    note = {"user.session.note": "AUTH_TIME", "claim.name": "auth_time", "jsonType.label": "long"}
    roles = {"claim.name": "realm_access.roles", "jsonType.label": "String", "multivalued": "true"}
    groups = {"claim.name": "groups", "full.path": "true", "multivalued": "true"}
    account = {
        "usermodel.clientRoleMapping.clientId": ACCOUNT,
        "claim.name": f"resource_access.{ACCOUNT}.roles",
        "jsonType.label": "String",
        "multivalued": "true",
    }
    mappers = {
        "basic": [_mapper("sub", "oidc-sub-mapper"), _mapper("auth_time", "oidc-usersessionmodel-note-mapper", note)],
        "acr": [_mapper("acr", "oidc-acr-mapper")],
        "roles": [_mapper("roles", "oidc-usermodel-realm-role-mapper", roles, in_id_token=False)],
        "ministries": [_mapper("ministries", "oidc-group-membership-mapper", groups, in_id_token=False)],
        "audiences": [
            _mapper(name, "oidc-audience-mapper", {"included.custom.audience": name}, in_id_token=False)
            for name in rules.audiences
        ],
        ACCOUNT: [
            _mapper("account", "oidc-audience-mapper", {"included.client.audience": ACCOUNT}, in_id_token=False),
            _mapper("own sessions", "oidc-usermodel-client-role-mapper", account, in_id_token=False),
        ],
    }
    return [
        {
            "name": name,
            "protocol": "openid-connect",
            "attributes": {"include.in.token.scope": "false", "display.on.consent.screen": "false"},
            "protocolMappers": mappers[name],
        }
        for name in mappers
    ]


def _mapper(name: str, kind: str, config: dict[str, str] | None = None, *, in_id_token: bool = True) -> Json:
    where = {
        "access.token.claim": "true",
        "id.token.claim": _said(in_id_token),
        "userinfo.token.claim": "false",
        "introspection.token.claim": "true",
    }
    return {"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": {**where, **(config or {})}}


def _scope(name: str, rules: Access) -> Json:
    words = rules.scopes[name]
    return {
        "name": name,
        "description": f"{words.en} · {words.fr}",
        "protocol": "openid-connect",
        "attributes": {"include.in.token.scope": "true", "display.on.consent.screen": "false"},
    }
