"""A subgraph's events, as they come to the gateway: over HTTP as server-sent events, or over a WebSocket.

By default a subscription is POSTed to the subgraph's own address, as in GraphQL over Server-Sent Events' distinct connections
mode; `SUBSCRIPTION_URL_<NAME>` names another, and with ws:// or wss:// the events come by graphql-transport-ws. Each subscription
has a connection of its own, opened for its caller. Nothing is read ahead of what is passed on, but for what fits small buffers,
so that a slow reader holds its own subgraph back and no memory.
"""

import asyncio
import contextlib
import ssl
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, PayloadTooBig, WebSocketException
from websockets.typing import Subprotocol

from gateway import faults as own
from gateway import http1, server_sent
from services.kit.faults import Fault

Json = dict[str, Any]
PROTOCOL = Subprotocol("graphql-transport-ws")
OPENING_S = 5.0
CLOSING_S = 1.0
LARGEST_EVENT = 1_048_576  # bytes
READ_AHEAD = 2  # messages of a WebSocket
REFUSALS = range(4400, 4500)  # close codes by which the protocol refuses what was asked


class Lost(Exception):
    """The subgraph gave no events, or they have ended without its saying so; `fault` says how."""

    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(reason)
        self.fault, self.reason = fault, reason


class Upstream(Protocol):
    """The events of one subscription at one subgraph."""

    async def result(self) -> Json | None:
        """The next GraphQL result, None when the subgraph says that there are no more. May be cancelled and asked again.

        Raises Lost.
        """

    async def close(self) -> None:
        """Tell the subgraph that nobody listens any more."""


class Source:
    """Where a subgraph takes subscriptions."""

    def __init__(self, address: str, origin: http1.Origin, silent_s: float, tls: ssl.SSLContext | None = None) -> None:
        """`origin` is where the subgraph answers, and `silent_s` for how long it may say nothing at all; `tls` as for `Origin`.

        Raises ValueError for an address that is none.
        """
        parts = urlsplit(address)
        self._over_websocket = parts.scheme in ("ws", "wss")
        if self._over_websocket and not parts.hostname:
            raise ValueError(f"{address!r} is not a ws or wss address")
        self._address, self._silent_s = address, silent_s
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "wss" else None
        self._origin = origin
        if not self._over_websocket and address != origin.url:
            self._origin = http1.Origin(address, 0, 0, 0, tls)

    async def begin(self, body: bytes, headers: bytes, sign: http1.Sign | None = None) -> Upstream:
        """Ask for events. `headers` are lines, each ended by CRLF; `sign` adds those that sign the opening, a socket's without a
        body. Raises Lost when there are none to be had."""
        if sign is not None:
            opening = ("GET", self._address, b"") if self._over_websocket else ("POST", self._origin.url, body)
            headers += sign(*opening)
        try:
            if self._over_websocket:
                async with asyncio.timeout(OPENING_S):
                    return await _over_websocket(self._address, body, headers, self._silent_s, self._tls)
            deadline = asyncio.get_running_loop().time() + OPENING_S
            return Events(await self._origin.stream(body, headers, deadline), self._silent_s)
        except (http1.TooSlow, TimeoutError):
            raise Lost(own.SUBGRAPH_DEADLINE, "no answer in time") from None
        except (http1.Unreachable, OSError, WebSocketException) as error:
            raise Lost(own.SUBGRAPH_UNAVAILABLE, type(error).__name__) from None


class Events:
    """Server-sent events; a JSON answer counts as the only one."""

    def __init__(self, stream: http1.Stream, silent_s: float) -> None:
        self._stream, self._silent_s = stream, silent_s
        self._reader = server_sent.Reader(LARGEST_EVENT)
        self._events: list[tuple[bytes, bytes]] = []
        self._whole = bytearray()
        self._ended = False
        self._heard = asyncio.get_running_loop().time()

    async def result(self) -> Json | None:
        if not self._stream.is_events:
            return await self._only()
        while True:
            while self._events:
                kind, data = self._events.pop(0)
                if kind == b"complete":
                    return None
                if kind == b"next":
                    return _result(data)
            piece = await self._piece()
            if piece is None:
                raise Lost(own.SUBGRAPH_UNAVAILABLE, "ended without “complete”")
            try:
                self._events = self._reader.feed(piece)
            except server_sent.TooLong:
                raise Lost(own.SUBGRAPH_TOO_LARGE, "an event is too large") from None

    async def close(self) -> None:
        self._stream.close()

    async def _only(self) -> Json | None:
        if self._ended:
            return None
        while (piece := await self._piece()) is not None:
            self._whole += piece
            if len(self._whole) > LARGEST_EVENT:
                raise Lost(own.SUBGRAPH_TOO_LARGE, "the answer is too large")
        self._ended = True
        return _result(bytes(self._whole))

    async def _piece(self) -> bytes | None:
        try:
            async with asyncio.timeout_at(self._heard + self._silent_s):
                piece = await self._stream.part()
        except TimeoutError:
            raise Lost(own.SUBGRAPH_UNAVAILABLE, "silent for too long") from None
        self._heard = asyncio.get_running_loop().time()
        return piece


