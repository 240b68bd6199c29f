"""The chain that seals audit entries: what is hashed, and how. Pure; who verifies a file offline needs nothing else.

An entry's digest is SHA-256 over its salt and its canonical payload. A seal links the digest to the seal before it, so that the
chain holds salted digests only: an entry whose time is over goes, with its salt, and the chain still verifies.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson

NO_PAYLOAD = bytes(32)  # the digest of an entry that was gone before it could be sealed: no payload has it


class Seal(NamedTuple):
    """One link: the `seq`-th, from 1. `keep_until` is the last day (UTC) on which the entry must be there."""

    seq: int
    entry_id: UUID
    digest: bytes
    keep_until: date
    prev: bytes
    hash: bytes


def first(service: str) -> bytes:
    """What the first seal of a service's chain follows: no two chains begin alike."""
    return hashlib.sha256(b"onedoor audit " + service.encode()).digest()


def payload(columns: Mapping[str, Any]) -> dict[str, Any]:
    """An entry as JSON values, without its salt. What says nothing is left out: a column that is added later, empty where it
    was not known, changes no older digest."""
    told = {str(name): _value(value) for name, value in columns.items() if name != "salt"}
    return {name: value for name, value in told.items() if value not in (None, "", [])}


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return str(value) if isinstance(value, UUID | date) else value


def digest_of(salt: bytes, told: Mapping[str, Any]) -> bytes:
    """The digest of a payload. Source: RFC 8785 for its form, which keys in ASCII and values other than fractions have."""
    return hashlib.sha256(salt + orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).digest()


def linked(prev: bytes, entry_id: UUID, digest: bytes, keep_until: date) -> bytes:
    """The hash of a seal. Each part has one length, so no two seals are the same bytes. The number is not in it: heads count."""
    return hashlib.sha256(prev + entry_id.bytes + digest + keep_until.isoformat().encode()).digest()
