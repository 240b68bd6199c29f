"""Signatures of calls between the gateway and services: HTTP Message Signatures with Ed25519, in one strict form.

Covered are the method, the target by its configured name, the body's digest, the token when there is one, and the context; so
a call that was signed for one service, person, body or purpose is refused everywhere else. Sources: RFC 9421, RFC 9530.
"""

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from secrets import token_urlsafe
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LONGEST_S = 30  # from `created` to `expires`
AHEAD_S = 5  # by how much the signer's clock may be ahead of ours
TAG = "onedoor"
Headers = Iterable[tuple[bytes, bytes]]

_COVERED = b'"@method" "@target-uri" "content-digest" "authorization" "onedoor-context"'
_COVERED_OF_NOBODY = _COVERED.replace(b'"authorization" ', b"")
_NEEDED = (b"signature", b"signature-input", b"content-digest", b"onedoor-context")
_ONCE = frozenset((*_NEEDED, b"authorization"))
_INPUT = re.compile(rb'onedoor=(\(([^()]*)\)((?:;[a-z]{1,20}=(?:"[ !#-\[\]-~]{0,200}"|[0-9]{1,15}))*))')
_PARAMETER = re.compile(r';([a-z]+)=(?:"([^"]*)"|([0-9]+))')
_NUMBERS, _TEXTS = {"created", "expires"}, {"nonce", "keyid", "tag"}
_SIGNATURE = re.compile(rb"onedoor=:([A-Za-z0-9+/]{86}==):")


class SignatureRefused(Exception):
    """A call is not signed, or not so that it holds here; `reason` is for logs, never for the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SigningKey(NamedTuple):
    """A private key and the id by which its public half is published."""

    id: str
    private: Ed25519PrivateKey


class Signed(NamedTuple):
    """What a verified signature vouches for beside the body: the context, as it came, and a nonce until when (Unix time, s)."""

    context: str
    nonce: str
    expires: int


def sign(
    key: SigningKey, method: str, target: str, body: bytes, context: str, authorization: bytes | None, now: float
) -> bytes:
    """The header lines, each ended by CRLF, that sign a call from now (Unix time in seconds) on for 30 s, with a nonce of its
    own. `authorization` is the header's value as it is sent. Raises UnicodeEncodeError for a target or context beyond ASCII."""
    created, digest, told = int(now), _digest(body), context.encode("ascii")
    parameters = b'(%b);created=%d;expires=%d;nonce="%b";keyid="%b";tag="%b"' % (
        _COVERED if authorization is not None else _COVERED_OF_NOBODY,
        created,
        created + LONGEST_S,
        token_urlsafe(16).encode(),
        key.id.encode("ascii"),
        TAG.encode(),
    )
    signature = key.private.sign(base(_covered(method, target, digest, told, authorization), parameters))
    return (
        b"content-digest: %b\r\nonedoor-context: %b\r\nsignature-input: onedoor=%b\r\nsignature: onedoor=:%b:\r\n"
        % (digest, told, parameters, b64encode(signature))
    )


def verify(
    method: str, target: str, headers: Headers, body: bytes, keys: Mapping[str, Ed25519PublicKey], now: float
) -> Signed:
    """What a call's signature vouches for, at a moment in Unix time (s). Header names are in lower case. Raises
    SignatureRefused. Whether the nonce has been seen is for the caller to judge."""
    found = _once(headers)
    parameters, told = _parameters(found)
    key = keys.get(str(told["keyid"]))
    if key is None:
        raise SignatureRefused("unknown keyid")
    created, expires = int(told["created"]), int(told["expires"])
    if created > now + AHEAD_S:
        raise SignatureRefused("from the future")
    if not created < expires <= created + LONGEST_S or expires <= now:
        raise SignatureRefused("expired")
    if found[b"content-digest"] != _digest(body):
        raise SignatureRefused("digest")
    context = found[b"onedoor-context"]
    covered = _covered(method, target, found[b"content-digest"], context, found.get(b"authorization"))
    try:
        key.verify(_signature(found[b"signature"]), base(covered, parameters))
        return Signed(context.decode("ascii"), str(told["nonce"]), expires)
    except (InvalidSignature, UnicodeError):
        raise SignatureRefused("signature") from None


def base(covered: Iterable[tuple[bytes, bytes]], parameters: bytes) -> bytes:
    """What is signed: a line for each component's name and value, then the parameters. Source: RFC 9421, section 2.5."""
    lines = [b'"%b": %b' % component for component in covered]
    return b"\n".join((*lines, b'"@signature-params": ' + parameters))


def _covered(
    method: str, target: str, digest: bytes, context: bytes, authorization: bytes | None
) -> list[tuple[bytes, bytes]]:
    covered = [
        (b"@method", method.encode("ascii")),
        (b"@target-uri", target.encode("ascii")),
        (b"content-digest", digest),
    ]
    if authorization is not None:
        covered.append((b"authorization", authorization.strip()))
    return [*covered, (b"onedoor-context", context)]


def _once(headers: Headers) -> dict[bytes, bytes]:
    """The values of the headers that count. Raises SignatureRefused where one is missing or there twice."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _ONCE:
            if name in found:
                raise SignatureRefused(f"doubled {name.decode()}")
            found[name] = value.strip()
    for name in _NEEDED:
        if name not in found:
            raise SignatureRefused(f"no {name.decode()}")
    return found


def _parameters(found: Mapping[bytes, bytes]) -> tuple[bytes, dict[str, str]]:
    """The parameters as they were signed, and by name. Raises SignatureRefused for any other form, tag or cover."""
    match = _INPUT.fullmatch(found[b"signature-input"])
    if match is None:
        raise SignatureRefused("form of signature-input")
    if match[2] != (_COVERED if b"authorization" in found else _COVERED_OF_NOBODY):
        raise SignatureRefused("components")
    each = _PARAMETER.findall(match[3].decode("ascii"))
    numbers = {name: number for name, _, number in each if number}
    texts = {name: text for name, text, number in each if not number}
    if texts.pop("alg", "ed25519") != "ed25519":
        raise SignatureRefused("algorithm")
    if numbers.keys() != _NUMBERS or texts.keys() != _TEXTS or len(each) != len({name for name, _, _ in each}):
        raise SignatureRefused("parameters")
    if texts["tag"] != TAG or not texts["nonce"]:
        raise SignatureRefused("tag or nonce")
    return match[1], numbers | texts


def _signature(value: bytes) -> bytes:
    match = _SIGNATURE.fullmatch(value)
    if match is None:
        raise SignatureRefused("form of signature")
    signature = b64decode(match[1])
    if b64encode(signature) != match[1]:  # two texts for the same bytes would make two signatures of one
        raise SignatureRefused("form of signature")
    return signature


def _digest(body: bytes) -> bytes:
    """Content-Digest of a body. Source: RFC 9530, section 2."""
    return b"sha-256=:%b:" % b64encode(hashlib.sha256(body).digest())
