"""Nothing accepted is lost and nothing happens twice: NATS goes and comes back, processes are killed where it hurts most.

A NATS server and processes of each test's own; a process that dies is sent SIGKILL at the very point that its test is about.
"""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from faststream.nats import NatsMessage
from sqlalchemy import text
from sqlmodel import select

from services.kit import bus, database
from services.kit.bus import Bus
from services.kit.database import Database, Db
from services.kit.events import Event, Outbox
from services.kit.feed import Feed
from services.kit.inbox import Inbox
from services.kit.service import Handler, Service
from tests.services.kit.conftest import Broker, declare, killed, until

EACH = 15
LAKES = ("erie", "huron", "ontario")
ORDERED = [(lake, n) for n in range(EACH) for lake in LAKES]


class LakeFroze(Event, type="lake.froze.v1", subject="lake"):
    """A lake froze."""

    lake: str
    n: int


def listening() -> Service:
    """A service that announces and hears one kind of event, and notes what it hears in its own database."""
    service = Service("lakes")
    service.emits(LakeFroze)

    @service.on(LakeFroze)
    async def hear(happened: LakeFroze, db: Db) -> None:
        await db.execute(text("INSERT INTO heard VALUES (:lake, :n)"), {"lake": happened.lake, "n": happened.n})

    return service


@pytest.fixture
async def lakes(db: Database) -> Database:
    await declare(db, "CREATE TABLE heard (lake text, n int, at serial)")
    return db


@asynccontextmanager
async def following(db: Database, url: str) -> AsyncIterator[Bus]:
    running = Bus(listening(), db, Feed(), url)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


async def announce(db: Database, *told: tuple[str, int]) -> None:
    async with db.transaction() as inside:
        for lake, n in told:
            inside.emit(LakeFroze(lake=lake, n=n))


async def heard(db: Database) -> list[tuple[str, int]]:
    async with db.transaction() as inside:
        return [(lake, n) for lake, n in await inside.execute(text("SELECT lake, n FROM heard ORDER BY at"))]


async def all_heard(db: Database, expected: int) -> list[tuple[str, int]]:
    """What was heard, once so many events were, the inbox is empty and the outbox sent."""

    async def settled() -> list[tuple[str, int]]:
        found = await heard(db)
        async with db.transaction() as inside:
            open_ = len(await inside.all(select(Inbox).where(Inbox.finished_at.is_(None))))
            open_ += len(await inside.all(select(Outbox).where(Outbox.sent_at.is_(None))))
        return found if len(found) >= expected and not open_ else []

    found: list[tuple[str, int]] = await until(settled, 60)
    return found


def in_order(found: list[tuple[str, int]]) -> bool:
    """Whether each lake's events came once each and in order."""
    return all([n for lake, n in found if lake == name] == list(range(EACH)) for name in LAKES)


@pytest.mark.stack
class TestNatsThatGoesAndComesBack:
    async def test_loses_nothing_and_keeps_each_entitys_order(
        self, lakes: Database, broker: Broker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bus, "IDLE_S", 0.05)
        async with following(lakes, broker.url) as running:
            await announce(lakes, *ORDERED[:15])
            await until(lambda: _some(lakes), 30)
            broker.kill()  # with some events under way
            await until(lambda: _is(lambda: not running.connected), 30)
            await announce(lakes, *ORDERED[15:30])
            broker.start()
            await announce(lakes, *ORDERED[30:])
            found = await all_heard(lakes, len(ORDERED))
        assert len(found) == len(ORDERED)
        assert in_order(found)

    async def test_with_an_empty_disk_gets_what_was_not_yet_sent(
        self, lakes: Database, broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The table is the truth, the stream a copy: a new stream is declared when the service starts again."""
        monkeypatch.setattr(bus, "IDLE_S", 0.05)
        broker.kill()
        (tmp_path / "data").rename(tmp_path / "lost")
        await announce(lakes, *ORDERED)
        broker.start()
        async with following(lakes, broker.url):
            found = await all_heard(lakes, len(ORDERED))
        assert in_order(found)


async def _some(db: Database) -> bool:
    return len(await heard(db)) > 0


async def _is(check: Callable[[], bool]) -> bool:
    return check()


def dies_at(place: str, url: str, nats_url: str) -> None:
    """Run the service until it reaches a place, then die there as by `kill -9`."""

    async def die(*_: Any, **__: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    async def run() -> None:
        opened = database.connect(url, "doomed")
        service = listening()
        running = Bus(service, opened, Feed(), nats_url)
        if place == "before publishing":
            running.relay.publish_some = die  # type: ignore[method-assign]
        elif place == "after publishing":
            at_once = running.broker.publish

            async def publish(*given: Any, **named: Any) -> Any:
                await at_once(*given, **named)
                await die()

            running.broker.publish = publish  # type: ignore[method-assign]
        elif place == "before acknowledging":
            NatsMessage.ack = die  # type: ignore[method-assign]
        else:
            whole = service.handlers[LakeFroze.type].function

            async def half(happened: LakeFroze, db: Db) -> None:
                await whole(happened, db)
                if (happened.lake, happened.n) == ("huron", 1):
                    await die()

            service.handlers[LakeFroze.type] = Handler(LakeFroze, half)
        if place == "before publishing":
            await announce(opened, *ORDERED)
        await running.start()
        await asyncio.Event().wait()

    bus.IDLE_S = 0.05
    asyncio.run(run())


@pytest.mark.stack
class TestAProcessThatIsKilled:
    @pytest.mark.parametrize(
        "place", ["before publishing", "after publishing", "before acknowledging", "while it handles"]
    )
    async def test_has_lost_nothing_and_done_nothing_twice_when_it_is_back(
        self, lakes: Database, broker: Broker, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        url = lakes.engine.url.render_as_string(hide_password=False)
        if place != "before publishing":
            await announce(lakes, *ORDERED)
        fresh = multiprocessing.get_context("spawn")
        await killed(fresh.Process(target=dies_at, args=(place, url, broker.url)))
        assert len(await heard(lakes)) < len(ORDERED)
        monkeypatch.setattr(bus, "IDLE_S", 0.05)
        async with following(lakes, broker.url):
            found = await all_heard(lakes, len(ORDERED))
        assert len(found) == len(ORDERED)
        assert in_order(found)
