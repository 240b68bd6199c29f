"""uvicorn's WebSocket protocol, told how a socket ends: in order, and for certain."""

from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

DROPPED_AFTER_S = 10.0  # of a client that takes nothing, not even the end


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """A socket that the application closes, also when the server goes, and that a client cannot hold open by not reading."""

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self.loop.call_later(DROPPED_AFTER_S, self.transport.abort)

    async def send(self, message: Any) -> None:
        if message["type"] == "websocket.close":
            self.writable.set()  # said behind what waits to be taken, however much that is
        else:
            await self.writable.wait()
            if self.close_sent:
                raise ClientDisconnected
        await super().send(message)

    def shutdown(self) -> None:
        if not self.handshake_complete:
            super().shutdown()
