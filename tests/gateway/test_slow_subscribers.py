"""Clients that take their events slowly, or not at all: each holds back its own subscription and nothing else, and is told."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager

import httpx
import orjson
import psutil
import pytest

from tests.gateway.conftest import SUPERGRAPH, Loopback, http, listening, playing
from tests.gateway.running import Running, running
from tests.gateway.speaking import speaking

TEXT = "subscription Flood { bookAdded { title } }"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
EVENT = b'event: next\ndata: {"data":{"bookAdded":{"title":"%b"}}}\n\n' % (b"x" * 10_000)
MOST_IN_FLIGHT = 20_000_000  # bytes of one stream, nearly all of them in the kernel's buffers of two connections
MOST_MEMORY = 30_000_000  # bytes that thirty stalled streams may cost the gateway; 19 million when it was measured
SLOW_MS = 2_000


class Flood:
    """A subgraph that sends as fast as it may."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.ended = 0

    async def __call__(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(self.sent)
        self.sent.append(0)
        try:
            writer.write(HEAD)
            while not writer.is_closing():
                writer.write(EVENT)
                await writer.drain()
                self.sent[number] += len(EVENT)
        finally:
            self.ended += 1

    async def held_back(self, streams: int) -> None:
        """Wait until so many streams no longer move."""
        async with asyncio.timeout(30):
            seen: list[int] = []
            while len(seen) < streams or seen != self.sent:
                seen = list(self.sent)
                await asyncio.sleep(0.3)

    async def over(self, streams: int) -> None:
        """Wait until so many streams have ended."""
        async with asyncio.timeout(30):
            while self.ended < streams:  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.02)


@asynccontextmanager
async def flooded() -> AsyncIterator[tuple[Running, Loopback, Flood]]:
    """A gateway process whose books flood their subscribers."""
    async with listening() as books:
        books.play = flood = Flood()
        env = {"SUBGRAPH_URL_BOOKS": books.url, "ONEDOOR_MODE": "test", "STREAM_SLOW_MS": str(SLOW_MS)}
        async with running(SUPERGRAPH, env) as process:
            yield process, books, flood


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """The test's own ends of connections, closed after it."""
    with ExitStack() as stack:
        yield stack


