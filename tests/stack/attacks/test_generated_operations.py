"""Operations that schemathesis makes up, root field by root field, right and wrong ones, by callers with all kinds of rights:
each is answered or refused by its code, and nothing of the inside is told.

Beside `tests/stack/test_generated_operations.py`, whose operations are whole documents: here no root field is left to chance.
ONEDOOR_GENERATED says how many in all (1,000 unless given; 10,000 by hand).
"""

import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from graphql import introspection_from_schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import nodes
from schemathesis import Case, GenerationMode, graphql
from schemathesis.core.result import Ok

from clusters.access import access
from tests.journeys.hostile import SCHEMA, judged
from tests.stack.attacks.conftest import Target

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("attacks")]
IN_ALL = int(os.environ.get("ONEDOOR_GENERATED", "1000"))
USERS = (None, *access().users)
INVALID = {"GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"}

graphql.scalar("Date", st.dates().map(str).map(nodes.String))
graphql.scalar("DateTime", st.datetimes().map(lambda moment: nodes.String(f"{moment.isoformat(timespec='seconds')}Z")))
FOUND = graphql.from_dict({"data": introspection_from_schema(SCHEMA)}).get_all_operations()
FIELDS = {found.ok().label: found.ok() for found in FOUND if isinstance(found, Ok)}
generated = settings(
    max_examples=max(IN_ALL // (2 * len(FIELDS)), 1), deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def tokens(target: Target) -> dict[str | None, str]:
    return {user: target.token(user, cnf=None) for user in USERS if user}


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30, trust_env=False) as client:
        yield client


def asked(http: httpx.Client, target: Target, case: "Case[Any]", token: str | None) -> set[str]:
    headers = {"accept-language": "fr", **({"authorization": f"Bearer {token}"} if token else {})}
    answer = http.post(target.environment["GATEWAY_URL"], json={"query": str(case.body)}, headers=headers)
    return set(judged(answer).codes)


def test_every_root_field_is_tried() -> None:
    roots = (SCHEMA.query_type, SCHEMA.mutation_type)
    assert FIELDS.keys() == {f"{root}.{field}" for root in roots if root for field in root.fields}
    assert sum(2 * generated.max_examples for _ in FIELDS) >= IN_ALL * 0.9


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_is_answered_or_refused(
    target: Target, http: httpx.Client, tokens: dict[str | None, str], field: str, mode: GenerationMode
) -> None:
    @generated
    @given(case=FIELDS[field].as_strategy(generation_mode=mode), user=st.sampled_from(USERS))
    def each(case: "Case[Any]", user: str | None) -> None:
        codes = asked(http, target, case, tokens.get(user))
        assert mode is GenerationMode.NEGATIVE or not codes & INVALID, case.body

    each()
