"""A province whose door answers registered operations only: all that people do in it works, and nothing else does."""

from collections.abc import Iterator

import httpx
import pytest

from clusters import signin
from clusters.journeys.business import journey
from clusters.journeys.door import Door
from clusters.local import state
from tests.conftest import province

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("trusted documents")]


@pytest.fixture(scope="module")
def closed_province() -> Iterator[state.State]:
    with province({"TRUSTED_DOCUMENTS_ONLY": "1"}) as running:
        yield running


def test_the_whole_journey_is_walked(closed_province: state.State) -> None:
    issuer = closed_province.environment["ISSUER_URL"]

    def sign_in(user: str) -> str:
        return str(signin.sign_in(issuer, user, f"{user}-onedoor")["access_token"])

    with httpx.Client(timeout=15) as http:
        steps = [step.code for step in journey(Door(closed_province.environment["GATEWAY_URL"], http), sign_in)]
    assert steps[-1] == "overview"


@pytest.mark.parametrize("text", ["{ __typename }", "{ clusters { code } }", "{ __schema { types { name } } }"])
def test_another_operation_is_refused(closed_province: state.State, text: str) -> None:
    answer = httpx.post(closed_province.environment["GATEWAY_URL"], json={"query": text})
    assert answer.json()["errors"][0]["extensions"]["code"] == "DOCUMENT_NOT_TRUSTED"
