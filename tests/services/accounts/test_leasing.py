"""Instances of services and accounts, over a real NATS: revisions reach all, leases run while they do, who is cut off stops."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import orjson
import pytest
from joserfc.jwk import OKPKey

from services.accounts import leasing, revisions
from services.accounts.leasing import Leasing
from services.kit import broker as names
from services.kit import database
from services.kit.broker import SignIn
from services.kit.bus import Bus, end
from services.kit.database import Database
from services.kit.feed import Feed
from services.kit.grant_follower import GrantFollower
from services.kit.grants import Grant, find
from services.kit.lease import Lease
from services.kit.revisions import Answer, moment, read_question, signed
from services.kit.settings import SettingMissing
from services.kit.signing_keys import KeyFile, first_key, public_keys
from services.kit.testing.client import Client
from services.kit.testing.database import Template, copied
from services.kit.testing.grants import delegation
from tests.services.kit.conftest import Broker, until

pytestmark = pytest.mark.stack  # a NATS server and leases of real length


@pytest.fixture
def broker(tmp_path: Path) -> Any:
    started = Broker(tmp_path)
    yield started
    started.stop()


class World:
    """Accounts with its key, and instances of a service, each on its own database."""

    def __init__(self, accounts: Client, folder: Path, broker: Broker) -> None:
        self.accounts, self.folder, self.broker = accounts, folder, broker
        self.use(OKPKey.generate_key("Ed25519", {"kid": "accounts-1"}))

    def use(self, *keys: OKPKey) -> None:
        """Sign with the first; services know all."""
        (self.folder / "private").write_bytes(_set(keys[:1], private=True))
        (self.folder / "public").write_bytes(_set(keys, private=False))

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """One process of accounts."""
        one = Leasing(self.accounts.database, KeyFile(self.folder / "private", first_key), self.broker.url, SignIn())
        bus = Bus(self.accounts.service, self.accounts.database, Feed(), self.broker.url)
        await bus.start()
        running = asyncio.create_task(one.run())
        try:
            yield
        finally:
            await end(running)
            await bus.stop()

    @asynccontextmanager
    async def instance(self, db: Database) -> AsyncIterator["Instance"]:
        """One process of a service."""
        made = Instance(self, db)
        made.start()
        try:
            yield made
        finally:
            await made.stop()

    async def announce(self, grant: Grant, **options: Any) -> None:
        async with self.accounts.database.transaction() as db:
            await revisions.announce(db, grant, **options)


def _set(keys: Any, *, private: bool) -> bytes:
    return orjson.dumps({"keys": [key.as_dict(private=private) for key in keys]})


class Instance:
    def __init__(self, world: World, db: Database) -> None:
        self.lease, self.db = Lease(), db
        known = KeyFile(world.folder / "public", public_keys)
        self.follower = GrantFollower(world.broker.url, "catalogue", db, self.lease, known)

    def start(self) -> None:
        self._task = asyncio.create_task(self.follower.run())

    async def stop(self) -> None:
        await end(self._task)

    async def runs(self, *, so: bool = True) -> None:
        async def seen() -> bool:
            return self.lease.runs is so

        await until(seen, 15)

    async def holds(self, grant: Grant) -> None:
        async def seen() -> bool:
            async with self.db.transaction() as db:
                found = await find(db, grant.id)
            return found is not None and found.active is grant.active

        await until(seen)


@pytest.fixture
async def world(shared: Client, tmp_path: Path, broker: Broker) -> AsyncIterator[World]:
    yield World(shared, tmp_path, broker)


@pytest.fixture
async def databases(
    postgres_url: str, template_of: Callable[[str], Template], request: pytest.FixtureRequest
) -> AsyncIterator[list[Database]]:
    """Two databases of the catalogue."""
    held = await asyncio.to_thread(template_of, "catalogue")
    async with AsyncExitStack() as stack:
        made = []
        for n in "ab":
            url = await stack.enter_async_context(copied(postgres_url, held, f"{request.node.name[-30:]}_{n}"))
            made.append(database.connect(url, "test", pool_size=4))
            stack.push_async_callback(made[-1].close)
        yield made


class TestARevision:
    async def test_reaches_who_is_there_and_who_comes_later(self, world: World, databases: list[Database]) -> None:
        before, after = delegation("ann", "clerk"), delegation("bob", "clerk")
        await world.announce(before)
        async with world.answering(), world.instance(databases[0]) as here:
            await here.holds(before)
            await here.runs()
            await world.announce(after, narrows=False)
            await here.holds(after)
            async with world.instance(databases[1]) as there:
                await there.holds(after)
                await there.holds(before)

    async def test_that_ends_a_grant_is_over_once_all_have_applied_it(
        self, world: World, databases: list[Database]
    ) -> None:
        grant = delegation("ann", "clerk")
        await world.announce(grant)
        ended = delegation("ann", "clerk", id=grant.id, active=False)
        async with (
            world.answering(),
            world.answering(),
            world.instance(databases[0]) as one,
            world.instance(databases[0]) as same,
            world.instance(databases[1]) as other,
        ):
            for instance in (one, same, other):
                await instance.runs()
            relying = [instance.lease.rely(grant.id) for instance in (one, same, other)]
            await asyncio.wait_for(world.announce(ended), 3)  # sooner than any lease ends
            assert all(reliance.over.done() for reliance in relying)
            for instance in (one, other):
                async with instance.db.transaction() as db:
                    found = await find(db, grant.id)
                assert found is not None
                assert not found.active

    async def test_that_nobody_known_has_signed_is_not_applied(
        self, world: World, databases: list[Database], capsys: pytest.CaptureFixture[str]
    ) -> None:
        keys = [OKPKey.generate_key("Ed25519", {"kid": f"accounts-{n}"}) for n in "23"]
        world.use(keys[0])
        grant = delegation("ann", "clerk")
        await world.announce(grant)
        async with world.instance(databases[0]) as here:
            (world.folder / "private").write_bytes(_set(keys[1:], private=True))
            async with world.answering():
                await until(lambda: said(capsys, "grants_refused"))
                assert not here.lease.runs
                async with here.db.transaction() as db:
                    assert await find(db, grant.id) is None
                (world.folder / "private").write_bytes(_set(keys[:1], private=True))
                await here.holds(grant)
                await here.runs()

    async def test_that_an_older_answer_brings_again_is_not_applied(
        self, world: World, databases: list[Database], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Whoever answers with what accounts has signed for an earlier question gives nobody a lease."""
        client, key = await nats.connect(world.broker.url), first_key((world.folder / "private").read_bytes())
        kept: list[bytes] = []

        async def replay(message: Any) -> None:
            question = read_question(message.data)
            kept.append(signed(Answer(question.nonce, moment(), question.applied, ()), key))
            await message.respond(kept[0])

        await client.subscribe(names.lease_of("*"), cb=replay)
        async with world.instance(databases[0]) as here:
            await here.runs()
            await until(lambda: said(capsys, "another question"))
            await here.runs(so=False)
        await client.close()


