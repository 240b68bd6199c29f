"""The gateway's part of a trace: a span for a request, and one below it for each request to a subgraph.

Only where traces are exported (`OTEL_EXPORTER_OTLP_ENDPOINT`); elsewhere nothing here runs, and a caller's trace is passed on as
it came. Names and attributes are those of OpenTelemetry's conventions for GraphQL servers.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from gateway.engine.plan import Fetch
from gateway.exchange import Receive, Scope, Send

FIRST_ERROR = 500
_TRACER = trace.get_tracer(__name__)


def around(
    app: Callable[[Scope, Receive, Send], Awaitable[None]],
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The application with a span for each request, in its caller's trace if it names one."""

    async def traced(scope: Scope, receive: Receive, send: Send) -> None:
        with request(scope):
            await app(scope, receive, send)

    return traced


@contextmanager
def request(scope: Scope) -> Iterator[None]:
    """A span for a request."""
    carried = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    with _TRACER.start_as_current_span("graphql", propagate.extract(carried), SpanKind.SERVER):
        yield


def answered(name: str, kind: str, status: int, codes: list[str]) -> None:
    """Say of the current request what was asked and how it ended."""
    span = trace.get_current_span()
    if kind:
        span.update_name(f"{kind} {name}".rstrip())
        span.set_attributes({"graphql.operation.type": kind, "graphql.operation.name": name})
    span.set_attribute("http.response.status_code", status)
    if codes:
        span.set_attribute("onedoor.codes", codes)
    if status >= FIRST_ERROR:
        span.set_status(Status(StatusCode.ERROR))


@contextmanager
def fetching(fetch: Fetch) -> Iterator[bytes]:
    """A span for a request to a subgraph; gives the header lines by which the subgraph's own spans come below it."""
    with _TRACER.start_as_current_span(fetch.subgraph, kind=SpanKind.CLIENT) as span:
        span.set_attributes({"onedoor.subgraph": fetch.subgraph, "graphql.operation.type": fetch.kind})
        lines: dict[str, str] = {}
        propagate.inject(lines)
        yield b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in lines.items())
