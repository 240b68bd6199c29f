"""Sealing: every entry once, in a chain without gaps, whatever happens to who seals."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from joserfc.jwk import OKPKey
from sqlalchemy import event, select, text
from sqlalchemy.exc import DBAPIError

from services.kit.audit import heads, sealer, tables
from services.kit.audit.chain import NO_PAYLOAD
from services.kit.audit.sealer import Sealer
from services.kit.database import Database, connect
from services.kit.testing.database import url_of as beside
from tests.services.kit.audit.conftest import NAME, add, sealed, sealer_of, superuser
from tests.services.kit.conftest import count, url_of


class TestABatch:
    async def test_seals_what_waits_and_goes_on_from_the_last(self, db: Database, sealer: Sealer) -> None:
        for size in (1, 3):
            await add(db, size)
            assert await sealer.seal_some() == size
        assert len(await sealed(db)) == 4

    async def test_is_nothing_where_nothing_waits(self, db: Database, sealer: Sealer) -> None:
        assert await sealer.seal_some() == 0
        assert (await sealed(db), await count(db, "audit_head")) == ([], 0)

    async def test_is_no_larger_than_may_be(
        self, db: Database, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("services.kit.audit.sealer.AT_ONCE", 2)
        await add(db, 5)
        assert [await sealer.seal_some() for _ in range(4)] == [2, 2, 1, 0]
        assert len(await sealed(db)) == 5

    async def test_ends_with_a_head_that_the_service_has_signed(
        self, db: Database, sealer: Sealer, key: OKPKey
    ) -> None:
        await add(db, 2)
        await sealer.seal_some()
        async with db.transaction() as inside:
            head = (await inside.execute(select(tables.heads))).one()
        signed = heads.read(head.jws, {str(key.kid): key.public_key})  # type: ignore[dict-item]
        assert signed == heads.Head(NAME, 2, (await sealed(db))[-1].hash, head.at)

    async def test_without_a_key_has_a_head_that_nobody_signed(self, db: Database) -> None:
        await add(db, 1)
        await sealer_of(db, None).seal_some()
        async with db.transaction() as inside:
            assert (await inside.execute(select(tables.heads.c.jws))).scalar_one() == ""

    async def test_names_the_last_day_of_each_entry(self, db: Database, sealer: Sealer) -> None:
        await add(db, 1, at=datetime.fromisoformat("2026-01-01T23:30:00-05:00"))
        await sealer.seal_some()
        (seal,) = await sealed(db)
        assert seal.keep_until.isoformat() == "2033-01-02"  # its day is told in UTC

    async def test_tells_of_an_entry_that_somebody_took_away_before(
        self, db: Database, sealer: Sealer, postgres_url: str
    ) -> None:
        await add(db, 2)
        await superuser(
            postgres_url, db, "DELETE FROM access_entry WHERE id = (SELECT min(id::text)::uuid FROM access_entry)"
        )
        assert await sealer.seal_some() == 2
        async with db.transaction() as inside:
            digests = (await inside.execute(select(tables.seals.c.digest).order_by(tables.seals.c.seq))).scalars().all()
        assert digests[0] == NO_PAYLOAD != digests[1]


class TestAKilledSealer:
    async def test_has_sealed_a_batch_or_nothing_at_whatever_statement(self, db: Database, key: OKPKey) -> None:
        """Its connection is cut at each statement in turn, that of the commit too, as if its process were gone."""
        cut = 0
        while True:
            await add(db, 2)
            doomed = connect(url_of(db), "doomed", pool_size=1)
            killed = await _killed_at(cut, doomed, db, sealer_of(doomed, key))
            await doomed.close()
            before = len(await sealed(db))
            if not killed:
                break
            assert before % 2 == 0
            cut += 1
        assert cut >= 6
        await sealer_of(db, key).seal_some()
        assert len(await sealed(db)) == 2 * (cut + 1) == await count(db, "access_entry")


async def _killed_at(nth: int, doomed: Database, db: Database, at_work: Sealer) -> bool:
    """Cut the sealer's connection before its nth statement. Returns whether it came to it."""
    seen = 0

    def strike(connection: Any, *_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == nth + 1:
            raw = connection.connection.dbapi_connection.driver_connection
            raw.terminate()

    event.listen(doomed.engine.sync_engine, "before_cursor_execute", strike)
    event.listen(doomed.engine.sync_engine, "commit", strike)
    try:
        await at_work.seal_some()
    except (DBAPIError, OSError):
        assert seen > nth
        return True
    return False


class TestManySealers:
    async def test_seal_each_entry_once(self, db: Database, key: OKPKey, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sealer, "AT_ONCE", 5)

        async def work() -> None:
            mine = sealer_of(db, key)
            for _ in range(20):
                await mine.seal_some()

        await asyncio.gather(*(work() for _ in range(4)), *(add(db, 3) for _ in range(10)))
        while await sealer_of(db, key).seal_some():
            pass
        assert len(await sealed(db)) == 30


class TestTheDatabase:
    @pytest.mark.parametrize(
        "change",
        [
            "DELETE FROM audit_unsealed",
            "UPDATE audit_unsealed SET id = gen_random_uuid()",
            "TRUNCATE audit_unsealed",
            "UPDATE audit_seal SET keep_until = '2020-01-01'",
            "DELETE FROM audit_seal",
            "TRUNCATE audit_seal",
            "UPDATE audit_head SET jws = ''",
            "DELETE FROM audit_head",
            "DELETE FROM access_entry",
            "UPDATE access_entry SET salt = ''",
        ],
    )
    async def test_refuses_what_would_break_the_chain_even_to_a_superuser(
        self, db: Database, sealer: Sealer, postgres_url: str, change: str
    ) -> None:
        await add(db, 1)
        await sealer.seal_some()
        await add(db, 1)
        server = connect(beside(postgres_url, db.engine.url.database or ""), "test", pool_size=1)
        with pytest.raises(DBAPIError, match=r"is never changed|until the day|when it is sealed"):
            async with server.transaction() as inside:
                await inside.execute(text("SET LOCAL session_replication_role = replica"))
                await inside.execute(text(change))
        await server.close()
        assert len(await sealed(db)) == 1
