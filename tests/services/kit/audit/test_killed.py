"""A sealer that is killed leaves no gap and no double, wherever that is: processes are sent SIGKILL at each place between two
statements, before and after each commit and each event, and at any moment, while entries are written; another goes on.

Each process works on another day and closes it. In the end the chain is verified as an auditor does it, and accounts, over a
NATS server, has been told each entry once.
"""

import asyncio
import multiprocessing
import os
import random
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import event, select
from typer.testing import CliRunner

from clusters import audit, keys
from services.accounts.service import service as accounts
from services.kit import access_log, bus, database
from services.kit.audit.announced import AccessLogged
from services.kit.audit.announcing import Announcer
from services.kit.audit.exporting import export
from services.kit.audit.sealer import Sealer
from services.kit.bus import Bus
from services.kit.database import Database
from services.kit.events import Outbox
from services.kit.feed import Feed
from services.kit.inbox import Inbox
from services.kit.signing_keys import first_key
from services.kit.testing.database import Template, copied
from tests.services.kit.audit.conftest import NAME, add, sealed
from tests.services.kit.conftest import Broker, count, killed, running, until, url_of

pytestmark = pytest.mark.stack
AT_ANY_MOMENT = 40
LONGEST_S = 0.3  # in which a sealer has sealed, announced and published, or is about to
Reach = Callable[[str], None]


@dataclass(frozen=True)
class Work:
    """Of what a sealing process needs to know: where its database and NATS are, the folder of its key, and by how many days its
    clock is ahead."""

    url: str
    nats_url: str
    folder: Path
    days: int = 0

    def run(self, told: Connection, doomed_at: str = "") -> None:
        """Seal, announce, publish and close a day, then tell the places that were come by. Die at one of them as by `kill -9`."""
        places: list[str] = []

        def reach(place: str) -> None:
            places.append(place)
            if place == doomed_at:
                os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(self._once(partial(told.send, "begun"), reach))
        told.send(list(dict.fromkeys(places)))

    async def _once(self, begun: Callable[[], None], reach: Reach) -> None:
        broker = bus.opened(self.nats_url, bus.NOBODY)
        await bus.begin(broker, bus.declared_stream())
        held = database.connect(self.url, "doomed", pool_size=1)
        key = first_key((self.folder / NAME / keys.AUDIT).read_bytes())
        today = datetime.now(UTC) + timedelta(days=self.days)
        sealing = Sealer(held, NAME, [access_log.SEALED], lambda: key, lambda: today)
        tomorrow = today + timedelta(days=1)
        announcer = Announcer(held, NAME, lambda: key, self.folder / "heads.jsonl", lambda: tomorrow)
        relay = bus.Relay(held, broker, NAME)
        publish = broker.publish

        async def published(*given: Any, **named: Any) -> Any:
            reach("publish: before an event")
            await publish(*given, **named)
            reach("publish: after an event")

        broker.publish = published  # type: ignore[method-assign]
        steps = {
            "seal": sealing.seal_some,
            "announce": announcer.announce,
            "publish": relay.publish_some,
            "close": announcer.close_a_day,
        }
        step = ""
        watch(held, lambda place: reach(f"{step}: {place}"))
        begun()
        for step, act in steps.items():  # noqa: B007 - told above
            await until(act)  # the lock of one that was killed is held a little longer
        await held.close()
        await broker.stop()


