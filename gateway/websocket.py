"""uvicorn's WebSocket protocol, told how a socket ends: in order, and for certain."""

import logging
from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode

from gateway.hanging_up import hang_up

_LOGGER = logging.getLogger(__name__)
_LOGGER.setLevel(logging.WARNING)  # below that are addresses of clients, and queries of theirs


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """A socket that the application closes, also when the server goes, and that a client cannot hold open by not reading."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.logger = self.conn.logger = _LOGGER

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:  # uvicorn itself stumbles over it when the client closes in the same breath
                self.conn.fail(CloseCode.INVALID_DATA)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    async def run_asgi(self) -> None:
        await super().run_asgi()
        if self.close_timer is not None:  # the client may still answer the close frame
            self.loop.call_later(self.close_timeout, hang_up, self.transport, self.loop)
        else:
            hang_up(self.transport, self.loop)

    async def send(self, message: Any) -> None:
        """Raises ClientDisconnected once the socket is closed, by whomever."""
        if message["type"] == "websocket.close":
            self.writable.set()  # said behind what waits to be taken, however much that is
        await self.writable.wait()
        if self.close_sent:
            raise ClientDisconnected
        await super().send(message)

    def shutdown(self) -> None:
        if not self.handshake_complete:
            super().shutdown()
