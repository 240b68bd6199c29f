"""An issuer for tests: signs real tokens with a key of its own, which the real verifier checks."""

import time
from base64 import urlsafe_b64decode
from functools import lru_cache
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import orjson
from joserfc import jws
from joserfc.jwk import OKPKey

from services.kit.settings import Issuer
from services.kit.tokens import Keys, Verifier

URL = "http://issuer.test/realms/onedoor"


@lru_cache
def key() -> OKPKey:
    """The signing key of this process."""
    return OKPKey.generate_key("Ed25519", {"kid": "test", "use": "sig", "alg": "Ed25519"})


def subject_of(username: str) -> str:
    """The subject id of a demo user, as both issuers give it."""
    return str(uuid5(NAMESPACE_URL, f"onedoor:{username}"))


def token(*scopes: str, username: str = "citizen", audience: str = "*", **claims: Any) -> str:
    """A signed access token for one audience. Any claim can be replaced, or removed by None."""
    now = int(time.time())
    payload = {
        "iss": URL,
        "sub": subject_of(username),
        "aud": [audience],
        "azp": "onedoor-cli",
        "typ": "Bearer",
        "iat": now,
        "exp": now + 300,
        "jti": f"{username}-{now}",
        "sid": f"session-{username}",
        "scope": " ".join(scopes),
        "realm_access": {"roles": []},
        **claims,
    }
    payload = {name: value for name, value in payload.items() if value is not None}
    header = {"alg": "Ed25519", "kid": "test", "typ": "JWT"}
    return jws.serialize_compact(header, orjson.dumps(payload), key(), algorithms=["Ed25519"])


def roles_of(authorization: str) -> list[str]:
    """The roles that the token of a header names, whoever has signed it; none for what is no token."""
    try:
        payload = authorization.split()[-1].split(".")[1]
        roles: list[str] = orjson.loads(urlsafe_b64decode(payload + "=="))["realm_access"]["roles"]
    except (IndexError, KeyError, TypeError, ValueError):
        return []
    return roles


def second_factor(age_s: int = 0) -> dict[str, Any]:
    """Claims of somebody who has shown a second factor, some seconds ago."""
    return {"acr": "2", "auth_time": int(time.time()) - age_s}


def works_for(*ministries: str) -> dict[str, Any]:
    """Claims of somebody who works for some ministries."""
    return {"groups": [f"/a-cluster/{ministry}" for ministry in ministries]}


async def published() -> dict[str, Any]:
    """The JWKS document that the issuer would serve."""
    return {"keys": [key().as_dict(private=False)]}


def verifier(audience: str) -> Verifier:
    """The real verifier, with the test issuer's keys."""
    return Verifier(Issuer(URL, URL), audience, Keys(published))
