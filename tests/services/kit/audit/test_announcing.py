"""What others learn of a service's audit: its entries, once each, and what its chain is."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from joserfc.jwk import OKPKey
from sqlalchemy import select

from services.kit import access_log
from services.kit.audit import heads, tables
from services.kit.audit.announced import AccessLogged, AuditHead
from services.kit.audit.announcing import Announcer, witness
from services.kit.audit.merkle import Tree
from services.kit.audit.sealer import Sealer
from services.kit.database import Database
from services.kit.events import Outbox
from tests.services.kit.audit.conftest import NAME, add, sealed
from tests.services.kit.conftest import Json, count


async def told(db: Database, event: type) -> list[Json]:
    """The data of the events of a type, in order."""
    async with db.transaction() as inside:
        found = select(Outbox.data).where(Outbox.type == event.type).order_by(Outbox.seq)  # type: ignore[attr-defined]
        return list((await inside.execute(found)).scalars())


@pytest.fixture
def announcer(db: Database, key: OKPKey, tmp_path: Path) -> Announcer:
    return Announcer(db, NAME, lambda: key, tmp_path / "heads.jsonl")


class TestSealedEntries:
    async def test_are_told_once_each_with_their_seal(
        self, db: Database, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("services.kit.audit.sealer.MOST_ENTRIES", 2)
        await add(db, 3, role="inspector", purpose="inspection-planning", recipients=["catalogue"], case_number="C-1")
        await sealer.seal_some()
        assert await sealer.seal_some() == 0
        batches = await told(db, AccessLogged)
        assert [(batch["batch"], batch["service"], len(batch["entries"])) for batch in batches] == [
            (f"{NAME}/1", NAME, 2),
            (f"{NAME}/3", NAME, 1),
        ]
        entries = [entry for batch in batches for entry in batch["entries"]]
        assert [entry["id"] for entry in entries] == [str(seal.entry_id) for seal in await sealed(db)]
        assert entries[0] | {"id": "", "at": "", "shownAfter": "", "keepUntil": ""} == {
            "id": "",
            "at": "",
            "act": "READ",
            "actor": "clerk",
            "role": "inspector",
            "subject": "ann",
            "business": "",
            "category": "permits",
            "purpose": "inspection-planning",
            "authority": "self",
            "kind": "",
            "operation": "",
            "recipients": ["catalogue"],
            "caseNumber": "C-1",
            "reason": "",
            "shownAfter": "",
            "keepUntil": "",
        }
        moment = datetime.fromisoformat(entries[0]["at"])
        assert entries[0]["keepUntil"] == str(moment.date() + timedelta(days=1825))  # as the purpose says


class TestAHead:
    async def test_is_told_to_all_and_kept_outside_where_it_is_new(
        self, db: Database, sealer: Sealer, announcer: Announcer, key: OKPKey, tmp_path: Path
    ) -> None:
        assert await announcer.announce() is None
        for _ in range(2):
            await add(db, 2)
            await sealer.seal_some()
            assert await announcer.announce()
            assert await announcer.announce() is None
        events = await told(db, AuditHead)
        assert [event["count"] for event in events] == [2, 4]
        assert [orjson.loads(line) for line in (tmp_path / "heads.jsonl").read_bytes().splitlines()] == events
        signed = heads.read(events[1]["jws"], {str(key.kid): key.public_key})  # type: ignore[dict-item]
        assert (signed.count, signed.hash) == (4, (await sealed(db))[-1].hash)

    async def test_is_kept_by_who_hears_it_and_two_of_one_count_are_both_kept(self, db: Database) -> None:
        now = datetime.now(UTC)
        for hashed in ("aa", "aa", "bb"):
            async with db.transaction() as inside:
                await witness(AuditHead(service="lakes", count=7, hash=hashed * 32, at=now, jws=""), inside)
        assert await count(db, "audit_witness") == 2

    async def test_that_cannot_be_kept_outside_is_told_to_services_all_the_same(
        self, db: Database, sealer: Sealer, key: OKPKey, tmp_path: Path
    ) -> None:
        await add(db, 1)
        await sealer.seal_some()
        with pytest.raises(OSError, match="directory"):
            await Announcer(db, NAME, lambda: key, tmp_path).announce()
        assert len(await told(db, AuditHead)) == 1


class TestADay:
    async def test_that_is_over_has_a_signed_root_over_all_seals_since_the_one_before(
        self, db: Database, key: OKPKey
    ) -> None:
        days = [datetime(2026, 1, n, 23, tzinfo=UTC) for n in (1, 1, 3)]
        for moment in days:
            await add(db, 2)
            await Sealer(db, NAME, [access_log.SEALED], lambda: key, lambda at=moment: at).seal_some()  # type: ignore[misc]
        later = Announcer(db, NAME, lambda: key, clock=lambda: datetime(2026, 1, 3, 23, 30, tzinfo=UTC))
        assert [await later.close_a_day() for _ in range(2)] == [True, False]
        much_later = Announcer(db, NAME, lambda: key, clock=lambda: datetime(2026, 1, 9, tzinfo=UTC))
        assert [await much_later.close_a_day() for _ in range(2)] == [True, False]
        async with db.transaction() as inside:
            rows = (await inside.execute(select(tables.days).order_by(tables.days.c.day))).all()
        assert [tuple(row[:3]) for row in rows] == [(date(2026, 1, 1), 1, 4), (date(2026, 1, 3), 5, 6)]
        tree = Tree()
        for seal in (await sealed(db))[4:]:
            tree.add(seal.hash)
        head = heads.read(rows[1].jws, {str(key.kid): key.public_key})  # type: ignore[dict-item]
        assert (head.hash, head.day, head.count) == (tree.root(), date(2026, 1, 3), 6)

    async def test_is_closed_once_though_a_clock_falls_behind(self, db: Database, key: OKPKey) -> None:
        """What a slow clock has sealed after the day was closed belongs to the next: the day has its root already."""
        before, midnight = datetime(2026, 1, 1, 23, 59, 59, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
        for today in (midnight, midnight + timedelta(days=1)):
            await add(db, 2)
            await Sealer(db, NAME, [access_log.SEALED], lambda: key, lambda: before).seal_some()
            closing = Announcer(db, NAME, lambda: key, clock=lambda at=today: at)  # type: ignore[misc]
            assert [await closing.close_a_day() for _ in range(2)] == [True, False]
        async with db.transaction() as inside:
            rows = (await inside.execute(select(tables.days).order_by(tables.days.c.day))).all()
        assert [tuple(row[:3]) for row in rows] == [(date(2026, 1, 1), 1, 2), (date(2026, 1, 2), 3, 4)]
