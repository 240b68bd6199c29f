"""Migrations: one `migrations/versions` folder per service, run by one shared Alembic environment.

`python -m services.kit.migrate NAME` brings a service's database up to its code; `--revision "…"` writes the next step
from what differs. Several processes may start at once: an advisory lock lets one migrate while the others wait.
By convention a service's tables hang on `services.NAME.models.Row.metadata`; the kit's own tables are migrated with them.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from services.kit import events, idempotency, inbox, settings, tables

SERVICES = Path(__file__).parent.parent
LOCK = 0x0E_D0_08  # any number that nobody else of this database uses
# Imported so that the kit's metadata holds every table of the kit.
KIT_TABLES = (idempotency.keys, events.Outbox.__table__, inbox.Inbox.__table__)


def metadata(name: str) -> list[MetaData]:
    """The tables that a service's database holds: its own, and the kit's."""
    own: MetaData = import_module(f"services.{name}.models").Row.metadata
    return [own, tables.METADATA]


def _config(name: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "alembic"))
    config.set_main_option("version_locations", str(SERVICES / name / "migrations" / "versions"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade_connection(connection: Connection, name: str, revision: str = "head") -> None:
    """Bring the connected database to a revision, in the connection's transaction."""
    current = MigrationContext.configure(connection).get_current_revision()
    config = _config(name)
    if revision == "head" and current == ScriptDirectory.from_config(config).get_current_head():
        return
    config.attributes.update(connection=connection, metadata=metadata(name))
    command.upgrade(config, revision)


async def upgrade(engine: AsyncEngine, name: str) -> None:
    """Bring a service's database up to its code. Safe when many processes start at once."""
    async with engine.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        await connection.run_sync(upgrade_connection, name)


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
        engine = create_async_engine(settings.database_url(given.name))
        try:
            await upgrade(engine, given.name)
            if given.revision:
                async with engine.begin() as connection:
                    await connection.run_sync(revise, given.name, given.revision)
        finally:
            await engine.dispose()

    asyncio.run(run())


if __name__ == "__main__":
    main()
