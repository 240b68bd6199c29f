"""Who may call `/graphql`: whoever signs as the gateway does, once per signature. Where no keys are set, in tests, anybody."""

import time
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.kit import context, faults
from services.kit.answers import Refused
from services.kit.context import Context, ContextRefused
from services.kit.nonces import Full, Nonce, Nonces
from services.kit.signatures import SignatureRefused, verify
from services.kit.signing_keys import KeyFile, public_keys

Scope = MutableMapping[str, Any]
_LOG = structlog.get_logger(__name__)


class Admitted(NamedTuple):
    """What a call says of itself, and the nonce of its signature."""

    context: Context
    nonce: Nonce | None = None


class Gate:
    """Admits signed calls to one address."""

    def __init__(
        self,
        keys: KeyFile[Mapping[str, Ed25519PublicKey]],
        target: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`target` is the address by which the gateway is told to call, whatever Host says."""
        self.keys, self._target, self._clock = keys, target, clock
        self._nonces = Nonces()

    def refuse_unsigned(self, scope: Scope) -> None:
        """Refuse what is not signed before its body is read. Raises Refused."""
        if not any(name == b"signature" for name, _ in scope["headers"]):
            raise _refused("no signature")

    def admit(self, scope: Scope, body: bytes) -> Admitted:
        """What a signed call says of itself. Raises Refused SIGNATURE_REFUSED, the same whatever is wrong, and
        SERVICE_UNAVAILABLE while more calls come than can be remembered."""
        now, query = self._clock(), scope["query_string"].decode("latin-1")
        target = f"{self._target}?{query}" if query else self._target
        try:
            signed = verify(scope["method"], target, scope["headers"], body, self.keys.held, now)
            told = context.read(signed.context)
            if not self._nonces.is_first(signed.nonce, now):
                raise SignatureRefused("replayed")
        except (SignatureRefused, ContextRefused, UnicodeError) as refused:
            raise _refused(str(refused)) from None
        except Full:
            _LOG.error("nonces_full")
            raise Refused(faults.UNAVAILABLE) from None
        return Admitted(told, Nonce(signed.nonce, signed.expires))


def gate(keys: Path | None, target: str) -> Gate | None:
    """The gate for a file of public keys; None, which stands open, without one. Raises KeysUnusable."""
    return Gate(KeyFile(keys, public_keys), target) if keys else None


def _refused(reason: str) -> Refused:
    _LOG.warning("signature_refused", reason=reason)
    return Refused(faults.SIGNATURE_REFUSED)
