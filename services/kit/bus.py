"""The way to NATS JetStream: publishes the outbox, fills the inbox, feeds subscriptions.

One stream holds the events of all services, one subject per event type (`events.<type>`). Publishing waits for the stream's
acknowledgement and carries the event's id for de-duplication; consumers are durable and acknowledge after their commit.
"""

import asyncio
import contextlib
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

import nats.errors
import nats.js.errors
import orjson
import structlog
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.annotations import NatsMessage
from faststream.nats.security import NatsNKey, NatsSecurity
from nats.js.api import ConsumerConfig
from sqlalchemy import func, select, update

from services.kit import metrics
from services.kit.broker import STREAM, SignIn, durable_of, subject_of
from services.kit.database import Database
from services.kit.events import Event, Outbox, envelope
from services.kit.feed import Feed
from services.kit.inbox import Worker, take
from services.kit.service import Service
from services.kit.tasks import end as end

AT_ONCE = 100
IDLE_S = 1.0
LONGEST_PAUSE_S = 30.0
ACK_WAIT_S = (
    10.0  # after it, an event that a process took comes again: that process is dead, or its database is very slow
)
RELAY_LOCK = 0x0E_D0_09
NOBODY = SignIn()
_LOG = structlog.get_logger(__name__)
AWAY = (OSError, TimeoutError, nats.errors.Error, nats.js.errors.Error)


def declared_stream() -> JStream:
    """The stream as a broker declares it; each broker has its own, since FastStream notes in it what was declared."""
    return JStream(STREAM, subjects=["events.>"], declare=True)


def opened(url: str, sign_in: SignIn) -> NatsBroker:
    """A broker that is not connected yet. The first connection is awaited too: NATS away at the start is no reason to die."""
    by_key_or_not = partial(NatsNKey, seed_file=sign_in.seed) if sign_in.seed else NatsSecurity
    security = by_key_or_not(ssl_context=sign_in.context, tls_handshake_first=sign_in.context is not None)
    return NatsBroker(
        url,
        security=security,
        inbox_prefix=sign_in.inbox,
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        connect_timeout=2,
        allow_reconnect=True,
        logger=None,
    )


def inbox(sign_in: SignIn) -> bytes:
    """Where what a consumer asks for comes, which FastStream does not take from the connection."""
    return f"{sign_in.inbox}.".encode()


def one_by_one() -> PullSub[Literal[False]]:
    """How a durable consumer takes events. Asked for several, the client holds the first ones back until the others have
    come or five seconds are over; and what is committed side by side may be committed out of order."""
    return PullSub(batch_size=1, timeout=5.0)


async def begin(broker: NatsBroker, stream: JStream) -> None:
    """Connect, declare the stream and start the subscribers; try until NATS answers. Afterwards the client reconnects by
    itself."""
    while True:
        stream.declare = True  # FastStream counts a stream as declared even when that failed
        try:
            await broker.start()
            return
        except AWAY as error:
            _LOG.warning("nats_away", error=type(error).__name__)
            await asyncio.sleep(IDLE_S)


