"""A service's migrations and its code say the same of its database."""

from collections.abc import AsyncIterator, Callable
from importlib import import_module

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from services.kit import migrate
from services.kit.testing.database import copied
from tests.architecture.test_layout import SERVICES


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
