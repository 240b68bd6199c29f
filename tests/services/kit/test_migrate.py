"""Bringing a database up to the code: what is refused, with words for whoever must mend it, and no trace."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from sqlalchemy import text

from clusters.local.processes import free_port
from services.kit import migrate
from services.kit.testing.database import Template, as_owner, copied, migrator_url

NAME = "catalogue"


@pytest.fixture
def migrated(template_of: Callable[[str], Template]) -> Template:
    return template_of(NAME)


class TestBringingUp:
    async def test_a_database_of_a_newer_release_is_refused_and_left_as_it_is(
        self, postgres_url: str, migrated: Template
    ) -> None:
        async with copied(postgres_url, migrated, "newer") as url:
            async with as_owner(url) as connection:
                await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            with pytest.raises(migrate.NotMigrated, match=r"newer release \(revision 9999; .* / .*plus récente"):
                await migrate.bring_up(migrator_url(url), NAME)
            async with as_owner(url) as connection:
                assert await connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"

    async def test_a_database_that_is_not_there_is_named_by_its_variable(self) -> None:
        with pytest.raises(migrate.NotMigrated, match=r"Check CATALOGUE_MIGRATION_DATABASE_URL .* / .*Vérifiez"):
            await migrate.bring_up(f"postgresql+asyncpg://nobody@127.0.0.1:{free_port()}/none", NAME)

    async def test_by_the_service_itself_is_refused(self, postgres_url: str, migrated: Template) -> None:
        async with copied(postgres_url, migrated, "itself") as url:
            with pytest.raises(migrate.NotMigrated, match="permission denied to set role"):
                await migrate.bring_up(url, NAME)


class TestAServiceThatDoesNotMigrate:
    async def test_is_content_with_a_database_that_is_as_its_code_needs_it(
        self, postgres_url: str, migrated: Template
    ) -> None:
        async with copied(postgres_url, migrated, "content") as url:
            await migrate.require(url, NAME)

    @pytest.mark.parametrize(
        "change", ["UPDATE alembic_version SET version_num = '0000'", "DROP TABLE alembic_version"]
    )
    async def test_says_how_to_migrate_another(self, postgres_url: str, migrated: Template, change: str) -> None:
        async with copied(postgres_url, migrated, "another") as url:
            async with as_owner(url) as owner:
                await owner.execute(text(change))
            how = r"with CATALOGUE_MIGRATION_DATABASE_URL: python -m services.kit.migrate catalogue / .* Migrez"
            with pytest.raises(migrate.NotMigrated, match=how):
                await migrate.require(url, NAME)


class TestTheCommand:
    @pytest.mark.parametrize("program", ["services.kit.migrate", "services.kit.serve"])
    def test_without_its_variable_it_says_so_without_a_trace(self, program: str) -> None:
        command = [sys.executable, "-m", program, NAME]
        done = subprocess.run(
            command, env={"PATH": "/usr/bin:/bin", "ONEDOOR_MODE": "local"}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert done.stderr.startswith("CATALOGUE_DATABASE_URL is not set")
        assert "Traceback" not in done.stderr
