"""A pooled HTTP/1.1 client for small JSON posts to one origin: httptools over asyncio protocols, nothing more.

It is the gateway's hottest code: one write per request, no task, no stream object. It knows nothing of GraphQL.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

import httptools
import msgspec

Sign = Callable[[str, str, bytes], bytes]  # the header lines that sign a method, target and body
IDLE_S = 4.0  # below uvicorn's keep-alive of 5 s, so that a pooled connection is seldom closed under a request


class Unreachable(Exception):
    """No connection, or it ended before a whole answer came. `unanswered`: not one byte of an answer had come."""

    def __init__(self, reason: str, *, unanswered: bool) -> None:
        super().__init__(reason)
        self.unanswered = unanswered


class TooSlow(Exception):
    """The deadline passed."""


class Crowded(Exception):
    """Too many requests wait for a connection already."""


class TooLarge(Exception):
    """The answer is larger than allowed; the connection was dropped."""


class Malformed(Exception):
    """What came is not HTTP."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """An HTTP answer: status and whole body."""

    status: int
    body: bytes


class Origin:
    """One server and the connections to it. At most `connections` at once; up to `queued` requests wait for a free one."""

    def __init__(
        self, url: str, connections: int, largest_bytes: int, queued: int, tls: ssl.SSLContext | None = None
    ) -> None:
        """An https server's certificate and name are checked with `tls`, else by whom the machine trusts.

        Raises ValueError for a URL that is not http or https.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not an http or https address")
        self.url = url
        self._closed = False
        self._host = parts.hostname
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._largest = largest_bytes
        self._free = connections
        self._queued = queued
        self._idle: deque[_Connection] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        netloc = parts.netloc.rpartition("@")[2]
        self._opening = f"POST {path} HTTP/1.1\r\nHost: {netloc}\r\nContent-Type: application/json\r\n".encode("ascii")
        self._head = self._opening + b"Accept: application/graphql-response+json, application/json\r\nContent-Length: "

    async def post(
        self, body: bytes, headers: bytes, deadline: float, *, again: bool = True, sign: Sign | None = None
    ) -> Answer:
        """Post a body with further header lines (each ended by CRLF), those of `sign` made for each time that it is sent. The
        deadline is in the loop's time.

        A request that a stale pooled connection swallowed is sent once more, unless `again` is false: it may have been
        read. Raises Unreachable, TooSlow, Crowded, TooLarge and Malformed.
        """
        if self._free > 0 and not self._waiting:
            self._free -= 1
        else:
            await self._turn(deadline)
        connection = self._pooled()
        try:
            if connection is not None:
                try:
                    return await connection.ask(self._request(body, headers, sign), deadline)
                except Unreachable as error:
                    if not again or not error.unanswered:
                        raise
            connection = await self._connect(deadline)
            return await connection.ask(self._request(body, headers, sign), deadline)
        finally:
            if connection is not None:
                self._pool(connection)
            if self._waiting:
                self._leave()
            else:
                self._free += 1

    def _request(self, body: bytes, headers: bytes, sign: Sign | None) -> bytes:
        if sign is not None:
            headers += sign("POST", self.url, body)
        return b"%b%d\r\n%b\r\n%b" % (self._head, len(body), headers, body)

    async def stream(self, body: bytes, headers: bytes, deadline: float) -> "Stream":
        """Post a body and follow an answer of open length, on a connection of its own. Raises Unreachable and TooSlow."""
        loop, stream = asyncio.get_running_loop(), Stream()
        request = b"%bAccept: text/event-stream\r\nContent-Length: %d\r\n%b\r\n%b"
        try:
            async with asyncio.timeout_at(deadline):
                await loop.create_connection(lambda: stream, self._host, self._port, ssl=self._tls)
                stream.write(request % (self._opening, len(body), headers, body))
                await stream.begun
        except BaseException as error:
            stream.close()
            if isinstance(error, TimeoutError):
                raise TooSlow from None
            if isinstance(error, OSError):
                raise Unreachable(type(error).__name__, unanswered=True) from None
            raise
        return stream

    def close(self) -> None:
        """Close the idle connections; one in use is closed when its answer has come."""
        self._closed = True
        while self._idle:
            self._idle.pop().abort()

    async def _turn(self, deadline: float) -> None:
        """Wait for a connection to be free. Raises Crowded and TooSlow."""
        if len(self._waiting) >= self._queued:
            raise Crowded
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout_at(deadline):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._leave()  # the turn came in the same moment: pass it on
            else:
                with contextlib.suppress(ValueError):  # one that leaves may have passed it over already
                    self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise TooSlow from None
            raise

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _pooled(self) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()  # the one used last is the least likely to be stale
            if connection.usable and connection.now() - connection.idle_since < IDLE_S:
                return connection
            connection.abort()
        return None

    def _pool(self, connection: "_Connection") -> None:
        if (
            self._closed or not connection.usable or connection.asked is not None
        ):  # nobody waits for its answer any more
            connection.abort()
        else:
            connection.idle_since = connection.now()
            self._idle.append(connection)

    async def _connect(self, deadline: float) -> "_Connection":
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                _, connection = await loop.create_connection(
                    lambda: _Connection(loop, self._largest), self._host, self._port, ssl=self._tls
                )
        except TimeoutError:
            raise TooSlow from None
        except OSError as error:
            raise Unreachable(type(error).__name__, unanswered=True) from None
        return connection


