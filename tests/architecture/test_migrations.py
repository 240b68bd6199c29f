"""A service's migrations and its code say the same of its database, and lose nothing of what an older release left in it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from importlib import import_module
from secrets import token_hex
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from services.kit import database, migrate, roles
from services.kit.audit import tables as audit
from services.kit.serve import load
from services.kit.testing.database import Template, as_owner, copied, migrator_url, url_of
from tests.architecture.test_layout import SERVICES

ID = "00000000-0000-4000-8000-000000000001"
# What the release before access entries, or a service's first one, left in each database: its revision, and rows as that
# revision holds them.
LEFT: Mapping[str, tuple[str, Sequence[str]]] = {
    "accounts": ("0001", ["INSERT INTO profile VALUES ('owner', 'FR', now())"]),
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
CHAIN = (audit.unsealed, audit.seals, audit.heads, audit.days)
OWNERS = """SELECT tableowner FROM pg_tables WHERE schemaname = 'public'
    UNION SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE proname LIKE 'audit%'"""
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
def template_name(name: str, template_of: Callable[[str], Template]) -> Template:
    return template_of(name)


@pytest.fixture
async def connection(postgres_url: str, template_name: Template) -> AsyncIterator[AsyncConnection]:
    """A migrated database of its own."""
    async with copied(postgres_url, template_name, "migrations") as url, as_owner(url) as opened:
        yield opened


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
        async with copied(postgres_url, Template("template0", name), f"{name}_{token_hex(4)}") as url:
            before = await _left(url_of(postgres_url, make_url(url).database or ""), name, revision, rows)
            await migrate.bring_up(migrator_url(url), name)
            async with as_owner(url) as connection:
                after = await _rows(connection)
                assert await connection.run_sync(migrate.differences, name) == []
                assert set((await connection.execute(text(OWNERS))).scalars()) == {f"{name}_owner"}
        assert sum(map(len, before.values())) >= len(rows) + len(KITS)
        assert {table: _as_before(after[table], rows) for table, rows in before.items()} == before


def _as_before(after: list[Any], before: list[Any]) -> list[Any]:
    """Rows without the columns that they have had since."""
    columns = before[0].keys() if before else ()
    return [{name: row[name] for name in columns} for row in after] if before else after


async def _left(url: str, name: str, revision: str, rows: Sequence[str]) -> dict[str, list[Any]]:
    """Leave in a database what an older release did, whose services were superusers; then give it to the service's owner.
    Returns the rows."""
    engine = database.engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(migrate.upgrade_connection, name, revision)
        for row in (*rows, *KITS):
            await connection.execute(text(row))
        before = await _rows(connection)
        await connection.execute(text(roles.adoption(name)))
    await engine.dispose()
    return before


async def _rows(connection: AsyncConnection) -> dict[str, list[Any]]:
    """Every row of every table but the one that says which revision it is."""
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
    names = (await connection.execute(text(tables))).scalars().all()
    return {n: list((await connection.execute(text(f'SELECT to_jsonb(t) FROM "{n}" t'))).scalars()) for n in names}


class TestTheGuardOfTheAudit:
    """Alembic compares no triggers."""

    async def test_is_in_the_database_as_it_is_in_the_code(self, connection: AsyncConnection, name: str) -> None:
        guarded = (*CHAIN, *(each.table for each in load(name).sealed))
        migrated = await _guard(connection)
        for table in guarded:
            await connection.execute(text(f"DROP TABLE {table.name}"))
        for function in ("refuse", "queue", "keep", "dequeue"):
            await connection.execute(text(f"DROP FUNCTION audit_{function}"))
        for table in guarded:
            await connection.run_sync(table.create)
        assert migrated == await _guard(connection)
        assert {table for _, _, _, table in migrated} == {table.name for table in guarded}
        assert {enabled for _, enabled, _, _ in migrated} == {"A"}  # always, whatever part the session plays


async def _guard(connection: AsyncConnection) -> list[tuple[Any, ...]]:
    triggers = """SELECT pg_get_triggerdef(t.oid), t.tgenabled::text, p.prosrc, t.tgrelid::regclass::text FROM pg_trigger t
        JOIN pg_proc p ON p.oid = t.tgfoid WHERE p.proname LIKE 'audit%' ORDER BY 1"""
    return [tuple(row) for row in await connection.execute(text(triggers))]
