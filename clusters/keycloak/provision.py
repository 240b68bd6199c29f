"""Brings a running realm to what the code says, and says first what that takes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import requests
from keycloak import KeycloakAdmin
from keycloak.exceptions import KeycloakError

from clusters import access
from clusters.access import Authentication
from clusters.keycloak import connection
from clusters.keycloak.connection import Account, KeycloakRefused
from clusters.keycloak.differences import Difference, differences
from clusters.keycloak.expected import expected, running
from clusters.keycloak.mend import mend
from clusters.keycloak.realm import realm
from clusters.keycloak.state import Json, State
from services.kit.language import spoken

NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Provision:
    """A realm as it is wanted, and a way to the server. `rules` say which it is; `keys` are clients' public ones."""

    admin: KeycloakAdmin
    account: Account
    rules: access.Access
    keys: Mapping[str, Json]
    demo: bool = False

    @property
    def wanted(self) -> Json:
        return realm(self.rules, self.keys, demo=self.demo)

    def plan(self) -> tuple[Difference, ...]:
        """Every deviation; all of a realm that is not there. Raises KeycloakRefused."""
        with self._refusals():
            return differences(expected(self.wanted), self._running() or {})

    def carry_out(self, note: Callable[[str], object] = lambda _: None) -> tuple[Difference, ...]:
        """Mend, and look again until nothing is left or nothing helps. Returns what is left; `note` hears what was forbidden.

        Raises KeycloakRefused.
        """
        with self._refusals():
            return self._carry_out(note)

    def without_key(self) -> list[str]:
        """The clients that can prove themselves by a key alone and have none."""
        return [
            client.id
            for client in self.rules.clients.values()
            if client.authentication is Authentication.KEY
            and client.id not in self.keys
            and not (self.demo and client.secret)
        ]

    def _carry_out(self, note: Callable[[str], object]) -> tuple[Difference, ...]:
        wanted = expected(self.wanted)
        found = self._running()
        if found is None:
            self.admin.create_realm(self.wanted)
            found = self._running() or {}
        left, before = differences(wanted, found), None
        forbidden: list[str] = []
        while left and left != before:
            forbidden = mend(self.admin, wanted, found, left)
            found, before = self._running() or {}, left
            left = differences(wanted, found)
        for told in forbidden if left else ():
            note(told)
        return left

    def _running(self) -> State | None:
        try:
            return running(self.admin)
        except KeycloakError as problem:
            if problem.response_code == NOT_FOUND:
                return None
            raise

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except (KeycloakError, requests.RequestException) as problem:
            raise connection.explained(problem, self.account) from problem


def from_environment(env: Mapping[str, str], keys: Path | None, *, demo: bool) -> Provision:
    """What the environment and the folder of keys say. Raises KeycloakRefused naming what is missing."""
    addresses = {name: env.get(name, "").rstrip("/") for name in ("WEB_URL", "GATEWAY_URL")}
    missing = [name for name, value in addresses.items() if not value]
    if missing and not demo:
        raise KeycloakRefused(
            spoken(
                f"{missing[0]} is not set; it is an address that people or Keycloak reach, such as https://www.example.ca",
                f"{missing[0]} n’est pas définie\u00a0; c’est une adresse que l’on atteint, comme https://www.exemple.ca",
            )
        )
    rules = access.access(addresses["WEB_URL"] or access.WEB, addresses["GATEWAY_URL"] or access.GATEWAY)
    rules = replace(rules, realm=connection.realm_name(env))
    account = connection.account(env, rules.realm)
    admin = connection.connected(account, rules.realm)
    return Provision(admin, account, rules, connection.public_keys(keys) if keys else {}, demo)
