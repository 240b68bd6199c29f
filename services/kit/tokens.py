"""Access tokens: verified locally against the issuer's cached keys, alike in the gateway and in every service.

Source: RFC 9068 (with Keycloak's `typ: Bearer`), RFC 8725 (algorithms pinned). Keys are fetched by a timer; an unknown
`kid` causes at most one fetch in ten seconds; when the issuer is away the known keys go on and new ones are refused.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson
import structlog
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from services.kit.settings import Issuer

LEEWAY_S = 30
REFRESH_S = 60
UNKNOWN_KEY_PAUSE_S = 10
ALGORITHMS = ("RS256", "ES256", "PS256", "Ed25519")
_MAX_TOKEN = 16_384
_LOG = structlog.get_logger(__name__)


class TokenRefused(Exception):
    """A token came and it is not valid here; `reason` is for logs, never for the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified access token says. `expires` is Unix time in seconds."""

    subject: str
    scopes: frozenset[str]
    roles: frozenset[str]
    client: str
    session: str
    expires: float


class KeySource(Protocol):
    """Where keys come from: awaits the issuer's JWKS document."""

    def __call__(self) -> Awaitable[dict[str, Any]]: ...


class Keys:
    """The issuer's public keys, cached. One per process; `refresh` is called by a timer and on an unknown `kid`."""

    def __init__(self, source: KeySource, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._keys: dict[str, Any] = {}
        self._asked = float("-inf")
        self._lock = asyncio.Lock()
        self.generation = 0

    @property
    def known(self) -> bool:
        """Whether any key has been fetched yet."""
        return bool(self._keys)

    async def find(self, kid: str) -> Any:
        """The key of an id, fetching once when it is unknown. Raises TokenRefused."""
        key = self._keys.get(kid)
        if key is None:
            async with self._lock:
                if kid not in self._keys and self._clock() - self._asked >= UNKNOWN_KEY_PAUSE_S:
                    await self.refresh()
            key = self._keys.get(kid)
        if key is None:
            raise TokenRefused("unknown key")
        return key

    async def refresh(self) -> None:
        """Fetch the keys. An issuer that cannot be reached leaves the known ones in place."""
        self._asked = self._clock()
        try:
            document = await self._source()
            # Encryption keys of the same set are not for signatures.
            usable = {"keys": [k for k in document["keys"] if k.get("use", "sig") == "sig"]}
            keys = {str(key.kid): key for key in KeySet.import_key_set(usable).keys}  # type: ignore[arg-type]
        except (OSError, TimeoutError, ValueError, LookupError, TypeError, AttributeError, JoseError) as error:
            _LOG.warning("keys_not_refreshed", error=type(error).__name__)
            return
        if keys.keys() != self._keys.keys():
            self.generation += 1
        self._keys = keys

    async def run(self) -> None:
        """Refresh for ever, once a minute. Cancel to stop."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_S if self.known else 1)


class Verifier:
    """Verifies tokens meant for one audience; remembers verified ones until they end (bounded)."""

    def __init__(
        self, issuer: Issuer, audience: str, keys: Keys, clock: Callable[[], float] = time.time, remembered: int = 9_999
    ) -> None:
        self.keys = keys
        self._issuer = issuer.url
        self._audience = audience
        self._clock = clock
        self._remembered = remembered
        self._claims: OrderedDict[str, Claims] = OrderedDict()
        self._generation = 0

    async def verify(self, token: str) -> Claims:
        """The claims of a valid token. Raises TokenRefused for any other."""
        if self._generation != self.keys.generation:  # a key was withdrawn or added: judge every token anew
            self._claims.clear()
            self._generation = self.keys.generation
        now = self._clock()
        known = self._claims.get(token)
        if known is not None:
            if known.expires + LEEWAY_S > now:
                return known
            del self._claims[token]
            raise TokenRefused("expired")
        claims = self._judge(await self._payload(token), now)
        self._claims[token] = claims
        if len(self._claims) > self._remembered:
            self._claims.popitem(last=False)
        return claims

    async def _payload(self, token: str) -> dict[str, Any]:
        if len(token) > _MAX_TOKEN or not token.isascii():
            raise TokenRefused("not a token")
        try:
            unverified = jws.extract_compact(token.encode())
            header = unverified.headers()
            if header.get("alg") not in ALGORITHMS:
                raise TokenRefused("algorithm")
            if str(header.get("typ", "JWT")).lower() not in ("jwt", "at+jwt"):
                raise TokenRefused("header type")
            key = await self.keys.find(str(header.get("kid", "")))
            verified = jws.deserialize_compact(token.encode(), key, algorithms=list(ALGORITHMS))
            payload = orjson.loads(verified.payload)
        except (JoseError, ValueError, TypeError) as error:
            raise TokenRefused(type(error).__name__) from error
        if not isinstance(payload, dict):
            raise TokenRefused("payload")
        return payload

    def _judge(self, payload: dict[str, Any], now: float) -> Claims:
        expires, begins = payload.get("exp"), payload.get("nbf", 0)
        if not isinstance(expires, int | float) or expires + LEEWAY_S <= now:
            raise TokenRefused("expired")
        if not isinstance(begins, int | float) or begins - LEEWAY_S > now:
            raise TokenRefused("not yet valid")
        if payload.get("iss") != self._issuer:
            raise TokenRefused("issuer")
        audience = payload.get("aud")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise TokenRefused("audience")
        if payload.get("typ", "Bearer") != "Bearer":  # an ID token or a refresh token is not an access token
            raise TokenRefused("token type")
        subject = payload.get("sub")
        if not isinstance(subject, str) or not subject:
            raise TokenRefused("subject")
        access = payload.get("realm_access")
        roles = access.get("roles", []) if isinstance(access, dict) else []
        return Claims(
            subject=subject,
            scopes=frozenset(str(payload.get("scope", "")).split()),
            roles=frozenset(r for r in roles if isinstance(r, str)),
            client=str(payload.get("azp", "")),
            session=str(payload.get("sid", "")),
            expires=float(expires),
        )


def bearer(header: str | None) -> str | None:
    """The token of an Authorization header, None when there is none. Raises TokenRefused for another scheme."""
    if header is None or not header.strip():
        return None
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenRefused("scheme")
    return token.strip()


def http_source(url: str, timeout_s: float = 5.0) -> KeySource:
    """A key source that GETs the JWKS document. Raises OSError, TimeoutError or ValueError when awaited."""

    async def fetch() -> dict[str, Any]:
        return await asyncio.wait_for(_get_json(url), timeout_s)

    return fetch


async def _get_json(url: str) -> dict[str, Any]:
    """One plain HTTP/1.1 GET, so that lean processes need no HTTP library for one small document a minute."""
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls or None)
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        # HTTP/1.0: the answer ends with the connection and is never chunked.
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {parts.netloc}\r\nAccept: application/json\r\n\r\n".encode())
        await writer.drain()
        head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    finally:
        writer.close()
    status = head.split(b" ", 2)[1:2]
    if status != [b"200"]:
        raise ValueError(f"status {status}")
    document = orjson.loads(body)
    if not isinstance(document, dict):
        raise ValueError("not a JWKS document")
    return document
