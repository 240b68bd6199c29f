"""The inbox: handled once each, in order per subject, tried eight times, then a visible dead letter."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlmodel import select

from services.kit.database import Database, Db
from services.kit.events import Event
from services.kit.inbox import PAUSES_S, TRIES, Inbox, Worker, take
from services.kit.service import Handler
from tests.services.kit.conftest import count, declare, running, until


class LakeFroze(Event, type="lake.froze.v1", subject="lake"):
    """A lake froze."""

    lake: str
    n: int = 0


class Ministry:
    """Handles events by noting them in its database; fails for those it is told to."""

    def __init__(self, db: Database) -> None:
        self.db, self.tried, self.poisoned = db, list[tuple[str, int]](), set[int]()
        self.now = datetime.now(UTC)
        self.worker = Worker(db, {LakeFroze.type: Handler(LakeFroze, self.handle)}, clock=lambda: self.now)

    async def handle(self, event: LakeFroze, db: Db) -> None:
        self.tried.append((event.lake, event.n))
        await db.execute(text("INSERT INTO handled VALUES (:lake, :n)"), {"lake": event.lake, "n": event.n})
        if event.n in self.poisoned:
            raise ValueError("poison")

    async def handled(self) -> list[tuple[str, int]]:
        async with self.db.transaction() as db:
            return [(lake, n) for lake, n in await db.execute(text("SELECT lake, n FROM handled ORDER BY at"))]


@pytest.fixture
async def ministry(db: Database) -> Ministry:
    await declare(db, "CREATE TABLE handled (lake text, n int, at serial)")
    return Ministry(db)


def sent(lake: str = "erie", n: int = 0, **changes: Any) -> dict[str, Any]:
    envelope = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "/services/lakes",
        "type": LakeFroze.type,
        "subject": lake,
        "time": "2026-01-02T03:00:00Z",
        "data": {"lake": lake, "n": n},
        **changes,
    }
    return {name: value for name, value in envelope.items() if value is not None}


async def received(db: Database, *envelopes: dict[str, Any]) -> None:
    for position, envelope in enumerate(envelopes, 1):
        await take(db, LakeFroze, envelope, position)


async def rows(db: Database) -> list[Inbox]:
    async with db.transaction() as inside:
        return await inside.all(select(Inbox).order_by(Inbox.position))


class TestTaking:
    async def test_the_same_event_twice_keeps_it_once(self, db: Database) -> None:
        envelope = sent()
        assert await take(db, LakeFroze, envelope, 1) is True
        assert await take(db, LakeFroze, envelope, 2) is False
        assert await count(db, "inbox") == 1

    @pytest.mark.parametrize(
        "envelope",
        [
            {},
            sent(specversion="0.3"),
            sent(id=None),
            sent(subject=None),
            sent(type="lake.thawed.v1"),
            sent(data=None),
            sent(data={"lake": 7}),
            sent(data={"n": 1}),
            sent(data=[1]),
            sent(subject=" "),
            sent(id="7"),
            sent(source=None),
            sent(time=None),
            sent(time=7),
        ],
    )
    async def test_what_breaks_the_contract_is_dead_at_once_and_visible(
        self, ministry: Ministry, envelope: dict[str, Any]
    ) -> None:
        labels = {"type": LakeFroze.type}
        before = REGISTRY.get_sample_value("onedoor_dead_letters_total", labels) or 0
        await received(ministry.db, envelope)
        (row,) = await rows(ministry.db)
        assert row.dead and row.finished_at
        assert str(row.error).startswith("received: $")
        assert str(row.error).endswith(" of contracts/events/lake.froze.v1.json")
        assert await ministry.worker.handle_one() is False
        assert REGISTRY.get_sample_value("onedoor_dead_letters_total", labels) == before + 1


class TestHandling:
    async def test_happens_once_in_order_per_subject(self, ministry: Ministry) -> None:
        await received(ministry.db, *(sent(lake, n) for n in range(4) for lake in ("erie", "huron")))
        while await ministry.worker.handle_one():
            pass
        assert [n for lake, n in await ministry.handled() if lake == "erie"] == [0, 1, 2, 3]
        assert [n for lake, n in await ministry.handled() if lake == "huron"] == [0, 1, 2, 3]

    async def test_by_several_workers_at_once_happens_once_in_order(self, ministry: Ministry) -> None:
        await received(ministry.db, *(sent(lake, n) for n in range(5) for lake in ("erie", "huron", "ontario")))
        workers = [Ministry(ministry.db).worker for _ in range(3)]

        async def work(worker: Worker) -> None:
            while any(row.finished_at is None for row in await rows(ministry.db)):
                await worker.handle_one()

        await asyncio.gather(*map(work, workers))
        handled = await ministry.handled()
        assert len(handled) == 15
        for lake in ("erie", "huron", "ontario"):
            assert [n for name, n in handled if name == lake] == [0, 1, 2, 3, 4]

    async def test_that_ends_in_the_middle_leaves_nothing_and_happens_again(self, ministry: Ministry) -> None:
        """A process that dies while it handles: the effect and the mark are one transaction."""
        await received(ministry.db, sent())
        begun = asyncio.Event()

        async def hang(event: LakeFroze, db: Db) -> None:
            await ministry.handle(event, db)
            begun.set()
            await asyncio.Event().wait()

        doomed = Worker(ministry.db, {LakeFroze.type: Handler(LakeFroze, hang)})
        async with running(doomed.run()):
            await asyncio.wait_for(begun.wait(), 5)
        assert await ministry.handled() == []
        assert await ministry.worker.handle_one()
        assert await ministry.handled() == [("erie", 0)]
        assert await ministry.worker.handle_one() is False


class TestAFailingEvent:
    async def test_leaves_nothing_behind_and_is_tried_again(self, ministry: Ministry) -> None:
        ministry.poisoned = {0}
        await received(ministry.db, sent())
        await ministry.worker.handle_one()
        (row,) = await rows(ministry.db)
        assert (row.tries, row.dead, row.finished_at) == (1, False, None)
        assert "poison" in str(row.error)
        assert await ministry.handled() == []
        ministry.poisoned = set()
        ministry.now += timedelta(seconds=PAUSES_S[0])
        await ministry.worker.handle_one()
        assert await ministry.handled() == [("erie", 0)]

    async def test_delays_its_own_subject_only(self, ministry: Ministry) -> None:
        ministry.poisoned = {0}
        await received(ministry.db, sent("erie", 0), sent("erie", 1), sent("huron", 2))
        while await ministry.worker.handle_one():
            pass
        assert await ministry.handled() == [("huron", 2)]

    async def test_is_dead_after_eight_tries_and_its_subject_goes_on(self, ministry: Ministry) -> None:
        ministry.poisoned = {0}
        await received(ministry.db, sent("erie", 0), sent("erie", 1))
        while not (await rows(ministry.db))[0].dead:
            assert await ministry.worker.handle_one()
            ministry.now += timedelta(minutes=5)
        dead, waiting = await rows(ministry.db)
        assert (dead.tries, dead.dead) == (8, True)
        assert ministry.tried == [("erie", 0)] * 8
        await ministry.worker.handle_one()
        assert await ministry.handled() == [("erie", 1)]
        assert not waiting.dead

    async def test_is_tried_eight_times_with_pauses_that_grow_from_a_second_to_five_minutes(
        self, ministry: Ministry
    ) -> None:
        ministry.poisoned = {0}
        await received(ministry.db, sent())
        pauses, instant = [], timedelta(microseconds=1)
        while True:
            assert await ministry.worker.handle_one()
            (row,) = await rows(ministry.db)
            if row.dead:
                break
            pause = row.next_try_at - ministry.now
            pauses.append(pause.total_seconds())
            ministry.now += pause - instant
            assert await ministry.worker.handle_one() is False  # not yet
            ministry.now += instant
        assert len(ministry.tried) == TRIES == 8
        assert [pauses[0], pauses[-1]] == [1, 300]
        ratios = [after / before for before, after in pairwise(pauses)]
        assert ratios == pytest.approx([300 ** (1 / 6)] * 6, rel=1e-5)


class TestTheWorker:
    async def test_begins_at_once_when_it_is_woken(self, ministry: Ministry) -> None:
        async with running(ministry.worker.run()):
            await received(ministry.db, sent())
            ministry.worker.wake()
            assert await until(ministry.handled) == [("erie", 0)]

    async def test_counts_what_it_handled(self, ministry: Ministry) -> None:
        labels = {"type": LakeFroze.type}
        before = REGISTRY.get_sample_value("onedoor_events_handled_total", labels) or 0
        await received(ministry.db, sent())
        await ministry.worker.handle_one()
        assert REGISTRY.get_sample_value("onedoor_events_handled_total", labels) == before + 1
