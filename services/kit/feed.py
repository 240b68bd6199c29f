"""Live events for subscriptions: each process hears every event once and hands it to those who wait for its subject.

Fed by a plain NATS subscription beside the durable consumers, so that a subscription sees what any process
announced. Nothing is stored: who was not listening has missed it, and reads the state instead.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from services.kit import faults
from services.kit.events import Event

E = TypeVar("E", bound=Event)
WAITING = 100  # events a slow listener may lag behind before it is cut off


class LaggedBehind(faults.Faulted):
    """The listener took events more slowly than they came."""

    def __init__(self) -> None:
        super().__init__(faults.SUBSCRIBER_TOO_SLOW)


class Feed:
    """Who listens to which subject of which event type."""

    def __init__(self) -> None:
        self._listeners: dict[tuple[str, str], set[asyncio.Queue[Event | None]]] = defaultdict(set)

    @asynccontextmanager
    async def following(self, event: type[E], subject: str) -> AsyncIterator[AsyncIterator[E]]:
        """Events of one type and subject, heard from the moment the block begins: read the state inside it, and no change
        falls between. Iterating raises LaggedBehind when the listener is too slow."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue(WAITING)
        key = (event.type, subject)
        self._listeners[key].add(queue)
        try:
            yield _drained(queue)
        finally:
            self._listeners[key].discard(queue)
            if not self._listeners[key]:
                del self._listeners[key]

    def publish(self, event: Event) -> None:
        """Hand an event to its listeners. Never waits: a full queue ends with its listener cut off."""
        for queue in tuple(self._listeners.get((event.type, event.subject), ())):
            if queue.full():
                queue.get_nowait()
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)

    @property
    def listening(self) -> int:
        """How many listeners there are."""
        return sum(map(len, self._listeners.values()))


async def _drained(queue: "asyncio.Queue[Event | None]") -> AsyncIterator[E]:
    while (happened := await queue.get()) is not None:
        yield happened  # type: ignore[misc] # the queue is filled by type
    raise LaggedBehind
