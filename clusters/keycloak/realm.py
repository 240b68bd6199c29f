"""The realm that Keycloak imports, made from `access.toml`. Write the file: `python -m clusters.keycloak.realm`.

Keycloak's own defaults are wide; everything that security asks for is said here, and a test reads the running realm.
"""

import json
from pathlib import Path
from typing import Any

from clusters.access import Access, Client, User, access

FILE = Path(__file__).parent / "onedoor-realm.json"
MENDS = "python -m clusters.keycloak.realm"
# Keycloak makes these in every realm; none is ours, and one of them takes passwords. Disabled, they hand out nothing.
BUILT_IN = ("account", "account-console", "admin-cli", "broker", "security-admin-console")
# Scopes that put into a token what every token carries. A realm that declares scopes gets none of Keycloak's own.
ALWAYS = ("basic", "acr", "roles", "audiences")
REFUSED_GRANTS = ("reject-ropc-grant", "reject-implicit-grant", "pkce-enforcer")
LIVES_OF_EVENTS_S = 90 * 24 * 3600
Json = dict[str, Any]


def realm(rules: Access) -> Json:
    """The realm's representation, as Keycloak 26 imports it."""
    lives = rules.lives
    return {
        "realm": rules.realm,
        "enabled": True,
        "displayName": "One Door · Guichet unique",
        "sslRequired": "external",
        "internationalizationEnabled": True,
        "supportedLocales": ["en", "fr"],
        "defaultLocale": "en",
        "registrationAllowed": False,
        "resetPasswordAllowed": False,
        "rememberMe": False,
        "loginWithEmailAllowed": False,
        "duplicateEmailsAllowed": False,
        "editUsernameAllowed": False,
        "passwordPolicy": "length(12) and maxLength(128) and notUsername",
        **_against_guessing(),
        "defaultSignatureAlgorithm": "RS256",  # the cheapest to verify
        "accessTokenLifespan": lives.access,
        "accessCodeLifespan": lives.code,
        "accessCodeLifespanLogin": lives.login,
        "ssoSessionIdleTimeout": lives.session,
        "ssoSessionMaxLifespan": 12 * 3600,
        "revokeRefreshToken": True,
        "refreshTokenMaxReuse": 0,
        "eventsEnabled": True,
        "eventsExpiration": LIVES_OF_EVENTS_S,
        "eventsListeners": ["jboss-logging"],
        "adminEventsEnabled": True,
        "adminEventsDetailsEnabled": True,
        "browserSecurityHeaders": {
            "contentSecurityPolicy": "frame-src 'self'; frame-ancestors 'none'; object-src 'none';",
            "xContentTypeOptions": "nosniff",
            "xFrameOptions": "DENY",
            "referrerPolicy": "no-referrer",
            "strictTransportSecurity": "max-age=31536000; includeSubDomains",
        },
        "roles": {"realm": [{"name": name, "composite": False} for name in rules.roles]},
        "clientScopes": [*_scopes_of_every_token(rules), *(_scope(name, rules) for name in rules.scopes)],
        "defaultDefaultClientScopes": [*ALWAYS, *rules.scopes],
        "defaultOptionalClientScopes": [],
        "scopeMappings": [
            {"clientScope": scope, "roles": [role for role, held in rules.roles.items() if scope in held]}
            for scope in rules.scopes
        ],
        "clients": [*(_client(client, rules) for client in rules.clients.values()), *map(_disabled, BUILT_IN)],
        "clientProfiles": {
            "profiles": [
                {
                    "name": "no-shortcuts",
                    "description": "No password grant, no implicit flow, PKCE for every code",
                    "executors": [
                        {"executor": name, "configuration": {"auto-configure": True}} for name in REFUSED_GRANTS
                    ],
                }
            ]
        },
        "clientPolicies": {
            "policies": [
                {
                    "name": "every-client",
                    "enabled": True,
                    "conditions": [{"condition": "any-client", "configuration": {}}],
                    "profiles": ["no-shortcuts"],
                }
            ]
        },
        "components": {"org.keycloak.userprofile.UserProfileProvider": [_people()]},
        "users": [
            *(_user(user) for user in rules.users.values()),
            *(_service_account(client) for client in rules.clients.values() if client.role),
        ],
    }


def written(rules: Access) -> str:
    """The realm as the committed file holds it."""
    return json.dumps(realm(rules), indent=2, ensure_ascii=False) + "\n"


