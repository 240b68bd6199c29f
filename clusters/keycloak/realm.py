"""The realm as Keycloak imports it, made from `access.toml` and the cluster files. `python -m clusters.keycloak.realm` writes
the committed one, with demo users; a realm that serves people is made by `onedoor keycloak apply`.

Keycloak's own defaults are wide; everything that security asks for is said here, and a test reads the running realm.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clusters.access import Access, User, access
from clusters.keycloak import blocklist, clients, flows
from services.catalogue.cluster_folder import read_folder

FILE = Path(__file__).parent / "onedoor-realm.json"
MENDS = "python -m clusters.keycloak.realm"
CLUSTERS = Path(__file__).parents[1]
THEME = Path(__file__).parent / "themes" / "onedoor"  # lies in `themes/` of each node
INSIDE = "http://gateway:8000"  # the gateway's address for Keycloak in docker-compose.yml
PASSWORDS = (
    f"length({blocklist.SHORTEST}) and maxLength(128) and notUsername and passwordBlacklist({blocklist.FILE.name})"
)
REFUSED_GRANTS = ("reject-ropc-grant", "reject-implicit-grant", "pkce-enforcer")
LIVES_OF_EVENTS_S = 90 * 24 * 3600
Json = dict[str, Any]


def realm(rules: Access, keys: Mapping[str, Json] | None = None, *, demo: bool = False) -> Json:
    """The realm's representation, as Keycloak 26 imports it. `keys`: the public JWK sets of clients that have one.

    `demo` adds people whose passwords everybody knows, and clients' local secrets: for a developer's machine.
    """
    lives = rules.lives
    return {
        "realm": rules.realm,
        "enabled": True,
        "displayName": "One Door · Guichet unique",
        "sslRequired": "external",
        "internationalizationEnabled": True,
        "loginTheme": THEME.name,
        "supportedLocales": ["en", "fr"],
        "defaultLocale": "en",
        "registrationAllowed": False,
        "resetPasswordAllowed": False,
        "rememberMe": False,
        "loginWithEmailAllowed": False,
        "duplicateEmailsAllowed": False,
        "editUsernameAllowed": False,
        "passwordPolicy": PASSWORDS,
        **_against_guessing(),
        **_also(flows.flows(rules), adminEventsExpiration=str(LIVES_OF_EVENTS_S)),
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
        "roles": {
            "realm": [*({"name": name, "composite": False} for name in rules.roles), _of_everybody(rules)],
            "client": {clients.ACCOUNT: [{"name": clients.OWN_SESSIONS, "composite": False}]},
        },
        "defaultRole": {"name": everybody(rules.realm)},
        "groups": ministries(),
        "clientScopes": clients.scopes(rules),
        "defaultDefaultClientScopes": [*clients.ALWAYS, *rules.scopes],
        "defaultOptionalClientScopes": [],
        "scopeMappings": clients.scope_mappings(rules),
        "clientScopeMappings": clients.rights_in_tokens(rules),
        "clients": clients.clients(rules, keys or {}, demo=demo),
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
        "users": [*(_people_of_the_demo(rules) if demo else ()), *clients.service_accounts(rules)],
    }


def written() -> str:
    """The demo realm as the committed file holds it."""
    return json.dumps(realm(access(gateway=INSIDE), demo=True), indent=2, ensure_ascii=False) + "\n"


def everybody(realm: str) -> str:
    """What Keycloak calls the role of every person of a realm."""
    return f"default-roles-{realm}"


def ministries(folder: Path = CLUSTERS) -> list[Json]:
    """A group for each cluster and, inside, each of its ministries. They say where staff work, which tokens name, and
    carry no role."""
    return [
        _group(cluster.code, [_group(ministry.code) for ministry in cluster.ministries])
        for cluster in read_folder(folder)
    ]


def _group(name: str, inside: Sequence[Json] = ()) -> Json:
    return {"name": name, "subGroups": list(inside)}


def _of_everybody(rules: Access) -> Json:
    """The role of every person, who may see and end their own sessions. It stands apart from offices: Keycloak gives a scope to
    whoever holds any part of a role that the scope is mapped to, so a part that all offices share would give them all scopes."""
    held = {"client": {clients.ACCOUNT: [clients.OWN_SESSIONS]}}
    return {"name": everybody(rules.realm), "composite": True, "composites": held}


def _also(part: Json, **attributes: str) -> Json:
    return {**part, "attributes": {**part["attributes"], **attributes}}


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


def _people_of_the_demo(rules: Access) -> list[Json]:
    return [_user(user, everybody(rules.realm)) for user in rules.users.values()]


def _user(user: User, everybody: str) -> Json:
    return {
        "id": user.subject,
        "username": user.name,
        "enabled": True,
        "credentials": [
            {"type": "password", "value": user.password, "temporary": False},
            flows.app_credential(user.authenticator_secret),
        ],
        "realmRoles": [user.role, everybody],
        "groups": list(user.groups),
    }


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
