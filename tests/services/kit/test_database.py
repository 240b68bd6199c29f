"""The database: one transaction per operation, queries read only, reads by key batched."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from clusters.local.processes import free_port
from services.kit.database import Database, Db, connect
from services.kit.testing.client import Client
from services.kit.testing.database import statements
from services.kit.text import Text
from tests.services.kit.conftest import count, issue, stuck_statements, until
from tests.services.sample_service.service import PermitIssued, WaterPermit, service


def permit(number: str, lake: str = "Simcoe", business: str = "123456789") -> WaterPermit:
    return WaterPermit(number=number, lake=lake, business_number=business, purpose=Text(en="Ice", fr="Glace"))


async def filled(db: Database, *numbers: str) -> None:
    async with db.transaction() as inside:
        inside.add(*(permit(number) for number in numbers))


class Broken(Exception):
    pass


class TestATransaction:
    async def test_is_committed_when_its_block_ends(self, db: Database) -> None:
        await filled(db, "a", "b")
        assert await count(db, "waterpermit") == 2

    async def test_is_rolled_back_whole_when_its_block_raises(self, db: Database) -> None:
        with pytest.raises(Broken):
            async with db.transaction() as inside:
                inside.add(permit("a"))
                await inside.flush()
                inside.emit(PermitIssued.model_validate({"number": "a", "issued_at": "2026-01-01T00:00:00Z"}))
                raise Broken
        assert (await count(db, "waterpermit"), await count(db, "outbox")) == (0, 0)

    async def test_tells_of_events_only_after_the_commit(self, db: Database) -> None:
        told: list[int] = []
        db.on_events = lambda: told.append(1)
        async with db.transaction() as inside:
            inside.emit(PermitIssued.model_validate({"number": "a", "issued_at": "2026-01-01T00:00:00Z"}))
            await inside.flush()
            assert told == []
        assert told == [1]

    async def test_without_events_wakes_nobody(self, db: Database) -> None:
        told: list[int] = []
        db.on_events = lambda: told.append(1)
        await filled(db, "a")
        assert told == []

    async def test_of_a_mutation_is_one(self, client: Client) -> None:
        """All that a mutation writes has one transaction id."""
        await issue(client)
        statement = "SELECT xmin::text FROM waterpermit UNION SELECT xmin::text FROM outbox"
        async with client.database.transaction() as inside:
            assert len((await inside.execute(text(statement))).all()) == 1

    async def test_works_in_utc(self, db: Database) -> None:
        async with db.transaction() as inside:
            assert (await inside.execute(text("SHOW timezone"))).scalar_one() == "UTC"


class TestAReader:
    @pytest.mark.parametrize(
        "write",
        [
            "DELETE FROM waterpermit",
            "UPDATE waterpermit SET lake = 'x'",
            "CREATE TABLE t (x int)",
            "INSERT INTO inbox (id, type, subject, position, envelope) VALUES ('a', 'b', 'c', 1, '{}')",
        ],
    )
    async def test_is_refused_every_write_by_the_database(self, db: Database, write: str) -> None:
        reader = db.reader()
        with pytest.raises(DBAPIError, match="read-only transaction"):
            await reader.execute(text(write))
        await reader.session.close()

    async def test_opens_no_connection_before_its_first_statement(self, db: Database) -> None:
        reader = db.reader()
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined] # a QueuePool
        await reader.one(WaterPermit, "a")
        assert db.engine.pool.checkedout() == 1  # type: ignore[attr-defined]
        await reader.session.close()
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]

    async def test_leaves_nothing_read_only_for_the_next_user_of_its_connection(self, db: Database) -> None:
        reader = db.reader()
        await reader.one(WaterPermit, "a")
        await reader.session.close()
        await filled(db, "a")
        assert await count(db, "waterpermit") == 1


class TestReadsByKey:
    async def test_of_one_turn_are_one_statement(self, db: Database) -> None:
        await filled(db, *"abcde")
        reader = db.reader()
        with statements(db.engine) as seen:
            found = await asyncio.gather(*(reader.one(WaterPermit, key) for key in "edcbax"))
        await reader.session.close()
        assert [row and row.number for row in found] == ["e", "d", "c", "b", "a", None]
        assert seen.count == 1

    async def test_of_many_rows_come_in_primary_key_order(self, db: Database) -> None:
        async with db.transaction() as inside:
            inside.add(permit("b", "Erie"), permit("a", "Erie"), permit("c", "Huron"))
        reader = db.reader()
        with statements(db.engine) as seen:
            erie, huron, none = await asyncio.gather(
                *(reader.where(WaterPermit, lake=lake) for lake in ("Erie", "Huron", "Ontario"))
            )
        await reader.session.close()
        assert [[row.number for row in rows] for rows in (erie, huron, none)] == [["a", "b"], ["c"], []]
        assert seen.count == 1

    async def test_may_name_several_columns(self, db: Database) -> None:
        async with db.transaction() as inside:
            inside.add(permit("a", "Erie", "111111111"), permit("b", "Erie", "222222222"))
            found = await inside.where(WaterPermit, lake="Erie", business_number="222222222")
        assert [row.number for row in found] == ["b"]

    async def test_see_what_the_same_transaction_wrote(self, db: Database) -> None:
        async with db.transaction() as inside:
            assert await inside.one(WaterPermit, "a") is None
            inside.add(permit("a"))
            assert await inside.one(WaterPermit, "a") is not None

    async def test_failing_fail_each_who_asked(self, db: Database) -> None:
        reader = db.reader()
        asked = (reader.one(WaterPermit, key) for key in ("a", "b\x00"))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        await reader.session.close()
        assert all(isinstance(answer, DBAPIError) for answer in answers)

    @pytest.mark.parametrize("leaves_first", [True, False])
    async def test_end_with_who_asked_in_postgresql_too(self, db: Database, *, leaves_first: bool) -> None:
        """Whether the one who waited is cancelled, and the loader cancels the batch, or the transaction breaks beside it."""
        async with db.transaction() as other:
            await other.execute(text("LOCK TABLE waterpermit IN ACCESS EXCLUSIVE MODE"))

            async def stuck(wanted: int) -> bool:
                return await stuck_statements(db) == wanted

            async def works() -> None:
                async with db.transaction() as inside:
                    asking = asyncio.create_task(inside.one(WaterPermit, "a"))
                    await until(lambda: stuck(1))
                    if leaves_first:
                        asking.cancel()
                        await asyncio.wait([asking])
                        await asyncio.sleep(0)  # the loader has cancelled the batch, which tells PostgreSQL now
                    raise Broken

            with pytest.raises(Broken):
                await works()
            await until(lambda: stuck(0), within_s=3)  # PostgreSQL itself would wait 5 s for the lock
        assert await count(db, "waterpermit") == 0

    async def test_of_a_server_that_falls_silent_end_with_who_asked(self, db: Database) -> None:
        """Neither the statement nor the request to cancel it is ever answered."""
        async with falling_silent(db) as (silent, hush):
            reader = silent.reader()
            assert await reader.one(WaterPermit, "a") is None
            hush()
            asking = asyncio.create_task(reader.one(WaterPermit, "a"))
            await asyncio.sleep(0.05)  # until the statement is on its way
            asking.cancel()
            await asyncio.wait_for(reader.close(), 4)


@asynccontextmanager
async def falling_silent(db: Database) -> AsyncIterator[tuple[Database, Callable[[], None]]]:
    """A way to a database that passes everything on until it is hushed, and then keeps its connections and says nothing."""
    url, hushed, piping = db.engine.url, asyncio.Event(), list[asyncio.Task[None]]()
    ends: list[asyncio.StreamWriter] = []

    async def pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            if not hushed.is_set():
                target.write(data)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection(url.host, url.port)
        ends.extend((outer, writer))
        piping.extend((asyncio.ensure_future(pipe(reader, outer)), asyncio.ensure_future(pipe(inner, writer))))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    through = url.set(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    opened = connect(through.render_as_string(hide_password=False), "silent", pool_size=1)
    try:
        yield opened, hushed.set
    finally:
        await opened.close()
        server.close()
        for end in ends:
            end.close()
        await asyncio.gather(*piping, return_exceptions=True)


class TestStatements:
    async def test_asked_at_once_queue_on_their_connection(self, db: Database) -> None:
        async with db.transaction() as inside:

            async def ask(number: int) -> int:
                found: int = (await inside.execute(text(f"SELECT {number} FROM pg_sleep(0.01)"))).scalar_one()
                return found

            assert await asyncio.gather(*map(ask, range(5))) == [0, 1, 2, 3, 4]

    async def test_of_any_form_are_read(self, db: Database) -> None:
        await filled(db, "a", "b")
        async with db.transaction() as inside:
            assert await inside.all(select(WaterPermit.number).order_by(WaterPermit.number)) == ["a", "b"]
            first = await inside.first(select(WaterPermit).where(WaterPermit.number == "b"))
            assert first is not None and first.number == "b"
            assert await inside.first(select(WaterPermit).where(WaterPermit.number == "c")) is None


class TestText:
    async def test_is_stored_with_both_halves_and_may_lack_one(self, db: Database) -> None:
        async with db.transaction() as inside:
            row = permit("a")
            row.purpose = Text(en=None, fr="Glace")
            inside.add(row)
        reader: Db = db.reader()
        found = await reader.one(WaterPermit, "a")
        await reader.session.close()
        assert found is not None
        assert found.purpose == Text(en=None, fr="Glace")


class TestADatabaseThatCannotBeUsed:
    """Is told as such, with the advice to come back, and not as a fault of ours."""

    ASKED = "{ waterPermits(first: 1) { edges { cursor } } }"

    async def test_when_every_connection_is_in_use(self, db: Database) -> None:
        url = db.engine.url.render_as_string(hide_password=False)
        crowded = connect(url, "test", pool_size=1, patience_s=0.05)
        async with crowded.transaction() as held:
            await held.execute(text("select 1"))
            answer = await Client(service, crowded).run(self.ASKED, "water:read")
        assert answer.codes == ["SERVICE_UNAVAILABLE"]
        assert (await Client(service, crowded).run(self.ASKED, "water:read")).codes == []
        await crowded.close()

    async def test_when_nobody_listens(self) -> None:
        away = connect(f"postgresql+asyncpg://u:p@127.0.0.1:{free_port()}/none", "test")
        answer = await Client(service, away).run(self.ASKED, "water:read")
        assert answer.codes == ["SERVICE_UNAVAILABLE"]
        assert "127.0.0.1" not in str(answer.body)
        await away.close()

    async def test_when_its_connection_dies(self, db: Database) -> None:
        client = Client(service, db)
        assert (await client.run(self.ASKED, "water:read")).codes == []
        async with db.transaction() as other:
            others = "from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()"
            await other.execute(text(f"select pg_terminate_backend(pid) {others}"))
        answers = [await client.run(self.ASKED, "water:read") for _ in range(8)]
        assert {code for answer in answers for code in answer.codes} <= {"SERVICE_UNAVAILABLE"}
        assert answers[-1].codes == []
