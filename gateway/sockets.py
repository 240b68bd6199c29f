"""WebSockets of clients: operations of every kind by graphql-transport-ws, each answered by the pipeline like any other request.

A client says who it is in the payload of `connection_init`, or in the handshake's headers; what it says there holds for all its
operations. What a message means is `transport_ws.py`'s matter; here are the socket, the operations that run, and their end.
"""

import asyncio
import contextlib
import time
from typing import Protocol

import orjson
import structlog

from gateway import cross_site, metrics, spans
from gateway import faults as own
from gateway.callers import Callers
from gateway.departures import Departures
from gateway.errors import Refused
from gateway.exchange import EVENTS, JSON, Exchange, Json, Receive, Scope, Send
from gateway.settings import Settings
from gateway.socket_exchange import SocketExchange
from gateway.transport_ws import PONG, PROTOCOL, Closing, Code, Complete, Conversation, Init, Ping, Subscribe
from gateway.watch import Watch
from services.kit import faults, logs
from services.kit.faults import Fault
from services.kit.language import negotiate
from services.kit.tokens import LEEWAY_S, Claims

# What `connection_init` may say, by the names of the headers that say it elsewhere; anything else in it is passed over.
SAID = (
    *("authorization", "dpop", "accept-language", "onedoor-authority", "onedoor-explain", "onedoor-purpose"),
    *("traceparent", "tracestate", "x-request-id"),
)
LONGEST_SAID = 16_384  # characters
TELLING_S = 1.0
_LOG = structlog.get_logger(__name__)


class Answering(Protocol):
    """What answers an operation: the pipeline of the moment."""

    async def serve(self, exchange: Exchange, receive: Receive) -> None: ...

    async def identify(self, exchange: Exchange) -> None: ...


class Serving(Protocol):
    """The gateway that the sockets belong to."""

    settings: Settings
    departures: Departures
    draining: bool
    callers: Callers
    watch: Watch | None

    @property
    def pipeline(self) -> Answering: ...


class Sockets:
    """The WebSockets of one process, as an ASGI application for the scope `websocket`."""

    def __init__(self, gateway: Serving) -> None:
        self._gateway = gateway
        self._origins = frozenset(origin.encode() for origin in gateway.settings.cors_origins)
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(scope, send, refusal)
            return
        if PROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept"})
            await send(_close(Closing(Code.NO_SUCH_PROTOCOL, "Subprotocol not acceptable")))
            return
        self._open += 1
        metrics.SOCKETS.inc()
        try:
            await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
            await _Socket(self._gateway, scope, receive, send).run()
        finally:
            self._open -= 1
            metrics.SOCKETS.dec()

    def _refusal(self, scope: Scope) -> Fault | None:
        if not cross_site.may_open_socket(dict(scope["headers"]), self._origins):
            return own.ORIGIN_REFUSED
        if self._gateway.draining:
            return faults.UNAVAILABLE
        return own.TOO_MANY_SOCKETS if self._open >= self._gateway.settings.streams.sockets else None


class _Operation:
    """An operation that runs. `gone` is set once its client wants nothing more of it."""

    __slots__ = ("_payload", "gone", "id")

    def __init__(self, identity: str, payload: Json) -> None:
        self.id, self.gone = identity, asyncio.Event()
        self._payload: bytes | None = orjson.dumps(payload)

    async def receive(self) -> Json:
        """Its request as ASGI tells of one: the body, then the client's departure."""
        if self._payload is not None:
            body, self._payload = self._payload, None
            return {"type": "http.request", "body": body}
        await self.gone.wait()
        return {"type": "http.disconnect"}