def _against_guessing() -> Json:
    """Off by default in Keycloak. A person who errs waits; nobody is locked out for good by someone else's tries."""
    return {
        "bruteForceProtected": True,
        "permanentLockout": False,
        "failureFactor": 8,
        "waitIncrementSeconds": 60,
        "maxFailureWaitSeconds": 900,
        "minimumQuickLoginWaitSeconds": 60,
        "quickLoginCheckMilliSeconds": 200,
        "maxDeltaTimeSeconds": 12 * 3600,
    }


def _scopes_of_every_token(rules: Access) -> list[Json]:
    """`sub`, `auth_time`, `acr`, roles, and an audience for the gateway and for each service."""
    note = {"user.session.note": "AUTH_TIME", "claim.name": "auth_time", "jsonType.label": "long"}
    roles = {"claim.name": "realm_access.roles", "jsonType.label": "String", "multivalued": "true"}
    mappers = {
        "basic": [_mapper("sub", "oidc-sub-mapper"), _mapper("auth_time", "oidc-usersessionmodel-note-mapper", note)],
        "acr": [_mapper("acr", "oidc-acr-mapper")],
        "roles": [_mapper("roles", "oidc-usermodel-realm-role-mapper", roles, in_id_token=False)],
        "audiences": [
            _mapper(name, "oidc-audience-mapper", {"included.custom.audience": name}, in_id_token=False)
            for name in rules.audiences
        ],
    }
    return [
        {
            "name": name,
            "protocol": "openid-connect",
            "attributes": {"include.in.token.scope": "false", "display.on.consent.screen": "false"},
            "protocolMappers": mappers[name],
        }
        for name in ALWAYS
    ]


def _mapper(name: str, kind: str, config: dict[str, str] | None = None, *, in_id_token: bool = True) -> Json:
    where = {
        "access.token.claim": "true",
        "id.token.claim": str(in_id_token).lower(),
        "introspection.token.claim": "true",
    }
    return {"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": {**where, **(config or {})}}


def _scope(name: str, rules: Access) -> Json:
    """A scope of ours. Mapped to roles, it is given to those who have one of them, and to nobody else."""
    words = rules.scopes[name]
    return {
        "name": name,
        "description": f"{words.en} · {words.fr}",
        "protocol": "openid-connect",
        "attributes": {"include.in.token.scope": "true", "display.on.consent.screen": "false"},
    }


def _client(client: Client, rules: Access) -> Json:
    by_itself = client.secret is not None
    return {
        "clientId": client.id,
        "protocol": "openid-connect",
        "enabled": True,
        "publicClient": not by_itself,
        **({"secret": client.secret} if client.secret else {}),
        "standardFlowEnabled": not by_itself,
        "serviceAccountsEnabled": by_itself,
        "implicitFlowEnabled": False,
        "directAccessGrantsEnabled": False,
        "fullScopeAllowed": False,
        "redirectUris": list(client.redirect_uris),
        "webOrigins": [],
        "attributes": {"pkce.code.challenge.method": "S256", "access.token.header.type.rfc9068": "true"},
        "defaultClientScopes": [*ALWAYS, *rules.scopes],
        "optionalClientScopes": [],
    }


def _disabled(name: str) -> Json:
    return {
        "clientId": name,
        "protocol": "openid-connect",
        "enabled": False,
        "publicClient": True,
        "standardFlowEnabled": False,
        "implicitFlowEnabled": False,
        "directAccessGrantsEnabled": False,
        "fullScopeAllowed": False,
        "redirectUris": [],
        "defaultClientScopes": [],
        "optionalClientScopes": [],
    }


def _people() -> Json:
    """People are known by a name alone here: no e-mail or given name is asked for at sign-in, none reaches a token."""
    only_admins = {"view": ["admin", "user"], "edit": ["admin"]}
    limits = {"length": {"min": 3, "max": 128}, "username-prohibited-characters": {}}
    profile = {
        "attributes": [
            {"name": "username", "displayName": "${username}", "validations": limits, "permissions": only_admins},
            # Keycloak insists on the attribute; nobody has to fill it in.
            {"name": "email", "displayName": "${email}", "validations": {"email": {}}, "permissions": only_admins},
        ]
    }
    config = {"kc.user.profile.config": [json.dumps(profile)]}
    return {"providerId": "declarative-user-profile", "config": config}


def _user(user: User) -> Json:
    return {
        "id": user.subject,
        "username": user.name,
        "enabled": True,
        "credentials": [{"type": "password", "value": user.password, "temporary": False}],
        "realmRoles": [user.role],
    }


def _service_account(client: Client) -> Json:
    return {
        "username": f"service-account-{client.id}",
        "enabled": True,
        "serviceAccountClientId": client.id,
        "realmRoles": [client.role],
    }


if __name__ == "__main__":
    FILE.write_text(written(access()), encoding="utf-8")
