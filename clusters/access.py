"""Reads `access.toml`: scopes, roles, clients and demo users, typed and checked against one another."""

import base64
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from services.kit.language import Words

FILE = Path(__file__).parent / "access.toml"
WEB, GATEWAY = "http://127.0.0.1:3000", "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True)
class Lives:
    """How long things last, in seconds. `session`: a refresh token's, from its last use."""

    access: int
    code: int
    session: int
    login: int


class Authentication(Enum):
    """How a client proves that it is the one it says: not at all, or by a JWT that its own key signed (RFC 7523)."""

    NONE = "none"
    KEY = "key"


class Flow(Enum):
    """How a client comes by tokens: a code with PKCE, a device's code (RFC 8628), or its own credentials."""

    CODE = "code"
    DEVICE = "device"
    CREDENTIALS = "credentials"


class SecondFactor(Enum):
    """What staff of a role show beside the password: an app's code, or a key (WebAuthn)."""

    CODE = "code"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client, as `access.toml` explains its keys. `secret` is local mode's only."""

    id: str
    authentication: Authentication
    flows: tuple[Flow, ...]
    redirect_uris: tuple[str, ...] = ()
    after_logout: tuple[str, ...] = ()
    logout: str | None = None
    secret: str | None = None
    role: str | None = None
    pushed: bool = False
    bound: bool = False
    account: bool = False
    administers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class User:
    """A demo user. `ministry` is the group of staff, as `cluster/ministry`."""

    name: str
    role: str
    words: Words
    ministry: str | None = None

    @property
    def subject(self) -> str:
        """The stable identifier that tokens carry as `sub`."""
        return str(uuid5(NAMESPACE_URL, f"onedoor:{self.name}"))

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that they are in, as Keycloak writes them and tokens name them."""
        return (f"/{self.ministry}",) if self.ministry else ()

    @property
    def password(self) -> str:
        return f"{self.name}-onedoor"

    @property
    def authenticator_secret(self) -> str:
        return authenticator_secret(self.name)


@dataclass(frozen=True, slots=True)
class Access:
    """Everything that `access.toml` says. `roles` are scopes by role; `second_factors` name the roles of staff only."""

    realm: str
    audiences: tuple[str, ...]
    lives: Lives
    scopes: Mapping[str, Words]
    roles: Mapping[str, tuple[str, ...]]
    second_factors: Mapping[str, SecondFactor]
    clients: Mapping[str, Client]
    users: Mapping[str, User]


def authenticator_secret(name: str) -> str:
    """What a demo user's app makes codes from (RFC 6238): the password, then "-second-factor", in base32."""
    return base64.b32encode(f"{name}-onedoor-second-factor".encode()).decode().rstrip("=")


@cache
def access(web: str = WEB, gateway: str = GATEWAY) -> Access:
    """What the file says, for the addresses of the web front end and of the gateway; those of local mode unless given.

    Raises KeyError naming a role or scope that is used and not declared, ValueError for an unknown flow, factor or way to
    authenticate.
    """
    data = tomllib.loads(FILE.read_text(encoding="utf-8"))
    scopes = {entry["name"]: Words(entry["en"], entry["fr"]) for entry in data["scopes"]}
    roles = {entry["name"]: tuple(entry["scopes"]) for entry in data["roles"]}
    factors = {e["name"]: SecondFactor(e["second_factor"]) for e in data["roles"] if "second_factor" in e}
    clients = {entry["id"]: _client(entry, {"web": web, "gateway": gateway}) for entry in data["clients"]}
    users = {
        entry["name"]: User(entry["name"], entry["role"], Words(entry["en"], entry["fr"]), entry.get("ministry"))
        for entry in data["users"]
    }
    for scope in (scope for held in roles.values() for scope in held):
        scopes[scope]
    for role in (*(user.role for user in users.values()), *(c.role for c in clients.values() if c.role)):
        roles[role]
    return Access(
        data["realm"], tuple(data["audiences"]), Lives(**data["lives"]), scopes, roles, factors, clients, users
    )


def _client(entry: dict[str, Any], addresses: Mapping[str, str]) -> Client:
    def addressed(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(name.format_map(addresses) for name in names)

    logout = entry.get("logout")
    return Client(
        entry["id"],
        Authentication(entry["authentication"]),
        tuple(map(Flow, entry["flows"])),
        addressed(entry.get("redirect_uris", ())),
        addressed(entry.get("after_logout", ())),
        logout and logout.format_map(addresses),
        entry.get("secret"),
        entry.get("role"),
        entry.get("pushed", False),
        entry.get("bound", False),
        entry.get("account", False),
        tuple(entry.get("administers", ())),
    )
