"""What the roles of a service may do in its database, asked of PostgreSQL itself."""

from collections.abc import AsyncIterator
from secrets import token_hex
from typing import Any

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from services.kit import database, roles
from services.kit.testing.database import PASSWORD, administer, made
from tests.services.kit.conftest import url_of
from tests.services.sample_service.service import service

# By name: what is in a schema that a role may not look into is not there for it.
REFUSED = (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError)
ALL = (roles.MIGRATOR, roles.APP, roles.RETENTION)
EVENT = """INSERT INTO outbox (id, type, subject, data, trace, time)
    VALUES (gen_random_uuid(), 'lake.froze.v1', 'erie', '{}', '{}', now())"""
# What a statement asks for, and the roles that may.
RIGHTS: dict[str, set[str]] = {
    "SELECT count(*) FROM waterpermit": {roles.APP},
    "DELETE FROM waterpermit": {roles.APP},
    "TRUNCATE waterpermit": set(),
    "ALTER TABLE waterpermit ADD COLUMN depth int": set(),
    "DROP TABLE waterpermit": set(),
    "CREATE TABLE lake (name text)": set(),
    "CREATE TEMPORARY TABLE lake (name text)": set(),
    "CREATE SCHEMA lakes": set(),
    "CREATE EXTENSION unaccent": set(),
    "CREATE FUNCTION deep() RETURNS int LANGUAGE sql AS 'SELECT 1'": set(),
    "ALTER TABLE access_entry DISABLE TRIGGER append_only": set(),
    f"SET ROLE {service.name}_owner": {roles.MIGRATOR},
    f"SET ROLE {service.name}_owner; DROP TABLE waterpermit": {roles.MIGRATOR},
    EVENT: {roles.APP},
    "UPDATE outbox SET sent_at = now()": {roles.APP},
    "DELETE FROM outbox": {roles.RETENTION},
    "DELETE FROM inbox": {roles.RETENTION},
    "TRUNCATE outbox": set(),
    "DELETE FROM access_entry": {roles.RETENTION},  # what has had its time only: the trigger sees to it
    "SELECT count(id) FROM access_entry": {roles.APP, roles.RETENTION},
    "SELECT subject FROM access_entry": {roles.APP},
    "INSERT INTO audit_unsealed (id, kept_in) VALUES (gen_random_uuid(), 'access_entry')": set(),
    "DELETE FROM audit_unsealed": {roles.APP},  # what is sealed only
    "UPDATE audit_seal SET seq = 1": set(),
    "DELETE FROM audit_head": set(),
    "UPDATE access_entry SET actor = 'nobody'": set(),
    "DELETE FROM alembic_version": set(),
    "SELECT * FROM pg_authid": set(),
    "CREATE ROLE lakes": set(),
    f"ALTER ROLE {service.name}_app SUPERUSER": set(),
    "COPY waterpermit TO PROGRAM 'cat'": set(),
}


@pytest.fixture
async def place(db: database.Database) -> dict[str, str]:
    """The URLs of one database, by the role that signs in."""
    url = make_url(url_of(db).replace("+asyncpg", ""))
    names = {kind: url.set(username=roles.role(service.name, kind)) for kind in (roles.OWNER, *ALL)}
    return {kind: name.render_as_string(hide_password=False) for kind, name in names.items()}


class TestARole:
    async def test_may_do_what_is_granted_and_nothing_else(self, place: dict[str, str]) -> None:
        done: dict[str, set[str]] = {statement: set() for statement in RIGHTS}
        for kind in ALL:
            connection = await asyncpg.connect(place[kind])
            for statement in RIGHTS:
                if await works(connection, statement):
                    done[statement].add(kind)
            await connection.close()
        assert done == RIGHTS

    async def test_that_owns_all_is_nobody_who_signs_in(self, place: dict[str, str]) -> None:
        connection = await asyncpg.connect(place[roles.APP])
        owners = (
            "SELECT rolname, rolcanlogin FROM pg_roles JOIN pg_database ON datdba = pg_roles.oid WHERE datname = $1"
        )
        found = await connection.fetch(owners, make_url(place[roles.APP]).database)
        await connection.close()
        assert [tuple(row) for row in found] == [(f"{service.name}_owner", False)]

    async def test_with_another_password_is_refused(self, place: dict[str, str]) -> None:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(place[roles.APP].replace(PASSWORD, "onedoor"))


async def works(connection: "asyncpg.Connection[Any]", statement: str) -> bool:
    """Whether a statement is allowed; whatever it did is undone."""
    work = connection.transaction()
    await work.start()
    try:
        await connection.execute(statement)
    except REFUSED:
        return False
    finally:
        await work.rollback()
    return True


class TestAnotherServicesDatabase:
    @pytest.fixture
    async def other(self, postgres_url: str) -> AsyncIterator[str]:
        name = f"lakes_{token_hex(4)}"
        await made(postgres_url, name, name)
        yield name
        names = ", ".join(roles.role(name, kind) for kind in (roles.OWNER, *roles.LOGINS))
        await administer(postgres_url, f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {names}")

    async def test_is_closed_to_every_role(self, place: dict[str, str], other: str) -> None:
        for kind in ALL:
            address = make_url(place[kind]).set(database=other).render_as_string(hide_password=False)
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
                await asyncpg.connect(address)
