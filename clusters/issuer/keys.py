"""The issuer's signing key and the tokens that it signs, shaped as Keycloak shapes them."""

import secrets
import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

ALGORITHM = "RS256"  # the cheapest to verify
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Holder:
    """For whom a token is made: a subject with rights, a session since a moment (Unix seconds)."""

    subject: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    session: str
    since: int


class Signer:
    """Signs with a key made at start: what an earlier run signed is void."""

    def __init__(self, issuer: str, audiences: tuple[str, ...]) -> None:
        self.issuer, self.audiences = issuer, audiences
        self._key = RSAKey.generate_key(
            2048, {"kid": secrets.token_urlsafe(16), "use": "sig", "alg": ALGORITHM}, auto_kid=False
        )

    def jwks(self) -> Json:
        """The public half, as a JWK set."""
        return {"keys": [self._key.as_dict(private=False)]}

    def access_token(self, holder: Holder, client: str, life_s: int) -> str:
        """An access token without e-mail or profile: it goes to every ministry. Source: RFC 9068, Keycloak 26."""
        return self._signed(
            {
                **self._common(holder, client, life_s),
                "aud": list(self.audiences),
                "typ": "Bearer",
                "scope": " ".join(("openid", *holder.scopes)),
                "realm_access": {"roles": list(holder.roles)},
            },
            "at+jwt",
        )

    def id_token(self, holder: Holder, client: str, life_s: int, nonce: str | None) -> str:
        """Who signed in, for the client. Source: OpenID Connect Core 1.0, section 2."""
        about = {**self._common(holder, client, life_s), "aud": client, "typ": "ID"}
        return self._signed(about | ({"nonce": nonce} if nonce else {}), "JWT")

    def subject_of(self, token: str) -> str | None:
        """The subject of one of our own access tokens that has not ended, or None."""
        try:
            claims = orjson.loads(jws.deserialize_compact(token.encode(), self._key, algorithms=[ALGORITHM]).payload)
        except (JoseError, ValueError):
            return None
        live = claims.get("typ") == "Bearer" and claims["exp"] > time.time()
        return str(claims["sub"]) if live else None

    def _common(self, holder: Holder, client: str, life_s: int) -> Json:
        now = int(time.time())
        return {
            "iss": self.issuer,
            "sub": holder.subject,
            "azp": client,
            "iat": now,
            "exp": now + life_s,
            "jti": str(uuid4()),
            "sid": holder.session,
            "acr": "1",
            "auth_time": holder.since,
        }

    def _signed(self, claims: Json, kind: str) -> str:
        header = {"alg": ALGORITHM, "typ": kind, "kid": self._key.kid}
        return jws.serialize_compact(header, orjson.dumps(claims), self._key, algorithms=[ALGORITHM])
