"""Migrations: one `migrations/versions` folder per service, run by one shared Alembic environment.

`python -m services.kit.migrate NAME` brings a service's database up to its code, signed in by `<NAME>_MIGRATION_DATABASE_URL`
and acting as the owner, and grants what the service's roles may do; `--revision "…"` writes the next step from what differs.
Several processes may start at once: an advisory lock lets one migrate while the others wait. By convention a service's tables
hang on `services.NAME.models.Row.metadata`; the kit's own tables are migrated with them.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool

from services.kit import access_log, events, grants, idempotency, inbox, privileges, settings, tables
from services.kit.audit import tables as audit
from services.kit.database import engine

SERVICES = Path(__file__).parent.parent
LOCK = 0x0E_D0_08  # any number that nobody else of this database uses
# Imported so that the kit's metadata holds every table of the kit.
KIT_TABLES = (
    access_log.entries,
    audit.unsealed,
    grants.grants,
    idempotency.keys,
    events.Outbox.__table__,
    inbox.Inbox.__table__,
)


class NotMigrated(Exception):
    """The database cannot be brought up to the code; the text says why and what to do, in both languages."""


def metadata(name: str) -> list[MetaData]:
    """The tables that a service's database holds: its own, wherever in it they are declared, and the kit's."""
    import_module(f"services.{name}.service")
    own: MetaData = import_module(f"services.{name}.models").Row.metadata
    return [own, tables.METADATA]


def _config(name: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "alembic"))
    config.set_main_option("version_locations", str(SERVICES / name / "migrations" / "versions"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade_connection(connection: Connection, name: str, revision: str = "head") -> None:
    """Bring the connected database to a revision, in the connection's transaction. Raises NotMigrated where the database
    is of a newer release: its revision is none that this code knows."""
    current = MigrationContext.configure(connection).get_current_revision()
    config = _config(name)
    script = ScriptDirectory.from_config(config)
    if revision == "head" and current == script.get_current_head():
        return
    if current is not None and current not in {known.revision for known in script.walk_revisions()}:
        raise NotMigrated(
            f"{name}: the database was migrated by a newer release (revision {current}; this one knows up to "
            f"{script.get_current_head()}). Use that release, or another database. / {name} : la base a été migrée par une "
            f"version plus récente (révision {current}; celle-ci va jusqu’à {script.get_current_head()}). Utilisez cette "
            "version-là, ou une autre base."
        )
    config.attributes.update(connection=connection, metadata=metadata(name))
    command.upgrade(config, revision)


async def upgrade(database: AsyncEngine, name: str) -> None:
    """Bring a service's database up to its code, and what its roles may do there. Safe when many processes start at once."""
    async with database.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        await connection.run_sync(privileges.become_owner, name)
        await connection.run_sync(upgrade_connection, name)
        await connection.run_sync(privileges.grant, name, metadata(name))


async def bring_up(url: str, name: str) -> None:
    """Bring a service's database up to its code before anything else uses it. Raises NotMigrated, also where the database
    cannot be reached."""
    async with _used(url, name, settings.migration_variable(name)) as database:
        await upgrade(database, name)


async def require(url: str, name: str) -> None:
    """Raises NotMigrated where the database is not as the code needs it, or cannot be reached; changes nothing."""
    async with _used(url, name, settings.database_variable(name)) as used, used.connect() as connection:
        held = await connection.scalar(text("SELECT to_regclass('alembic_version')"))
        revision = await connection.scalar(text("SELECT version_num FROM alembic_version")) if held else None
    head = ScriptDirectory.from_config(_config(name)).get_current_head()
    if revision != head:
        how = f"python -m services.kit.migrate {name}"
        raise NotMigrated(
            f"{name}: the database is at revision {revision or 'none'} and the code at {head}. Migrate it first, with "
            f"{settings.migration_variable(name)}: {how} / {name} : la base est à la révision {revision or 'aucune'} et le code "
            f"à {head}. Migrez-la d’abord, avec {settings.migration_variable(name)} : {how}"
        )


@asynccontextmanager
async def _used(url: str, name: str, variable: str) -> AsyncIterator[AsyncEngine]:
    """An engine while the block lasts. Raises NotMigrated, naming the variable, where the server refuses or is away."""
    made = engine(url, poolclass=NullPool)
    try:
        yield made
    except (OSError, DBAPIError, asyncpg.PostgresError) as problem:
        why = getattr(problem, "orig", None) or problem
        raise NotMigrated(
            f"{name}: the database cannot be used: {why}. Check {variable} and the server behind it. / "
            f"{name} : base inutilisable : {why}. Vérifiez {variable} et le serveur qui s’y trouve."
        ) from problem
    finally:
        await made.dispose()


def differences(connection: Connection, name: str) -> list[Any]:
    """What the code's tables have and the database lacks, or the other way round; empty when they agree."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata(name)))  # type: ignore[arg-type] # Alembic takes a list too


def revise(connection: Connection, name: str, message: str) -> None:
    """Write the next migration from what differs between the connected database and the code."""
    folder = SERVICES / name / "migrations" / "versions"
    folder.mkdir(parents=True, exist_ok=True)
    config = _config(name)
    config.attributes.update(connection=connection, metadata=metadata(name))
    head = ScriptDirectory.from_config(config).get_current_head()
    following = f"{int(head or 0) + 1:04d}"
    command.revision(config, message=message, autogenerate=True, rev_id=following)


def main(arguments: Sequence[str] = tuple(sys.argv[1:])) -> None:
    """Command line: migrate a service's database, or write its next migration."""
    parser = argparse.ArgumentParser(prog="python -m services.kit.migrate", description=__doc__)
    parser.add_argument("name", help="the service, e.g. catalogue")
    parser.add_argument("--revision", metavar="MESSAGE", help="write the next migration instead")
    given = parser.parse_args(arguments)

    async def run() -> None:
        url = settings.migration_url(given.name)
        if not given.revision:
            await bring_up(url, given.name)
            return
        async with _used(url, given.name, settings.migration_variable(given.name)) as made, made.begin() as connection:
            await connection.run_sync(privileges.become_owner, given.name)
            await connection.run_sync(
                upgrade_connection, given.name
            )  # and no grants: the code's new tables are not there yet
            await connection.run_sync(revise, given.name, given.revision)

    try:
        asyncio.run(run())
    except (NotMigrated, settings.SettingMissing) as refused:
        sys.exit(str(refused))


if __name__ == "__main__":
    main()