class _Connection(asyncio.Protocol):
    """One connection: writes a request, collects the answer. httptools calls the `on_` methods."""

    __slots__ = (
        *("_body", "_deadline", "_endless", "_largest", "_loop", "_parser", "_size", "_timed", "_timer"),
        *("_transport", "asked", "idle_since", "now", "usable"),
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, largest_bytes: int) -> None:
        self._loop, self.now = loop, loop.time
        self._largest = largest_bytes
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self.asked: asyncio.Future[Answer] | None = None  # who waits for what is to come
        self._body: list[bytes] = []
        self._size = 0
        self._endless = True
        self._timer: asyncio.TimerHandle | None = None
        self._timed = self._deadline = 0.0  # when the timer is due, and the request
        self.usable = False
        self.idle_since = 0.0

    def ask(self, request: bytes, deadline: float) -> "asyncio.Future[Answer]":
        """Send; what is returned is the answer to come. A connection that still owes it is to be dropped.

        One timer serves many requests: it is set anew only for a deadline before its own, or when it has run.
        """
        assert self._transport is not None  # noqa: S101 - set by connection_made before anyone holds this object
        self.asked = done = self._loop.create_future()
        self._body, self._size = [], 0
        self._deadline = deadline
        if self._timer is None or deadline < self._timed:
            self._set_timer()
        self._transport.write(request)
        return done

    def abort(self) -> None:
        """Drop the connection at once."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment] # create_connection makes asyncio.Transport
        self.usable = True

    def data_received(self, data: bytes) -> None:
        if self.asked is None:  # nobody asked: whatever this is, the connection is no longer understood
            self.abort()
            return
        self._size += len(data)
        if self._size > self._largest:  # before it is parsed: the last part could make the answer whole
            self._fail(TooLarge())
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(Malformed())

    def connection_lost(self, _: Exception | None) -> None:
        self.usable = False
        if self._timer is not None:
            self._timer.cancel()
        if self.asked is not None and not self.asked.done():
            status = self._parser.get_status_code() if self._size else 0
            if status and self._endless and self._body:
                self.asked.set_result(Answer(status, b"".join(self._body)))
            else:
                self._fail(Unreachable("connection ended", unanswered=self._size == 0))

    def on_message_begin(self) -> None:
        self._endless = True

    def on_header(self, name: bytes, _: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._endless = False

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # an interim answer: the real one follows
            return
        done, self.asked = self.asked, None
        if done is None or not self._parser.should_keep_alive():
            self.abort()
        if done is not None and not done.done():
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            done.set_result(Answer(status, body))

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timed = self._deadline
        self._timer = self._loop.call_at(self._timed, self._expire)

    def _expire(self) -> None:
        self._timer = None
        if self.asked is not None:
            if self._deadline > self._timed:
                self._set_timer()
            else:
                self._fail(TooSlow())

    def _fail(self, error: Exception) -> None:
        if self.asked is not None and not self.asked.done():
            self.asked.set_exception(error)
        self.abort()


class Stream(asyncio.Protocol):
    """An answer that comes in parts. Reading pauses while much waits to be taken, so that memory stays bounded."""

    MOST_WAITING = 65_536  # bytes, and what one more read brings

    def __init__(self) -> None:
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_events = False
        self.status = 0
        self._parser = httptools.HttpResponseParser(self)
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._waiting = 0  # bytes
        self._transport: asyncio.Transport | None = None

    def write(self, request: bytes) -> None:
        """Send the request."""
        assert self._transport is not None  # noqa: S101 - set by connection_made before anyone holds this object
        self._transport.write(request)

    async def part(self) -> bytes | None:
        """The next part of the body, None after the last."""
        part = await self._parts.get()
        if part is None:
            self._parts.put_nowait(None)  # for whoever asks again
        elif self._transport is not None:
            was, self._waiting = self._waiting, self._waiting - len(part)
            if was >= self.MOST_WAITING > self._waiting:
                self._transport.resume_reading()
        return part

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment] # create_connection makes asyncio.Transport

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def connection_lost(self, _: Exception | None) -> None:
        self._parts.put_nowait(None)
        if not self.begun.done():
            self.begun.set_exception(ConnectionResetError())

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self.is_events = value.lower().startswith(b"text/event-stream")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if not self.begun.done():
            self.begun.set_result(None)

    def on_body(self, body: bytes) -> None:
        self._parts.put_nowait(body)
        was, self._waiting = self._waiting, self._waiting + len(body)
        if self._transport is not None and was < self.MOST_WAITING <= self._waiting:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        self.close()
