"""What a process is told by its environment. Read once, in composition roots; nothing else reads the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from services.kit.language import spoken


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
    """One service's settings. URLs without a trailing slash; times in seconds."""

    name: str
    mode: Mode
    host: str
    port: int
    database_url: str
    nats_url: str
    issuer: Issuer
    log_level: str

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
    return Settings(
        name=name,
        mode=mode(env),
        host=env.get("HOST", "127.0.0.1"),
        port=number(env, "PORT", 8100),
        database_url=database_url(name, env),
        nats_url=nats_url(env),
        issuer=issuer(env),
        log_level=env.get("LOG_LEVEL", "INFO").upper(),
    )


def nats_url(env: Mapping[str, str] = os.environ) -> str:
    """NATS_URL. Raises SettingMissing."""
    return required(
        env,
        "NATS_URL",
        "the NATS server, e.g. nats://127.0.0.1:4242",
        "le serveur NATS, p. ex. nats://127.0.0.1:4242",
    )


def database_url(name: str, env: Mapping[str, str] = os.environ) -> str:
    """`<NAME>_DATABASE_URL` in the form that the async engine takes."""
    variable = f"{name.upper()}_DATABASE_URL"
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


def switch(env: Mapping[str, str], variable: str) -> bool:
    """A variable that is 1 or 0, by default 0. Raises SettingMissing when it holds something else."""
    value = env.get(variable) or "0"
    if value not in ("0", "1"):
        raise SettingMissing(
            spoken(f"{variable} is {value!r}; it must be 1 or 0", f"{variable} vaut {value!r}; il faut 1 ou 0")
        )
    return value == "1"
