"""What a process is told by its environment. Read once, in composition roots; nothing else reads the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from services.kit.language import spoken

GRANT_KEYS = (
    "the public keys of accounts, which signs what it tells of grants",
    "les clés publiques d’accounts, qui signe ce qu’il dit des autorisations",
)
SEED = "NATS_SEED_FILE"
AUTHORITY = "TLS_AUTHORITY"


class Mode(Enum):
    """Where a process runs. Production is the default, so that what is forgotten fails safe."""

    LOCAL = "local"
    TEST = "test"
    PRODUCTION = "production"


class SettingMissing(Exception):
    """A required variable is absent or malformed; the text names it and says what it should hold."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """The OpenID Connect issuer: `url` is compared with `iss`, keys are fetched below `internal_url`."""

    url: str
    internal_url: str

    @property
    def jwks_url(self) -> str:
        return f"{self.internal_url}/protocol/openid-connect/certs"


@dataclass(frozen=True, slots=True)
class Settings:
    """One service's settings. URLs without a trailing slash; times in seconds.

    `gateway_keys` holds the public keys of who may call; without it anybody may. `address` is the one by which
    those are told to call `/graphql`.
    """

    name: str
    mode: Mode
    host: str
    port: int
    database_url: str
    nats_url: str
    issuer: Issuer
    log_level: str
    gateway_keys: Path | None = None
    address: str = ""
    nats_seed: Path | None = None
    authority: Path | None = None  # whom issuer and NATS must be certified by; None: whom the machine trusts
    audit_keys: Path | None = None  # what signs the heads of the audit; without it they are unsigned
    audit_heads: Path | None = None  # a file outside, to which heads are appended each minute
    migration_url: str | None = None  # without it the service migrates nothing and needs a database that is migrated
    grant_keys: Path | None = None  # the public keys of accounts; without them nobody acts for anybody else

    @property
    def audience(self) -> str:
        """What a token's `aud` must hold to be meant for this service."""
        return self.name.replace("_", "-")


def mode(env: Mapping[str, str] = os.environ) -> Mode:
    """ONEDOOR_MODE. Raises SettingMissing for a value that is none of the modes."""
    value = env.get("ONEDOOR_MODE", Mode.PRODUCTION.value)
    try:
        return Mode(value)
    except ValueError:
        raise SettingMissing(
            spoken(
                f"ONEDOOR_MODE is {value!r}; it must be local, test or production",
                f"ONEDOOR_MODE vaut {value!r}; il faut local, test ou production",
            )
        ) from None


def issuer(env: Mapping[str, str] = os.environ) -> Issuer:
    """ISSUER_URL and ISSUER_INTERNAL_URL (by default the same)."""
    url = required(
        env,
        "ISSUER_URL",
        "the OpenID Connect issuer, e.g. http://127.0.0.1:8080/realms/onedoor",
        "l’émetteur OpenID Connect, p. ex. http://127.0.0.1:8080/realms/onedoor",
    ).rstrip("/")
    return Issuer(url, env.get("ISSUER_INTERNAL_URL", url).rstrip("/"))


