"""Bringing a database up to the code: what is refused, with words for whoever must mend it, and no trace."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from clusters.local.processes import free_port
from services.kit import migrate
from services.kit.testing.database import copied

NAME = "catalogue"


@pytest.fixture
def migrated(template_of: Callable[[str], str]) -> str:
    return template_of(NAME)


class TestBringingUp:
    async def test_a_database_of_a_newer_release_is_refused_and_left_as_it_is(
        self, postgres_url: str, migrated: str
    ) -> None:
        async with copied(postgres_url, migrated, "newer") as url:
            engine = create_async_engine(url, poolclass=NullPool)
            async with engine.begin() as connection:
                await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            with pytest.raises(migrate.NotMigrated, match=r"newer release \(revision 9999; .* / .*plus récente"):
                await migrate.bring_up(url, NAME)
            async with engine.begin() as connection:
                assert await connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
            await engine.dispose()

    async def test_a_database_that_is_not_there_is_named_by_its_variable(self) -> None:
        with pytest.raises(migrate.NotMigrated, match=r"Check CATALOGUE_DATABASE_URL .* / .*Vérifiez"):
            await migrate.bring_up(f"postgresql+asyncpg://nobody@127.0.0.1:{free_port()}/none", NAME)


class TestTheCommand:
    @pytest.mark.parametrize("program", ["services.kit.migrate", "services.kit.serve"])
    def test_without_its_variable_it_says_so_without_a_trace(self, program: str) -> None:
        command = [sys.executable, "-m", program, NAME]
        done = subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("CATALOGUE_DATABASE_URL is not set")
        assert "Traceback" not in done.stderr
