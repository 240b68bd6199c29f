"""The PostgreSQL roles of a service, and what each may do in its database. One service's roles may not even connect to another's.

`NAME_owner` owns the database and all in it, and nobody signs in as it; `NAME_migrator` signs in and becomes it, to migrate;
`NAME_app` is the running service: rows, never tables; `NAME_retention` may delete what has had its time. A table says in its
`info` what the last two may do with it where that is other than usual; `privileges.py` grants it.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping

OWNER, MIGRATOR, APP, RETENTION = "owner", "migrator", "app", "retention"
LOGINS = (MIGRATOR, APP, RETENTION)
# What tables say: rows are only added; rows are added and marked, and taken away when they have had their time.
ADDED_ONLY = {"info": {APP: ("SELECT", "INSERT")}}
KEPT = {"info": {APP: ("SELECT", "INSERT", "UPDATE"), RETENTION: ("SELECT", "DELETE")}}
ITERATIONS = 4_096  # PostgreSQL's own default; passwords here are random and long


def role(service: str, kind: str) -> str:
    """The name of a role of a service."""
    return f"{service}_{kind}"


def creation(service: str, verifiers: Mapping[str, str]) -> list[str]:
    """The statements that make a service's roles, or bring them back to what they must be; `verifiers` are what PostgreSQL
    keeps of the passwords of those who sign in (see `verifier`). They may be run again, and by several at once."""
    owner = role(service, OWNER)
    attributes = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    statements = [_create(role(service, kind)) for kind in (OWNER, *LOGINS)]
    statements.append(f"ALTER ROLE {owner} {attributes} NOLOGIN")
    statements += [f"ALTER ROLE {role(service, k)} {attributes} LOGIN PASSWORD '{verifiers[k]}'" for k in LOGINS]
    return [*statements, f"GRANT {owner} TO {role(service, MIGRATOR)} WITH INHERIT FALSE, SET TRUE"]


def _create(name: str) -> str:
    known = "WHEN duplicate_object OR unique_violation THEN NULL"
    return f"DO $$ BEGIN CREATE ROLE {name}; EXCEPTION {known}; END $$"


def enclosure(service: str, database: str) -> list[str]:
    """The statements that leave a database to its service's roles only; whoever owns the server runs them."""
    logins = ", ".join(role(service, kind) for kind in LOGINS)
    return [
        f'ALTER DATABASE "{database}" OWNER TO {role(service, OWNER)}',
        f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC',
        f'GRANT CONNECT ON DATABASE "{database}" TO {logins}',
    ]


def adoption(service: str) -> str:
    """The statement that gives to the owner what somebody else owns in a database: one that an older release left. It is run
    there by a superuser. What extensions hold stays theirs."""
    owner = role(service, OWNER)
    return f"""DO $$
DECLARE held record;
BEGIN
    FOR held IN
        SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END
            AS kind, c.oid::regclass::text AS name
        FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
            AND c.relowner <> '{owner}'::regrole
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('e', 'a', 'i'))
        UNION ALL
        SELECT 'FUNCTION', p.oid::regprocedure::text FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace AND p.proowner <> '{owner}'::regrole
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
        UNION ALL
        SELECT 'TYPE', t.oid::regtype::text FROM pg_type t
        WHERE t.typnamespace = 'public'::regnamespace AND t.typtype IN ('e', 'd') AND t.typowner <> '{owner}'::regrole
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('ALTER %s %s OWNER TO {owner}', held.kind, held.name);
    END LOOP;
END $$"""  # noqa: S608 - a service's name


def verifier(password: str, salt: bytes | None = None) -> str:
    """What PostgreSQL keeps of a password, so that the password itself is sent and logged nowhere. ASCII only.

    Source: RFC 5802 and RFC 7677, SCRAM-SHA-256; the form is PostgreSQL's.
    """
    salt = salt or os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    stored = hashlib.sha256(_mac(salted, b"Client Key")).digest()
    keys = ":".join(base64.b64encode(key).decode() for key in (stored, _mac(salted, b"Server Key")))
    return f"SCRAM-SHA-256${ITERATIONS}:{base64.b64encode(salt).decode()}${keys}"


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
