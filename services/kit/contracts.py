"""What services promise one another by events, as documents: JSON Schemas and one AsyncAPI description over all of them.

An event type has one owner, the service that emits it; its schema is the promise. A consumer declares a model of its own with
the fields that it reads, and that model must fit the promise.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from services.kit import ended_sessions
from services.kit.broker import OF_MANY
from services.kit.events import Event, envelope_schema
from services.kit.service import Service

Json = dict[str, Any]
ASYNCAPI_VERSION = "3.0.0"
OF_THE_GATEWAY: Mapping[str, Json] = MappingProxyType({ended_sessions.EVENT: dict(ended_sessions.SCHEMA)})
_NONE: Mapping[str, Json] = MappingProxyType({})


class EventsDisagree(Exception):
    """Services do not agree about an event. The text names service, type and field."""


def event_schemas(services: Iterable[Service], of_the_gateway: Mapping[str, Json] = _NONE) -> dict[str, Json]:
    """The JSON Schema (2020-12) of each event's data, by event type, those `of_the_gateway` among them.

    Events that nobody here emits come from outside (a simulator, another system): their consumers' model is the promise.
    Raises EventsDisagree when two services emit one type, or a consumer reads what its producer does not promise.
    """
    services = tuple(services)
    owners = _owners(services)
    promised = {kind: event.schema_() for kind, (_, event) in owners.items()} | dict(of_the_gateway)
    for service in services:
        for kind, handler in service.handlers.items():
            schema = handler.event.schema_()
            if kind not in owners:
                if promised.setdefault(kind, schema) != schema:
                    raise EventsDisagree(f"{service.name} reads {kind} otherwise than another consumer does")
                continue
            for problem in _unkept(schema, promised[kind]):
                raise EventsDisagree(f"{service.name} reads {kind}, which {owners[kind][0]} emits: {problem}")
    return promised


def _owners(services: Sequence[Service]) -> dict[str, tuple[str, type[Event]]]:
    owners: dict[str, tuple[str, type[Event]]] = {}
    for service in services:
        for kind, event in service.announces.items():
            if kind in owners and kind not in OF_MANY:
                raise EventsDisagree(f"{service.name} and {owners[kind][0]} both emit {kind}; an event has one owner")
            owners[kind] = (service.name, event)
    return owners


def _unkept(read: Json, promised: Json) -> Iterable[str]:
    """Fields that a consumer needs and the promise lacks, or promises as another JSON type."""
    fields = promised.get("properties", {})
    for name, wanted in read.get("properties", {}).items():
        if name not in fields:
            if name in read.get("required", ()):
                yield f"the field {name} is not promised"
        elif "type" in wanted and "type" in fields[name] and wanted["type"] != fields[name]["type"]:
            yield f"the field {name} is promised as {fields[name]['type']}, not {wanted['type']}"
        elif name in read.get("required", ()) and name not in promised.get("required", ()):
            yield f"the field {name} is promised as optional only"


def asyncapi(services: Iterable[Service], of_the_gateway: Mapping[str, Json] = _NONE) -> Json:
    """The AsyncAPI 3.0 document of all events: a channel per type, who sends it and who receives it. What the gateway sends,
    every service and every gateway hears."""
    services = tuple(services)
    schemas = event_schemas(services, of_the_gateway)
    acts = [("gateway", action, kind) for kind in of_the_gateway for action in ("send", "receive")]
    for service in services:
        acts += [(service.name, "send", kind) for kind in service.announces]
        acts += [(service.name, "receive", kind) for kind in (*service.handlers, *of_the_gateway)]
    operations: Json = {
        f"{name}.{action}.{kind}": {
            "action": action,
            "channel": {"$ref": f"#/channels/{kind}"},
            "summary": f"{name} {'announces' if action == 'send' else 'hears'} {kind}.",
        }
        for name, action, kind in acts
    }
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "One Door: events between the ministries' services",
            "version": "1",
            "description": "CloudEvents 1.0 in structured JSON mode over NATS JetStream, at least once, in order per subject.",
            "license": {"name": "Apache-2.0"},
        },
        "channels": {
            kind: {
                "address": f"events.{kind}",
                "description": schema.get("description", kind),
                "messages": {"event": {"$ref": f"#/components/messages/{kind}"}},
            }
            for kind, schema in sorted(schemas.items())
        },
        "operations": dict(sorted(operations.items())),
        "components": {
            "messages": {
                kind: {
                    "name": kind,
                    "contentType": "application/cloudevents+json",
                    "payload": envelope_schema(kind, {"$ref": f"./events/{kind}.json"}),
                }
                for kind in sorted(schemas)
            }
        },
    }
