"""Changes of grants: counted without a gap, told in order, and over only when nobody acts on what was before."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from services.accounts import revisions
from services.kit.database import Database, Db
from services.kit.grants import Grant
from services.kit.revisions import AT_ONCE, Answer, Question
from services.kit.testing.client import Client
from services.kit.testing.grants import delegation
from tests.services.kit.conftest import until

PATIENCE_S = 60.0  # much less than a long lease lasts


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leases of 300 ms."""
    monkeypatch.setattr(revisions, "LEASE_S", 0.3)
    monkeypatch.setattr(revisions, "GRACE_S", 0.1)
    yield


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that outlast any of these tests: what waits for one is not done in time."""
    monkeypatch.setattr(revisions, "LEASE_S", 600)


async def announce(client: Client, *grants: Grant, **options: Any) -> list[int]:
    """Announce grants, each in a transaction of its own. Returns their revisions' numbers."""
    found = []
    for grant in grants:
        async with client.database.transaction() as db:
            found.append((await revisions.announce(db, grant, **options)).rev)
    return found


async def asks(client: Client, instance: UUID, applied: int, service: str = "inspections") -> Answer:
    return await revisions.answer(client.database, service, Question(uuid4(), instance, applied))


@asynccontextmanager
async def narrowing(client: Client) -> AsyncIterator["asyncio.Task[list[int]]"]:
    """A grant is ended meanwhile."""
    task = asyncio.create_task(announce(client, delegation("ann", "clerk", active=False)))
    try:
        yield task
    finally:
        await task


async def news(client: Client, instance: UUID) -> Answer | None:
    """What an instance that knows nothing is told, if anything."""
    answer = await asks(client, instance, 0)
    return answer if answer.revisions else None


async def told(client: Client) -> list[Any]:
    async with client.database.transaction() as db:
        return list((await db.execute(text("SELECT seq, grant_id, rev FROM grant_revision ORDER BY seq"))).all())


class TestARevision:
    async def test_has_the_next_number_of_its_grant_and_the_next_place_of_all(self, client: Client) -> None:
        one, other = delegation("ann", "clerk"), delegation("bob", "clerk")
        assert await announce(client, one, other, one, narrows=False) == [1, 1, 2]
        assert await told(client) == [(1, one.id, 1), (2, other.id, 1), (3, one.id, 2)]
        said = [(kind, data["rev"]) for kind, data in await client.events("grant.changed.v1")]
        assert said == [("grant.changed.v1", 1), ("grant.changed.v1", 1), ("grant.changed.v1", 2)]

    async def test_leaves_no_gap_however_many_are_made_at_once(self, shared: Client) -> None:
        grant = delegation("ann", "clerk")

        async def one(breaks: bool) -> None:
            async with shared.database.transaction() as db:
                await revisions.announce(db, grant, narrows=False)
                if breaks:
                    raise ValueError

        done = await asyncio.gather(*(one(n % 3 == 0) for n in range(12)), return_exceptions=True)
        kept = done.count(None)
        assert [(row.seq, row.rev) for row in await told(shared)] == [(n, n) for n in range(1, kept + 1)]

    async def test_is_told_in_its_place_as_it_was_given(self, client: Client) -> None:
        grant = delegation("ann", "clerk", business="700000015", categories=("contact",), confirmed=({"act": "x"},))
        await announce(client, grant, delegation("bob", "clerk"), narrows=False)
        answer = await asks(client, uuid4(), 0)
        assert (answer.head, [revision.seq for revision in answer.revisions]) == (2, [1, 2])
        assert answer.revisions[0].grant == grant
        assert [revision.seq for revision in (await asks(client, uuid4(), 1)).revisions] == [2]

    async def test_is_told_with_many_others_a_page_at_a_time(self, client: Client) -> None:
        async with client.database.transaction() as db:
            await _many(db, AT_ONCE + 5)
        first = await asks(client, uuid4(), 0)
        assert (len(first.revisions), first.head) == (AT_ONCE, AT_ONCE + 5)
        rest = await asks(client, uuid4(), first.revisions[-1].seq)
        assert (len(rest.revisions), rest.head) == (5, AT_ONCE + 5)

    async def test_that_is_lost_here_and_known_there_is_no_news(self, client: Client) -> None:
        answer = await asks(client, uuid4(), 7)
        assert (answer.head, answer.revisions) == (0, ())


async def _many(db: Db, count: int) -> None:
    for n in range(count):
        await revisions.announce(db, delegation("ann", "clerk", id=f"grant-{n}"), narrows=False)


class TestANarrowerGrant:
    async def test_is_there_at_once_where_nobody_has_a_lease(self, shared: Client, long: None) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await announce(shared, delegation("ann", "clerk", active=False))

    async def test_waits_for_each_instance_to_have_applied_it(self, shared: Client, long: None) -> None:
        one, other = uuid4(), uuid4()
        for instance in (one, other):
            await asks(shared, instance, 0)
        async with narrowing(shared) as ending:
            answer = await until(lambda: news(shared, one))
            await asks(shared, one, answer.head)
            assert not ending.done()
            await asks(shared, other, answer.head)
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.shield(ending)

    async def test_waits_no_longer_than_a_lease_runs(self, shared: Client) -> None:
        await asks(shared, uuid4(), 0)
        began = time.monotonic()
        async with narrowing(shared):
            pass
        assert time.monotonic() - began > 0.25

    async def test_waits_as_long_as_any_lease_can_run_where_an_instance_asks_on_and_applies_nothing(
        self, shared: Client
    ) -> None:
        stuck, began = uuid4(), time.monotonic()
        await asks(shared, stuck, 0)
        async with narrowing(shared) as ending:
            while not ending.done():
                await asks(shared, stuck, 0)
                await asyncio.sleep(0.01)
        assert time.monotonic() - began >= 0.4

    async def test_does_not_wait_for_who_has_given_the_lease_back(self, shared: Client, long: None) -> None:
        question = Question(uuid4(), uuid4(), 0)
        await revisions.answer(shared.database, "inspections", question)
        await revisions.give_back(shared.database, "catalogue", question)  # which it cannot give back
        await revisions.give_back(shared.database, "inspections", question)
        async with asyncio.timeout(PATIENCE_S):
            await announce(shared, delegation("ann", "clerk", active=False))

    async def test_waits_the_whole_time_where_the_leases_cannot_be_known(
        self, shared: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        began = time.monotonic()
        await revisions._agreed(Away(shared.database.engine), seq=1)
        assert time.monotonic() - began >= 0.4

    async def test_is_not_answered_where_it_is_not_committed(self, shared: Client, long: None) -> None:
        await asks(shared, uuid4(), 0)
        with pytest.raises(ValueError, match="no"):
            async with asyncio.timeout(PATIENCE_S), shared.database.transaction() as db:
                await revisions.announce(db, delegation("ann", "clerk", active=False))
                raise ValueError("no")
        assert await told(shared) == []


class Away(Database):
    """A database that gives no answer."""

    def transaction(self) -> Any:
        raise OperationalError("", {}, ConnectionRefusedError(), connection_invalidated=True)


class TestALease:
    async def test_is_forgotten_a_while_after_its_end(self, client: Client) -> None:
        for service in ("catalogue", "inspections"):
            await asks(client, uuid4(), 0, service)
        async with client.database.transaction() as db:
            older = "UPDATE grant_lease SET until = until - interval '2 minutes' WHERE service = 'catalogue'"
            await db.execute(text(older))
        await revisions.forget(client.database)
        async with client.database.transaction() as db:
            assert (await db.execute(text("SELECT count(*) FROM grant_lease"))).scalar_one() == 1
