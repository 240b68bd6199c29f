"""The keys of signed calls, in files: the gateway's private ones, and the public ones that services know it by.

Both are JWK sets (RFC 7517, RFC 8037); one JWK or a PEM file does for a private key. Of several private keys the first signs.
A changed file is noticed within seconds, so a key is published before it signs and withdrawn after, and nothing restarts.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from services.kit.language import spoken
from services.kit.settings import SettingMissing
from services.kit.signatures import SigningKey

T = TypeVar("T")
LOOK_EVERY_S = 2.0
_LOG = structlog.get_logger(__name__)


class KeysUnusable(SettingMissing):
    """A key file cannot be used; the text says which, why and what it should hold."""


class KeyFile(Generic[T]):
    """What a key file holds, kept up to it. A file that cannot be used any more leaves the known keys in place."""

    def __init__(self, path: Path, understood: Callable[[bytes], T]) -> None:
        """`understood` raises ValueError for what it cannot use. Raises KeysUnusable."""
        self._path, self._understood = path, understood
        self._seen = self._look()
        try:
            self.held = understood(path.read_bytes())
        except (OSError, ValueError) as problem:
            raise KeysUnusable(
                spoken(
                    f"{path} holds no usable Ed25519 keys ({problem}); `onedoor keys` makes such files",
                    f"{path} ne contient pas de clés Ed25519 utilisables ({problem})\u00a0; `onedoor keys` fait ces fichiers",
                )
            ) from None

    def refresh(self) -> None:
        """Read the file again if it has changed."""
        seen = self._look()
        if seen is None or seen == self._seen:
            return
        self._seen = seen
        try:
            self.held = self._understood(self._path.read_bytes())
            _LOG.info("keys_read", file=self._path.name)
        except (OSError, ValueError) as problem:
            _LOG.error("keys_refused", file=self._path.name, reason=str(problem))

    async def follow(self) -> None:
        """Keep up with the file for ever. Cancel to stop."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.refresh()

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


def signing_key(content: bytes) -> SigningKey:
    """The key that signs: of a set the first. Raises ValueError."""
    key = private_keys(content)[0]
    private = key.private_key
    if not isinstance(private, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 key")
    return SigningKey(key_id(key), private)


def first_key(content: bytes) -> OKPKey:
    """The key that signs as a JWK: of a set the first. Raises ValueError."""
    return private_keys(content)[0]


def private_keys(content: bytes) -> Sequence[OKPKey]:
    """The private keys of a JWK set, a JWK or a PEM file. Raises ValueError where there is none."""
    keys = [_imported(content)] if content.lstrip().startswith(b"-----BEGIN") else _set(content)
    if not keys or not all(key.is_private for key in keys):
        raise ValueError("no private key")
    return keys


def public_keys(content: bytes) -> Mapping[str, Ed25519PublicKey]:
    """The public keys of a JWK set, by their id. Raises ValueError where there is none, and where a private one is among them."""
    keys = _set(content)
    if any(key.is_private for key in keys):
        raise ValueError("a private key")
    found = {key_id(key): public for key in keys if isinstance(public := key.public_key, Ed25519PublicKey)}
    if not found or len(found) != len(keys):
        raise ValueError("no Ed25519 keys with ids of their own")
    return found


def key_id(key: OKPKey) -> str:
    """The id that a key says, else its thumbprint. Source: RFC 7638."""
    found = str(key.kid or key.thumbprint())
    if not (found.isascii() and found.isprintable()) or not 1 <= len(found) <= 200 or set('"\\') & set(found):
        raise ValueError("the id of a key must be short, plain text")
    return found


def _set(content: bytes) -> list[OKPKey]:
    held = orjson.loads(content)
    listed = held.get("keys", [held]) if isinstance(held, dict) else None
    if not isinstance(listed, list):
        raise ValueError("not a JWK set")
    return [_imported(each) for each in listed]


def _imported(given: Any) -> OKPKey:
    try:
        return OKPKey.import_key(given)
    except (JoseError, ValueError, TypeError, LookupError, AttributeError) as problem:
        raise ValueError(f"not an Ed25519 key: {type(problem).__name__}") from None
