"""Proofs that whoever shows a token holds the key that the token is bound to: made and checked. Source: RFC 9449 (DPoP).

A proof is made for one request: its method, its address, its token and its moment. Who checks it remembers it for as long as it
could come again. The gateway checks proofs at the door and the development issuer where it binds tokens; services and the
command line make them.
"""

import base64
import hashlib
import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from services.kit.language import Words

TYPE = "dpop+jwt"
ALGORITHMS = ("ES256", "Ed25519")
AGE_S, AHEAD_S = 60, 30  # how old a proof may be, and how far its maker's clock may be ahead
REMEMBERED_S = AGE_S + AHEAD_S
MOST_REMEMBERED = 200_000  # about 150 bytes each: 2,200 requests a second
LARGEST = 4_096
_LONGEST_ID = 256
_CURVES = {"ES256": ("EC", "P-256"), "Ed25519": ("OKP", "Ed25519")}
_PRIVATE = frozenset({"d", "k", "p", "q", "dp", "dq", "qi", "oth"})
_PORTS = {"http": 80, "https": 443}
_PLAIN = {"ws": "http", "wss": "https"}  # a socket is opened by a GET of HTTP


class ProofRefused(Exception):
    """A proof came and does not hold; `words` say to its maker what is wrong with it."""

    def __init__(self, en: str, fr: str) -> None:
        super().__init__(en)
        self.words = Words(en, fr)


class TooManyProofs(Exception):
    """So many proofs came in so short a time that no further one can be remembered, and none can be taken unremembered."""


@dataclass(frozen=True, slots=True)
class _Maker:
    """What a proof's header says: the public key, its thumbprint (RFC 7638) and the algorithm."""

    key: ECKey | OKPKey
    thumbprint: str
    algorithm: str


class Prover:
    """A key pair of a client, which makes proofs. It lives as long as the object unless it is given."""

    def __init__(self, key: ECKey | None = None) -> None:
        self._key = key or ECKey.generate_key("P-256")
        self.thumbprint: str = self._key.thumbprint()
        self._header = {"typ": TYPE, "alg": "ES256", "jwk": self._key.as_dict(private=False)}

    def proof(self, method: str, url: str, token: str | None = None) -> str:
        """The value of the header `DPoP` for one request, with its access token if it carries one."""
        claims = {"jti": str(uuid4()), "htm": method, "htu": url.partition("?")[0], "iat": int(time.time())}
        if token is not None:
            claims["ath"] = _hash(token)
        return jws.serialize_compact(self._header, orjson.dumps(claims), self._key, algorithms=["ES256"])

    def headers(self, method: str, url: str, token: str) -> dict[str, str]:
        """The two header lines of a request that shows a bound token."""
        return {"authorization": f"DPoP {token}", "dpop": self.proof(method, url, token)}


class Proofs:
    """Checks proofs, each at most once. One per process."""

    def __init__(self, clock: Callable[[], float] = time.time, most: int = MOST_REMEMBERED) -> None:
        self._clock, self._most = clock, most
        self._seen: dict[
            bytes, float
        ] = {}  # in order of arrival, and so of the moment from which they can be forgotten

    def check(self, proof: str, method: str, targets: Container[str], token: str | None = None) -> str:
        """The thumbprint of the key that made a proof for this request.

        `targets` are the addresses, as `target` writes them, under which the request may have been sent; `token` is the
        access token that came with it. Raises ProofRefused and TooManyProofs. Source: RFC 9449, section 4.3.
        """
        if len(proof) > LARGEST or not proof.isascii():
            raise ProofRefused("it is too large to be a proof", "elle est trop longue pour être une preuve")
        maker = _maker(proof.partition(".")[0])
        try:
            claims = orjson.loads(
                jws.deserialize_compact(proof.encode(), maker.key, algorithms=[maker.algorithm]).payload
            )
        except (JoseError, ValueError, TypeError):
            claims = None
        if not isinstance(claims, dict):
            raise ProofRefused(
                "its signature is not of the key in its header", "sa signature n’est pas de la clé de son en-tête"
            )
        now = self._clock()
        _judge(claims, method, targets, token, now)
        self._remember(f"{maker.thumbprint} {claims['jti']}", now)
        return maker.thumbprint

    def _remember(self, name: str, now: float) -> None:
        while self._seen and next(iter(self._seen.values())) <= now:
            del self._seen[next(iter(self._seen))]
        digest = hashlib.sha256(name.encode()).digest()[:16]
        if digest in self._seen:
            raise ProofRefused("it has been used before (jti)", "elle a déjà servi (jti)")
        if len(self._seen) >= self._most:
            raise TooManyProofs
        self._seen[digest] = now + REMEMBERED_S