class Relay:
    """Publishes the outbox in its order. One relay of a service works at a time, whatever number of processes run."""

    def __init__(self, database: Database, broker: NatsBroker, source: str) -> None:
        self._database, self._broker, self._source = database, broker, source
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look now instead of at the next tick."""
        self._woken.set()

    async def run(self) -> None:
        """Publish for ever. Cancel to stop. What cannot be published stays in the outbox, in order."""
        pause_s = IDLE_S
        while True:
            self._woken.clear()
            try:
                while await self.publish_some():
                    pass
                pause_s = IDLE_S
                metrics.OUTBOX_LAG.set(0)
            except Exception as error:  # whatever it is, the outbox must go on when it is over
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                _LOG.warning("outbox_waits", pause_s=pause_s, exc_info=not isinstance(error, AWAY), error=repr(error))
                with contextlib.suppress(Exception):  # the database may be what is away
                    metrics.OUTBOX_LAG.set(await self.waiting())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause_s)

    async def waiting(self) -> int:
        """How many events wait to be published."""
        async with self._database.transaction() as db:
            return await db.first(select(func.count()).where(Outbox.sent_at.is_(None))) or 0

    async def publish_some(self) -> int:
        """Publish up to a hundred events. Returns how many; zero when none waits or another relay is at work."""
        async with self._database.transaction() as db:
            mine = await db.first(select(func.pg_try_advisory_xact_lock(RELAY_LOCK)))
            if not mine:
                return 0
            rows = await db.all(select(Outbox).where(Outbox.sent_at.is_(None)).order_by(Outbox.seq).limit(AT_ONCE))
            for row in rows:
                await self._broker.publish(
                    orjson.dumps(envelope(row, self._source)),
                    subject_of(row.type),
                    headers={"Nats-Msg-Id": str(row.id), "content-type": "application/cloudevents+json"},
                    stream=STREAM,
                    timeout=5,
                )
                metrics.EVENTS_SENT.labels(row.type).inc()
            if rows:
                sent = update(Outbox).where(Outbox.seq.in_([row.seq for row in rows]))
                await db.execute(sent.values(sent_at=datetime.now(UTC)))
            return len(rows)


class Bus:
    """A service's whole traffic with NATS: relay, consumers, worker and feed, started and stopped together."""

    def __init__(self, service: Service, database: Database, feed: Feed, url: str, sign_in: SignIn = NOBODY) -> None:
        self.broker, self._inbox = opened(url, sign_in), inbox(sign_in)
        self._stream = declared_stream()
        self.relay = Relay(database, self.broker, service.name)
        self.worker = Worker(database, service.handlers)
        self._service, self._database, self._feed = service, database, feed
        self._tasks: list[asyncio.Task[None]] = []
        for handler in service.handlers.values():
            self._consume(handler.event)
        for event in service.events.values():
            self._follow(event)

    @property
    def connected(self) -> bool:
        """Whether the connection to NATS stands now."""
        client = self.broker._connection
        return bool(client and client.is_connected)

    async def start(self) -> None:
        """Connect and begin. Returns at once; the connection is made in the background and kept for ever."""
        database = self._database
        database.on_events = self.relay.wake
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self.worker.run())]
        for task in self._tasks:
            task.add_done_callback(_noted)

    async def stop(self) -> None:
        """Stop taking events, then close the connection. Work in hand is rolled back and taken again at the next start."""
        await end(*self._tasks)
        with contextlib.suppress(*AWAY):
            await self.broker.stop()

    async def _run(self) -> None:
        await begin(self.broker, self._stream)
        await self.relay.run()

    def _consume(self, event: type[Event]) -> None:
        """A durable consumer that commits each event to the inbox and then acknowledges it.

        The server gives out one at a time: what a process took and died with comes again before anything after it, and what
        two processes take is taken in order.
        """
        subscribe = self.broker.subscriber(
            subject_of(event.type),
            stream=self._stream,
            durable=durable_of(self._service.name, event.type),
            config=ConsumerConfig(max_ack_pending=1, ack_wait=ACK_WAIT_S),
            pull_sub=one_by_one(),
            inbox_prefix=self._inbox,
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
        )

        async def consume(message: NatsMessage) -> None:
            raw = message.raw_message
            if await take(self._database, event, _decoded(message.body), raw.metadata.sequence.stream):
                self.worker.wake()
            await message.ack()

        subscribe(consume)

    def _follow(self, event: type[Event]) -> None:
        """A plain subscription that hands each event to the subscriptions of this process."""
        # FastStream answers what it hears, and here the answer would reach the publisher in place of the stream's own.
        subscribe = self.broker.subscriber(subject_of(event.type), no_reply=True)

        @subscribe
        async def follow(message: NatsMessage) -> None:
            with contextlib.suppress(ValueError, KeyError):  # a malformed one is the inbox's business
                self._feed.publish(event.model_validate(_decoded(message.body)["data"]))


def _noted(task: "asyncio.Task[None]") -> None:
    """Nothing that runs for ever may end unseen."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _LOG.error("task_ended", exc_info=error)


def _decoded(body: bytes) -> dict[str, Any]:
    """An envelope; what is no JSON object counts as an empty one, which the inbox keeps as a dead letter."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
