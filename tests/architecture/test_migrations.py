"""A service's migrations and its code say the same of its database, and lose nothing of what an older release left in it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from importlib import import_module
from secrets import token_hex
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from services.kit import access_log, migrate
from services.kit.testing.database import copied
from tests.architecture.test_layout import SERVICES

ID = "00000000-0000-4000-8000-000000000001"
# What the release before access entries left in each database: its revision, and rows as that revision holds them.
LEFT: Mapping[str, tuple[str, Sequence[str]]] = {
    "business_registration": (
        "0002",
        [
            """INSERT INTO business VALUES ('700000015', 'Amber Kiln', 'SOLE_PROPRIETORSHIP', '72', 'ACTIVE', now(), 'owner',
                '1 King Street', 'Toronto', 'M5V 2T6')""",
            f"""INSERT INTO application VALUES ('{ID}', 'owner', 'SUBMITTED', 'SOLE_PROPRIETORSHIP', 'Amber Kiln', '72',
                '1 King Street', 'Toronto', 'M5V 2T6', '{{}}', now(), now(), '700000015', NULL, false)""",
            f"""INSERT INTO program_status VALUES ('{ID}', '{ID}', '700000015', 'RETAIL_SALES_TAX', 'REQUESTED', NULL, NULL,
                now(), NULL)""",
            """INSERT INTO held_name (name, identical_key, words, phonetic, stems, legal_type, blocks, business_number,
                rule_version) VALUES ('Amber Kiln', 'amber kiln', '{amber,kiln}', '{AMPR}', '{amber}',
                'SOLE_PROPRIETORSHIP', false, '700000015', '1')""",
        ],
    ),
    "catalogue": (
        "0001",
        [
            """INSERT INTO cluster VALUES ('resources', '{"en": "Resources", "fr": "Ressources"}', '{}', NULL)""",
            "INSERT INTO measuredresult VALUES ('calls', '2026-01-01', '', 4.5, 5, 100, now(), 'administrator')",
        ],
    ),
    "information_referral": (
        "0001",
        [
            f"""INSERT INTO organization (id, name) VALUES ('{ID}', '{{"en": "Food bank", "fr": "Banque alimentaire"}}')""",
            "INSERT INTO imported VALUES ('hsds', 'a', 'hash')",
        ],
    ),
    "inspections": (
        "0001",
        [
            "INSERT INTO known_business VALUES ('700000015', 'Amber Kiln', '72', 'owner', now())",
            "INSERT INTO checklist VALUES ('food@1', 'food', 1, '{}', '{}', '[]', now(), NULL)",
            f"""INSERT INTO inspection (id, number, business_number, sector, reason, status, scheduled_for, checklist_id,
                version, round, not_applicable, first_contact, scheduled_at) VALUES ('{ID}', 'IN-1', '700000015', '72',
                'FIRST', 'SCHEDULED', '2026-01-05', 'food@1', 1, 0, '[]', '[]', now())""",
            f"INSERT INTO transition VALUES ('{ID}', 1, 'SCHEDULED', now(), 'rule', '')",
        ],
    ),
}
KITS = (
    """INSERT INTO outbox (id, type, subject, data, trace, time)
        VALUES (gen_random_uuid(), 'lake.froze.v1', 'erie', '{}', '{}', now())""",
    "INSERT INTO idempotency_key (caller, mutation, key, input_hash) VALUES ('owner', 'draft', 'k', 'h')",
)


@pytest.fixture(params=SERVICES)
def name(request: pytest.FixtureRequest) -> str:
    """Each service, its whole code imported, so that all its tables are known."""
    found = str(request.param)
    import_module(f"services.{found}.service")
    return found


@pytest.fixture
def template_name(name: str, template_of: Callable[[str], str]) -> str:
    return template_of(name)


@pytest.fixture
async def connection(postgres_url: str, template_name: str) -> AsyncIterator[AsyncConnection]:
    """A migrated database of its own."""
    async with copied(postgres_url, template_name, "migrations") as url:
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.begin() as opened:
            yield opened
        await engine.dispose()


class TestMigrations:
    async def test_they_lead_to_the_tables_of_the_code(self, connection: AsyncConnection, name: str) -> None:
        assert await connection.run_sync(migrate.differences, name) == []

    async def test_a_missing_column_would_be_seen(self, connection: AsyncConnection, name: str) -> None:
        await connection.execute(text("ALTER TABLE outbox DROP COLUMN trace"))
        assert await connection.run_sync(migrate.differences, name)

    async def test_a_second_run_finds_nothing_to_do(self, connection: AsyncConnection, name: str) -> None:
        await connection.run_sync(migrate.upgrade_connection, name)
        assert await connection.run_sync(migrate.differences, name) == []


class TestTheRowsOfAnOlderRelease:
    async def test_are_all_there_afterwards(self, postgres_url: str, name: str) -> None:
        revision, rows = LEFT[name]
        async with copied(postgres_url, "template0", f"{name}_{token_hex(4)}") as url:
            engine = create_async_engine(url, poolclass=NullPool)
            async with engine.begin() as connection:
                await connection.run_sync(migrate.upgrade_connection, name, revision)
                for row in (*rows, *KITS):
                    await connection.execute(text(row))
                before = await _rows(connection)
            await migrate.upgrade(engine, name)
            async with engine.begin() as connection:
                after = await _rows(connection)
                assert await connection.run_sync(migrate.differences, name) == []
            await engine.dispose()
        assert sum(map(len, before.values())) >= len(rows) + len(KITS)
        assert {table: after[table] for table in before} == before


async def _rows(connection: AsyncConnection) -> dict[str, list[Any]]:
    """Every row of every table but the one that says which revision it is."""
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
    names = (await connection.execute(text(tables))).scalars().all()
    return {n: list((await connection.execute(text(f'SELECT to_jsonb(t) FROM "{n}" t'))).scalars()) for n in names}


class TestTheGuardOfAccessEntries:
    """Alembic compares no triggers."""

    async def test_is_in_the_database_as_it_is_in_the_code(self, connection: AsyncConnection) -> None:
        migrated = await _guard(connection)
        await connection.execute(text("DROP TABLE access_entry"))
        await connection.execute(text("DROP FUNCTION keep_access_entries"))
        await connection.run_sync(access_log.entries.create)
        assert migrated == await _guard(connection)
        assert [enabled for _, enabled, _ in migrated] == ["A"]  # always, whatever part the session plays


async def _guard(connection: AsyncConnection) -> list[tuple[Any, ...]]:
    triggers = """SELECT pg_get_triggerdef(t.oid), t.tgenabled::text, p.prosrc FROM pg_trigger t
        JOIN pg_proc p ON p.oid = t.tgfoid WHERE t.tgrelid = 'access_entry'::regclass"""
    return [tuple(row) for row in await connection.execute(text(triggers))]
