"""What the parts sign in with at the data stores, made once in a folder: one sub-folder a part, which only that part needs.

Local mode keeps the folder with its data, Compose on a volume; in production the same files come from wherever secrets are
kept. What the stores themselves are told holds no secret: SQL with verifiers of passwords, users by public keys.
"""

import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

import nkeys

from clusters import broker, keys
from services.kit import roles

ROLES_FILE = Path("postgres", "roles.sql")
USERS_FILE = Path("nats", "users.conf")


def password_file(folder: Path, service: str, kind: str) -> Path:
    """The password file of a role. Source: PostgreSQL, The Password File."""
    return folder / service / f"{kind}.pgpass"


def seed_file(folder: Path, user: str) -> Path:
    """The seed of a user of NATS: an Ed25519 key. Source: NATS, NKeys."""
    return folder / user / "nats.seed"


def prepare(folder: Path, services: Iterable[str]) -> None:
    """Make what is missing, readable by its owner only; what is there is kept. Raises OSError, and KeysRefused for a
    file of keys that holds none."""
    services = tuple(services)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for service in services:
        for kind in roles.LOGINS:
            if not password_file(folder, service, kind).exists():
                keep(
                    password_file(folder, service, kind),
                    f"*:*:*:{roles.role(service, kind)}:{secrets.token_urlsafe(24)}\n",
                )
    users = (*broker.traffic(services), broker.OPERATOR)
    for user in users:
        if not seed_file(folder, user).exists():
            seed = nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER)
            keep(seed_file(folder, user), seed.decode())
    told = {user: _public_key(seed_file(folder, user)) for user in users}
    keep(folder / USERS_FILE, broker.configuration(services, told))
    for signer in keys.SIGNERS.values():
        keys.take(keys.Step.MAKE, folder, signer)
    for service in services:
        keys.of_audit(folder, service)
    keep(folder / ROLES_FILE, "".join(f"{line}\n" for line in script(folder, services)))


def script(folder: Path, services: Iterable[str]) -> Iterator[str]:
    """The lines of a script for psql, run by a superuser, that makes each service's roles and database, closed to all others.
    It may be run again; a database that an older release left is given to its service. Raises OSError."""
    for service in services:
        held = {kind: _password(password_file(folder, service, kind)) for kind in roles.LOGINS}
        yield from _ended(roles.creation(service, {kind: roles.verifier(word) for kind, word in held.items()}))
        missing = f"SELECT 'CREATE DATABASE {service}' WHERE NOT EXISTS"
        yield f"{missing} (SELECT FROM pg_database WHERE datname = '{service}') \\gexec"
        yield from _ended(roles.enclosure(service, service))
        yield f"\\connect {service}"
        yield from _ended([roles.adoption(service)])


def _ended(statements: list[str]) -> Iterator[str]:
    return (f"{statement};" for statement in statements)


def _public_key(file: Path) -> str:
    key: bytes = nkeys.from_seed(bytearray(file.read_bytes().strip())).public_key
    return key.decode()


def _password(file: Path) -> str:
    return file.read_text().strip().rpartition(":")[2]


def keep(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner only. Raises OSError."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.touch(mode=0o600)
    part.write_text(text)
    part.replace(path)
