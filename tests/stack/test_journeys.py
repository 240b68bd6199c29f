"""The business owner's journey in real processes, signed in as people sign in: through Keycloak, and in a real browser."""

import base64
from collections.abc import Callable, Iterator

import httpx
import pytest

from clusters import signin
from clusters.journey import journey
from clusters.local import state
from tests.conftest import province
from tests.stack.conftest import Keycloak

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("keycloak")]
STEPS = ["sign-in", "identical", "similar", "free", "register", "programs", "inspection", "overview"]
CALLBACK = "http://127.0.0.1:8400/callback"


@pytest.fixture(scope="module")
def province_of_keycloak(keycloak: Keycloak) -> Iterator[state.State]:
    """The province with Keycloak in the issuer's place."""
    with province({"ISSUER_URL": keycloak.issuer}) as running:
        yield running


def walked(running: state.State, sign_in: Callable[[str], str]) -> list[str]:
    with httpx.Client(timeout=15) as http:
        return [step.code for step in journey(running.environment["GATEWAY_URL"], http, sign_in)]


class TestThroughKeycloak:
    def test_no_other_issuer_runs(self, province_of_keycloak: state.State) -> None:
        assert "issuer" not in {part.name for part in province_of_keycloak.parts}

    def test_the_whole_journey(self, province_of_keycloak: state.State, keycloak: Keycloak) -> None:
        token = lambda user: signin.access_token(keycloak.issuer, user, f"{user}-onedoor")  # noqa: E731
        assert walked(province_of_keycloak, token) == STEPS

    def test_a_token_of_another_issuer_is_refused(self, province_of_keycloak: state.State) -> None:
        forged = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=") + ".e30."
        answer = httpx.post(
            province_of_keycloak.environment["GATEWAY_URL"],
            json={"query": "{ myBusinesses { edges { cursor } } }"},
            headers={"authorization": f"Bearer {forged}"},
        )
        assert answer.status_code == 401
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
