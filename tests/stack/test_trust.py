"""The journey of trust through a running province: delegation, a counter with a code, purposes, who looked, a question."""

from collections.abc import Callable

import httpx
import pytest

from clusters import signin
from clusters.journeys.door import Door
from clusters.journeys.trust import journey
from clusters.local.letters import Letter
from clusters.local.state import State
from services.kit.language import Language

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("province")]


class TestTheJourneyOfTrust:
    @pytest.mark.parametrize("language", Language)
    def test_is_walked_from_the_mandate_to_the_answer(
        self, open_province: State, letters: Callable[[], list[Letter]], language: Language
    ) -> None:
        env = open_province.environment

        def sign_in(user: str) -> str:
            return signin.access_token(env["ISSUER_URL"], user, f"{user}-onedoor")

        with httpx.Client(timeout=30, trust_env=False) as http:
            door = Door(env["GATEWAY_URL"], http, language)
            steps = {step.code: step for step in journey(door, sign_in, lambda: [one.text for one in letters()])}
        assert list(steps) == [
            *("delegates", "files", "sees", "revokes", "needs-code"),
            *("moves", "purpose", "investigates", "asks", "answered"),
        ]
        assert steps["sees"].answer["sentence"]["fr"].startswith("Prairie Ledger, qui agit en votre nom, a ")
        assert "Conducting an inspection" in steps["investigates"].answer["sentence"]["en"]
