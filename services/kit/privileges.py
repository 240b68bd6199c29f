"""What a service's roles may do with its tables: granted anew, all of it and nothing else, whenever the service is migrated."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, MetaData, Table, text
from sqlalchemy.pool import NullPool

from services.kit.database import engine
from services.kit.language import spoken
from services.kit.production import NotForProduction
from services.kit.roles import APP, OWNER, RETENTION, role
from services.kit.settings import database_variable

# What is granted on a table that says nothing itself (see `roles.ADDED_ONLY`).
USUAL: Mapping[str, Sequence[str]] = {APP: ("SELECT", "INSERT", "UPDATE", "DELETE"), RETENTION: ()}
REVISION = "alembic_version"  # a table of Alembic's own, in no metadata


def become_owner(connection: Connection, service: str) -> None:
    """Act as the owner until the transaction ends, where the server knows that role: a plain database has its one user."""
    asked = text("SELECT set_config('role', :owner, true) WHERE to_regrole(:owner) IS NOT NULL")
    connection.execute(asked, {"owner": role(service, OWNER)})


def grant(connection: Connection, service: str, metadata: Iterable[MetaData]) -> None:
    """Grant what each role may do with the tables there are, and nothing else. The owner runs it; no role, no grant."""
    known = text("SELECT to_regrole(:owner) IS NOT NULL")
    if not connection.execute(known, {"owner": role(service, OWNER)}).scalar_one():
        return
    app, retention = role(service, APP), role(service, RETENTION)
    statements = [
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA public TO {app}, {retention}",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {app}, {retention}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {app}",
        f"GRANT SELECT ON {REVISION} TO {app}",
    ]
    for table in (table for tables in metadata for table in tables.sorted_tables):
        for kind in (APP, RETENTION):
            if rights := rights_on(table, kind):
                statements.append(f'GRANT {", ".join(rights)} ON "{table.name}" TO {role(service, kind)}')
    for statement in statements:
        connection.exec_driver_sql(statement)


# What a running service must not be: whoever may do anything, or may change tables, in words for whoever mends it.
_POWERS = text(
    """SELECT
    rolsuper AS superuser,
    rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls AS rights_over_the_server,
    pg_has_role(oid, (SELECT datdba FROM pg_database WHERE datname = current_database()), 'MEMBER') AS owner_of_the_database,
    EXISTS (
        SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND pg_has_role(pg_roles.oid, relowner, 'MEMBER')
    ) AS owner_of_tables,
    EXISTS (
        SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = 'access_entry'
            AND has_table_privilege(pg_roles.oid, pg_class.oid, 'UPDATE, DELETE, TRUNCATE')
    ) AS power_over_access_entries
FROM pg_roles WHERE rolname = current_user"""
)


async def require_few(url: str, service: str) -> None:
    """Raises NotForProduction where the login of a service can do more than a running service needs, naming what."""
    made = engine(url, poolclass=NullPool)
    try:
        async with made.connect() as connection:
            found = (await connection.execute(_POWERS)).mappings().one()
    finally:
        await made.dispose()
    if powers := ", ".join(name for name, held in found.items() if held):
        variable = database_variable(service)
        raise NotForProduction(
            spoken(
                f"{variable} signs in as a role with too much power ({powers}); use {role(service, APP)}, which "
                "`onedoor credentials` makes",
                f"{variable} se connecte sous un rôle trop puissant ({powers}, en anglais)\u00a0; utilisez {role(service, APP)}, "
                "que fait `onedoor credentials`",
            )
        )


def rights_on(table: Table, kind: str) -> Sequence[str]:
    """What a role may do with a table: what the table says, else what is usual."""
    rights: Sequence[str] = table.info.get(kind, USUAL[kind])
    return rights
