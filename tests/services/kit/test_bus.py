"""The bus, on a real NATS: what was committed is published, in order, and reaches each consumer once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import nats
import orjson
import pytest
from nats.aio.client import Client as Nats
from prometheus_client import REGISTRY
from sqlmodel import select

from services.kit import bus, inbox
from services.kit.broker import STREAM, subject_of
from services.kit.bus import Bus, Relay
from services.kit.database import Database, Db
from services.kit.events import Event, Outbox
from services.kit.feed import Feed
from services.kit.inbox import Inbox
from services.kit.service import Service
from tests.services.kit.conftest import running as forever
from tests.services.kit.conftest import until


@pytest.fixture
def froze() -> type[Event]:
    """An event type of the test's own, since all tests share one server."""

    class LakeFroze(Event, type=f"lake.froze{token_hex(4)}.v1", subject="lake"):
        """A lake froze."""

        lake: str
        n: int

    return LakeFroze


class Heard:
    """What a service's handler heard, and the service itself."""

    def __init__(self, event: type[Event]) -> None:
        self.events: list[tuple[str, int]] = []
        self.service = Service(f"listener_{token_hex(4)}")
        self.service.emits(event)

        @self.service.on(event)
        async def hear(happened: Any, db: Db) -> None:
            self.events.append((happened.lake, happened.n))


@pytest.fixture
def heard(froze: type[Event]) -> Heard:
    return Heard(froze)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus, "IDLE_S", 0.05)


@asynccontextmanager
async def started(heard: Heard, db: Database, url: str, feed: Feed | None = None) -> AsyncIterator[Bus]:
    running = Bus(heard.service, db, feed or Feed(), url)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


async def announce(db: Database, event: type[Event], *told: tuple[str, int]) -> None:
    async with db.transaction() as inside:
        for lake, n in told:
            inside.emit(event.model_validate({"lake": lake, "n": n}))


async def unsent(db: Database) -> int:
    async with db.transaction() as inside:
        return len(await inside.all(select(Outbox).where(Outbox.sent_at.is_(None))))


@pytest.fixture
async def client(nats_url: str) -> AsyncIterator[Nats]:
    opened = await nats.connect(nats_url)
    yield opened
    await opened.close()


async def published(client: Nats, event: type[Event], expected: int) -> list[dict[str, Any]]:
    """The envelopes that the stream holds of an event type, in the stream's order."""
    subscription = await client.jetstream().pull_subscribe(subject_of(event.type), stream=STREAM)
    messages = await subscription.fetch(expected, timeout=5)
    await subscription.unsubscribe()
    return [orjson.loads(message.data) for message in messages]