async def said(capsys: pytest.CaptureFixture[str], what: str) -> bool:
    return what in capsys.readouterr().out


class TestALease:
    async def test_runs_out_while_accounts_is_away_and_runs_again_with_it(
        self, world: World, databases: list[Database]
    ) -> None:
        async with world.instance(databases[0]) as here:
            async with world.answering():
                await here.runs()
            await here.runs(so=False)
            async with world.answering():
                await here.runs()

    async def test_runs_out_while_nats_is_away_and_what_was_missed_is_applied_first(
        self, world: World, databases: list[Database]
    ) -> None:
        grant = delegation("ann", "clerk")
        async with world.answering(), world.instance(databases[0]) as here:
            await here.runs()
            world.broker.kill()
            await asyncio.wait_for(world.announce(grant), 6)
            assert not here.lease.runs
            world.broker.start()
            await here.runs()
            async with here.db.transaction() as db:
                assert await find(db, grant.id) is not None

    async def test_is_given_back_by_who_ends(self, world: World, databases: list[Database]) -> None:
        async with world.answering():
            async with world.instance(databases[0]) as here:
                await here.runs()
            assert not here.lease.runs
            await asyncio.wait_for(world.announce(delegation("ann", "clerk", active=False)), 2)

    async def test_is_not_had_for_a_question_that_cannot_be_read(
        self, world: World, databases: list[Database], capsys: pytest.CaptureFixture[str]
    ) -> None:
        client = await nats.connect(world.broker.url)
        async with world.answering(), world.instance(databases[0]) as here:
            await here.runs()
            for sent in (b"", b"{}", b"\xff" * 1000):
                with pytest.raises(TimeoutError):
                    await client.request(names.lease_of("catalogue"), sent, timeout=0.3)
                assert "question_refused" in capsys.readouterr().out
        await client.close()


class TestTheKey:
    def test_is_asked_for_in_production_only(self, tmp_path: Path) -> None:
        leasing.key_of_grants({"ONEDOOR_MODE": "local"})
        with pytest.raises(SettingMissing, match=leasing.KEY):
            leasing.key_of_grants({})
        (tmp_path / "none").write_text("{}")
        with pytest.raises(SettingMissing, match="Ed25519"):
            leasing.key_of_grants({leasing.KEY: str(tmp_path / "none")})