async def stalled(opened: ExitStack, port: int) -> socket.socket:
    """Subscribe by server-sent events and take nothing."""
    found = opened.enter_context(socket.socket())
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    found.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(found, ("127.0.0.1", port))
    body = orjson.dumps({"query": TEXT})
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\n"
    await loop.sock_sendall(found, head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    return found


async def rest(found: socket.socket) -> bytes:
    """Take what comes until the stream ends."""
    loop, taken = asyncio.get_running_loop(), b""
    async with asyncio.timeout(30):
        while not taken.endswith(b"event: complete\ndata:\n\n\r\n0\r\n\r\n"):
            piece = await loop.sock_recv(found, 1_000_000)
            assert piece, taken[-500:]
            taken += piece
    return taken


@pytest.mark.stack
class TestAClientThatTakesNothing:
    async def test_of_server_sent_events_is_held_back_then_ended_by_name(self, opened: ExitStack) -> None:
        async with flooded() as (process, books, flood):
            before = psutil.Process(process.process.pid).memory_info().rss
            clients = [await stalled(opened, process.port) for _ in range(30)]
            await flood.held_back(30)
            assert max(flood.sent) < MOST_IN_FLIGHT
            books.play = playing(http(b'{"data":{"book":{"title":"T"}}}'))
            reply = await process.client.post("/graphql", json={"query": '{ book(isbn: "1") { title } }'})
            assert reply.json() == {"data": {"book": {"title": "T"}}}  # others are answered meanwhile
            await flood.over(30)  # the subgraph is told, although the clients still take nothing
            assert psutil.Process(process.process.pid).memory_info().rss - before < MOST_MEMORY
            for client in clients:
                content = await rest(client)
                assert content.count(b"event: next") > 1
                assert b"SUBSCRIBER_TOO_SLOW" in content[-2_000:]
            assert await process.figure('onedoor_subscriptions{transport="sse"}') == 0

    async def test_of_a_websocket_is_held_back_then_sent_away_by_name(self) -> None:
        async with flooded() as (process, _, flood):
            async with speaking(process.port) as client:
                await client.begin()
                client.socket.transport.pause_reading()
                await client.ask(TEXT)
                await client.ask(TEXT, "2")
                await flood.held_back(2)
                assert sum(flood.sent) < 2 * MOST_IN_FLIGHT
                await flood.over(2)
                client.socket.transport.resume_reading()
                assert await client.closed() == (1013, "SUBSCRIBER_TOO_SLOW")
            await process.until(lambda: none_open(process))

    async def test_and_leaves_frees_all(self, opened: ExitStack) -> None:
        async with flooded() as (process, _, flood):
            clients = [await stalled(opened, process.port) for _ in range(5)]
            await flood.held_back(5)
            for client in clients:
                client.close()
            await flood.over(5)
            await process.until(lambda: none_open(process))


@pytest.mark.stack
class TestAClientThatIsSlow:
    async def test_but_takes_some_in_time_loses_nothing(self, opened: ExitStack) -> None:
        """It pauses for half of what is borne, twice."""
        numbered = [
            b'event: next\ndata: {"data":{"bookAdded":{"title":"%05d%b"}}}\n\n' % (n, b"x" * 9_000)
            for n in range(1_500)
        ]
        async with flooded() as (process, books, _):
            books.play = playing(HEAD, *numbered, b"event: complete\ndata:\n\n")
            client = await stalled(opened, process.port)
            loop, taken = asyncio.get_running_loop(), b""
            for _ in range(2):
                await asyncio.sleep(SLOW_MS / 2000)
                taken += await loop.sock_recv(client, 3_000_000)
            taken += await rest(client)
            titles = [part[:5] for part in taken.split(b'"title":"')[1:]]
            assert titles == [b"%05d" % n for n in range(1_500)]


async def none_open(process: Running) -> bool:
    return await process.figure("onedoor_subscriptions") == await process.figure("onedoor_websockets ") == 0


class TestIdleSockets:
    @pytest.mark.parametrize("number", [1_000])
    async def test_cost_little_each_and_are_bounded(self, opened: ExitStack, number: int) -> None:
        """Opened, acknowledged and quiet; one more than the setting allows is refused."""
        env = {"ONEDOOR_MODE": "test", "STREAM_SOCKETS": str(number)}
        async with running(SUPERGRAPH, env) as process:
            tried = [await idle(opened, process.port) for _ in range(50)]  # what is made once has been made
            before = psutil.Process(process.process.pid).memory_info().rss
            tried += [await idle(opened, process.port) for _ in range(number - 50)]
            each = (psutil.Process(process.process.pid).memory_info().rss - before) / (number - 50)
            assert each < 50_000  # bytes; 25,000 when it was measured
            assert await process.figure("onedoor_websockets ") == number
            refused = await process.client.get(
                "/graphql",
                headers={"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                         "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol": "graphql-transport-ws"},
            )  # fmt: skip
            assert (refused.status_code, codes(refused)) == (503, ["TOO_MANY_SOCKETS"])
            for client in tried:
                client.close()
            await process.until(lambda: none_open(process))


async def idle(opened: ExitStack, port: int) -> socket.socket:
    """A socket that has been acknowledged, as raw as can be: a thousand clients must cost the test little."""
    loop, found = asyncio.get_running_loop(), opened.enter_context(socket.socket())
    found.setblocking(False)
    await loop.sock_connect(found, ("127.0.0.1", port))
    handshake = (
        b"GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    )
    await loop.sock_sendall(found, handshake)
    taken = b""
    while b"\r\n\r\n" not in taken:
        taken += await loop.sock_recv(found, 4_096)
    init = b'{"type":"connection_init"}'
    await loop.sock_sendall(
        found, bytes([0x81, 0x80 | len(init), 0, 0, 0, 0]) + init
    )  # a text frame under a mask of zeros
    while not taken.endswith(b'{"type":"connection_ack"}'):
        taken += await loop.sock_recv(found, 4_096)
    return found


def codes(reply: httpx.Response) -> list[str]:
    return [error["extensions"]["code"] for error in reply.json()["errors"]]
