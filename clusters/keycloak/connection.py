"""The service account that administers Keycloak, taken from the environment. There is no sign-in with a password here.

KEYCLOAK_URL: the server. KEYCLOAK_REALM: the realm, if it is another than `access.toml` says. KEYCLOAK_CLIENT_ID: who signs in
(`onedoor-admin` unless given), by KEYCLOAK_CLIENT_KEY, the file of its private key as JWK or PEM (ES256), or by
KEYCLOAK_CLIENT_SECRET. KEYCLOAK_CLIENT_REALM: the realm that knows it; `master` for the bootstrap client that makes the first
realm. KEYCLOAK_CA: a file of certificates to trust instead of the system's.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from keycloak import KeycloakAdmin, KeycloakOpenIDConnection
from keycloak.exceptions import KeycloakAuthenticationError, KeycloakConnectionError, KeycloakError

from clusters.access import access
from services.kit.door import assertion
from services.kit.language import spoken

ADMIN = "onedoor-admin"
TIMEOUT_S = 60


class KeycloakRefused(Exception):
    """Keycloak could not be reached, or did not do what it was asked; the text says what and what may help."""


class _ByKey(KeycloakOpenIDConnection):
    """Signs in by a key, with a new proof for each token."""

    signing_key: ECKey
    issuer: str

    def get_token(self) -> None:
        self.token = self.keycloak_openid.token(
            grant_type="client_credentials", **assertion(str(self.client_id), self.signing_key, self.issuer)
        )


@dataclass(frozen=True, slots=True)
class Account:
    """Who administers, and where. `key` is a private key's file; one of `key` and `secret` is given."""

    url: str
    client: str
    realm: str
    key: Path | None = None
    secret: str | None = None
    authorities: str | None = None


def account(env: Mapping[str, str], realm: str) -> Account:
    """What the environment says. Raises KeycloakRefused naming the variable that is missing."""
    url = env.get("KEYCLOAK_URL", "").rstrip("/")
    key, secret = env.get("KEYCLOAK_CLIENT_KEY"), env.get("KEYCLOAK_CLIENT_SECRET")
    missing = "KEYCLOAK_URL" if not url else "KEYCLOAK_CLIENT_KEY" if not (key or secret) else None
    if missing:
        raise KeycloakRefused(
            spoken(
                f"{missing} is not set; clusters/keycloak/README.md says what it holds",
                f"{missing} n’est pas définie\u00a0; clusters/keycloak/README.md en donne le contenu",
            )
        )
    return Account(
        url,
        env.get("KEYCLOAK_CLIENT_ID") or ADMIN,
        env.get("KEYCLOAK_CLIENT_REALM") or realm,
        Path(key) if key else None,
        None if key else secret,
        env.get("KEYCLOAK_CA"),
    )


def realm_name(env: Mapping[str, str]) -> str:
    """The realm that is meant: that of `access.toml`, unless KEYCLOAK_REALM names one beside it."""
    return env.get("KEYCLOAK_REALM") or access().realm


def connected(account: Account, realm: str) -> KeycloakAdmin:
    """An administrator of a realm. Raises KeycloakRefused when it is not let in."""
    given: dict[str, Any] = {
        "server_url": account.url,
        "client_id": account.client,
        "realm_name": realm,
        "user_realm_name": account.realm,
        "verify": account.authorities or True,
        "timeout": TIMEOUT_S,
    }
    try:
        if account.key is None:
            connection = KeycloakOpenIDConnection(client_secret_key=account.secret, **given)
        else:
            connection = _ByKey(**given)
            connection.signing_key = private_key(account.key)
            connection.issuer = f"{account.url}/realms/{account.realm}"
        connection.get_token()
    except (KeycloakError, requests.RequestException) as problem:
        raise explained(problem, account) from problem
    return KeycloakAdmin(connection=connection)


def private_key(file: Path) -> ECKey:
    """A private key on P-256, from a JWK or a PEM file; its `kid` is the thumbprint unless it has one. Raises KeycloakRefused."""
    try:
        text = file.read_text(encoding="utf-8")
        key = ECKey.import_key(json.loads(text) if text.lstrip().startswith("{") else text)
        private = key.is_private
    except (OSError, ValueError, JoseError) as problem:
        raise _no_key(file) from problem
    if not private or key.curve_name != "P-256":
        raise _no_key(file)
    key.ensure_kid()
    return key


def public_keys(folder: Path) -> dict[str, dict[str, Any]]:
    """The public JWK sets of clients, from `CLIENT.jwks.json` in a folder. Raises KeycloakRefused for a private one."""
    found = {}
    for file in sorted(folder.glob("*.jwks.json")):
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            keys = [ECKey.import_key(key) for key in document["keys"]]
        except (OSError, ValueError, LookupError, TypeError, JoseError) as problem:
            raise _no_key(file) from problem
        if any(key.is_private for key in keys):
            raise KeycloakRefused(
                spoken(
                    f"{file} holds a private key; only public keys go to Keycloak, and this one is to be replaced",
                    f"{file} contient une clé privée\u00a0; seules des clés publiques vont à Keycloak, remplacez celle-ci",
                )
            )
        found[file.name.removesuffix(".jwks.json")] = document
    return found


def explained(problem: Exception, account: Account) -> KeycloakRefused:
    """Keycloak's own words, with what may help."""
    if isinstance(problem, KeycloakConnectionError | requests.RequestException):
        return KeycloakRefused(
            spoken(
                f"Keycloak does not answer at {account.url}; is KEYCLOAK_URL right, and does it run?",
                f"Keycloak ne répond pas à {account.url}\u00a0; KEYCLOAK_URL est-elle juste, et tourne-t-il\u00a0?",
            )
        )
    if isinstance(problem, KeycloakAuthenticationError) or getattr(problem, "response_code", 0) in (401, 403):
        return KeycloakRefused(
            spoken(
                f"{account.client} of realm {account.realm} may not do this: {problem}",
                f"{account.client} du domaine {account.realm} n’en a pas le droit\u00a0: {problem}",
            )
        )
    return KeycloakRefused(spoken(f"Keycloak refused: {problem}", f"Keycloak a refusé\u00a0: {problem}"))


def _no_key(file: Path) -> KeycloakRefused:
    return KeycloakRefused(
        spoken(
            f"{file} holds no key that can be used: an elliptic one on P-256, as JWK or PEM, is needed",
            f"{file} ne contient aucune clé utilisable\u00a0: il en faut une elliptique sur P-256, en JWK ou en PEM",
        )
    )
