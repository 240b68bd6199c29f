"""JSON logs on standard output: one line an event, with the request's and the trace's id. Bodies are never logged."""

import logging
import random
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

import orjson
import structlog
from opentelemetry import trace

request_id: ContextVar[str] = ContextVar("request_id", default="")

_MAX_ID = 128


def accept_request_id(given: str | None) -> str:
    """The id of a request: the given one when it is short, plain text, else a new one. Never trusts line breaks."""
    if given and len(given) <= _MAX_ID and given.isascii() and given.isprintable():
        return given
    return f"{random.getrandbits(128):032x}"


def _identify(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if current := request_id.get():
        event.setdefault("request_id", current)
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = format(span.trace_id, "032x")
    return event


def _dump(value: object, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()


def configure(service: str, level: str = "INFO") -> None:
    """Send structlog and the standard library's records to standard output as JSON lines. Safe to call again."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _identify,
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                lambda _, __, event: {"service": service, **event},
                structlog.processors.JSONRenderer(serializer=_dump),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("uvicorn.access", "faststream", "nats", "alembic.runtime.plugins"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
