"""The HTTP/1.1 side of the front door: an ASGI protocol for uvicorn on httptools, made for many small exchanges.

uvicorn's own costs more than half of a small answer. This one writes head and body at once, keeps one timer a connection
instead of setting one a request, and wakes nobody who does not wait. It is stricter with slow and hostile clients too: a
request has a time to be whole and a size for its head, and whoever keeps neither is told so in JSON.
Sources: RFC 9112 (HTTP/1.1); the ASGI specification, HTTP 2.3.
"""

import asyncio
from collections import deque
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import httptools
import orjson
from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from gateway import faults as own
from gateway.hanging_up import hang_up
from gateway.http_turn import STATUS_LINES, Turn
from services.kit import faults, logs
from services.kit.faults import Fault

LARGEST_HEAD = 65_536  # bytes of the address and the header lines
SHORT = 256  # bytes of an address that is remembered with its parts
REQUEST_S = 30.0  # from a request's first byte to its last


def _target(url: bytes) -> tuple[str, bytes, bytes]:
    """Path, path as sent, and query of a request's address. Raises httptools.HttpParserError."""
    parts = httptools.parse_url(url)
    raw: bytes = parts.path or b"/"
    return unquote(raw.decode("ascii")), raw, parts.query or b""


_known_target = lru_cache(maxsize=256)(_target)


