"""What has had its time goes, nothing before; the chain still verifies, and says what expired."""

import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.kit import access_log, roles
from services.kit.audit.expiring import expire
from services.kit.audit.exporting import export
from services.kit.audit.sealer import Sealer
from services.kit.audit.verifying import Report, Verification
from services.kit.database import Database, connect
from services.kit.testing.database import url_of as beside
from tests.services.kit.audit.conftest import NAME, add
from tests.services.kit.conftest import count

NOW = datetime.now(UTC)


@pytest.fixture
async def retention(db: Database, postgres_url: str) -> AsyncIterator[Database]:
    """The database, signed in as who takes things away."""
    login = roles.role(NAME, roles.RETENTION)
    opened = connect(beside(postgres_url, db.engine.url.database or "", login), "test", pool_size=1)
    yield opened
    await opened.close()


async def verified(db: Database) -> Report:
    file = io.BytesIO()
    await export(db.engine, NAME, [access_log.SEALED], file)
    return Verification().of(file.getvalue().splitlines())


class TestExpiry:
    async def test_takes_the_contents_of_what_had_its_time_and_leaves_a_chain_that_holds(
        self, db: Database, sealer: Sealer, retention: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("services.kit.audit.expiring.AT_ONCE", 2)
        for age_days in (4000, 4000, 4000, access_log.KEPT_DAYS + 1, access_log.KEPT_DAYS, 0):
            await add(db, 1, at=NOW - timedelta(days=age_days))
        await sealer.seal_some()
        assert (await expire(retention, [access_log.SEALED]))["access_entry"] == 4
        assert (await expire(retention, [access_log.SEALED]))["access_entry"] == 0
        assert await count(db, "access_entry") == 2
        report = await verified(db)
        assert (report.finding, report.seals, report.expired) == (None, 6, 4)
        assert report.expired_to == (NOW - timedelta(days=1)).date().isoformat()

    async def test_takes_copies_that_were_on_the_way(self, db: Database, sealer: Sealer, retention: Database) -> None:
        await add(db, 2)
        await sealer.seal_some()
        async with db.transaction() as inside:
            await inside.execute(text("UPDATE outbox SET sent_at = now() - interval '6 days'"))
        assert (await expire(retention, []))["outbox"] == 0
        async with db.transaction() as inside:
            await inside.execute(text("UPDATE outbox SET sent_at = now() - interval '8 days'"))
        assert (await expire(retention, []))["outbox"] == 1

    async def test_keeps_the_last_head_of_others_of_each_older_day(self, db: Database, retention: Database) -> None:
        rows = ", ".join(
            f"('lakes', {n}, '\\x{n:02x}', '{(NOW - timedelta(days=age)).date()}T12:00Z', '')"
            for n, age in enumerate((50, 50, 50, 49, 1, 1), start=1)
        )
        async with db.transaction() as inside:
            await inside.execute(
                text(f"INSERT INTO audit_witness (service, count, hash, at, jws) VALUES {rows}".replace(":", r"\:"))
            )
        assert (await expire(retention, []))["audit_witness"] == 2
        async with db.transaction() as inside:
            left = (await inside.execute(text("SELECT count FROM audit_witness ORDER BY count"))).scalars().all()
        assert left == [3, 4, 5, 6]


class TestAnEntry:
    async def test_is_not_taken_before_its_day_even_by_who_may_delete(
        self, db: Database, sealer: Sealer, retention: Database
    ) -> None:
        await add(db, 1, at=NOW - timedelta(days=access_log.KEPT_DAYS))
        await add(db, 1)
        await sealer.seal_some()
        await add(db, 1, at=NOW - timedelta(days=9999))  # old, and not sealed
        with pytest.raises(DBAPIError, match="is kept until the day that its seal names"):
            async with retention.transaction() as inside:
                await inside.execute(text("DELETE FROM access_entry"))
        assert await count(db, "access_entry") == 3
