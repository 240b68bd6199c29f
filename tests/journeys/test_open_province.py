"""The journey against the whole province as `onedoor up` runs it: processes, PostgreSQL, NATS, issuer, gateway."""

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from clusters import signin
from clusters.journeys.business import free_name, journey
from clusters.journeys.door import OPERATIONS, Door, JourneyBroken
from clusters.local.state import State
from tests.clusters.local.test_province import pid_serving
from tests.gateway.speaking import Client, speaking

pytestmark = pytest.mark.xdist_group("province")


class TestJourney:
    def test_a_business_owner_comes_through_the_one_door(self, open_province: State) -> None:
        env = open_province.environment
        with httpx.Client(timeout=15) as http:

            def sign_in(user: str) -> str:
                return signin.access_token(env["ISSUER_URL"], user, f"{user}-onedoor")

            steps = list(journey(Door(env["GATEWAY_URL"], http), sign_in))
        assert [step.code for step in steps] == [
            *("sign-in", "identical", "similar", "free", "register", "programs", "inspection", "overview")
        ]
        overview = steps[-1].answer
        assert overview["governmentService"]["name"]["in"] == "Enregistrer une entreprise"
        assert len(overview["business"]["helpNearby"]) == 3

    def test_the_demo_shows_it_to_programs_as_json(self, open_province: State) -> None:
        env = {**os.environ, **open_province.environment}
        command = [sys.executable, "-m", "clusters", "demo", "--json"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        told = json.loads(done.stdout)
        assert told["broken"] is None
        assert len(told["steps"]) == 8

    def test_a_program_that_refuses_leaves_the_application_partly_completed(self, open_province: State) -> None:
        env = open_province.environment
        behaviour = f"{env['PROGRAMS_URL']}/behaviour"
        with httpx.Client(timeout=15) as http:
            wanted = {"RETAIL_SALES_TAX": {"refuse": "ACCOUNT_IN_ARREARS"}}
            assert http.put(behaviour, json=wanted).status_code == 200
            try:
                with pytest.raises(JourneyBroken, match="PARTLY_COMPLETED"):
                    list(journey(Door(env["GATEWAY_URL"], http), self._owner(env)))
            finally:
                assert http.put(behaviour, json={}).status_code == 200

    @pytest.mark.stack
    def test_a_service_that_is_away_nulls_its_fields_only(self, open_province: State) -> None:
        env = open_province.environment
        with httpx.Client(timeout=15) as http:
            (down,) = [part for part in open_province.parts if part.name == "information_referral"]
            query = '{ clusters { code } findServices(text: "health", first: 1) { edges { node { id } } } }'
            pid = pid_serving(down.address)  # another test may have had it started again
            os.kill(pid, 19)  # stopped, not dead: the supervisor would start it again
            try:
                answer = http.post(env["GATEWAY_URL"], json={"query": query}, timeout=30).json()
            finally:
                os.kill(pid, 18)
        assert answer["data"]["findServices"] is None
        assert len(answer["data"]["clusters"]) == 7
        (error,) = answer["errors"]
        assert error["path"] == ["findServices"]
        assert error["extensions"]["code"] == "DEADLINE_EXCEEDED"

    @staticmethod
    def _owner(env: dict[str, str]) -> Callable[[str], str]:
        return lambda user: signin.access_token(env["ISSUER_URL"], user, f"{user}-onedoor")


class TestOverAWebSocket:
    async def test_a_business_is_registered_and_its_programs_are_followed(self, open_province: State) -> None:
        """The same operations and services, all on one socket; nobody else may follow the application."""
        env = open_province.environment
        port = urlsplit(env["GATEWAY_URL"]).port
        assert port is not None

        async def told(client: Client, operation: str, **variables: object) -> list[dict[str, Any]]:
            text = (OPERATIONS / f"{operation}.graphql").read_text(encoding="utf-8")
            await client.ask(text, operation, operationName=operation, variables=variables)
            return await client.told()

        async with speaking(port) as client:
            token = await asyncio.to_thread(signin.access_token, env["ISSUER_URL"], "owner", "owner-onedoor")
            await client.begin(**{"Authorization": f"Bearer {token}", "Accept-Language": "fr"})
            address = {"street": "100 Main Street East", "city": "Hamilton", "postalCode": "L8N 1G6"}
            given = {"name": free_name(), "legalType": "NAMED_CORPORATION", "sector": "72", "address": address}
            drafted, _ = await told(
                client, "DraftApplication", input={**given, "idempotencyKey": secrets.token_hex(16)}
            )
            application = drafted["payload"]["data"]["draftApplication"]["id"]
            filing = {"applicationId": application, "idempotencyKey": secrets.token_hex(16)}
            filed, _ = await told(client, "SubmitApplication", input=filing)
            assert filed["payload"]["data"]["submitApplication"]["__typename"] == "Application"
            *seen, last = await told(client, "WatchApplication", id=application)
            assert last["type"] == "complete"
            assert seen[-1]["payload"]["data"]["applicationStatusChanged"]["status"] == "COMPLETED"
        async with speaking(port) as other:
            token = await asyncio.to_thread(signin.access_token, env["ISSUER_URL"], "citizen", "citizen-onedoor")
            await other.begin(Authorization=f"Bearer {token}")
            told_other = await told(other, "WatchApplication", id=application)
            assert [message["type"] for message in told_other] == ["complete"]  # as if there were no such application
