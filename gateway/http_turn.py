"""One request of a connection and its answer, as an application receives and sends them. Source: ASGI specification, HTTP 2.3."""

import asyncio
import http
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from gateway.http_protocol import Connection

Message = MutableMapping[str, Any]

BUFFERED = 65_536  # bytes of a body that may wait for the application before reading pauses
_DISCONNECTED = {"type": "http.disconnect"}
_BODILESS = frozenset({204, 304})
_LOG = structlog.get_logger(__name__)


def _status_line(status: int) -> bytes:
    known = status in http.HTTPStatus._value2member_map_
    return f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase if known else ''}".encode("ascii")


STATUS_LINES = {status: _status_line(status) for status in range(200, 600)}


class Turn:
    """One request and its answer: what the application receives and sends."""

    __slots__ = (
        *("_body", "_chunked", "_connection", "_head", "_length", "_scope", "_told", "_waiting", "_whole"),
        *("complete", "keeps_alive", "left", "started", "task"),
    )

    def __init__(self, connection: "Connection", scope: Message, keeps_alive: bool) -> None:
        self._connection, self._scope, self.keeps_alive = connection, scope, keeps_alive
        self.task: asyncio.Task[None] | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._body = b""
        self._whole = self._told = False
        self.started = self.complete = self.left = False
        self._head = b""  # of the answer, as long as it waits to be written with the body
        self._length: int | None = None  # bytes of the answer's body that are to come, if that was said
        self._chunked = False

    async def run(self, app: Any) -> None:
        """Let the application answer. Its failure is told as such, or by a broken answer if it had begun."""
        try:
            await app(self._scope, self._receive, self._send)
        except Exception:
            _LOG.exception("fault")
        finally:
            self._connection.forget(self)

    # -- from the connection

    def feed(self, body: bytes) -> None:
        """A piece of the request's body has come."""
        if self.complete:  # it was answered without
            return
        self._body = self._body + body if self._body else body
        if len(self._body) > BUFFERED:
            self._connection.pause_reading()
        if self._waiting:
            self._wake()

    def end_body(self) -> None:
        """The request's body is whole."""
        self._whole = True
        if self._waiting:
            self._wake()

    @property
    def begun(self) -> bool:
        """Whether the client has got a part of an answer."""
        return self.started and not self._head

    def leave(self) -> None:
        """The client is gone, or is let go."""
        self.left = True
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    # -- from the application

    async def _receive(self) -> Message:
        if not (self._whole or self.started or self.left) and self._expects():
            self._connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while True:
            if self.left or self.complete:
                return _DISCONNECTED.copy()
            if self._body or (self._whole and not self._told):
                body, self._body, self._told = self._body, b"", self._whole
                if not self._whole:
                    self._connection.resume_reading()
                return {"type": "http.request", "body": body, "more_body": not self._whole}
            future = self._connection.loop.create_future()
            self._waiting.append(future)
            await future

    def _expects(self) -> bool:
        return not self._body and any(
            n == b"expect" and v.lower() == b"100-continue" for n, v in self._scope["headers"]
        )

    async def _send(self, message: Message) -> None:
        """Raises RuntimeError for a message out of order and for an answer that HTTP does not allow."""
        connection = self._connection
        if connection.writable is not None:
            await connection.writable.wait()
        if self.left:
            return
        if not self.started:
            if message["type"] != "http.response.start":
                raise RuntimeError(f"{message['type']} before http.response.start")
            self._begin_answer(message["status"], message.get("headers", ()))
            return
        if message["type"] != "http.response.body" or self.complete:
            raise RuntimeError(f"{message['type']} out of order")
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._length is not None:
            self._length -= len(body)
            if self._length < 0 or (self._length and not more):
                raise RuntimeError("the body is not as long as its content-length says")
            written = body
        elif self._chunked:
            written = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if not more:
                written += b"0\r\n\r\n"
        else:
            written = body
        if self._scope["method"] == "HEAD":
            written = b""
        if self._head:
            written, self._head = self._head + written, b""
        if written:
            connection.transport.write(written)
        if not more:
            self.complete = True
            if self._waiting:
                self._wake()
            connection.ended(self)

    def _begin_answer(self, status: int, headers: Any) -> None:
        told = dict(headers)
        if b"content-length" in told:
            self._length = int(told[b"content-length"])
        if b"close" in told.get(b"connection", b"").lower():
            self.keeps_alive = False
            headers = [header for header in headers if header[0] != b"connection"]
        lines = [STATUS_LINES[status], *map(b": ".join, headers)]
        if self._length is None and status not in _BODILESS and self._scope["method"] != "HEAD":
            if self._scope["http_version"] == "1.1":
                self._chunked = True
                lines.append(b"transfer-encoding: chunked")
            else:
                self.keeps_alive = False
        if not self.keeps_alive:
            lines.append(b"connection: close")
        head = b"\r\n".join((*lines, b"\r\n"))
        if head.count(b"\r") != len(lines) + 1 or head.count(b"\n") != len(lines) + 1 or b"\0" in head:
            raise RuntimeError("a header line holds a control character")
        self.started = True
        if self._length is None:  # what comes may take a while
            self._connection.transport.write(head)
        else:
            self._head = head
