"""Clients that leave before they are answered: nothing goes on for nobody."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import structlog

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
WATCHED_AFTER_S = 0.1
_LOG = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def while_waited_for(limit: asyncio.Timeout, receive: Receive) -> AsyncIterator[None]:
    """Let a limit run out as soon as the client has gone. Most answers are quicker than a watch is worth: it begins late."""
    loop = asyncio.get_running_loop()
    watching: list[asyncio.Task[None]] = []

    async def watch() -> None:
        await disconnected(receive)
        _LOG.info("client_gone")
        if not limit.expired():  # the work is being ended already
            with contextlib.suppress(RuntimeError):  # it has come to its end by itself
                limit.reschedule(loop.time())

    later = loop.call_later(WATCHED_AFTER_S, lambda: watching.append(asyncio.ensure_future(watch())))
    try:
        yield
    finally:
        later.cancel()
        for watcher in watching:
            watcher.cancel()


async def disconnected(receive: Receive) -> None:
    """Ends when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
