"""The journey against the whole province as `onedoor up` runs it: processes, PostgreSQL, NATS, issuer, gateway."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest

from clusters import signin
from clusters.journey import JourneyBroken, journey
from clusters.local.state import State

pytestmark = pytest.mark.xdist_group("province")


class TestJourney:
    def test_a_business_owner_comes_through_the_one_door(self, open_province: State) -> None:
        env = open_province.environment
        with httpx.Client(timeout=15) as http:

            def sign_in(user: str) -> str:
                return signin.access_token(env["ISSUER_URL"], user, f"{user}-onedoor")

            steps = list(journey(env["GATEWAY_URL"], http, sign_in))
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
                    list(journey(env["GATEWAY_URL"], http, self._owner(env)))
            finally:
                assert http.put(behaviour, json={}).status_code == 200

    def test_a_service_that_is_away_nulls_its_fields_only(self, open_province: State) -> None:
        env = open_province.environment
        with httpx.Client(timeout=15) as http:
            (down,) = [part for part in open_province.parts if part.name == "information_referral"]
            query = '{ clusters { code } findServices(text: "health", first: 1) { edges { node { id } } } }'
            assert down.pid is not None
            os.kill(down.pid, 19)  # stopped, not dead: the supervisor would start it again
            try:
                answer = http.post(env["GATEWAY_URL"], json={"query": query}, timeout=30).json()
            finally:
                os.kill(down.pid, 18)
        assert answer["data"]["findServices"] is None
        assert len(answer["data"]["clusters"]) == 7
        (error,) = answer["errors"]
        assert error["path"] == ["findServices"]
        assert error["extensions"]["code"] == "DEADLINE_EXCEEDED"

    @staticmethod
    def _owner(env: dict[str, str]) -> Callable[[str], str]:
        return lambda user: signin.access_token(env["ISSUER_URL"], user, f"{user}-onedoor")