class Messages:
    """The messages of graphql-transport-ws that belong to the one subscription of a socket. Silence is noticed by pings."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ended = False

    async def result(self) -> Json | None:
        while not self._ended:
            message = await self.heard()
            match message.get("type"):
                case "next":
                    return _fit(message.get("payload"))
                case "error":  # nothing follows: the errors are the last result
                    self._ended = True
                    return _fit({"errors": message.get("payload")})
                case "complete":
                    self._ended = True
                case "ping":
                    await self.say(b'{"type":"pong"}')
                case "pong":
                    pass
                case _:
                    raise Lost(own.SUBGRAPH_MALFORMED, "a message of an unknown type")
        return None

    async def close(self) -> None:
        with contextlib.suppress(WebSocketException, OSError, TimeoutError):
            async with asyncio.timeout(CLOSING_S):
                await self._socket.send(b'{"id":"1","type":"complete"}', text=True)
                await self._socket.close()
        self._socket.transport.abort()

    async def heard(self) -> Json:
        """The next message. Raises Lost."""
        try:
            message = orjson.loads(await self._socket.recv())
        except ConnectionClosed as error:
            raise _lost(error) from None
        except ValueError:
            raise Lost(own.SUBGRAPH_MALFORMED, "a message is not JSON") from None
        if not isinstance(message, dict):
            raise Lost(own.SUBGRAPH_MALFORMED, "a message is no object")
        return message

    async def say(self, message: bytes) -> None:
        """Send a message. Raises Lost."""
        try:
            await self._socket.send(message, text=True)
        except ConnectionClosed as error:
            raise _lost(error) from None


class _Directly(connect):
    """A connection to the very address: a redirect would carry its caller's token elsewhere."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def _over_websocket(
    address: str, body: bytes, headers: bytes, silent_s: float, tls: ssl.SSLContext | None
) -> Messages:
    """A subscription over a new socket. What is forwarded goes with the handshake, and as the payload of `connection_init`,
    since servers look in either place. Raises Lost, OSError, TimeoutError and WebSocketException."""
    lines = [line.decode("latin-1").partition(": ")[::2] for line in headers.split(b"\r\n") if line]
    socket = await _Directly(
        address,
        subprotocols=[PROTOCOL],
        additional_headers=lines,
        ssl=tls,
        user_agent_header=None,
        compression=None,
        proxy=None,
        open_timeout=None,  # the caller's own limit holds
        close_timeout=CLOSING_S,
        ping_interval=silent_s / 2,
        ping_timeout=silent_s / 2,
        max_size=LARGEST_EVENT,
        max_queue=READ_AHEAD,
    )
    messages = Messages(socket)
    try:
        if socket.subprotocol != PROTOCOL:
            raise Lost(own.SUBGRAPH_MALFORMED, "the server does not speak graphql-transport-ws")
        told = {name.title(): value for name, value in lines}
        await messages.say(orjson.dumps({"type": "connection_init", "payload": told}))
        while (kind := (await messages.heard()).get("type")) != "connection_ack":
            if kind == "ping":
                await messages.say(b'{"type":"pong"}')
        await messages.say(b'{"id":"1","type":"subscribe","payload":%b}' % body)
    except BaseException:
        socket.transport.abort()
        raise
    return messages


def _lost(error: ConnectionClosed) -> Lost:
    if isinstance(error.__cause__, PayloadTooBig) or (error.sent is not None and error.sent.code == 1009):
        return Lost(own.SUBGRAPH_TOO_LARGE, "an event is too large")
    if error.rcvd is not None and error.rcvd.code in REFUSALS:
        return Lost(own.SUBGRAPH_ERROR, f"closed by {error.rcvd.code}")
    return Lost(own.SUBGRAPH_UNAVAILABLE, f"closed by {error.rcvd.code}" if error.rcvd else "connection lost")


def _result(body: bytes) -> Json:
    try:
        return _fit(orjson.loads(body))
    except ValueError:
        raise Lost(own.SUBGRAPH_MALFORMED, "an event is not JSON") from None


def _fit(result: object) -> Json:
    """What a subgraph sent as a GraphQL result. Raises Lost for what is none."""
    if isinstance(result, dict):
        data, errors = result.get("data"), result.get("errors")
        if (isinstance(data, dict) and isinstance(errors, list | None)) or (
            data is None and isinstance(errors, list) and errors
        ):
            return result
    raise Lost(own.SUBGRAPH_MALFORMED, "an event is no GraphQL result")
