"""One trace from a caller through the gateway to the services: a span for the request, one for each fetch below it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway import spans
from gateway.app import Gateway, application
from tests.gateway.conftest import Answers, Door, Wired, http, playing
from tests.gateway.speaking import served, speaking

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLERS = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
BOTH = 'query Both { book(isbn: "1") { title } best { text } }'


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """The spans that would have been sent."""
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(spans, "_TRACER", provider.get_tracer("tests"))
    yield exporter
    provider.shutdown()


@pytest.fixture
def traced(wired: Wired) -> Wired:
    """The application as it is where traces are exported."""
    settings = replace(wired.gateway.settings, traces=True)
    gateway = Gateway(settings)
    wired.books.play = playing(http(b'{"data":{"book":{"title":"Waves"}}}'))
    wired.opinions.play = playing(http(b'{"data":{"best":{"text":"Good"}}}'))
    return Wired(Door(application(gateway), Answers({}), settings), gateway, wired.books, wired.opinions)


def id_of(span: ReadableSpan) -> str:
    return format(span.context.span_id, "016x")


def sent(head: bytes) -> list[bytes]:
    return [line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"traceparent: ")]


class TestTracing:
    async def test_a_request_and_its_fetches_are_spans_of_the_callers_trace(
        self, traced: Wired, exported: InMemorySpanExporter
    ) -> None:
        await traced.door.post(BOTH, CALLERS)
        *fetches, request = exported.get_finished_spans()
        assert {format(span.context.trace_id, "032x") for span in (*fetches, request)} == {TRACE}
        assert request.parent is not None and format(request.parent.span_id, "016x") == CALLER
        assert {span.name for span in fetches} == {"books", "opinions"}
        assert {span.parent.span_id for span in fetches if span.parent} == {request.context.span_id}

    async def test_the_subgraph_is_told_the_span_of_its_own_fetch_alone(
        self, traced: Wired, exported: InMemorySpanExporter
    ) -> None:
        await traced.door.post(BOTH, CALLERS)
        ids = {span.name: id_of(span) for span in exported.get_finished_spans()}
        for name, server in (("books", traced.books), ("opinions", traced.opinions)):
            ((head, _),) = server.requests
            assert sent(head) == [f"00-{TRACE}-{ids[name]}-01".encode()]

    async def test_the_request_says_what_was_asked_and_how_it_ended(
        self, traced: Wired, exported: InMemorySpanExporter
    ) -> None:
        await traced.door.post(BOTH)
        request = exported.get_finished_spans()[-1]
        assert request.name == "query Both"
        assert request.attributes is not None
        assert request.attributes["http.response.status_code"] == 200

    async def test_what_went_wrong_is_named(self, traced: Wired, exported: InMemorySpanExporter) -> None:
        traced.opinions.play = playing(http(b"oops", b"404 Not Found"))
        await traced.door.post(BOTH)
        request = exported.get_finished_spans()[-1]
        assert request.attributes is not None
        assert request.attributes["onedoor.codes"] == ("SUBGRAPH_MALFORMED",)

    async def test_an_operation_over_a_socket_is_a_span_like_any_other(
        self, traced: Wired, exported: InMemorySpanExporter
    ) -> None:
        async with served(application(traced.gateway)) as port, speaking(port) as client:
            await client.begin(**CALLERS)
            await client.ask(BOTH)
            await client.told()
        *fetches, request = exported.get_finished_spans()
        assert (request.name, {span.name for span in fetches}) == ("query Both", {"books", "opinions"})
        assert request.parent is not None and format(request.parent.span_id, "016x") == CALLER
        assert {span.parent.span_id for span in fetches if span.parent} == {request.context.span_id}

    async def test_where_nothing_is_exported_the_callers_trace_is_passed_on(
        self, wired: Wired, exported: InMemorySpanExporter
    ) -> None:
        wired.books.play = playing(http(b'{"data":{"book":{"title":"Waves"}}}'))
        await wired.door.post('{ book(isbn: "1") { title } }', CALLERS)
        ((head, _),) = wired.books.requests
        assert sent(head) == [CALLERS["traceparent"].encode()]
        assert exported.get_finished_spans() == ()
