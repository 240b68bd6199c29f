"""What one part signs for others to hold against it: a compact JWS (RFC 7515, Ed25519 by RFC 9864) of a type of its own, so that
no statement of one kind can stand for one of another."""

from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

ALGORITHM = "Ed25519"


class NotSigned(ValueError):
    """What should be a statement is none, or nobody known has signed it; the text says why, for logs."""


def signed(kind: str, payload: bytes, key: OKPKey) -> str:
    """A statement of a kind, as it is sent and kept."""
    said = {"alg": ALGORITHM, "typ": kind, "kid": key.kid}
    return jws.serialize_compact(said, payload, key, algorithms=[ALGORITHM])


def verified(sent: bytes, kind: str, keys: Mapping[str, Ed25519PublicKey]) -> tuple[str, bytes]:
    """The name of the known key that has signed a statement of a kind, and what it says. Raises NotSigned."""
    try:
        parsed = jws.extract_compact(sent)
        header = parsed.headers()
        name = header.get("kid")
        if header.get("typ") != kind or header.get("alg") != ALGORITHM:
            raise NotSigned("it is of another type")
        if not isinstance(name, str) or name not in keys:
            raise NotSigned(f"the key {str(name)[:80]!r} is unknown")
        if not jws.validate_compact(parsed, OKPKey.import_key(keys[name]), algorithms=[ALGORITHM]):
            raise NotSigned("its signature does not hold")
        return name, bytes(parsed.payload)
    except NotSigned:
        raise
    except (JoseError, ValueError, KeyError, TypeError, AttributeError) as problem:  # whatever a header is made of
        raise NotSigned(type(problem).__name__) from None
