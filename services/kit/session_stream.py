"""Ends of sessions between processes, by NATS: told by the gateway, heard by every gateway and every service.

What ended in the last minutes is read from the stream whenever a connection is made, and heard live from then on. While NATS is
away an end holds where it was heard; it is told as soon as NATS is back, and elsewhere a token then lives until it runs out by
itself, five minutes at most. With `nats_client` the only module of the gateway's that knows NATS.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import nats.js.errors
import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from services.kit import nats_client
from services.kit.broker import STREAM, subject_of
from services.kit.ended_sessions import EVENT, REMEMBERED_S, EndedSessions, SessionEnded
from services.kit.nats_client import AWAY, PAUSE_S

SUBJECT = subject_of(EVENT)
PATIENCE_S = 5.0
AT_ONCE = 256
_LOG = structlog.get_logger(__name__)


class SessionStream:
    """One process's part in it. `options` go to the connection as they are: credentials, TLS."""

    def __init__(self, url: str, ended: EndedSessions, **options: object) -> None:
        self._url, self._ended, self._options = url, ended, options
        self._untold: deque[SessionEnded] = deque()
        self._news, self._back = asyncio.Event(), asyncio.Event()
        self._behind = True
        self._client = Client()

    @property
    def hears(self) -> bool:
        """Whether every end of the last minutes is known here and each new one will be."""
        return self._client.is_connected and not self._behind

    def tell(self, ended: SessionEnded) -> None:
        """End a session here at once, and everywhere else as soon as NATS takes the news."""
        self._ended.end(ended)
        self._untold.append(ended)
        self._news.set()

    async def publish(self, envelope: Mapping[str, Any]) -> None:
        """Have another event kept by the stream; the same one again changes nothing. Raises what the client does while NATS is
        away."""
        headers = {"Nats-Msg-Id": str(envelope["id"])}
        subject, body = subject_of(envelope["type"]), orjson.dumps(envelope)
        await self._client.jetstream().publish(subject, body, PATIENCE_S, STREAM, headers)

    async def run(self) -> None:
        """Hear for ever; connect again whenever NATS was away. Cancel to stop."""
        try:
            await nats_client.connect(
                self._client, self._url, self._options, lost=self._disconnected, back=self._reconnected
            )
            await self._client.subscribe(SUBJECT, cb=self._hear)
            await self._whenever(self._back, self._catch_up)
        finally:
            with contextlib.suppress(*AWAY):
                await self._client.close()

    async def telling(self) -> None:
        """Tell for ever, beside `run`: what is told never waits for what is still being read. Cancel to stop."""
        await self._whenever(self._news, self._tell_all)

    async def _whenever(self, woken: asyncio.Event, act: Callable[[], Awaitable[None]]) -> None:
        """Act at once and whenever woken, for ever; try again where NATS was away."""
        while True:
            woken.clear()
            try:
                await act()
                await woken.wait()
            except AWAY as error:
                _LOG.warning("sessions_wait", error=repr(error), untold=len(self._untold))
                await asyncio.sleep(PAUSE_S)

    async def _catch_up(self) -> None:
        """Read the ends of the last minutes, among which are those that a lost connection kept from coming."""
        if not self._behind:
            return
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_TIME,
            opt_start_time=datetime.fromtimestamp(time.time() - REMEMBERED_S, UTC),
            ack_policy=AckPolicy.NONE,
            inactive_threshold=PATIENCE_S,
            mem_storage=True,
        )
        self._behind = False  # a connection that is lost meanwhile says so again
        try:
            reading = await self._client.jetstream().pull_subscribe(SUBJECT, stream=STREAM, config=config)
            try:
                left = (await reading.consumer_info()).num_pending or 0
                while left > 0:
                    messages = await reading.fetch(min(left, AT_ONCE), timeout=PATIENCE_S)
                    left -= len(messages)
                    for message in messages:
                        await self._hear(message)
            finally:
                await reading.unsubscribe()
        except nats.js.errors.NotFoundError:
            _LOG.info("no_stream_yet")  # so nothing has ended
        except BaseException:
            self._behind = True
            raise

    async def _tell_all(self) -> None:
        while self._untold:
            ended = self._untold[0]
            if ended.at + REMEMBERED_S > time.time():
                body, headers = orjson.dumps(ended.envelope()), {"Nats-Msg-Id": str(ended.id)}
                await self._client.jetstream().publish(SUBJECT, body, PATIENCE_S, STREAM, headers)
            self._untold.popleft()

    async def _hear(self, message: Msg) -> None:
        try:
            self._ended.end(SessionEnded.read(orjson.loads(message.data)))
        except ValueError as problem:
            _LOG.warning("session_event_malformed", error=str(problem)[:200])

    def _disconnected(self) -> None:
        self._behind = True

    def _reconnected(self) -> None:
        self._back.set()
        self._news.set()
