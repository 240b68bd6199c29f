"""Keycloak's own events, followed on a running one: a sign-in that failed, what an administrator did, as the contract says."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from keycloak import KeycloakAdmin

from clusters.keycloak.events import Follower
from services.accounts.security import SecurityObserved
from services.kit.events import check
from tests.stack.conftest import Keycloak
from tests.stack.visits import admin as admin

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("keycloak")]


class TestAFollowerOfKeycloak:
    async def test_hears_of_a_refused_client_and_of_an_administrators_change(
        self, keycloak: Keycloak, admin: KeycloakAdmin, tmp_path: Path
    ) -> None:
        told: list[dict[str, Any]] = []

        async def publish(envelope: dict[str, Any]) -> None:
            check(SecurityObserved, envelope)
            told.extend(envelope["data"]["events"])

        follower = Follower(admin, publish, tmp_path / "state")
        await follower.once()
        told.clear()
        async with httpx.AsyncClient() as http:
            given = {"grant_type": "client_credentials", "client_id": "onedoor-admin", "client_secret": "wrong"}
            await http.post(f"{keycloak.issuer}/protocol/openid-connect/token", data=given)
        identity = admin.get_user_id("owner")
        assert identity is not None
        admin.update_user(identity, admin.get_user(identity))
        await follower.once()
        assert ("CLIENT_LOGIN_ERROR", "onedoor-admin") in {(event["kind"], event["client"]) for event in told}
        assert ("ADMIN_UPDATE_USER", f"users/{identity}") in {(event["kind"], event["operation"]) for event in told}
        before = len(told)
        await follower.once()
        assert {event["id"] for event in told[before:]} <= {event["id"] for event in told[:before]}
