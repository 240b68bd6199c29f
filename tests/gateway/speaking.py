"""A client of graphql-transport-ws, and a subgraph that speaks it; for tests that say message by message what happens."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import orjson
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from clusters.local.processes import free_port
from gateway.http_protocol import Connection
from gateway.websocket import WebSocketProtocol

Json = dict[str, Any]
PROTOCOL = Subprotocol("graphql-transport-ws")
PATIENCE_S = 20


class Client:
    """A client's end of a socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, message: object) -> None:
        """Send a message; what is no object as it is."""
        raw = isinstance(message, str | bytes)
        await self.socket.send(message if raw else orjson.dumps(message).decode())  # type: ignore[arg-type]

    async def hear(self) -> Json:
        """The next message."""
        async with asyncio.timeout(PATIENCE_S):
            return orjson.loads(await self.socket.recv())  # type: ignore[no-any-return]

    async def begin(self, **payload: object) -> None:
        """Be acknowledged."""
        await self.say({"type": "connection_init", "payload": payload})
        assert await self.hear() == {"type": "connection_ack"}

    async def ask(self, text: str, identity: str = "1", **more: object) -> None:
        """Send an operation."""
        await self.say({"id": identity, "type": "subscribe", "payload": {"query": text, **more}})

    async def told(self) -> list[Json]:
        """What is told until an operation ends."""
        found = [await self.hear()]
        while found[-1]["type"] == "next":
            found.append(await self.hear())
        return found

    async def closed(self) -> tuple[int, str]:
        """Wait until the socket is closed; messages before that are passed over. Returns the code and the reason."""
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.socket.recv()
        return self.socket.close_code or 0, self.socket.close_reason or ""


@contextlib.asynccontextmanager
async def speaking(
    port: int, headers: Mapping[str, str] | None = None, protocol: str | None = PROTOCOL, path: str = "/graphql"
) -> AsyncIterator[Client]:
    """A socket to a gateway while the block lasts."""
    async with connect(
        f"ws://127.0.0.1:{port}{path}",
        subprotocols=[Subprotocol(protocol)] if protocol else None,
        additional_headers=headers,
        proxy=None,
        compression=None,
        max_queue=1,
    ) as socket:
        yield Client(socket)


@contextlib.asynccontextmanager
async def served(application: Callable[..., Awaitable[None]], **options: Any) -> AsyncIterator[int]:
    """An ASGI application behind uvicorn as the gateway runs it, in this process; gives its port."""
    port = free_port()
    config = uvicorn.Config(
        application,
        port=port,
        loop="none",
        http=Connection,
        ws=WebSocketProtocol,
        ws_per_message_deflate=False,
        log_config=None,
        lifespan="off",
        **options,
    )
    server = uvicorn.Server(config)
    running = asyncio.ensure_future(server._serve())
    async with asyncio.timeout(PATIENCE_S):
        while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.01)
    try:
        yield port
    finally:
        server.should_exit = True
        await running


class Upstream:
    """A subgraph that sends its events by graphql-transport-ws: what it was told, and a script of what it says."""

    def __init__(self) -> None:
        self.url = ""
        self.handshakes: list[Mapping[str, str]] = []
        self.heard: list[Json] = []
        self.ended = asyncio.Event()
        self.code: int | None = None  # by which the gateway has closed
        self.play: Callable[[ServerConnection], Awaitable[None]] = silence

    async def serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.handshakes.append(dict(socket.request.headers))
        try:
            await self._hear(socket)
            await socket.send('{"type":"ping"}')
            await socket.send('{"type":"connection_ack"}')
            while self.heard[-1]["type"] != "subscribe":
                await self._hear(socket)
            await self.play(socket)
            while True:
                await self._hear(socket)
        except ConnectionClosed:
            self.code = socket.close_code
        finally:
            self.ended.set()

    async def _hear(self, socket: ServerConnection) -> None:
        self.heard.append(orjson.loads(await socket.recv()))


async def silence(_: ServerConnection) -> None:
    """Says nothing."""


def saying(*messages: object) -> Callable[[ServerConnection], Awaitable[None]]:
    """Says messages; what is no object as it is, a number closes by that code."""

    async def play(socket: ServerConnection) -> None:
        for message in messages:
            if isinstance(message, int):
                await socket.close(message)
            else:
                await socket.send(message if isinstance(message, str) else orjson.dumps(message).decode())

    return play


def event(**data: object) -> Json:
    """A result as an upstream sends it."""
    return {"id": "1", "type": "next", "payload": {"data": data}}


DONE = {"id": "1", "type": "complete"}


@contextlib.asynccontextmanager
async def upstream(protocols: tuple[str, ...] = (PROTOCOL,)) -> AsyncIterator[Upstream]:
    """A subgraph on a free port while the block lasts."""
    found = Upstream()
    async with serve(
        found.serve, "127.0.0.1", 0, subprotocols=[Subprotocol(p) for p in protocols], compression=None, close_timeout=1
    ) as server:
        found.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"
        yield found
