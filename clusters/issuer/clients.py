"""Which client asks: a public one by its name, one of local mode by its secret, any other by a JWT of its own key, used once.

Sources: RFC 6749 section 2.3, RFC 7523 section 3.
"""

import base64
import hmac
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from starlette.requests import Request

from clusters.access import Access, Authentication, Client
from clusters.issuer.oauth import Form, Rejected

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHM = "ES256"
LONGEST_S = 300
LARGEST = 8_192


def public_keys(folder: Path) -> dict[str, Any]:
    """The JWK sets of clients, from `CLIENT.jwks.json` in a folder. Raises OSError and ValueError."""
    files = sorted(folder.glob("*.jwks.json"))
    return {file.name.removesuffix(".jwks.json"): json.loads(file.read_text(encoding="utf-8")) for file in files}


class Clients:
    """The realm's clients and what proves each of them."""

    def __init__(
        self, url: str, access: Access, keys: Mapping[str, Any], clock: Callable[[], float] = time.time
    ) -> None:
        """`keys` are public JWK sets by client."""
        self._audiences = {url, f"{url}/protocol/openid-connect/token"}
        self._access, self._clock = access, clock
        self._keys = {client: KeySet.import_key_set(keys[client]) for client in keys}
        self._used: dict[str, float] = {}  # until when each must be known

    def authenticated(self, request: Request, form: Form) -> Client:
        """The client that asks. Raises Rejected."""
        if form.get("client_assertion_type") == ASSERTION:
            return self._by_key(form)
        name, secret = _basic(request.headers.get("authorization")) or (
            form.get("client_id", ""),
            form.get("client_secret", ""),
        )
        client = self._access.clients.get(name)
        if client is None or not _proves_itself(client, secret):
            raise _rejected("unknown client or wrong secret")
        return client

    def _by_key(self, form: Form) -> Client:
        token = form.get("client_assertion", "")
        try:
            if len(token) > LARGEST or not token.isascii():
                raise _rejected("not an assertion")
            claimed = orjson.loads(jws.extract_compact(token.encode()).payload)
            name = claimed.get("sub") if isinstance(claimed, dict) else None
            client, keys = self._access.clients.get(str(name)), self._keys.get(str(name))
            if client is None or keys is None or form.get("client_id", name) != name:
                raise _rejected("unknown client, or one without a key here")
            claims = orjson.loads(jws.deserialize_compact(token.encode(), keys, algorithms=[ALGORITHM]).payload)
        except (JoseError, ValueError, TypeError, AttributeError):
            raise _rejected("the assertion is not of the client’s key") from None
        self._judge(claims, client)
        return client

    def _judge(self, claims: Mapping[str, Any], client: Client) -> None:
        now, ends, audience, name = self._clock(), claims.get("exp"), claims.get("aud"), claims.get("jti")
        named = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != client.id or not any(own in named for own in self._audiences):
            raise _rejected("the assertion is of another client, or for another issuer")
        if not isinstance(ends, int | float) or not now < ends <= now + LONGEST_S:
            raise _rejected("the assertion has ended, or lasts too long")
        for used in [used for used, until in self._used.items() if until <= now]:
            del self._used[used]
        if not isinstance(name, str) or not name or f"{client.id} {name}" in self._used:
            raise _rejected("the assertion has been used, or has no name")
        self._used[f"{client.id} {name}"] = float(ends)


def _proves_itself(client: Client, secret: str) -> bool:
    """A public client has nothing to prove and sends no secret; without its own, one with a key is refused."""
    if client.authentication is Authentication.KEY and client.secret is None:
        return False
    return hmac.compare_digest((client.secret or "").encode(), secret.encode("utf-8", "replace"))


def _basic(header: str | None) -> tuple[str, str] | None:
    if header is None or not header.lower().startswith("basic "):
        return None
    try:
        name, _, secret = base64.b64decode(header[6:], validate=True).decode().partition(":")
    except ValueError:
        return None
    return name, secret


def _rejected(why: str) -> Rejected:
    return Rejected("invalid_client", why, 401)
