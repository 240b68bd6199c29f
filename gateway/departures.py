"""Ends the work for clients who have hung up, and the streams of a gateway that leaves.

Who has hung up is noticed by one look around ten times a second, so that a quick request pays for two set operations only.
"""

import asyncio
import contextlib
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any

from gateway.exchange import Receive

LOOK_EVERY_S = 0.1


class ClientLeft(Exception):
    """The client hung up before the answer was ready; there is nobody to tell."""


class Departures:
    """Those who wait for an answer now."""

    def __init__(self) -> None:
        self.waiting: set[_Waiting] = set()
        self.following = 0  # subscriptions
        self.closing = asyncio.Event()  # set once the gateway itself is about to go

    def ending(self, receive: Receive) -> "_Waiting":
        """A block that ends with ClientLeft once the client is gone. The request's body must have been read."""
        return _Waiting(self, receive)

    def staying(self, receive: Receive) -> Receive:
        """What a client says, for as long as the gateway stays: then it is as if the client had hung up."""

        async def either() -> MutableMapping[str, Any]:
            said, closing = asyncio.ensure_future(receive()), asyncio.ensure_future(self.closing.wait())
            try:
                await asyncio.wait((said, closing), return_when=asyncio.FIRST_COMPLETED)
                return said.result() if said.done() else {"type": "http.disconnect"}
            finally:
                said.cancel()
                closing.cancel()

        return either

    async def watch(self) -> None:
        """Look around until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for waiting in self.waiting:
                waiting.watch()


class _Waiting:
    __slots__ = ("_departures", "_left", "_receive", "_task", "_watching")

    def __init__(self, departures: Departures, receive: Receive) -> None:
        self._departures, self._receive = departures, receive
        self._watching: asyncio.Task[None] | None = None
        self._left = False

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._departures.waiting.add(self)

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self._departures.waiting.discard(self)
        if self._watching is not None:
            self._watching.cancel()
        if self._left and kind is asyncio.CancelledError and self._task is not None and not self._task.uncancel():
            raise ClientLeft

    def watch(self) -> None:
        """Begin to wait for the client's departure, unless that is done already."""
        if self._watching is None:
            self._watching = asyncio.ensure_future(self._notice())

    async def _notice(self) -> None:
        with contextlib.suppress(OSError):
            while (await self._receive())["type"] != "http.disconnect":
                pass
        if self._task is not None and self in self._departures.waiting:
            self._left = True
            self._task.cancel()