class _Socket:
    """One client's socket, from its acceptance to its end."""

    def __init__(self, gateway: Serving, scope: Scope, receive: Receive, send: Send) -> None:
        self._gateway, self._receive, self._send = gateway, receive, send
        self._client = scope.get("client")
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self._conversation = Conversation()
        self._operations: dict[str, _Operation] = {}
        self._claims: Claims | None = None
        self._held = contextlib.ExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending = asyncio.Lock()
        self._ended: asyncio.Future[Closing] = asyncio.get_running_loop().create_future()
        self._number = 0

    async def run(self) -> None:
        """Answer until the client leaves, does what it may not, or the gateway goes. A mutation that runs is carried out."""
        streams, loop = self._gateway.settings.streams, asyncio.get_running_loop()
        late = Closing(Code.INIT_TIMEOUT, "Connection initialisation timeout")
        self._timer = loop.call_later(streams.init_ms / 1000, self.end, late)
        listening = asyncio.ensure_future(self._listen())
        leaving = asyncio.ensure_future(self._gateway.departures.closing.wait())
        try:
            await asyncio.wait((listening, leaving, self._ended), return_when=asyncio.FIRST_COMPLETED)
            closing = await self._reason(listening)
        finally:
            for task in (listening, leaving):
                task.cancel()
            self._timer.cancel()
            self._held.close()
            for operation in self._operations.values():
                operation.gone.set()
        metrics.SOCKETS_CLOSED.labels(closing.code if closing else "client").inc()
        if closing is not None:
            with contextlib.suppress(OSError):  # the client was quicker
                await self._send(_close(closing))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _over(self, over: "asyncio.Future[None]") -> None:
        """The session has ended: so does the socket, once its subscriptions have said so by name."""
        if not over.cancelled():
            closing = Closing(Code.FORBIDDEN, faults.SESSION_ENDED.code)
            asyncio.get_running_loop().call_later(TELLING_S, self.end, closing)

    def end(self, closing: Closing) -> None:
        """Close the socket, unless it is being closed."""
        if not self._ended.done():
            self._ended.set_result(closing)

    async def tell(self, operation: _Operation, kind: str, payload: bytes | None = None) -> None:
        """Send an operation's message, unless its client no longer wants any."""
        if operation.gone.is_set():
            return
        head = b'{"id":%b,"type":"%b"' % (orjson.dumps(operation.id), kind.encode())
        await self._say((head + (b',"payload":' + payload if payload is not None else b"") + b"}").decode())

    async def _say(self, text: str) -> None:
        """Send a message. A client that does not take it in time is sent away."""
        try:
            async with asyncio.timeout(self._gateway.settings.streams.slow_ms / 1000), self._sending:
                await self._send({"type": "websocket.send", "text": text})
        except TimeoutError:
            self.end(Closing(Code.TOO_SLOW, faults.SUBSCRIBER_TOO_SLOW.code))
        except OSError:
            pass  # it has gone, which is heard of elsewhere

    async def _reason(self, listening: "asyncio.Future[None]") -> Closing | None:
        """Why the socket is to be closed; None when the client has done so."""
        if self._ended.done():
            return self._ended.result()
        if not listening.done():  # the gateway goes: what was taken is answered, streams end by themselves
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=self._gateway.settings.deadline_s)
            return Closing(Code.RESTARTING, "Service restart")
        match listening.exception():
            case None:
                return None
            case Closing() as closing:
                return closing
            case problem:
                _LOG.error("fault", exc_info=problem)
                return Closing(Code.INTERNAL, faults.INTERNAL.code)

    async def _listen(self) -> None:
        while (message := await self._receive())["type"] != "websocket.disconnect":
            match self._conversation.understand(message.get("text")):
                case Init(payload):
                    await self._acknowledge(payload)
                case Subscribe(identity, payload):
                    await self._begin(identity, payload)
                case Complete(identity):
                    if (operation := self._operations.pop(identity, None)) is not None:
                        operation.gone.set()
                case Ping():
                    await self._say(PONG)

    async def _acknowledge(self, payload: Json) -> None:
        """Take a client's word for who it is, if its token holds. The socket ends with the token. Raises Closing."""
        self._headers.update(_said(payload))
        asking = SocketExchange(self._scope("GET"))  # a proof is one of the handshake
        try:
            await self._gateway.pipeline.identify(asking)
        except Refused as refused:
            if self._gateway.watch is not None:
                self._gateway.watch.note([refused.fault.code], "", "")
            raise Closing(Code.FORBIDDEN, refused.fault.code) from None
        self._timer.cancel()
        self._claims = asking.claims
        if asking.claims is not None:
            valid_s = (
                asking.claims.expires + LEEWAY_S + 1 - time.time()
            )  # its subscriptions end a second before, by name
            ended = Closing(Code.FORBIDDEN, faults.UNAUTHENTICATED.code)
            self._timer = asyncio.get_running_loop().call_later(valid_s, self.end, ended)
            over = self._held.enter_context(self._gateway.callers.ended.watching(asking.claims))
            over.add_done_callback(self._over)
        await self._say(self._conversation.acknowledge())

    async def _begin(self, identity: str, payload: Json) -> None:
        operation, most = _Operation(identity, payload), self._gateway.settings.streams.operations

        async def tell(kind: str, told: bytes | None = None) -> None:
            await self.tell(operation, kind, told)

        exchange = SocketExchange(self._scope("POST"), tell, self.end)
        exchange.claims = self._claims
        if len(self._tasks) >= most:
            await exchange.refuse(Refused(own.TOO_MANY_OPERATIONS, limit=most))
            self._conversation.running.discard(identity)
            return
        self._operations[identity] = operation
        task = asyncio.ensure_future(self._answer(operation, exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, operation: _Operation, exchange: Exchange) -> None:
        try:
            if self._gateway.settings.traces:
                with spans.request(exchange.scope):
                    await self._gateway.pipeline.serve(exchange, operation.receive)
            else:
                await self._gateway.pipeline.serve(exchange, operation.receive)
        finally:
            if self._operations.get(operation.id) is operation:
                del self._operations[operation.id]
                self._conversation.running.discard(operation.id)

    def _scope(self, method: str) -> Scope:
        """An operation's request as ASGI describes one. Each has an id of its own, which begins with the socket's if it has
        one."""
        self._number += 1
        headers = {**self._headers, b"content-type": JSON, b"accept": EVENTS}
        if b"x-request-id" in headers:
            headers[b"x-request-id"] += b"-%d" % self._number
        return {
            "type": "http",
            "method": method,
            "query_string": b"",
            "headers": list(headers.items()),
            "client": self._client,
        }


def _close(closing: Closing) -> Json:
    return {"type": "websocket.close", "code": int(closing.code), "reason": closing.reason}


def _said(payload: Json) -> dict[bytes, bytes]:
    """What `connection_init` says, as header lines. Raises Closing for what no header could hold."""
    found: dict[bytes, bytes] = {}
    for name, value in payload.items():
        if name.lower() in SAID and value is not None:
            if not (isinstance(value, str) and value.isascii() and value.isprintable() and len(value) <= LONGEST_SAID):
                raise Closing(Code.BAD_REQUEST, f"“{name.lower()}” must be a text as in a header")
            found[name.lower().encode()] = value.encode()
    return found


async def _refuse(scope: Scope, send: Send, fault: Fault) -> None:
    """Answer the handshake with an error instead."""
    headers = dict(scope["headers"])
    language = negotiate(headers.get(b"accept-language", b"").decode("latin-1"))
    request_id = logs.accept_request_id(headers.get(b"x-request-id", b"").decode("latin-1"))
    body = orjson.dumps({"errors": [faults.as_error(fault, request_id, language=language)]})
    head = [
        (b"content-type", JSON + b"; charset=utf-8"),
        (b"x-request-id", request_id.encode()),
        (b"content-language", language.tag),
    ]
    _LOG.info("socket_refused", code=fault.code)
    await send({"type": "websocket.http.response.start", "status": fault.status, "headers": head})
    await send({"type": "websocket.http.response.body", "body": body})
