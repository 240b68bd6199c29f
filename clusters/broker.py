"""The users of the NATS server and what each may say and hear: what the parts announce and handle, and nothing else.

Which events a service announces and handles is read from `contracts/asyncapi.json`, which is written from its code.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.kit.broker import GRANT_CHANGED, OBSERVED, OF_MANY, STREAM, durable_of, inbox_of, lease_of, subject_of
from services.kit.ended_sessions import EVENT

ASYNCAPI = Path(__file__).parent.parent / "contracts" / "asyncapi.json"
OPERATOR = "operator"  # whoever changes or mends the stream itself, by hand
GRANTING = "accounts"  # the part that tells all services of grants
UNHEARD = OF_MANY | {OBSERVED}  # by who announces them: they are about people
API = "$JS.API"


@dataclass(frozen=True, slots=True)
class Traffic:
    """The event types that a part announces, and those that it handles by durable consumers."""

    announces: set[str] = field(default_factory=set)
    handles: set[str] = field(default_factory=set)


# The parts whose events are in no service's contract.
OTHERS: Mapping[str, Traffic] = {
    "programs": Traffic({"program.decided.v1"}, {"program.requested.v1"}),
    "gateway": Traffic({EVENT, OBSERVED}),  # the ends of sessions, which every part hears, and what it refused
    "keycloak": Traffic({OBSERVED}),  # whoever follows Keycloak's events
}


def traffic(services: Iterable[str]) -> dict[str, Traffic]:
    """What each part announces and handles; the ends of sessions are heard by all and handled by none. Raises OSError and
    ValueError where the contract cannot be read."""
    found = {name: Traffic() for name in services} | dict(OTHERS)
    for name in json.loads(ASYNCAPI.read_text())["operations"]:
        part, action, kind = name.split(".", 2)
        if part in found and (action, kind) != ("receive", EVENT):
            (found[part].announces if action == "send" else found[part].handles).add(kind)
    return found


def configuration(services: Iterable[str], keys: Mapping[str, str]) -> str:
    """The server's configuration of its users, by their public keys; whoever is none of them is refused.

    Source: NATS, Authorization and NKeys.
    """
    services = tuple(services)
    parts = traffic(services)
    held = {name: [durable_of(name, kind) for kind in sorted(part.handles)] for name, part in parts.items()}
    users = []
    for name, part in parts.items():
        others = [durable for other, durables in held.items() if other != name for durable in durables]
        users.append({"nkey": keys[name], "permissions": _permissions(name, part, others, leases=name in services)})
    users.append({"nkey": keys[OPERATOR], "permissions": _of_operator()})
    return f"authorization: {json.dumps({'users': users}, indent=1)}\n"


def _permissions(name: str, part: Traffic, others: Iterable[str], *, leases: bool) -> dict[str, Any]:
    """What one part may do. The ends of sessions are read by consumers of passing names, so any name but those of others'
    durable consumers may be read from; such a name is not to be guessed, and nobody may list them. A service `leases`: it asks
    under its own name, and one part hears all who ask and answers each once."""
    consumers = {durable_of(name, kind): subject_of(kind) for kind in sorted(part.handles)}
    ended = subject_of(EVENT)
    say = [
        *(subject_of(kind) for kind in sorted(part.announces)),
        f"{API}.STREAM.CREATE.{STREAM}",  # whoever comes first declares it; nobody may change or delete it
        f"{API}.CONSUMER.INFO.{STREAM}.*",
        f"{API}.CONSUMER.MSG.NEXT.{STREAM}.*",
        f"{API}.CONSUMER.CREATE.{STREAM}.*.{ended}",
        *(f"{API}.CONSUMER.CREATE.{STREAM}.{durable}.{subject}" for durable, subject in consumers.items()),
        *(f"$JS.ACK.{STREAM}.{durable}.>" for durable in consumers),
    ]
    never = [f"{API}.CONSUMER.MSG.NEXT.{STREAM}.{durable}" for durable in others]
    never += [f"{API}.CONSUMER.CREATE.{STREAM}.{durable}.>" for durable in others]
    hear = [f"{inbox_of(name)}.>", ended, *(subject_of(kind) for kind in sorted(part.announces - UNHEARD))]
    answers: dict[str, Any] = {}
    if leases:
        say.append(lease_of(name))
        hear.append(subject_of(GRANT_CHANGED))
    if name == GRANTING:
        hear.append(lease_of("*"))
        answers["allow_responses"] = {"max": 1, "expires": "5s"}
    return {"publish": {"allow": say, "deny": never}, "subscribe": {"allow": sorted(set(hear))}, **answers}


def _of_operator() -> dict[str, Any]:
    return {"publish": {"allow": [f"{API}.>"]}, "subscribe": {"allow": [f"{inbox_of(OPERATOR)}.>", "events.>"]}}