class Connection(asyncio.Protocol):
    """One client's connection: its requests, one after the other. Those that come ahead of an answer wait for their turn.

    httptools calls the methods `on_...`, uvicorn makes it and calls `shutdown`.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config, self._state, self._app_state = config, server_state, app_state
        self._idle_s = config.timeout_keep_alive
        self.loop = _loop or asyncio.get_running_loop()
        self.transport: Any = None
        self.writable: asyncio.Event | None = None  # there while the client reads too slowly
        self._timer: asyncio.TimerHandle | None = None
        self._turn: Turn | None = None  # the one that is answered, or was last
        self._ahead: deque[Turn] = deque()
        self._paused = False
        self._begin()

    def _begin(self) -> None:
        """Expect a request from its beginning."""
        self._parser: Any = httptools.HttpRequestParser(self)
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)  # what was asked before is still answered
        self._since = self.loop.time()  # when the client's time began: for a request, or for the rest of one
        self._part_of: Turn | None = None  # the one whose body is being read
        self._in_head, self._head_bytes = False, 0
        self._url, self._headers = b"", list[tuple[bytes, bytes]]()

    # -- what the transport says

    def connection_made(self, transport: Any) -> None:
        """A client is there."""
        self.transport = transport
        self._state.connections.add(self)  # type: ignore[arg-type] # it wants no more of it than `shutdown`
        self._scope: dict[str, Any] = {  # what all its requests have in common
            "type": "http",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.3"},
            "scheme": "https" if is_ssl(transport) else "http",
            "root_path": "",
            "server": get_local_addr(transport),
            "client": get_remote_addr(transport),
        }
        self._timer = self.loop.call_later(self._idle_s, self._look)

    def connection_lost(self, _: Exception | None) -> None:
        """The client is gone."""
        self._state.connections.discard(self)
        self._stop_looking()
        self.resume_writing()
        for turn in (self._turn, *self._ahead):
            if turn is not None:
                turn.leave()
        self._ahead.clear()
        self._parser = None

    def data_received(self, data: bytes) -> None:
        """Bytes of requests, cut anywhere."""
        if not self._in_head and self._part_of is None:
            self._since = self.loop.time()
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(own.HEAD_TOO_LARGE if isinstance(error.__context__, _TooLarge) else own.HTTP_MALFORMED)
        else:
            if self._in_head and self._head_bytes > LARGEST_HEAD:
                self._refuse(own.HEAD_TOO_LARGE)

    def pause_writing(self) -> None:
        """The client reads more slowly than it is written to."""
        if self.writable is None:
            self.writable = asyncio.Event()

    def resume_writing(self) -> None:
        """It has caught up."""
        if self.writable is not None:
            self.writable.set()
            self.writable = None

    def shutdown(self) -> None:
        """End with the answer that is under way, at once when there is none."""
        if self._turn is None or self._turn.complete:
            self.transport.close()
        else:
            self._turn.keeps_alive = False

    # -- what the parser says

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head = True
        self._url, self._headers = b"", []

    def on_url(self, url: bytes) -> None:
        """A piece of its address."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its header lines."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Its head is whole: it can be answered, its body is read meanwhile."""
        self._in_head = False
        if self._head_bytes > LARGEST_HEAD and sum(len(n) + len(v) for n, v in self._headers) > LARGEST_HEAD:
            raise _TooLarge
        parser = self._parser
        if parser.should_upgrade():  # the parser stops after this
            return
        version = parser.get_http_version()
        path, raw_path, query = (_known_target if len(self._url) < SHORT else _target)(self._url)
        scope = self._scope.copy()
        scope["http_version"], scope["method"] = version, parser.get_method().decode("ascii")
        scope["path"], scope["raw_path"], scope["query_string"] = path, raw_path, query
        scope["headers"], scope["state"] = self._headers, self._app_state.copy()
        self._headers = []  # trailers are not headers
        keeps_alive = version != "1.0" and parser.should_keep_alive()
        turn = self._part_of = Turn(self, scope, keeps_alive)
        if self._turn is None or self._turn.complete:
            self._start(turn)
        else:
            self._ahead.append(turn)
            self.pause_reading()

    def on_body(self, body: bytes) -> None:
        """A piece of its body."""
        if self._part_of is not None:
            self._part_of.feed(body)

    def on_message_complete(self) -> None:
        """It is whole."""
        self._head_bytes = 0
        if self._part_of is not None:
            self._part_of.end_body()
            self._part_of = None

    # -- what it does

    def _start(self, turn: Turn) -> None:
        self._turn = turn
        turn.task = self.loop.create_task(turn.run(self._config.loaded_app))
        self._state.tasks.add(turn.task)

    def ended(self, turn: Turn) -> None:
        """A request has been answered whole."""
        self._state.total_requests += 1
        if not turn.keeps_alive:
            hang_up(self.transport, self.loop)
            return
        if self._ahead:
            self._start(self._ahead.popleft())
        elif self._part_of is None:
            self._since = self.loop.time()
        if self._paused:
            self.resume_reading()

    def forget(self, turn: Turn) -> None:
        """Its task is done; if it has not answered whole, it never will."""
        self._state.tasks.discard(turn.task)
        if not (turn.complete or turn.left):
            self._refuse(faults.INTERNAL)

    def pause_reading(self) -> None:
        """Take no more from the client for now."""
        if not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Take more from the client."""
        if self._paused and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    def _look(self) -> None:
        """Hang up on a client that has kept us waiting; else look again when its time will be up."""
        reading = self._in_head or self._part_of is not None
        if self._paused or (not reading and not self._answered):  # it waits for us
            left: float = self._idle_s
        else:
            left = self._since + (REQUEST_S if reading else self._idle_s) - self.loop.time()
        if left > 0:
            self._timer = self.loop.call_later(left, self._look)
        elif reading:
            self._refuse(own.REQUEST_TOO_SLOW)
        else:
            hang_up(self.transport, self.loop)

    @property
    def _answered(self) -> bool:
        return self._turn is None or self._turn.complete

    def _stop_looking(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, fault: Fault) -> None:
        """End the connection, and say why unless an answer has begun. The client's language is not known: both are told."""
        if self._turn is None or self._turn.complete or not self._turn.begun:
            body = orjson.dumps({"errors": [faults.as_error(fault, logs.accept_request_id(None))]})
            head = (
                b"\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(STATUS_LINES[fault.status] + head % len(body) + body)
        if self._turn is not None:
            self._turn.leave()
        hang_up(self.transport, self.loop)

    def _upgrade(self, rest: bytes) -> None:
        """Hand the connection to the WebSocket protocol, or go on as if the client had not asked for another one."""
        asked = dict(self._headers)
        method = self._parser.get_method()
        handler = self._config.ws_protocol_class
        if not self._answered or method == b"CONNECT":
            self._refuse(own.HTTP_MALFORMED)
        elif handler is not None and asked.get(b"upgrade", b"").lower() == b"websocket":
            self._state.connections.discard(self)
            self._stop_looking()
            protocol = handler(config=self._config, server_state=self._state, app_state=self._app_state)  # type: ignore[call-arg]
            protocol.connection_made(self.transport)
            self.transport.set_protocol(protocol)
            protocol.data_received(self._again(method, self._headers) + rest)
        else:  # RFC 9110, section 7.8: a server may ignore it
            kept = [(name, value) for name, value in self._headers if name not in (b"upgrade", b"http2-settings")]
            head = self._again(method, kept)
            self._begin()
            self.data_received(head + rest)

    def _again(self, method: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
        lines = [b"%b %b HTTP/1.1\r\n" % (method, self._url), *(b"%b: %b\r\n" % header for header in headers), b"\r\n"]
        return b"".join(lines)


class _TooLarge(Exception):
    """A head is larger than allowed."""
