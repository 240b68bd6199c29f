"""Clients of graphql-transport-ws, on real sockets of the server that the gateway runs on."""

import asyncio
import contextlib
import io
import json
import logging.handlers
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus

from gateway import metrics
from gateway.access_log import AccessLog
from gateway.app import Gateway, application
from gateway.callers import Callers
from gateway.engine.supergraph import load_supergraph
from gateway.settings import Settings, Streams
from gateway.watch import Watch
from services.kit.settings import Mode
from services.kit.testing import tokens
from services.kit.tokens import LEEWAY_S
from tests.gateway.conftest import SUPERGRAPH, Handler, Loopback, http, listening, playing
from tests.gateway.speaking import served, speaking
from tests.gateway.test_reload import MORE, WITHOUT_OPINIONS

BOOK = '{ book(isbn: "1") { title } }'
ADDED = "subscription Added { bookAdded { title } }"
ADD = 'mutation { addBook(input: {isbn: "1", title: "T"}) { title } }'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
COMPLETE = b"event: complete\ndata:\n\n"


def next_(title: str) -> bytes:
    return (
        b'event: next\ndata: {"data":{"bookAdded":{"title":"%b","isbn":"1","__typename":"Book"}}}\n\n' % title.encode()
    )


class House:
    """A gateway whose subgraphs are on the loopback, its port and its log."""

    def __init__(self, gateway: Gateway, books: Loopback, opinions: Loopback, port: int, log: io.BytesIO) -> None:
        self.gateway, self.books, self.opinions, self.port, self._log = gateway, books, opinions, port, log

    async def logged(self, number: int) -> list[dict[str, Any]]:
        """The lines of the log once there are so many."""
        async with asyncio.timeout(10):
            while True:
                self.gateway.access_log.flush()
                lines = self._log.getvalue().splitlines()
                if len(lines) >= number:
                    return [json.loads(line) for line in lines]
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def house(**changed: Any) -> AsyncIterator[House]:
    """A gateway with changed settings; its tokens are those of the test issuer."""
    async with listening() as books, listening() as opinions:
        urls = {"SUBGRAPH_URL_BOOKS": books.url, "SUBGRAPH_URL_OPINIONS": opinions.url}
        chosen = Settings(supergraph=SUPERGRAPH, mode=Mode.TEST, subgraph_urls=urls, deadline_s=5, log_level="ERROR")
        gateway = Gateway(replace(chosen, **changed))
        gateway.callers = Callers(tokens.verifier("onedoor"), gateway.settings)
        gateway.access_log = AccessLog(log := io.BytesIO())
        gateway.serve(gateway.supergraph)
        async with served(application(gateway), ws_max_size=chosen.limits.body_bytes) as port:
            yield House(gateway, books, opinions, port, log)
            gateway.departures.closing.set()


class Endless:
    """A subgraph whose stream goes on until the other side hangs up."""

    def __init__(self, *titles: str) -> None:
        self.titles = titles
        self.hung_up = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"".join(map(next_, self.titles)))
        await reader.read()
        self.hung_up.set()


