"""Somebody tries passwords on another's account, to guess it or to lock its owner out, on Keycloak itself."""

import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest
from keycloak import KeycloakAdmin

from clusters import signin
from tests.stack.conftest import Keycloak

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("keycloak")]
PASSWORD = "a-long-passphrase-of-hers"
HOUR_S = 3_600
WRONG = "Invalid username or password."


@pytest.fixture(scope="module")
def admin(keycloak: Keycloak) -> KeycloakAdmin:
    return KeycloakAdmin(
        server_url=keycloak.base,
        client_id=keycloak.admin,
        client_secret_key=keycloak.admin_secret,
        realm_name="onedoor",
        user_realm_name="master",
    )


@pytest.fixture
def victim(admin: KeycloakAdmin) -> Iterator[dict[str, Any]]:
    """A citizen whose account is attacked; she is gone after the test."""
    name = f"victim-{secrets.token_hex(4)}"
    given = {"username": name, "enabled": True, "email": f"{name}@example.ca", "firstName": "V", "lastName": "V"}
    identifier = admin.create_user(given)
    admin.set_user_password(identifier, PASSWORD, temporary=False)
    yield {**given, "id": identifier}
    admin.delete_user(identifier)


def told(keycloak: Keycloak, username: str, password: str) -> str:
    """What the login page says to a try; empty when it let it in."""
    try:
        signin.sign_in(keycloak.issuer, username, password)
    except signin.SignInFailed as failed:
        return str(failed).removeprefix(f"{username}: ")
    return ""


class TestTries:
    def test_lock_for_a_time_and_only_that_account(
        self, keycloak: Keycloak, admin: KeycloakAdmin, victim: dict[str, Any]
    ) -> None:
        assert told(keycloak, victim["username"], PASSWORD) == ""
        wrong = [told(keycloak, victim["username"], f"guess-{number}-guess") for number in range(9)]
        assert all(WRONG in said for said in wrong)
        assert (
            told(keycloak, victim["username"], PASSWORD) != ""
        )  # locked: the right one does not help a guesser either
        status = admin.get_bruteforce_detection_status(victim["id"])
        assert status["disabled"] is True
        assert admin.get_user(victim["id"])["enabled"] is True
        assert told(keycloak, "citizen", "citizen-onedoor") == ""
        realm = admin.get_realm("onedoor")
        assert realm["permanentLockout"] is False
        assert 60 <= realm["waitIncrementSeconds"] <= realm["maxFailureWaitSeconds"] <= HOUR_S
        assert status["failedLoginNotBefore"] - time.time() <= realm["maxFailureWaitSeconds"]

    def test_of_a_locked_account_are_answered_as_those_of_none(
        self, keycloak: Keycloak, victim: dict[str, Any]
    ) -> None:
        """So that nobody learns by trying which accounts exist, or that they are locked."""
        for number in range(9):
            told(keycloak, victim["username"], f"guess-{number}-guess")
        locked = told(keycloak, victim["username"], "another-wrong-guess")
        nobody = told(keycloak, f"nobody-{secrets.token_hex(4)}", "another-wrong-guess")
        assert locked == nobody
        assert WRONG in locked

    def test_can_be_forgotten_by_an_operator(
        self, keycloak: Keycloak, admin: KeycloakAdmin, victim: dict[str, Any]
    ) -> None:
        for number in range(9):
            told(keycloak, victim["username"], f"guess-{number}-guess")
        assert told(keycloak, victim["username"], PASSWORD) != ""
        admin.clear_bruteforce_attempts_for_user(victim["id"])
        assert told(keycloak, victim["username"], PASSWORD) == ""
