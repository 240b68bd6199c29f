"""Access tokens: verified locally against the issuer's cached keys, alike in the gateway and in every service.

Source: RFC 9068 (with Keycloak's `typ: Bearer`), RFC 8725 (algorithms pinned). Keys are fetched by a timer; an unknown
`kid` causes at most one fetch in ten seconds; when the issuer is away the known keys go on and new ones are refused.
"""

import asyncio
import ssl
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson
import structlog
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from services.kit import faults, ministries
from services.kit.ended_sessions import EndedSessions
from services.kit.settings import Issuer

LEEWAY_S = 30
REFRESH_S = 60
UNKNOWN_KEY_PAUSE_S = 10
ALGORITHMS = ("RS256", "ES256", "PS256", "Ed25519")
BEARER, DPOP = "bearer", "dpop"  # schemes (RFC 6750, RFC 9449)
_MAX_TOKEN = 16_384
_LOG = structlog.get_logger(__name__)


class TokenRefused(Exception):
    """A token came and it is not valid here; `reason` is for logs, `fault` for the caller."""

    def __init__(self, reason: str, fault: faults.Fault = faults.UNAUTHENTICATED) -> None:
        super().__init__(reason)
        self.reason, self.fault = reason, fault


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified access token says. `expires`, `authenticated_at` and `issued` are Unix time in seconds.

    `assurance` is `acr`: how the person has signed in. `key` is the thumbprint of the key that the token is bound to, empty for
    a plain bearer token. `ministries` are those that the person works for, by code. Sources: RFC 9068, RFC 9470, RFC 9449
    section 6.1.
    """

    subject: str
    scopes: frozenset[str]
    roles: frozenset[str]
    client: str
    session: str
    expires: float
    assurance: str = ""
    authenticated_at: float = 0.0
    key: str = ""
    issued: float = 0.0
    ministries: frozenset[str] = frozenset()


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
    """Verifies tokens meant for one audience; remembers verified ones until they end (bounded).

    `ended` are the sessions whose tokens are refused although they have not run out.
    """

    def __init__(
        self, issuer: Issuer, audience: str, keys: Keys, clock: Callable[[], float] = time.time, remembered: int = 9_999
    ) -> None:
        self.keys, self.ended = keys, EndedSessions(clock)
        self._issuer = issuer.url
        self._audience = audience
        self._clock = clock
        self._remembered = remembered
        self._claims: OrderedDict[str, Claims] = OrderedDict()
        self._generation = 0

    async def verify(self, token: str, scheme: str = BEARER) -> Claims:
        """The claims of a valid token that came with a scheme. Raises TokenRefused for any other.

        One that is bound to a key comes with the scheme DPoP and no other does: nobody may pass it off as a plain one, which
        would need no proof (RFC 9449, section 7.2).
        """
        now = self._clock()
        claims = self._known(token, now) or await self._learned(token, now)
        if (scheme == DPOP) != bool(claims.key):
            raise TokenRefused("bound to a key" if claims.key else "bound to no key")
        if self.ended.hold(claims):
            raise TokenRefused("its session has ended", faults.SESSION_ENDED)
        return claims

    def _known(self, token: str, now: float) -> Claims | None:
        """The claims of a token that was verified before. Raises TokenRefused when it has run out meanwhile."""
        if self._generation != self.keys.generation:  # a key was withdrawn or added: judge every token anew
            self._claims.clear()
            self._generation = self.keys.generation
        known = self._claims.get(token)
        if known is not None and known.expires + LEEWAY_S <= now:
            del self._claims[token]
            raise TokenRefused("expired")
        return known

    async def _learned(self, token: str, now: float) -> Claims:
        claims = self._judge(await signed_payload(token, self.keys, ("jwt", "at+jwt")), now)
        self._claims[token] = claims
        if len(self._claims) > self._remembered:
            self._claims.popitem(last=False)
        return claims

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
        bound = payload.get("cnf")
        key = str(bound.get("jkt", "")) if isinstance(bound, dict) else ""
        # An ID token or a refresh token is not an access token; Keycloak says by DPoP that one is bound.
        if payload.get("typ", "Bearer") not in (("Bearer", "DPoP") if key else ("Bearer",)):
            raise TokenRefused("token type")
        subject = payload.get("sub")
        if not isinstance(subject, str) or not subject:
            raise TokenRefused("subject")
        try:
            works_for = ministries.of_groups(payload.get("groups"))
        except ValueError as error:
            raise TokenRefused("groups") from error
        access, since, given = payload.get("realm_access"), payload.get("auth_time"), payload.get("iat")
        roles = access.get("roles", []) if isinstance(access, dict) else []
        return Claims(
            subject=subject,
            scopes=frozenset(str(payload.get("scope", "")).split()),
            roles=frozenset(r for r in roles if isinstance(r, str)),
            client=str(payload.get("azp", "")),
            session=str(payload.get("sid", "")),
            expires=float(expires),
            assurance=str(payload.get("acr", "")),
            authenticated_at=float(since) if isinstance(since, int | float) else 0.0,
            key=key,
            issued=float(given) if isinstance(given, int | float) else 0.0,
            ministries=works_for,
        )


async def signed_payload(token: str, keys: Keys, types: Container[str]) -> dict[str, Any]:
    """What a JWT says that the issuer has signed, of one of these types (`typ`, in lower case). Raises TokenRefused.

    Source: RFC 8725, sections 3.1 and 3.11.
    """
    if len(token) > _MAX_TOKEN or not token.isascii():
        raise TokenRefused("not a token")
    try:
        header = jws.extract_compact(token.encode()).headers()
        if header.get("alg") not in ALGORITHMS:
            raise TokenRefused("algorithm")
        if str(header.get("typ", "JWT")).lower() not in types:
            raise TokenRefused("header type")
        key = await keys.find(str(header.get("kid", "")))
        verified = jws.deserialize_compact(token.encode(), key, algorithms=list(ALGORITHMS))
        payload = orjson.loads(verified.payload)
    except (JoseError, ValueError, TypeError) as error:
        raise TokenRefused(type(error).__name__) from error
    if not isinstance(payload, dict):
        raise TokenRefused("payload")
    return payload


def credentials(header: str | None) -> tuple[str, str] | None:
    """The scheme, in lower case, and the token of an Authorization header, None when there is none.

    Raises TokenRefused for a scheme that is neither Bearer nor DPoP.
    """
    if header is None or not header.strip():
        return None
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() not in (BEARER, DPOP) or not token.strip():
        raise TokenRefused("scheme")
    return scheme.lower(), token.strip()


def http_source(url: str, tls: ssl.SSLContext | None = None, timeout_s: float = 5.0) -> KeySource:
    """A key source that GETs the JWKS document; an https one is checked with `tls`, else by whom the machine trusts.

    Raises OSError, TimeoutError or ValueError when awaited."""

    async def fetch() -> dict[str, Any]:
        return await asyncio.wait_for(_get_json(url, tls), timeout_s)

    return fetch


async def _get_json(url: str, tls: ssl.SSLContext | None) -> dict[str, Any]:
    """One plain HTTP/1.1 GET, so that lean processes need no HTTP library for one small document a minute."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=(tls or True) if secure else None)
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
