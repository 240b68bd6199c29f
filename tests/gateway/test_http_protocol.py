"""HTTP/1.1 at the door, spoken byte by byte over real sockets: what clients send whole, in pieces, ahead, slowly or wrongly."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httptools
import orjson
import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from gateway import http_protocol
from gateway.http_protocol import LARGEST_HEAD, Connection
from gateway.http_turn import BUFFERED

PATIENCE_S = 10
GET = b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass
class Reply:
    """An answer as it was read: status, headers, body; `interim` answers that came before it."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    interim: list[int] = field(default_factory=list)


class Client:
    """A connection that reads answers one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._replies: list[Reply] = []
        self._reply = Reply()
        self._parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._reply.headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._reply.body += body

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._reply.interim.append(status)
            return
        self._reply.status = status
        self._replies.append(self._reply)
        self._reply = Reply()

    def send(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))

    async def reply(self) -> Reply:
        """The next answer. Fails when the connection ends before it."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._replies:
                data = await self.reader.read(65_536)
                assert data, "the connection ended"
                self._parser.feed_data(data)
        return self._replies.pop(0)

    async def ended(self) -> bytes:
        """Whatever comes until the server hangs up."""
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(ConnectionResetError):
                return await self.reader.read()
        return b""


@dataclass
class Served:
    """A server of one ASGI application, and what uvicorn knows of it."""

    port: int
    state: ServerState

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()

    async def ask(self, *parts: bytes) -> Reply:
        async with self.client() as client:
            client.send(*parts)
            return await client.reply()


@contextlib.asynccontextmanager
async def serving(app: Any, *, keep_alive_s: int = 5) -> AsyncIterator[Served]:
    config = uvicorn.Config(app, http=Connection, ws="none", proxy_headers=False, timeout_keep_alive=keep_alive_s)
    config.load()
    state, loop = ServerState(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(config, state, {}), "127.0.0.1", 0)
    try:
        yield Served(server.sockets[0].getsockname()[1], state)
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()


async def whole(receive: Any) -> bytes:
    """A request's body."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def answer(send: Any, body: bytes, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Tells what it was asked."""
    body = await whole(receive)
    told = {
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "version": scope["http_version"],
        "headers": {name.decode(): value.decode("latin-1") for name, value in scope["headers"]},
        "body": body.decode("latin-1"),
    }
    await answer(send, orjson.dumps(told))


def post(body: bytes, *lines: bytes) -> bytes:
    head = b"".join(b"%b\r\n" % line for line in (b"Host: x", *lines, b"Content-Length: %d" % len(body)))
    return b"POST /echo HTTP/1.1\r\n%b\r\n%b" % (head, body)


def code(reply: Reply) -> str:
    return str(orjson.loads(reply.body)["errors"][0]["extensions"]["code"])


class TestRequests:
    async def test_what_was_sent_arrives(self) -> None:
        async with serving(echo) as served:
            told = orjson.loads((await served.ask(b"PUT /a%20b?c=d HTTP/1.1\r\nHost: x\r\nX-Odd: \xe9\r\n\r\n")).body)
        assert told == {
            "method": "PUT",
            "path": "/a b",
            "query": "c=d",
            "version": "1.1",
            "headers": {"host": "x", "x-odd": "é"},
            "body": "",
        }

    async def test_a_request_in_single_bytes_arrives(self) -> None:
        async with serving(echo) as served, served.client() as client:
            for byte in post(b"slow"):
                client.send(bytes([byte]))
                await client.writer.drain()
            assert orjson.loads((await client.reply()).body)["body"] == "slow"

    async def test_chunks_arrive_joined_and_trailers_are_no_headers(self) -> None:
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        async with serving(echo) as served:
            told = orjson.loads((await served.ask(head, b"3\r\nabc\r\n2\r\nde\r\n0\r\nAuthorization: x\r\n\r\n")).body)
        assert told["body"] == "abcde"
        assert "authorization" not in told["headers"]

    async def test_a_large_body_arrives_whole(self) -> None:
        body = bytes(range(32, 127)) * 20_000
        async with serving(echo) as served:
            assert orjson.loads((await served.ask(post(body))).body)["body"].encode() == body

    async def test_a_client_that_asks_first_is_told_to_continue(self) -> None:
        async with serving(echo) as served, served.client() as client:
            request = post(b"body", b"Expect: 100-continue")
            client.send(request[:-4])
            async with asyncio.timeout(PATIENCE_S):
                assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
            client.send(request[-4:])
            assert orjson.loads((await client.reply()).body)["body"] == "body"

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.data())
    async def test_requests_cut_anywhere_and_sent_ahead_are_answered_in_order(
        self, bodies: list[bytes], data: st.DataObject
    ) -> None:
        stream = b"".join(map(post, bodies))
        cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=6)))
        async with serving(echo) as served, served.client() as client:
            for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
                client.send(stream[start:end])
                await client.writer.drain()
                await asyncio.sleep(0)
            told = [orjson.loads((await client.reply()).body)["body"] for _ in bodies]
        assert told == [body.decode("latin-1") for body in bodies]

    @pytest.mark.parametrize("upgrade", [b"h2c", b"websocket", b"TLS/1.3"])
    async def test_a_protocol_that_is_not_spoken_is_passed_over(self, upgrade: bytes) -> None:
        async with serving(echo) as served, served.client() as client:
            client.send(
                post(b"kept", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + upgrade, b"HTTP2-Settings: x")
            )
            assert orjson.loads((await client.reply()).body)["body"] == "kept"
            client.send(GET)
            assert (await client.reply()).status == 200


