"""An operation over a WebSocket, as the pipeline knows it: what it answers becomes messages of graphql-transport-ws."""

from collections.abc import Awaitable, Callable

import orjson

from gateway.errors import Headers, Refused
from gateway.exchange import NO_STORE, Exchange, Json, Scope
from gateway.transport_ws import Closing, Code
from services.kit import faults


async def _nowhere(*_: object) -> None:
    """A socket has no HTTP answer."""


class SocketExchange(Exchange):
    """An operation over a socket: what is answered becomes messages."""

    __slots__ = ("_end", "_tell")
    transport = "websocket"

    def __init__(
        self,
        scope: Scope,
        tell: Callable[..., Awaitable[None]] = _nowhere,
        end: Callable[[Closing], None] = lambda _: None,
    ) -> None:
        """`tell` sends a message of a type with a payload in JSON or none; `end` closes the socket."""
        super().__init__(scope, _nowhere)
        self._tell, self._end = tell, end

    async def reply(self, status: int, body: bytes, more: Headers = (), caching: Headers = NO_STORE) -> None:
        self.sent = len(body)
        await self._tell("next", body)
        await self._tell("complete")

    async def refuse(self, refused: Refused) -> int:
        self.codes = [refused.fault.code]
        body = orjson.dumps(refused.errors(self.request_id, self.language))
        self.sent = len(body)
        await self._tell("error", body)
        return refused.fault.status

    async def begin_events(self) -> None:
        """The acknowledgement has said all there is to say."""

    async def result(self, body: bytes) -> None:
        self.sent += len(body)
        await self._tell("next", body)
        self.events += 1

    async def beat(self) -> None:
        """The server pings the socket itself."""

    async def complete(self) -> None:
        await self._tell("complete")

    async def fail(self, error: Json) -> None:
        if self.codes == [faults.SUBSCRIBER_TOO_SLOW.code]:  # no message would be taken; the close frame says it
            self._end(Closing(Code.TOO_SLOW, faults.SUBSCRIBER_TOO_SLOW.code))
        else:
            await self._tell("error", orjson.dumps([error]))

    async def leave(self) -> None:
        """The socket's own end says it."""
