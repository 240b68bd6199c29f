"""Names at the NATS server, and how a process signs in there: as the user of a key, over TLS where the address says so.

Each user may publish and hear what its part announces and handles, and is answered below a prefix of its own.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.kit import tls

STREAM = "ONEDOOR"
# What every service announces of its audit, and many of acts that take a person's code. Nobody hears it in passing: it is about
# people, or only to be kept.
OF_AUDITS = frozenset({"access.logged.v1", "audit.head.v1"})
OF_MANY = OF_AUDITS | {"act.proposed.v1"}
OBSERVED = "security.observed.v1"  # what is seen at the door and at the issuer, for accounts alone


GRANT_CHANGED = "grant.changed.v1"  # an event that every service hears and handles by asking for a lease


def lease_of(service: str) -> str:
    """The subject on which the instances of a service ask `accounts` for leases."""
    return f"grants.lease.{service}"


def subject_of(event_type: str) -> str:
    """The subject of an event type."""
    return f"events.{event_type}"


def durable_of(user: str, event_type: str) -> str:
    """The name of the durable consumer by which a part handles an event type."""
    return f"{user}-{event_type.replace('.', '-')}"


def inbox_of(user: str) -> str:
    """The prefix of the subjects on which a user is answered; nobody else may listen there."""
    return f"_INBOX_{user}"


@dataclass(frozen=True, slots=True)
class SignIn:
    """How a connection says who it is: the user's seed, without which it is nobody, and what the server is checked with."""

    user: str = ""
    seed: Path | None = None
    context: ssl.SSLContext | None = None

    @property
    def inbox(self) -> str:
        """Where answers come."""
        return inbox_of(self.user) if self.user else "_INBOX"

    @property
    def options(self) -> dict[str, Any]:
        """What the plain client is given beside the address. TLS is begun before the server says a word: one that claims to
        know no TLS is not believed."""
        given: dict[str, Any] = {"inbox_prefix": self.inbox}
        if self.seed:
            given["nkeys_seed"] = str(self.seed)
        if self.context:
            given |= {"tls": self.context, "tls_handshake_first": True}
        return given


def sign_in(user: str, url: str, seed: Path | None, authority: Path | None) -> SignIn:
    """How a part signs in at a server: with its seed, over TLS for tls:// addresses. Raises SettingMissing."""
    return SignIn(user if seed else "", seed, tls.context(authority) if url.startswith("tls://") else None)