class TestAnswers:
    async def test_head_and_body_are_one_write(self) -> None:
        written: list[bytes] = []

        class Transport(asyncio.Transport):
            def write(self, data: Any) -> None:
                written.append(data)

            def get_extra_info(self, name: str, default: Any = None) -> Any:
                return default

            def is_closing(self) -> bool:
                return False

        config = uvicorn.Config(echo, http=Connection)
        config.load()
        state = ServerState()
        connection = Connection(config, state, {})
        connection.connection_made(Transport())
        connection.data_received(GET)
        await asyncio.gather(*state.tasks)
        connection.connection_lost(None)
        assert len(written) == 1

    async def test_one_of_unknown_length_is_chunked_and_begins_at_once(self) -> None:
        goes_on = asyncio.Event()

        async def app(_: Any, __: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await goes_on.wait()
            await send({"type": "http.response.body", "body": b"ab", "more_body": True})
            await send({"type": "http.response.body", "body": b"c"})

        async with serving(app) as served, served.client() as client:
            client.send(GET)
            async with asyncio.timeout(PATIENCE_S):
                assert b"transfer-encoding: chunked" in await client.reader.readuntil(b"\r\n\r\n")
                goes_on.set()
                assert await client.reader.readuntil(b"0\r\n\r\n") == b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"

    async def test_http_1_0_gets_a_plain_body_and_a_closed_connection(self) -> None:
        async def app(_: Any, __: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"plain"})

        async with serving(app) as served, served.client() as client:
            client.send(b"GET / HTTP/1.0\r\n\r\n")
            head, _, body = (await client.ended()).partition(b"\r\n\r\n")
        assert b"connection: close" in head
        assert body == b"plain"

    async def test_head_has_no_body(self) -> None:
        async with serving(echo) as served, served.client() as client:
            client.send(
                b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            answered = await client.ended()
        assert answered.count(b"HTTP/1.1 200 OK") == 2
        assert answered.count(b'"method"') == 1

    @pytest.mark.parametrize("told", ["client", "application"])
    async def test_a_connection_closes_when_either_side_says_so(self, told: str) -> None:
        async def app(_: Any, receive: Any, send: Any) -> None:
            await answer(send, b"", 200, *([(b"connection", b"close")] if told == "application" else []))

        async with serving(app) as served, served.client() as client:
            client.send(
                b"GET / HTTP/1.1\r\nHost: x\r\n", b"Connection: close\r\n" if told == "client" else b"", b"\r\n"
            )
            assert (await client.ended()).count(b"connection: close") == 1

    async def test_a_client_that_reads_slowly_holds_the_application_back(self) -> None:
        sent = 0

        async def app(_: Any, __: Any, send: Any) -> None:
            nonlocal sent
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while sent < 400:
                await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
                sent += 1
            await send({"type": "http.response.body"})

        async with serving(app) as served, served.client() as client:
            client.send(GET)
            (task,) = await _until(lambda: served.state.tasks)
            await _until(lambda: sent)
            held = -1
            while held != sent:  # until nothing moves any more
                held = sent
                await asyncio.sleep(0.05)
            assert not task.done()
            assert sent < 400
            assert len((await client.reply()).body) == 40_000_000


class TestFailures:
    async def test_an_application_that_fails_is_told_in_both_languages(self) -> None:
        async def app(_: Any, __: Any, ___: Any) -> None:
            raise RuntimeError("secret")

        async with serving(app) as served:
            reply = await served.ask(GET)
        assert (reply.status, code(reply)) == (500, "INTERNAL_FAULT")
        assert set(orjson.loads(reply.body)["errors"][0]["extensions"]["text"]) == {"en", "fr"}
        assert b"secret" not in reply.body

    async def test_one_that_fails_half_way_breaks_the_connection(self) -> None:
        async def app(_: Any, __: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})

        async with serving(app) as served, served.client() as client:
            client.send(GET)
            assert (await client.ended()).endswith(b"half\r\n")

    @pytest.mark.parametrize("value", [b"a\r\nSet-Cookie: x", b"a\nb", b"a\0b"])
    async def test_no_header_line_can_be_smuggled_into_an_answer(self, value: bytes) -> None:
        async def app(_: Any, __: Any, send: Any) -> None:
            await answer(send, b"", 200, (b"x-told", value))

        async with serving(app) as served:
            reply = await served.ask(GET)
        assert reply.status == 500
        assert "set-cookie" not in reply.headers

    @pytest.mark.parametrize("length", [b"1", b"3"])
    async def test_a_body_of_another_length_than_told_is_no_answer(self, length: bytes) -> None:
        async def app(_: Any, __: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
            await send({"type": "http.response.body", "body": b"ab"})

        async with serving(app) as served:
            assert (await served.ask(GET)).status == 500

    async def test_a_client_that_leaves_is_noticed(self) -> None:
        seen: list[str] = []
        noticed = asyncio.Event()

        async def app(_: Any, receive: Any, __: Any) -> None:
            await whole(receive)
            seen.append((await receive())["type"])
            noticed.set()

        async with serving(app) as served:
            async with served.client() as client:
                client.send(GET)
                await _until(lambda: served.state.tasks)
            async with asyncio.timeout(PATIENCE_S):
                await noticed.wait()
            await _until(lambda: not served.state.tasks and not served.state.connections)
        assert seen == ["http.disconnect"]


class TestHostileClients:
    @pytest.mark.parametrize(
        "sent",
        [
            b"\x16\x03\x01\x02\x00",
            b"GET / HTTP/9.9\r\n\r\n",
            b"G\0T / HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    )
    async def test_what_is_not_http_is_refused(self, sent: bytes) -> None:
        async with serving(echo) as served, served.client() as client:
            client.send(sent)
            reply = await client.reply()
            assert (reply.status, code(reply)) == (400, "BAD_REQUEST")
            assert await client.ended() == b""

    @pytest.mark.parametrize("in_pieces", [True, False])
    async def test_a_head_that_is_too_large_is_refused(self, in_pieces: bool) -> None:
        line = b"X-Long: " + b"x" * 8_000 + b"\r\n"
        async with serving(echo) as served, served.client() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
            if in_pieces:
                for _ in range(LARGEST_HEAD // len(line) + 1):
                    client.send(line)
                    await client.writer.drain()
            else:
                client.send(line * (LARGEST_HEAD // len(line) + 1), b"\r\n")
            reply = await client.reply()
            assert (reply.status, code(reply)) == (431, "HEAD_TOO_LARGE")

    @pytest.mark.parametrize("part", [b"GET / HTTP/1.1\r\nX-A: b\r\n", post(b"body")[:-1]])
    async def test_a_request_that_takes_too_long_is_refused(self, part: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http_protocol, "REQUEST_S", 0.3)
        async with serving(echo, keep_alive_s=1) as served, served.client() as client:
            client.send(part)
            reply = await client.reply()
            assert (reply.status, code(reply)) == (408, "REQUEST_TOO_SLOW")
            assert await client.ended() == b""
            await _until(lambda: not served.state.tasks and not served.state.connections)

    @pytest.mark.parametrize("first", [b"", GET])
    async def test_an_idle_connection_is_closed(self, first: bytes) -> None:
        async with serving(echo, keep_alive_s=1) as served, served.client() as client:
            client.send(first)
            if first:
                assert (await client.reply()).status == 200
            assert await client.ended() == b""

    async def test_a_slow_answer_is_not_an_idle_connection(self) -> None:
        async def app(_: Any, receive: Any, send: Any) -> None:
            await whole(receive)
            await asyncio.sleep(2.5)  # the keep-alive time is to pass
            await answer(send, b"late")

        async with serving(app, keep_alive_s=1) as served:
            assert (await served.ask(GET)).body == b"late"

    async def test_a_body_that_nobody_reads_is_not_kept(self) -> None:
        reads = asyncio.Event()

        async def app(_: Any, receive: Any, send: Any) -> None:
            await reads.wait()
            await answer(send, b"%d" % len(await whole(receive)))

        body = b"x" * 20 * BUFFERED
        async with serving(app) as served, served.client() as client:
            client.send(post(body))
            (connection,) = await _until(lambda: served.state.connections)
            await _until(lambda: connection._paused)
            assert len(connection._turn._body) < 8 * BUFFERED
            reads.set()
            assert (await client.reply()).body == b"%d" % len(body)


class TestLeaving:
    async def test_an_answer_under_way_is_given_and_idle_connections_close(self) -> None:
        goes_on = asyncio.Event()

        async def app(_: Any, __: Any, send: Any) -> None:
            await goes_on.wait()
            await answer(send, b"last")

        async with serving(app) as served, served.client() as busy, served.client() as idle:
            busy.send(GET)
            await _until(lambda: served.state.tasks and len(served.state.connections) == 2)
            for connection in list(served.state.connections):
                connection.shutdown()
            assert await idle.ended() == b""
            goes_on.set()
            assert (await busy.ended()).endswith(b"\r\n\r\nlast")


async def _until(seen: Callable[[], Any]) -> Any:
    """Wait until it is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := seen()):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)
    return found
