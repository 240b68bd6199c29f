"""One trace through everything: a person's request, the gateway's fetch, the service, its SQL, its event, who hears the event.

The province runs as processes of its own that export their spans, as in production, to a collector on loopback.
"""

import gzip
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_hex
from typing import NamedTuple

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from clusters import signin
from clusters.journeys.business import free_name
from clusters.journeys.door import OPERATIONS
from clusters.local.state import State
from tests.conftest import province

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("province")]
PATIENCE_S = 60


class Span(NamedTuple):
    """A span as it was exported. Ids in hexadecimal; `parent` is empty at the root."""

    trace: str
    id: str
    parent: str
    service: str
    name: str


class Collector(ThreadingHTTPServer):
    """Takes spans over OTLP/HTTP and keeps them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.spans: dict[str, Span] = {}
        self.came = threading.Condition()

    def keep(self, body: bytes) -> None:
        with self.came:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                named = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                        self.spans[ids[1]] = Span(*ids, named["service.name"], span.name)
            self.came.notify_all()

    def of(self, trace: str) -> list[Span]:
        return [span for span in self.spans.values() if span.trace == trace]

    def way(self, span: Span) -> list[tuple[str, str]]:
        """Service and name of a span and of all above it, the topmost first."""
        above = self.spans.get(span.parent)
        return [*(self.way(above) if above else ()), (span.service, span.name)]

    def holding(self, trace: str, *wanted: tuple[str, str]) -> list[list[tuple[str, str]]]:
        """Wait for spans by service and beginning of their name. Returns each one's way from the top."""
        until = time.monotonic() + PATIENCE_S
        with self.came:
            while True:
                found = [
                    next((s for s in self.of(trace) if s.service == service and s.name.startswith(name)), None)
                    for service, name in wanted
                ]
                ways = [self.way(span) for span in found if span]
                if len(ways) == len(wanted) and all(way[0][1] == "mutation SubmitApplication" for way in ways):
                    return ways
                left = until - time.monotonic()
                assert left > 0, (wanted, sorted({(s.service, s.name) for s in self.of(trace)}))
                self.came.wait(left)


class Receiver(BaseHTTPRequestHandler):
    """What a collector answers."""

    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.keep(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield listening
        listening.shutdown()


@pytest.fixture(scope="module")
def traced(collector: Collector) -> Iterator[State]:
    endpoint = f"http://127.0.0.1:{collector.server_address[1]}"
    with province({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "200"}) as running:
        yield running


def submitted(env: dict[str, str], trace: str) -> None:
    """An owner registers a business; the request that submits it names its trace."""
    token = signin.access_token(env["ISSUER_URL"], "owner", "owner-onedoor")
    with httpx.Client(timeout=15, headers={"authorization": f"Bearer {token}"}) as http:

        def ask(operation: str, headers: dict[str, str], **given: object) -> str:
            text = (OPERATIONS / f"{operation}.graphql").read_text(encoding="utf-8")
            variables = {"input": {**given, "idempotencyKey": token_hex(16)}}
            answer = http.post(env["GATEWAY_URL"], json={"query": text, "variables": variables}, headers=headers).json()
            (drafted,) = answer["data"].values()
            assert drafted["__typename"] == "Application", drafted
            return str(drafted["id"])

        address = {"street": "100 Main Street East", "city": "Hamilton", "postalCode": "L8N 1G6"}
        name = {"name": free_name(), "legalType": "NAMED_CORPORATION", "sector": "72", "address": address}
        drafted = ask("DraftApplication", {}, **name)
        ask("SubmitApplication", {"traceparent": f"00-{trace}-{token_hex(8)}-01"}, applicationId=drafted)


class TestOneTrace:
    def test_leads_from_a_persons_request_to_what_other_services_do_about_its_events(
        self, collector: Collector, traced: State
    ) -> None:
        trace = token_hex(16)
        submitted(traced.environment, trace)
        fetched = [("gateway", "mutation SubmitApplication"), ("gateway", "business_registration")]
        served = [*fetched, ("business_registration", "graphql")]
        inspected = [*served, ("inspections", "handle business.registered.v1")]
        decided = [*served, ("business_registration", "handle program.decided.v1")]
        ways = collector.holding(
            trace,
            ("business_registration", "INSERT"),
            ("inspections", "handle business.registered.v1"),
            ("inspections", "INSERT"),
            ("business_registration", "handle program.decided.v1"),
        )
        assert [way[:-1] for way in ways] == [served, served, inspected, served]
        assert ways[-1] == decided