def service_settings(name: str, env: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a service by its name. Raises SettingMissing naming the variable."""
    keys = key_file(
        env,
        "GATEWAY_KEYS",
        "the JWK set of the gateway’s public keys: without it anybody may call",
        "le jeu JWK des clés publiques de la passerelle\u00a0: sans lui, n’importe qui peut appeler",
    )
    return Settings(
        name=name,
        mode=mode(env),
        gateway_keys=keys,
        audit_keys=key_file(
            env,
            "AUDIT_KEYS",
            "the service’s own key, which signs the heads of its audit",
            "la clé du service, qui signe les têtes de son audit",
        ),
        audit_heads=Path(env["AUDIT_HEADS_FILE"]) if env.get("AUDIT_HEADS_FILE") else None,
        grant_keys=key_file(env, "GRANT_KEYS", *GRANT_KEYS),
        address=_address(name, env) if keys else "",
        host=env.get("HOST", "127.0.0.1"),
        port=number(env, "PORT", 8100),
        database_url=database_url(name, env),
        nats_url=nats_url(env),
        nats_seed=nats_seed(env),
        authority=authority(env),
        issuer=issuer(env),
        log_level=env.get("LOG_LEVEL", "INFO").upper(),
        migration_url=migration_url(name, env) if migrates_at_start(name, env) else None,
    )


def key_file(env: Mapping[str, str], variable: str, en: str, fr: str) -> Path | None:
    """The file that a variable names, which production cannot do without. Raises SettingMissing."""
    if mode(env) is Mode.PRODUCTION:
        return Path(required(env, variable, en, fr))
    return Path(env[variable]) if env.get(variable) else None


def _address(name: str, env: Mapping[str, str]) -> str:
    """SUBGRAPH_URL_<NAME>, the very text that the gateway is given: signatures name it."""
    return required(
        env,
        f"SUBGRAPH_URL_{name.upper()}",
        "the address by which the gateway calls this service, e.g. http://127.0.0.1:8101/graphql",
        "l’adresse par laquelle la passerelle appelle ce service, p. ex. http://127.0.0.1:8101/graphql",
    )


def migrates_at_start(name: str, env: Mapping[str, str] = os.environ) -> bool:
    """Whether a service migrates its database as it starts: in production only where it is given the login that can."""
    return mode(env) is not Mode.PRODUCTION or bool(env.get(migration_variable(name)))


def nats_url(env: Mapping[str, str] = os.environ) -> str:
    """NATS_URL. Raises SettingMissing."""
    return required(
        env,
        "NATS_URL",
        "the NATS server, e.g. nats://127.0.0.1:4242",
        "le serveur NATS, p. ex. nats://127.0.0.1:4242",
    )


def file_of(env: Mapping[str, str], variable: str, en: str, fr: str) -> Path | None:
    """The file that a variable names, or None. Raises SettingMissing, saying what it should hold, where it cannot be read."""
    if not env.get(variable):
        return None
    path = Path(env[variable])
    try:
        path.open("rb").close()
    except OSError as problem:
        raise SettingMissing(
            spoken(
                f"{variable} names {path}, which cannot be read ({problem.strerror}); it must hold {en}",
                f"{variable} désigne {path}, illisible ({problem.strerror}); il doit contenir {fr}",
            )
        ) from None
    return path


def nats_seed(env: Mapping[str, str] = os.environ) -> Path | None:
    """NATS_SEED_FILE. Raises SettingMissing."""
    return file_of(
        env, SEED, "the seed of this part’s user at NATS", "la graine de l’utilisateur de cette partie chez NATS"
    )


def authority(env: Mapping[str, str] = os.environ) -> Path | None:
    """TLS_AUTHORITY. Raises SettingMissing."""
    return file_of(env, AUTHORITY, "certificates of authorities, in PEM", "des certificats d’autorités, en PEM")


def database_variable(name: str) -> str:
    """The variable that holds where a service finds its database, signed in as its `_app` role."""
    return f"{name.upper()}_DATABASE_URL"


def migration_variable(name: str) -> str:
    """The variable that holds where it is migrated, signed in as its `_migrator` role."""
    return f"{name.upper()}_MIGRATION_DATABASE_URL"


def database_url(name: str, env: Mapping[str, str] = os.environ) -> str:
    """`<NAME>_DATABASE_URL` in the form that the async engine takes. Raises SettingMissing."""
    return _database_url(database_variable(name), env)


def migration_url(name: str, env: Mapping[str, str] = os.environ) -> str:
    """`<NAME>_MIGRATION_DATABASE_URL`, else `<NAME>_DATABASE_URL`. Raises SettingMissing."""
    own = migration_variable(name)
    return _database_url(own if env.get(own) else database_variable(name), env)


def _database_url(variable: str, env: Mapping[str, str]) -> str:
    url = required(
        env,
        variable,
        "a PostgreSQL database, e.g. postgresql://user@host:5432/name",
        "une base PostgreSQL, p. ex. postgresql://user@host:5432/name",
    )
    for prefix in ("postgresql+asyncpg://", "postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+asyncpg://" + url.removeprefix(prefix)
    raise SettingMissing(
        spoken(f"{variable} must begin with postgresql://", f"{variable} doit commencer par postgresql://")
    )


def required(env: Mapping[str, str], variable: str, en: str, fr: str) -> str:
    """The variable's value. Raises SettingMissing saying what it should hold, in the terminal's language."""
    value = env.get(variable, "").strip()
    if not value:
        raise SettingMissing(
            spoken(
                f"{variable} is not set; it must name {en}",
                f"{variable} n’est pas définie; elle doit indiquer {fr}",
            )
        )
    return value


def number(env: Mapping[str, str], variable: str, default: int) -> int:
    """An integer variable. Raises SettingMissing when it holds something else."""
    value = env.get(variable, str(default))
    try:
        return int(value)
    except ValueError:
        raise SettingMissing(
            spoken(
                f"{variable} is {value!r}; it must be a whole number",
                f"{variable} vaut {value!r}; il faut un nombre entier",
            )
        ) from None


def switch(env: Mapping[str, str], variable: str, *, default: bool = False) -> bool:
    """A variable that is 1 or 0. Raises SettingMissing when it holds something else."""
    value = env.get(variable) or str(int(default))
    if value not in ("0", "1"):
        raise SettingMissing(
            spoken(f"{variable} is {value!r}; it must be 1 or 0", f"{variable} vaut {value!r}; il faut 1 ou 0")
        )
    return value == "1"
