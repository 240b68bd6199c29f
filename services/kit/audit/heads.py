"""Heads: what a chain was at a moment, signed, so that others can hold it and nobody can tell another story later.

A head is a JWS (RFC 7515, Ed25519 by RFC 9864) over the service, how many seals its chain has, the hash of the last one, and the
moment. The same form signs the Merkle root of a day, in a field of its own.
"""

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc.jwk import OKPKey

from services.kit import statements
from services.kit.statements import NotSigned

TYPE = "onedoor-audit-head"


@dataclass(frozen=True, slots=True)
class Head:
    """A chain at a moment. Where `day` is set, `hash` is the Merkle root of that day's seals, `count` its last one."""

    service: str
    count: int
    hash: bytes
    at: datetime
    day: date | None = None

    def signed(self, key: OKPKey | None) -> str:
        """As a compact JWS; empty where there is no key."""
        if key is None:
            return ""
        told = {
            "service": self.service,
            "count": self.count,
            "hash": self.hash.hex(),
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            **({"day": self.day.isoformat()} if self.day else {}),
        }
        return statements.signed(TYPE, orjson.dumps(told), key)


def claimed(signed: str) -> tuple[str, int, bytes]:
    """Service, count and hash that a JWS says, whoever signed it; nothing that a head says where it is none."""
    try:
        head = _read(orjson.loads(urlsafe_b64decode(signed.split(".")[1] + "==")))
    except (ValueError, KeyError, TypeError, IndexError):
        return "", 0, b""
    return head.service, head.count, head.hash


def read(signed: str, keys: Mapping[str, Ed25519PublicKey]) -> Head:
    """The head that a JWS carries, verified by one of the known keys, which must be one of its own service: keys are named
    `<service>-<moment>`. Raises NotSigned."""
    name, payload = statements.verified(signed.encode(errors="replace"), TYPE, keys)
    try:
        head = _read(orjson.loads(payload))
    except NotSigned:
        raise
    except (ValueError, KeyError, TypeError) as problem:
        raise NotSigned(type(problem).__name__) from None
    if name.rpartition("-")[0] != head.service:
        raise NotSigned(f"{name} is no key of {head.service}")
    return head


def _read(told: Mapping[str, Any]) -> Head:
    day = date.fromisoformat(told["day"]) if "day" in told else None
    hashed, at = bytes.fromhex(told["hash"]), datetime.fromisoformat(told["at"])
    if type(told["count"]) is not int or type(told["service"]) is not str or len(hashed) != 32 or at.tzinfo is None:
        raise NotSigned("it is malformed")
    return Head(told["service"], told["count"], hashed, at, day)
