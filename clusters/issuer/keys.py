"""The issuer's signing key and the tokens that it signs, shaped as Keycloak shapes them."""

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import uuid4

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from clusters.access import Client

ALGORITHM = "RS256"  # the cheapest to verify
ACCOUNT, OWN_SESSIONS = (
    "account",
    "manage-account",
)  # as Keycloak calls the audience and the right of its account address
LOGOUT_EVENT, LOGOUT_LIFE_S = "http://schemas.openid.net/event/backchannel-logout", 120
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Holder:
    """For whom a token is made: a subject with rights, a session since a moment (Unix seconds), signed in this surely (`acr`), in
    groups that say for which ministry they work.

    A client that acts by itself has no session.
    """

    subject: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    session: str
    since: int
    assurance: str = "1"
    groups: tuple[str, ...] = ()

    @property
    def scope(self) -> str:
        """What a token of it carries; `openid` is for people."""
        return " ".join((*(("openid",) if self.session else ()), *self.scopes))


@cache
def _own_key() -> RSAKey:
    """The key of this process; what an earlier one signed is void."""
    return RSAKey.generate_key(2048, {"kid": secrets.token_urlsafe(16), "use": "sig", "alg": ALGORITHM}, auto_kid=False)


class Signer:
    """Signs with the key of the process."""

    def __init__(self, issuer: str, audiences: tuple[str, ...]) -> None:
        self.issuer, self.audiences = issuer, audiences
        self._key = _own_key()

    def jwks(self) -> Json:
        """The public half, as a JWK set."""
        return {"keys": [self._key.as_dict(private=False)]}

    def access_token(self, holder: Holder, client: Client, life_s: int, key: str = "") -> str:
        """An access token without e-mail or profile: it goes to every ministry. Bound to a key by its thumbprint, if given. A
        client of the account address gets one for that address alone.

        Sources: RFC 9068, RFC 9449 section 6.1, Keycloak 26.
        """
        what = (
            {"aud": ACCOUNT, "scope": "openid", "resource_access": {ACCOUNT: {"roles": [OWN_SESSIONS]}}}
            if client.account
            else {
                "aud": list(self.audiences),
                "scope": holder.scope,
                "realm_access": {"roles": list(holder.roles)},
                **({"groups": list(holder.groups)} if holder.groups else {}),
            }
        )
        return self._signed(
            {
                **self._common(holder, client.id, life_s),
                **what,
                "typ": "DPoP" if key else "Bearer",
                **({"cnf": {"jkt": key}} if key else {}),
            },
            "at+jwt",
        )

    def id_token(self, holder: Holder, client: str, life_s: int, nonce: str | None, access_token: str) -> str:
        """Who signed in, for the client, and with which access token. Source: OpenID Connect Core 1.0, sections 2 and 3.1.3.6."""
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        digest = base64.urlsafe_b64encode(half).rstrip(b"=").decode()
        about = {**self._common(holder, client, life_s), "aud": client, "typ": "ID", "at_hash": digest}
        return self._signed(about | ({"nonce": nonce} if nonce else {}), "JWT")

    def logout_token(self, client: str, subject: str, session: str) -> str:
        """Tells a client that a session has ended. Source: OpenID Connect Back-Channel Logout 1.0, section 2.4."""
        now = int(time.time())
        about = {
            "iss": self.issuer,
            "aud": client,
            "sub": subject,
            "sid": session,
            "iat": now,
            "exp": now + LOGOUT_LIFE_S,
        }
        about |= {"jti": str(uuid4()), "typ": "Logout", "events": {LOGOUT_EVENT: {}}}
        return self._signed(about, "logout+jwt")

    def signed_in(self, id_token: str) -> Json | None:
        """The claims of an ID token of ours, also of one that has ended: who signs out may come late. None for any other."""
        claims = self._verified(id_token)
        return claims if claims and claims.get("typ") == "ID" else None

    def shown(self, token: str, key: str = "") -> Json | None:
        """The claims of one of our own access tokens that has not ended and is bound to that key or to none; else None."""
        claims = self._verified(token)
        live = claims and claims.get("typ") in ("Bearer", "DPoP") and claims["exp"] > time.time()
        return claims if claims and live and claims.get("cnf", {"jkt": ""})["jkt"] == key else None

    def _verified(self, token: str) -> Json | None:
        try:
            claims: Json = orjson.loads(
                jws.deserialize_compact(token.encode(), self._key, algorithms=[ALGORITHM]).payload
            )
        except (JoseError, ValueError):
            return None
        return claims

    def _common(self, holder: Holder, client: str, life_s: int) -> Json:
        now = int(time.time())
        return {
            "iss": self.issuer,
            "sub": holder.subject,
            "azp": client,
            "iat": now,
            "exp": now + life_s,
            "jti": str(uuid4()),
            "acr": holder.assurance,
            **({"sid": holder.session, "auth_time": holder.since} if holder.session else {}),
        }

    def _signed(self, claims: Json, kind: str) -> str:
        header = {"alg": ALGORITHM, "typ": kind, "kid": self._key.kid}
        return jws.serialize_compact(header, orjson.dumps(claims), self._key, algorithms=[ALGORITHM])