class TestFromCommitToHandler:
    async def test_an_event_arrives_once(self, db: Database, nats_url: str, heard: Heard, froze: type[Event]) -> None:
        async with started(heard, db, nats_url):
            await announce(db, froze, ("erie", 1))
            await until(lambda: finished(db, 1))
        assert heard.events == [("erie", 1)]
        assert await unsent(db) == 0

    async def test_what_waited_while_the_process_was_away_is_published_at_the_next_start(
        self, db: Database, nats_url: str, heard: Heard, froze: type[Event]
    ) -> None:
        """A process that died between commit and publication."""
        await announce(db, froze, ("erie", 1), ("erie", 2))
        assert await unsent(db) == 2
        async with started(heard, db, nats_url):
            await until(lambda: finished(db, 2))
        assert heard.events == [("erie", 1), ("erie", 2)]

    async def test_what_was_published_twice_is_handled_once(
        self, db: Database, nats_url: str, heard: Heard, froze: type[Event]
    ) -> None:
        """A process that died between publication and its mark: the event goes out again under the same id."""
        async with started(heard, db, nats_url):
            await announce(db, froze, ("erie", 1))
            await until(lambda: finished(db, 1))
            async with db.transaction() as inside:
                (row,) = await inside.all(select(Outbox))
                row.sent_at = None
            await announce(db, froze, ("erie", 2))
            await until(lambda: finished(db, 2))
        assert heard.events == [("erie", 1), ("erie", 2)]

    async def test_order_holds_per_subject(self, db: Database, nats_url: str, heard: Heard, froze: type[Event]) -> None:
        told = [(lake, n) for n in range(30) for lake in ("erie", "huron")]
        async with started(heard, db, nats_url):
            for event in told:
                await announce(db, froze, event)
            await until(lambda: finished(db, 60))
        assert [n for lake, n in heard.events if lake == "erie"] == list(range(30))
        assert [n for lake, n in heard.events if lake == "huron"] == list(range(30))

    async def test_order_holds_when_one_commit_is_slow(
        self, db: Database, nats_url: str, heard: Heard, froze: type[Event], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at_once = inbox.take

        async def slow_at_times(database: Database, event: type[Event], held: Any, position: int) -> bool:
            if held["data"]["n"] in (
                0,
                1,
            ):  # while one is slow, the others wait in the stream, to be asked for together
                await asyncio.sleep(0.2)
            return await at_once(database, event, held, position)

        monkeypatch.setattr(bus, "take", slow_at_times)
        async with started(heard, db, nats_url):
            await announce(db, froze, *(("erie", n) for n in range(6)))
            await until(lambda: finished(db, 6))
        assert [n for _, n in heard.events] == list(range(6))

    async def test_nonsense_on_the_stream_becomes_a_dead_letter_and_delays_nobody(
        self, db: Database, nats_url: str, heard: Heard, froze: type[Event], client: Nats
    ) -> None:
        async with started(heard, db, nats_url) as running:
            await until(lambda: connected(running))
            for body in (b"\xff\x00", b"[]", b"{}", b'{"specversion":"1.0"}'):
                await client.jetstream().publish(subject_of(froze.type), body)
            await announce(db, froze, ("erie", 1))
            await until(lambda: finished(db, 5))
        async with db.transaction() as inside:
            assert len(await inside.all(select(Inbox).where(Inbox.dead))) == 4
        assert heard.events == [("erie", 1)]


async def finished(db: Database, expected: int) -> bool:
    async with db.transaction() as inside:
        return len(await inside.all(select(Inbox).where(Inbox.finished_at.is_not(None)))) >= expected


async def connected(running: Bus) -> bool:
    return running.connected


class TestTheRelay:
    async def test_publishes_cloud_events_in_the_order_of_their_commit(
        self, db: Database, nats_url: str, heard: Heard, froze: type[Event], client: Nats
    ) -> None:
        await announce(db, froze, *(("erie", n) for n in range(120)))
        async with started(heard, db, nats_url):
            await until(lambda: all_sent(db))
        envelopes = await published(client, froze, 120)
        while len(envelopes) < 120:
            envelopes += await published(client, froze, 120 - len(envelopes))
        assert [envelope["data"]["n"] for envelope in envelopes] == list(range(120))
        assert {envelope["specversion"] for envelope in envelopes} == {"1.0"}

    async def test_works_one_at_a_time(self, db: Database, froze: type[Event]) -> None:
        """Two processes of a service: while one publishes, the other stands back, so that order holds."""
        order: list[int] = []
        inside = asyncio.Event()
        go = asyncio.Event()

        class Slow:
            async def publish(self, body: bytes, *_: Any, **__: Any) -> None:
                inside.set()
                await go.wait()
                order.append(orjson.loads(body)["data"]["n"])

        await announce(db, froze, ("erie", 1), ("erie", 2))
        relays = [Relay(db, Slow(), "lakes") for _ in range(2)]  # type: ignore[arg-type] # publishes, which is all
        first = asyncio.create_task(relays[0].publish_some())
        await inside.wait()
        assert await relays[1].publish_some() == 0
        go.set()
        assert await first == 2
        assert order == [1, 2]

    async def test_that_fails_leaves_the_rest_in_order(self, db: Database, froze: type[Event]) -> None:
        sent: list[int] = []
        failures = [OSError("away")]

        class Flaky:
            async def publish(self, body: bytes, *_: Any, **__: Any) -> None:
                n = orjson.loads(body)["data"]["n"]
                if n == 2 and failures:
                    raise failures.pop()
                sent.append(n)

        await announce(db, froze, ("erie", 1), ("erie", 2), ("erie", 3))
        relay = Relay(db, Flaky(), "lakes")  # type: ignore[arg-type] # publishes, which is all
        with pytest.raises(OSError):
            await relay.publish_some()
        assert await unsent(db) == 3
        await relay.publish_some()
        assert sent == [1, 1, 2, 3]  # at least once, in order; the event's id tells the second 1 from a new one
        assert await unsent(db) == 0

    async def test_says_how_many_events_wait_while_nats_is_away(self, db: Database, froze: type[Event]) -> None:
        class Away:
            async def publish(self, *_: Any, **__: Any) -> None:
                raise OSError("away")

        await announce(db, froze, ("erie", 1), ("erie", 2))

        async def told() -> bool:
            return REGISTRY.get_sample_value("onedoor_outbox_waiting") == 2

        async with forever(Relay(db, Away(), "lakes").run()):  # type: ignore[arg-type] # publishes, which is all
            await until(told)

    async def test_keeps_what_was_sent(self, db: Database, nats_url: str, heard: Heard, froze: type[Event]) -> None:
        async with started(heard, db, nats_url):
            await announce(db, froze, ("erie", 1))
            await until(lambda: all_sent(db))
        async with db.transaction() as inside:
            (row,) = await inside.all(select(Outbox))
        assert row.sent_at is not None and row.sent_at <= datetime.now(UTC)


async def all_sent(db: Database) -> bool:
    return await unsent(db) == 0


class TestTheStart:
    async def test_waits_for_nats_and_stops_all_the_same(self, db: Database, heard: Heard) -> None:
        running = Bus(heard.service, db, Feed(), "nats://127.0.0.1:1")
        await running.start()
        assert not running.connected
        await asyncio.wait_for(running.stop(), 10)


class TestTheFeed:
    async def test_hears_what_any_process_published(
        self, db: Database, nats_url: str, heard: Heard, froze: type[Event]
    ) -> None:
        feed = Feed()
        async with started(heard, db, nats_url, feed) as running, feed.following(froze, "erie") as events:
            await until(lambda: connected(running))
            await announce(db, froze, ("huron", 1), ("erie", 2))
            happened: Any = await asyncio.wait_for(anext(events), 10)
        assert (happened.lake, happened.n) == ("erie", 2)
