"""How a service asks others: through the gateway, as itself. It never passes on the token of a citizen who asked it something.

The service proves itself to the issuer by its own key (RFC 7523), its token is bound to a key of this process (RFC 9449) and kept
until shortly before it ends. What it may see is what its own role may see, as for anybody else.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import httpx
import orjson
import structlog
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from services.kit import faults, logs
from services.kit.dpop import Prover
from services.kit.faults import Faulted
from services.kit.language import Words, request_language
from services.kit.settings import Issuer

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHM = "ES256"
ASSERTION_LIFE_S = 30
DEADLINE_S = 5.0
SPARE_S = 30  # a token is renewed so long before it ends
_NONE: Mapping[str, object] = MappingProxyType({})
_LOG = structlog.get_logger(__name__)


class KeyUnusable(ValueError):
    """The file of a client's private key holds none."""


def client_key(file: Path) -> ECKey:
    """A client's private key on P-256, from a JWK or a PEM file. Raises KeyUnusable and OSError."""
    text = file.read_text(encoding="utf-8")
    try:
        key = ECKey.import_key(orjson.loads(text) if text.lstrip().startswith("{") else text)
        usable = key.is_private and key.curve_name == "P-256"
    except (JoseError, ValueError, TypeError):
        usable = False
    if not usable:
        raise KeyUnusable(f"{file} holds no private key on P-256")
    key.ensure_kid()
    return key


def assertion(client: str, key: ECKey, issuer: str) -> dict[str, Any]:
    """The fields by which a client proves itself at the token endpoint, once. Source: RFC 7523, section 2.2."""
    now = int(time.time())
    claims = {
        "iss": client,
        "sub": client,
        "aud": issuer,
        "jti": str(uuid4()),
        "iat": now,
        "exp": now + ASSERTION_LIFE_S,
    }
    header = {"alg": ALGORITHM, "kid": key.kid}
    signed = jws.serialize_compact(header, orjson.dumps(claims), key, algorithms=[ALGORITHM])
    return {"client_assertion_type": JWT_BEARER, "client_assertion": signed}


class Door:
    """The gateway, as one service sees it. One per process; close it at the end."""

    def __init__(
        self,
        url: str,
        issuer: Issuer,
        client: str,
        key: ECKey,
        transport: httpx.AsyncBaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`url` is the public address of /graphql; `client` the service's name at the issuer and `key` what proves it. Both are
        checked with `tls`, else by whom the machine trusts."""
        self._url, self._issuer, self._client, self._key = url, issuer, client, key
        self._prover = Prover()
        self._http = httpx.AsyncClient(timeout=DEADLINE_S, transport=transport, trust_env=False, verify=tls or True)
        self._token, self._until = "", 0.0
        self._renewing = asyncio.Lock()

    async def ask(
        self, query: str, variables: Mapping[str, object] = _NONE, deadline_s: float = DEADLINE_S
    ) -> dict[str, Any]:
        """The data of an operation, within a deadline.

        Raises Faulted: the first error's own code if the gateway answers with errors, DEADLINE_EXCEEDED, and SERVICE_UNAVAILABLE
        where gateway or issuer cannot be reached or make no sense.
        """
        try:
            async with asyncio.timeout(deadline_s):
                answer = await self._post(query, variables, deadline_s)
        except (TimeoutError, httpx.TimeoutException):
            raise Faulted(faults.DEADLINE_EXCEEDED) from None
        except (httpx.HTTPError, ValueError, LookupError, TypeError) as problem:
            _LOG.warning("door_unreachable", error=type(problem).__name__)
            raise Faulted(faults.UNAVAILABLE) from None
        if errors := answer.get("errors"):
            raise Faulted(_told(errors[0]))
        return dict(answer["data"])

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _post(self, query: str, variables: Mapping[str, object], deadline_s: float) -> dict[str, Any]:
        answer = await self._send(query, variables)
        if (
            answer.status_code == httpx.codes.UNAUTHORIZED
        ):  # its session was ended meanwhile: one new token, one more try
            self._until = 0.0
            answer = await self._send(query, variables)
        body = orjson.loads(answer.content)
        if not isinstance(body, dict) or not (isinstance(body.get("data"), dict) or body.get("errors")):
            raise ValueError("no GraphQL answer")
        return body

    async def _send(self, query: str, variables: Mapping[str, object]) -> httpx.Response:
        token = await self._current()
        headers = {
            **self._prover.headers("POST", self._url, token),
            "content-type": "application/json",
            "accept": "application/graphql-response+json",
            "accept-language": request_language.get().value,
            "x-request-id": logs.request_id.get(),
        }
        return await self._http.post(
            self._url, content=orjson.dumps({"query": query, "variables": dict(variables)}), headers=headers
        )

    async def _current(self) -> str:
        """The service's own token, a new one shortly before it ends."""
        async with self._renewing:
            if time.monotonic() >= self._until:
                endpoint = f"{self._issuer.internal_url}/protocol/openid-connect/token"
                public = f"{self._issuer.url}/protocol/openid-connect/token"
                form = {"grant_type": "client_credentials", **assertion(self._client, self._key, self._issuer.url)}
                answer = await self._http.post(
                    endpoint, data=form, headers={"dpop": self._prover.proof("POST", public)}
                )
                given = answer.raise_for_status().json()
                if given["token_type"].lower() != "dpop":
                    raise ValueError("the token is bound to no key")
                self._token, self._until = given["access_token"], time.monotonic() + given["expires_in"] - SPARE_S
            return self._token


def _told(error: Mapping[str, Any]) -> faults.Fault:
    """An error of the gateway as a fault of this service: its code, its words in both languages."""
    extensions = error.get("extensions") or {}
    code, text = extensions.get("code"), extensions.get("text") or {}
    if not isinstance(code, str) or not {"en", "fr"} <= text.keys():
        return faults.UNAVAILABLE
    escaped = (str(text[half]).replace("{", "{{").replace("}", "}}") for half in ("en", "fr"))
    return faults.Fault(code, faults.UNAVAILABLE.status, Words(*escaped))