def held(let_go: asyncio.Event, asked: asyncio.Event, answer: bytes) -> Handler:
    """A subgraph that answers when it is let go."""

    async def play(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await let_go.wait()
        writer.write(http(answer))

    return play


class TestAnOperation:
    async def test_of_each_kind_is_answered(self) -> None:
        async with house() as it, speaking(it.port) as client:
            await client.begin()
            it.books.play = playing(http(b'{"data":{"book":{"title":"Waves"}}}'))
            await client.ask("query($i: ID!) { book(isbn: $i) { title } }", variables={"i": "1"})
            done = {"id": "1", "type": "complete"}
            assert await client.told() == [
                {"id": "1", "type": "next", "payload": {"data": {"book": {"title": "Waves"}}}}, done
            ]  # fmt: skip
            it.books.play = playing(http(b'{"data":{"addBook":{"title":"T"}}}'))
            await client.ask(ADD)
            assert (await client.told())[0]["payload"] == {"data": {"addBook": {"title": "T"}}}
            it.books.play = playing(HEAD, next_("A"), next_("B"), COMPLETE)
            await client.ask(ADDED)
            *events, last = await client.told()
            assert [e["payload"]["data"]["bookAdded"]["title"] for e in events] == ["A", "B"]
            assert last == done

    async def test_of_several_at_once_is_told_by_its_id(self) -> None:
        async with house() as it, speaking(it.port) as client:
            await client.begin()
            it.books.play = Endless("A")
            await client.ask(ADDED, "one")
            assert (await client.hear())["id"] == "one"
            it.books.play = Endless("B")
            await client.ask(ADDED, "two")
            assert (await client.hear())["id"] == "two"
            await client.ask("{ __typename }", "three")
            assert [m["id"] for m in await client.told()] == ["three", "three"]

    async def test_that_subscribes_is_completed_from_other_subgraphs(self) -> None:
        async with house() as it, speaking(it.port) as client:
            await client.begin()
            it.books.play = playing(HEAD, next_("A"), COMPLETE)
            it.opinions.play = playing(http(b'{"data":{"_entities":[{"grade":4}]}}'))
            await client.ask("subscription { bookAdded { title grade } }")
            assert (await client.hear())["payload"]["data"] == {"bookAdded": {"title": "A", "grade": 4}}

    @pytest.mark.parametrize(
        ("text", "code"),
        [("{ nothing }", "GRAPHQL_VALIDATION_FAILED"), ("{", "GRAPHQL_PARSE_FAILED"), (" ", "BAD_REQUEST"),
         ("query A { __typename } query B { __typename }", "OPERATION_RESOLUTION_FAILURE")],
    )  # fmt: skip
    async def test_that_is_refused_ends_in_an_error_and_the_socket_goes_on(self, text: str, code: str) -> None:
        async with house() as it, speaking(it.port) as client:
            await client.begin(**{"Accept-Language": "fr"})
            await client.ask(text)
            told = await client.hear()
            assert (told["id"], told["type"]) == ("1", "error")
            assert told["payload"][0]["extensions"]["code"] == code
            assert told["payload"][0]["message"] == told["payload"][0]["extensions"]["text"]["fr"]
            await client.ask("{ __typename }")
            assert (await client.told())[-1]["type"] == "complete"

    async def test_whose_subgraph_is_away_says_so(self) -> None:
        async with house() as it, speaking(it.port) as client:
            it.books.play = playing(None)
            await client.begin()
            await client.ask(ADDED)
            told = await client.hear()
            assert told["type"] == "error"
            assert told["payload"][0]["extensions"]["code"] == "SUBGRAPH_UNAVAILABLE"

    async def test_whose_stream_dies_ends_in_an_error_after_what_came(self) -> None:
        async with house() as it, speaking(it.port) as client:
            it.books.play = playing(HEAD, next_("A"), None)
            await client.begin()
            await client.ask(ADDED)
            first, last = await client.told()
            assert first["type"] == "next"
            assert (last["type"], last["payload"][0]["extensions"]["code"]) == ("error", "SUBGRAPH_UNAVAILABLE")
            assert (await it.logged(1))[0]["codes"] == ["SUBGRAPH_UNAVAILABLE"]

    async def test_is_one_line_of_the_log_and_counted(self) -> None:
        async with house() as it, speaking(it.port) as client:
            before = metrics.EVENTS.labels("websocket")._value.get()
            it.books.play = endless = Endless("A", "B")
            await client.begin()
            await client.ask(ADDED)
            assert [(await client.hear())["type"], (await client.hear())["type"]] == ["next", "next"]
            assert metrics.SUBSCRIPTIONS.labels("websocket")._value.get() == 1
            assert it.gateway.departures.following == 1
            await client.say({"id": "1", "type": "complete"})
            await endless.hung_up.wait()
            await client.ask("{ __typename }")
            await client.told()
            of_stream, of_query = await it.logged(2)
            shown = {name: of_stream[name] for name in ("operation", "status", "codes", "transport", "events")}
            assert shown == {"operation": "Added", "status": 200, "codes": [], "transport": "websocket", "events": 2}
            assert "events" not in of_query
            assert metrics.EVENTS.labels("websocket")._value.get() == before + 2
            assert metrics.SUBSCRIPTIONS.labels("websocket")._value.get() == it.gateway.departures.following == 0


class TestHeaders:
    async def test_that_connection_init_says_go_to_every_subgraph_and_others_do_not(self) -> None:
        async with house() as it, speaking(it.port, {"X-Request-Id": "mine", "Accept-Language": "fr"}) as client:
            token = f"Bearer {tokens.token(audience='onedoor')}"
            trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            await client.begin(Authorization=token, traceparent=trace, Cookie="a=b", whatever={"x": 1})
            it.books.play = playing(HEAD, next_("A"), COMPLETE)
            it.opinions.play = playing(http(b'{"data":{"_entities":[{"grade":4}]}}'))
            await client.ask("subscription { bookAdded { title grade } }")
            await client.told()
            for head, _ in (*it.books.requests, *it.opinions.requests):
                lines = head.decode().split("\r\n")
                assert {f"authorization: {token}", f"traceparent: {trace}", "accept-language: fr"} <= set(lines)
                assert any(line.startswith("x-request-id: mine-") for line in lines)
                assert any(line.startswith("onedoor-deadline: ") for line in lines)
                assert b"cookie" not in head.lower()

    async def test_of_the_handshake_hold_where_connection_init_says_nothing(self) -> None:
        async with house() as it:
            token = f"Bearer {tokens.token(audience='onedoor')}"
            async with speaking(it.port, {"Authorization": token}) as client:
                await client.begin()
                await client.ask(BOOK)
                await client.told()
                assert f"authorization: {token}".encode() in it.books.requests[-1][0]

    @pytest.mark.parametrize("value", ["Bearer x\r\nOnedoor-Actor: root", "é", 1, ["Bearer x"], "x" * 20_000])
    async def test_that_no_header_could_hold_close_the_socket(self, value: object) -> None:
        async with house() as it, speaking(it.port) as client:
            await client.say({"type": "connection_init", "payload": {"authorization": value}})
            assert (await client.closed())[0] == 4400
            assert it.books.requests == []


class TestAToken:
    async def test_that_is_not_valid_closes_the_socket_and_is_told_to_the_security_audit(self) -> None:
        async with house() as it:
            it.gateway.watch = watch = Watch()
            for said in ("Bearer nonsense", "Basic x", f"Bearer {tokens.token(audience='others')}"):
                async with speaking(it.port) as client:
                    await client.say({"type": "connection_init", "payload": {"Authorization": said}})
                    assert await client.closed() == (4403, "UNAUTHENTICATED")
            assert [(key, count) for key, (_, _, count) in watch._seen.items()] == [(("UNAUTHENTICATED", "", ""), 3)]

    async def test_that_ends_ends_its_subscriptions_by_name_and_then_the_socket(self) -> None:
        token = tokens.token(audience="onedoor", exp=int(time.time()) - LEEWAY_S + 2)
        async with house() as it, speaking(it.port) as client:
            it.books.play = endless = Endless("A")
            await client.begin(Authorization=f"Bearer {token}")
            await client.ask(ADDED)
            first, last = await client.told()
            assert first["type"] == "next"
            assert (last["type"], last["payload"][0]["extensions"]["code"]) == ("error", "UNAUTHENTICATED")
            assert await client.closed() == (4403, "UNAUTHENTICATED")
            await endless.hung_up.wait()


class TestAClient:
    @pytest.mark.parametrize(
        ("messages", "code"),
        [
            (["nonsense"], 4400), ([b"{}"], 4400), ([{"type": "next"}], 4400),
            ([{"type": "connection_init"}, {"type": "connection_init"}], 4429),
            ([{"id": "1", "type": "subscribe", "payload": {"query": "{ __typename }"}}], 4401),
            ([{"type": "connection_init"}, {"id": "1", "type": "subscribe", "payload": {}}], 4400),
            ([{"type": "connection_init"}] + [{"id": "1", "type": "subscribe", "payload": {"query": ADDED}}] * 2, 4409),
            (["x" * 2_000_000], 1009),
        ],
    )  # fmt: skip
    async def test_who_breaks_the_protocol_is_sent_away_by_its_code(self, messages: list[object], code: int) -> None:
        async with house() as it, speaking(it.port) as client:
            it.books.play = Endless()
            with contextlib.suppress(Exception):  # it may be away before it has said all
                for message in messages:
                    await client.say(message)
            assert (await client.closed())[0] == code

    async def test_who_never_begins_is_sent_away(self) -> None:
        async with house(streams=Streams(init_ms=100)) as it, speaking(it.port) as client:
            await client.say({"type": "ping"})
            assert await client.hear() == {"type": "pong"}
            assert (await client.closed())[0] == 4408

    async def test_who_has_begun_may_stay(self) -> None:
        async with house(streams=Streams(init_ms=100)) as it, speaking(it.port) as client:
            await client.begin()
            await asyncio.sleep(0.3)  # three times the limit: what would end it has had its chance
            await client.ask("{ __typename }")
            assert (await client.told())[-1]["type"] == "complete"

    @pytest.mark.parametrize("protocol", [None, "graphql-ws"])
    async def test_who_speaks_another_protocol_is_told(self, protocol: str | None) -> None:
        async with house() as it:
            try:
                async with speaking(it.port, protocol=protocol) as client:
                    assert (await client.closed())[0] == 4406
            except Exception as error:  # the library refuses what the server would not name
                assert protocol is not None and "subprotocol" in str(error).lower()

    async def test_who_completes_ends_the_stream_of_the_subgraph_and_hears_no_more(self) -> None:
        async with house() as it, speaking(it.port) as client:
            it.books.play = endless = Endless("A")
            await client.begin()
            await client.ask(ADDED)
            await client.hear()
            await client.say({"id": "1", "type": "complete"})
            await endless.hung_up.wait()
            it.books.play = Endless("B")
            await client.ask(ADDED)  # the id is free at once
            assert (await client.hear())["payload"]["data"]["bookAdded"]["title"] == "B"

    @pytest.mark.parametrize("abruptly", [True, False])
    async def test_who_leaves_ends_the_streams_and_queries_but_no_mutation(self, abruptly: bool) -> None:
        async with house() as it:
            async with speaking(it.port) as client:
                it.books.play = endless = Endless("A")
                await client.begin()
                await client.ask(ADDED)
                await client.hear()
                asked, let_go = asyncio.Event(), asyncio.Event()
                it.books.play = held(let_go, asked, b'{"data":{"addBook":{"title":"T"}}}')
                await client.ask(ADD, "2")
                await asked.wait()
                if abruptly:
                    client.socket.transport.abort()
            async with asyncio.timeout(10):
                await endless.hung_up.wait()
                let_go.set()
            by_kind = {line["operation"]: line for line in await it.logged(2)}
            assert by_kind[""]["status"] == 200  # the mutation was carried out
            assert by_kind["Added"]["events"] == 1


class TestAPage:
    async def test_of_another_origin_may_not_open_a_socket(self) -> None:
        async with house(cors_origins=frozenset({"https://www.example.ca"})) as it:
            for origin in (
                "https://evil.example",
                "null",
                f"http://127.0.0.1.evil.example:{it.port}",
                "http://127.0.0.1:1",
            ):
                with pytest.raises(InvalidStatus) as caught:
                    async with speaking(it.port, {"Origin": origin, "Accept-Language": "fr"}):
                        pass
                assert caught.value.response.status_code == 403
                error = orjson.loads(caught.value.response.body)["errors"][0]
                assert error["extensions"]["code"] == "ORIGIN_REFUSED"
                assert error["message"] == error["extensions"]["text"]["fr"]
            for headers in (
                {"Origin": "https://www.example.ca"},
                {"Origin": f"http://127.0.0.1:{it.port}"},
                {"Origin": "https://proxied.example", "Sec-Fetch-Site": "same-origin"},
                {},
            ):
                async with speaking(it.port, headers) as client:
                    await client.begin()

    async def test_at_another_address_finds_nothing(self) -> None:
        async with house() as it:
            with pytest.raises(InvalidStatus) as caught:
                async with speaking(it.port, path="/elsewhere"):
                    pass
            assert caught.value.response.status_code == 403


class TestBounds:
    async def test_of_operations_on_one_socket(self) -> None:
        async with house(streams=Streams(operations=2)) as it, speaking(it.port) as client:
            await client.begin()
            for identity in ("1", "2"):
                it.books.play = endless = Endless("A")
                await client.ask(ADDED, identity)
                await client.hear()
            await client.ask(ADDED, "3")
            told = await client.hear()
            assert (told["id"], told["type"]) == ("3", "error")
            assert told["payload"][0]["extensions"]["code"] == "TOO_MANY_OPERATIONS"
            await client.say({"id": "2", "type": "complete"})
            await endless.hung_up.wait()
            await client.ask("{ __typename }", "3")
            assert (await client.told())[-1]["type"] == "complete"

    async def test_of_subscriptions_however_they_come(self) -> None:
        async with house(streams=Streams(subscriptions=1)) as it, speaking(it.port) as client:
            it.books.play = Endless("A")
            await client.begin()
            await client.ask(ADDED)
            await client.hear()
            async with speaking(it.port) as other:
                await other.begin()
                await other.ask(ADDED)
                assert (await other.hear())["payload"][0]["extensions"]["code"] == "TOO_MANY_SUBSCRIPTIONS"

    async def test_of_sockets(self) -> None:
        async with house(streams=Streams(sockets=2)) as it:
            async with speaking(it.port), speaking(it.port):
                with pytest.raises(InvalidStatus) as caught:
                    async with speaking(it.port):
                        pass
                assert caught.value.response.status_code == 503
            async with speaking(it.port) as client:
                await client.begin()

    async def test_of_time(self) -> None:
        async with house(streams=Streams(longest_ms=200)) as it, speaking(it.port) as client:
            it.books.play = Endless("A")
            await client.begin()
            await client.ask(ADDED)
            assert (await client.told())[-1]["payload"][0]["extensions"]["code"] == "SUBSCRIPTION_TOO_LONG"


class TestAReload:
    async def test_leaves_a_stream_as_it_is_and_the_next_operation_on_the_same_socket_is_the_new_ones(self) -> None:
        async with house() as it, speaking(it.port) as client:
            await client.begin()
            go_on = asyncio.Event()

            async def events(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(HEAD + next_("A"))
                await go_on.wait()
                writer.write(next_("B") + COMPLETE)

            it.books.play = events
            it.opinions.play = playing(http(b'{"data":{"_entities":[{"grade":4}]}}'))
            await client.ask("subscription { bookAdded { title grade } }")
            await client.hear()
            it.gateway.serve(load_supergraph(WITHOUT_OPINIONS))
            await client.ask("{ best { text } }", "2")
            assert (await client.told())[0]["payload"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
            it.gateway.serve(load_supergraph(MORE))
            go_on.set()
            event, last = await client.told()
            assert event["payload"]["data"] == {"bookAdded": {"title": "B", "grade": 4}}
            assert last["type"] == "complete"
            it.books.play = playing(HEAD, b'event: next\ndata: {"data":{"bookAdded":{"pages":7}}}\n\n', COMPLETE)
            await client.ask("subscription { bookAdded { pages } }")
            assert (await client.told())[0]["payload"]["data"] == {"bookAdded": {"pages": 7}}


_parts = st.sampled_from(
    ['{"type":"connection_init"}', '{"id":"1","type":"subscribe","payload":{"query":"{ __typename }"}}',
     '{"id":"1","type":"complete"}', '{"type":"ping"}', '{"type":"pong","payload":null}',
     '{"id":"2","type":"subscribe","payload":{"query":"{"}}',
     '{"id":"2","type":"subscribe","payload":{"query":"x","variables":[]}}']
) | st.text(max_size=10) | st.binary(max_size=10)  # fmt: skip


class TestAnyFrames:
    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.lists(_parts, max_size=8), min_size=1, max_size=4))
    def test_never_make_a_fault(self, conversations: list[list[str | bytes]]) -> None:
        asyncio.run(self._talk(conversations))

    async def _talk(self, conversations: list[list[str | bytes]]) -> None:
        async with house() as it:
            for messages in conversations:
                async with speaking(it.port) as client:
                    with contextlib.suppress(Exception):
                        for message in messages:
                            await client.say(message)
                    await client.socket.close()
                    code = client.socket.close_code
                    assert code in (1000, 4400, 4401, 4409, 4429), (messages, code)
            assert all(line["status"] in (200, 400, 499) for line in await it.logged(0))


def frame(first: int, masked: bool, payload: bytes) -> bytes:
    """A frame by its first byte (its end, reserved bits and kind), under a mask of zeros or none."""
    return bytes([first, (0x80 if masked else 0) | len(payload)]) + (bytes(4) if masked else b"") + payload


INIT = b'{"type":"connection_init"}'
OURS = {1000, 1002, 1007, 1009, 4400, 4401, 4429}
_bytes = st.binary(max_size=20) | st.sampled_from([b'{"type":"ping"}', INIT, b"\xff", b"\x03\xe8", b"\x03\xee"])
_known = [
    frame(0x81, True, INIT), frame(0x01, True, b"{"), frame(0x80, True, b"}"), frame(0x81, True, b"\xff"),
    bytes([0x81, 0xFF]) + b"\x7f" * 8 + bytes(4), bytes([0x89, 0xFE, 1, 0]) + bytes(260),
]  # fmt: skip
_frames = st.builds(frame, st.integers(0, 255), st.booleans() | st.just(True), _bytes) | st.sampled_from(_known)


class TestAnyBytes:
    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.lists(_frames, max_size=6), min_size=1, max_size=4))
    def test_are_met_by_a_close_code_and_leave_no_trace(self, conversations: list[list[bytes]]) -> None:
        asyncio.run(self._talk(conversations))

    async def _talk(self, conversations: list[list[bytes]]) -> None:
        faults = metrics.SOCKETS_CLOSED.labels(1011)._value.get()
        handler = logging.handlers.QueueHandler(queue := SimpleQueue[logging.LogRecord]())
        handler.setLevel(logging.WARNING)
        logging.getLogger().addHandler(handler)
        try:
            async with house() as it:
                for frames in conversations:
                    content = b"".join(frames)
                    said = {int.from_bytes(content[at : at + 2], "big") for at in range(len(content))}
                    code = await self._send(it.port, content)
                    assert code in OURS or code in said or code is None  # a client's own code is echoed
        finally:
            logging.getLogger().removeHandler(handler)
        assert queue.empty()
        assert metrics.SOCKETS_CLOSED.labels(1011)._value.get() == faults

    @staticmethod
    async def _send(port: int, content: bytes) -> int | None:
        """Send bytes after the handshake and hang up. Returns the close code; None when the connection was reset under it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /graphql?token=secret HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        writer.write(content)
        writer.write(frame(0x88, True, b"\x03\xe8"))
        try:
            async with asyncio.timeout(10):
                while await reader.readexactly(1) != b"\x88":  # which is in no message that came before
                    pass
                head = await reader.readexactly(1)
                return int.from_bytes(await reader.readexactly(2), "big") if head != b"\0" else 1000
        except ConnectionError:
            return None
        finally:
            writer.close()


class TestServerSentEvents:
    async def test_end_by_name_when_the_token_ends(self) -> None:
        token = tokens.token(audience="onedoor", exp=int(time.time()) - LEEWAY_S + 2)
        async with house() as it, httpx.AsyncClient(trust_env=False, timeout=20) as client:
            it.books.play = endless = Endless("A")
            asks = {"Accept": "text/event-stream", "Authorization": f"Bearer {token}"}
            reply = await client.post(f"http://127.0.0.1:{it.port}/graphql", json={"query": ADDED}, headers=asks)
            assert reply.text.count("event: next") == 2
            assert "UNAUTHENTICATED" in reply.text
            assert reply.text.endswith("event: complete\ndata:\n\n")
            await endless.hung_up.wait()
            (line,) = await it.logged(1)
            assert (line["transport"], line["events"], line["codes"]) == ("sse", 1, ["UNAUTHENTICATED"])
