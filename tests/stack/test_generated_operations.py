"""Operations that nobody wrote, generated from the API schema, through the gateway to the running services."""

from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import mutations, nodes, queries

from clusters import signin
from clusters.local.state import State
from services.kit.testing.client import purposeful
from tests.journeys.hostile import SCHEMA, judged

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("province")]
USERS = (None, "owner", "officer", "inspector", "reviewer", "administrator")
SCALARS = {
    "Date": st.dates().map(str).map(nodes.String),
    "DateTime": st.datetimes().map(lambda moment: nodes.String(f"{moment.isoformat(timespec='seconds')}Z")),
}
generated = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def tokens(open_province: State) -> dict[str | None, str]:
    issuer = open_province.environment["ISSUER_URL"]
    return {user: signin.access_token(issuer, user, f"{user}-onedoor") for user in USERS if user}


@pytest.fixture(scope="module")
def door() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as http:
        yield http


def asked(door: httpx.Client, running: State, text: str, token: str | None) -> list[str]:
    headers = {"accept-language": "fr", **(purposeful({"authorization": f"Bearer {token}"}) if token else {})}
    return judged(door.post(running.environment["GATEWAY_URL"], json={"query": text}, headers=headers)).codes


class TestGenerated:
    @generated
    @given(text=queries(SCHEMA, custom_scalars=SCALARS), user=st.sampled_from(USERS))
    def test_every_query_is_answered(
        self, door: httpx.Client, open_province: State, tokens: dict[str | None, str], text: str, user: str | None
    ) -> None:
        codes = asked(door, open_province, text, tokens.get(user))
        assert not {"GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"} & set(codes), text

    @generated
    @given(text=mutations(SCHEMA, custom_scalars=SCALARS), user=st.sampled_from(USERS))
    def test_every_mutation_is_answered_or_refused(
        self, door: httpx.Client, open_province: State, tokens: dict[str | None, str], text: str, user: str | None
    ) -> None:
        codes = asked(door, open_province, text, tokens.get(user))
        assert not {"GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"} & set(codes), text
