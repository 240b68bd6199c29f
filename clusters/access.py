"""Reads `access.toml`: scopes, roles, clients and demo users, typed and checked against one another."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from services.kit.language import Words

FILE = Path(__file__).parent / "access.toml"


@dataclass(frozen=True, slots=True)
class Lives:
    """How long things last, in seconds. `session`: a refresh token's, from its last use."""

    access: int
    code: int
    session: int
    login: int


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client. A public one has no secret and uses PKCE; a confidential one acts by itself, in a role."""

    id: str
    redirect_uris: tuple[str, ...] = ()
    secret: str | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    """A demo user."""

    name: str
    role: str
    words: Words

    @property
    def subject(self) -> str:
        """The stable identifier that tokens carry as `sub`."""
        return str(uuid5(NAMESPACE_URL, f"onedoor:{self.name}"))

    @property
    def password(self) -> str:
        return f"{self.name}-onedoor"


@dataclass(frozen=True, slots=True)
class Access:
    """Everything that `access.toml` says. `roles` are scopes by role."""

    realm: str
    audiences: tuple[str, ...]
    lives: Lives
    scopes: Mapping[str, Words]
    roles: Mapping[str, tuple[str, ...]]
    clients: Mapping[str, Client]
    users: Mapping[str, User]


@cache
def access() -> Access:
    """What the file says. Raises KeyError naming a role or scope that is used and not declared."""
    data = tomllib.loads(FILE.read_text(encoding="utf-8"))
    scopes = {entry["name"]: Words(entry["en"], entry["fr"]) for entry in data["scopes"]}
    roles = {entry["name"]: tuple(entry["scopes"]) for entry in data["roles"]}
    clients = {
        entry["id"]: Client(entry["id"], tuple(entry.get("redirect_uris", ())), entry.get("secret"), entry.get("role"))
        for entry in data["clients"]
    }
    users = {
        entry["name"]: User(entry["name"], entry["role"], Words(entry["en"], entry["fr"])) for entry in data["users"]
    }
    for scope in (scope for held in roles.values() for scope in held):
        scopes[scope]
    for role in (*(user.role for user in users.values()), *(c.role for c in clients.values() if c.role)):
        roles[role]
    return Access(data["realm"], tuple(data["audiences"]), Lives(**data["lives"]), scopes, roles, clients, users)