def watch(held: Database, reach: Reach) -> None:
    """Say before and after each statement and commit that it is."""
    engine = held.engine.sync_engine

    def before(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        reach(f"before {' '.join(statement.split())[:60]}")

    def after(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        reach(f"after {' '.join(statement.split())[:60]}")

    commit = engine.dialect.do_commit

    def committed(connection: Any) -> None:
        reach("before its commit")
        commit(connection)
        reach("after its commit")

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    engine.dialect.do_commit = committed  # type: ignore[method-assign,assignment]


@dataclass
class Scene:
    """A service whose entries are written all the time, processes that seal them, and accounts that is told."""

    db: Database
    work: Work
    accounts: Database
    days: int = 0

    def process(self, doomed_at: str = "") -> tuple[BaseProcess, Connection]:
        """A process that seals, not started yet, and what it tells."""
        forked = multiprocessing.get_context("forkserver")  # of one that has loaded all: a start takes no second
        forked.set_forkserver_preload([__name__])
        mine, its = forked.Pipe(duplex=False)
        self.days += 1
        work = replace(self.work, days=self.days)
        return forked.Process(target=partial(work.run, its, doomed_at), daemon=True), mine

    async def went_on(self) -> list[str]:
        """Have a process seal that nobody kills. Returns the places that it came by."""
        await add(self.db, 4)
        process, told = self.process()
        process.start()
        await asyncio.to_thread(process.join, 60)
        assert (process.exitcode, told.recv()) == (0, "begun")
        places: list[str] = told.recv()
        return places

    async def write(self) -> None:
        """Add entries, for ever."""
        while True:
            await add(self.db, 1)
            await asyncio.sleep(0.02)

    async def _waits(self) -> bool:
        """Whether an entry waits to be sealed, or an event to be published."""
        async with self.db.transaction() as inside:
            unsent = await inside.first(select(Outbox.id).where(Outbox.sent_at.is_(None)).limit(1))
        return unsent is not None or await count(self.db, "audit_unsealed") > 0

    async def holds(self) -> None:
        """What is left when all is sealed holds, to an auditor and to accounts."""
        while await self._waits():
            await self.went_on()
        links = await sealed(self.db)
        assert len(links) == await count(self.db, "access_entry")
        file = self.work.folder / "export.jsonl"
        with file.open("wb") as opened:
            await export(self.db.engine, NAME, [access_log.SEALED], opened)
        public, outside = self.work.folder / keys.AUDIT_PUBLIC, self.work.folder / "heads.jsonl"
        told = CliRunner().invoke(
            audit.app, ["verify", str(file), "--keys", str(public), "--heads", str(outside), "--json"]
        )
        report = orjson.loads(told.output)
        assert (told.exit_code, report["holds"], report["seals"], report["unsigned"]) == (0, True, len(links), None)
        assert report["days"] == await count(self.db, "audit_day") > 0

        async def known() -> bool:
            return await count(self.accounts, "known_access") >= len(links)

        await until(known, 60)
        async with self.accounts.transaction() as inside:
            of_kind = select(Inbox.envelope).where(Inbox.type == AccessLogged.type).order_by(Inbox.position)
            batches = [envelope["data"] for envelope in (await inside.execute(of_kind)).scalars()]
        assert [entry["id"] for batch in batches for entry in batch["entries"]] == [str(e.entry_id) for e in links]
        assert len({batch["batch"] for batch in batches}) == len(batches)


@pytest.fixture
async def scene(
    db: Database, broker: Broker, tmp_path: Path, postgres_url: str, template_of: Callable[[str], Template]
) -> AsyncIterator[Scene]:
    template = await asyncio.to_thread(template_of, accounts.name)
    async with copied(postgres_url, template, tmp_path.name) as url:
        opened = database.connect(url, "accounts")
        keys.of_audit(tmp_path, NAME)
        following = Bus(accounts, opened, Feed(), broker.url)
        await following.start()
        try:
            yield Scene(db, Work(url_of(db), broker.url, tmp_path), opened)
        finally:
            await following.stop()
            await opened.close()


class TestASealerThatIsKilled:
    async def test_at_each_place_has_left_no_gap_and_no_double(self, scene: Scene) -> None:
        places = await scene.went_on()
        assert {
            "seal: after its commit",
            "announce: after its commit",
            "publish: after an event",
            "close: after its commit",
        } <= set(places)
        async with running(scene.write()):
            for place in places:
                await add(scene.db, 2)
                doomed, _ = scene.process(place)
                await killed(doomed)
        await scene.holds()

    async def test_at_any_moment_has_left_no_gap_and_no_double(self, scene: Scene) -> None:
        chance = random.Random(7)
        async with running(scene.write()):
            for _ in range(AT_ANY_MOMENT):
                processes = [scene.process() for _ in range(2)]  # side by side
                for process, told in processes:
                    process.start()
                    await asyncio.to_thread(told.recv)
                for process, _ in processes:
                    await asyncio.sleep(chance.uniform(0, LONGEST_S))
                    process.kill()
                    await asyncio.to_thread(process.join)
        await scene.holds()
