"""The issuer says that a session has ended: `POST /auth/backchannel-logout`, with a token that only the issuer can have signed.

Source: OpenID Connect Back-Channel Logout 1.0, sections 2.4 to 2.8.
"""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl
from uuid import NAMESPACE_URL, uuid5

import structlog
from fastapi import Request
from fastapi.responses import JSONResponse, Response

from gateway import faults as own
from services.kit import faults, logs
from services.kit.ended_sessions import SessionEnded
from services.kit.language import negotiate
from services.kit.settings import Issuer
from services.kit.tokens import LEEWAY_S, Keys, TokenRefused, signed_payload

ADDRESS = "/auth/backchannel-logout"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
TYPES = ("logout+jwt",)
LARGEST = 16_384
AGE_S = 120
_NO_STORE = {"cache-control": "no-store"}
_LOG = structlog.get_logger(__name__)


class BackchannelLogout:
    """Takes logout tokens. `clients` are those for which the gateway hears of ends; `tell` is given each."""

    def __init__(
        self,
        issuer: Issuer,
        keys: Keys,
        clients: frozenset[str],
        tell: Callable[[SessionEnded], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuer, self._keys, self._clients, self._tell, self._clock = issuer.url, keys, clients, tell, clock
        self._seen: dict[str, float] = {}  # until when, in order

    async def __call__(self, request: Request) -> Response:
        """200 once the session has ended here; 400 for a token that is not one, which changes nothing."""
        try:
            token = (await _form(request)).get("logout_token", "")
            ended = self._judged(await signed_payload(token, self._keys, TYPES))
        except TokenRefused as refused:
            _LOG.warning("logout_refused", reason=refused.reason)
            return _refusal(request)
        self._tell(ended)
        _LOG.info("session_ended", session=ended.session, person=ended.person)
        return Response(headers=_NO_STORE)

    def _judged(self, claims: dict[str, Any]) -> SessionEnded:
        """What a logout token says. Raises TokenRefused, with the step of section 2.6 that fails."""
        now, given, ends = self._clock(), claims.get("iat"), claims.get("exp", float("inf"))
        audience, events = claims.get("aud"), claims.get("events")
        if claims.get("iss") != self._issuer:
            raise TokenRefused("issuer")
        named = audience if isinstance(audience, list) else [audience]
        if not any(client in named for client in self._clients):
            raise TokenRefused("audience")
        if not isinstance(given, int | float) or not now - AGE_S - LEEWAY_S <= given <= now + LEEWAY_S:
            raise TokenRefused("issued at another time")
        if not isinstance(ends, int | float) or ends + LEEWAY_S <= now:
            raise TokenRefused("expired")
        if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
            raise TokenRefused("not of a logout")
        if "nonce" in claims:
            raise TokenRefused("an ID token")
        session, person = claims.get("sid", ""), claims.get("sub", "")
        if not (isinstance(session, str) and isinstance(person, str) and (session or person)):
            raise TokenRefused("of nobody")
        name = claims.get("jti")
        if not isinstance(name, str) or not name or len(name) > 256:
            raise TokenRefused("without a name")
        self._take(name, now)
        return SessionEnded(uuid5(NAMESPACE_URL, f"{self._issuer}#{name}"), session, person, float(given))

    def _take(self, name: str, now: float) -> None:
        while self._seen and next(iter(self._seen.values())) <= now:
            del self._seen[next(iter(self._seen))]
        if name in self._seen:
            raise TokenRefused("came before")
        self._seen[name] = now + AGE_S + 2 * LEEWAY_S


async def _form(request: Request) -> dict[str, str]:
    """A small urlencoded form. Raises TokenRefused for anything else."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise TokenRefused("media type")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST:
            raise TokenRefused("too large")
    try:
        return dict(parse_qsl(body.decode("ascii"), max_num_fields=10))
    except ValueError:
        raise TokenRefused("not a form") from None


def _refusal(request: Request) -> Response:
    language = negotiate(request.headers.get("accept-language", ""))
    error = faults.as_error(own.LOGOUT_REFUSED, logs.accept_request_id(None), language=language)
    told = {"error": "invalid_request", "error_description": error["message"], "errors": [error]}
    return JSONResponse(told, own.LOGOUT_REFUSED.status, _NO_STORE)