def target(url: str) -> str:
    """An address as proofs are compared by it: without query and fragment, scheme and host in lower case, no port where it is
    the scheme's own; ws and wss stand for the http and https of their handshake. Raises ValueError for what is no address.

    Source: RFC 9449, section 4.3; RFC 3986, sections 6.2.2 and 6.2.3.
    """
    parts = urlsplit(url)
    scheme = _PLAIN.get(parts.scheme, parts.scheme)
    if scheme not in _PORTS or not parts.hostname or parts.username is not None:
        raise ValueError(f"{url!r} is not an http or https address")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in (None, _PORTS[scheme]) else f":{parts.port}"
    return f"{scheme}://{host}{port}{parts.path or '/'}"


@lru_cache(maxsize=4_096)  # a client's header is always the same
def _maker(segment: str) -> _Maker:
    """What a header says, of the compact form's first part. Raises ProofRefused."""
    try:
        header = orjson.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise ProofRefused("it is not a signed JWT", "ce n’est pas un JWT signé")
    if header.get("typ") != TYPE:
        raise ProofRefused(f"its typ must be {TYPE}", f"son typ doit être {TYPE}")
    algorithm, jwk = header.get("alg"), header.get("jwk")
    if algorithm not in ALGORITHMS or "crit" in header or "b64" in header:
        known = ", ".join(ALGORITHMS)
        raise ProofRefused(f"its alg must be one of {known}", f"son alg doit être l’un de {known}")
    if not isinstance(jwk, dict) or (jwk.get("kty"), jwk.get("crv")) != _CURVES[algorithm] or _PRIVATE & jwk.keys():
        raise ProofRefused(
            f"its jwk must be a public key for {algorithm}", f"son jwk doit être une clé publique pour {algorithm}"
        )
    try:
        key = ECKey.import_key(jwk) if algorithm == "ES256" else OKPKey.import_key(jwk)
        key.public_key  # noqa: B018 - a point that is not on the curve is found out here
    except (JoseError, ValueError, TypeError):
        raise ProofRefused("its jwk is not a key", "son jwk n’est pas une clé") from None
    return _Maker(key, key.thumbprint(), algorithm)


def _judge(claims: dict[str, Any], method: str, targets: Container[str], token: str | None, now: float) -> None:
    if claims.get("htm") != method:
        raise ProofRefused(f"its htm must be {method}", f"son htm doit être {method}")
    try:
        aimed = target(str(claims.get("htu")))
    except ValueError:
        aimed = ""
    if aimed not in targets:
        raise ProofRefused(
            "its htu must be the public address of this request",
            "son htu doit être l’adresse publique de cette requête",
        )
    made = claims.get("iat")
    if not isinstance(made, int | float) or not now - AGE_S <= made <= now + AHEAD_S:
        raise ProofRefused(
            f"its iat must be the present moment, {int(now)}", f"son iat doit être le moment présent, {int(now)}"
        )
    name = claims.get("jti")
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_ID:
        raise ProofRefused(
            f"its jti must be a text of 1 to {_LONGEST_ID} characters",
            f"son jti doit être un texte de 1 à {_LONGEST_ID} caractères",
        )
    if token is not None and claims.get("ath") != _hash(token):
        raise ProofRefused("its ath must be the hash of the token", "son ath doit être l’empreinte du jeton")


def _hash(token: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
