"""Publishing a month’s result: who may, what is refused, once per key, corrected rather than doubled."""

import asyncio
from datetime import datetime
from secrets import token_hex
from typing import Any

import pytest
from sqlmodel import select

from services.catalogue.models import ONTARIO, MeasuredResult
from services.catalogue.publishing import EDIT
from services.kit.testing.client import Answer, Client
from services.kit.testing.tokens import second_factor, subject_of, works_for

MINISTRY = "consumer-commercial-relations"
Json = dict[str, Any]
PUBLISH = """mutation ($input: PublishMeasureInput!) { publishMeasure(input: $input) { __typename
    ... on ServiceStandard { standard: code results { month line value volume target met } }
    ... on Refused { code field message { en fr } } } }"""


async def publish(
    client: Client, *scopes: str, language: str = "en", claims: Json | None = None, **changes: Any
) -> Answer:
    given = {
        "standardCode": "registration-decided",
        "month": "2024-02-01",
        "value": 12.5,
        "volume": 40,
        "idempotencyKey": token_hex(8),
        **changes,
    }
    return await client.run(
        PUBLISH,
        *(scopes or (EDIT,)),
        username="administrator",
        language=language,
        variables={"input": given},
        claims={**works_for(MINISTRY), **(second_factor() if claims is None else claims)},
    )


async def kept(client: Client) -> list[MeasuredResult]:
    async with client.database.transaction() as db:
        return await db.all(select(MeasuredResult))


class TestPublishing:
    async def test_a_result_stands_beside_its_target_with_who_published_it(self, client: Client) -> None:
        answer = await publish(client)
        assert not answer.errors, answer.body
        assert answer.data["publishMeasure"] == {
            "__typename": "ServiceStandard",
            "standard": "registration-decided",
            "results": [
                {"month": "2024-02-01", "line": "", "value": 12.5, "volume": 40, "target": 20.0, "met": True},
            ],
        }
        (row,) = await kept(client)
        assert row.published_by == subject_of("administrator")

    async def test_any_day_stands_for_its_month_and_a_second_result_corrects_the_first(self, client: Client) -> None:
        await publish(client)
        answer = await publish(client, month="2024-02-29", value=30)
        assert [(r["month"], r["met"]) for r in answer.data["publishMeasure"]["results"]] == [("2024-02-01", False)]

    async def test_a_line_of_the_standard_is_taken(self, client: Client) -> None:
        line = "Publications queues (English + French)"
        answer = await publish(client, standardCode="publications-line-wait", line=line)
        assert answer.data["publishMeasure"]["results"][0]["line"] == line


class TestRights:
    async def test_a_stranger_is_asked_to_sign_in(self, client: Client) -> None:
        given = {"standardCode": "x", "month": "2024-02-01", "value": 1, "volume": 1, "idempotencyKey": "k"}
        answer = await client.run(PUBLISH, variables={"input": given})
        assert (answer.codes, await kept(client)) == (["UNAUTHENTICATED"], [])

    @pytest.mark.parametrize("scope", ["business:read", "inspection:review", "referral:edit", "operations:read"])
    async def test_another_right_is_not_enough(self, client: Client, scope: str) -> None:
        answer = await publish(client, scope)
        assert (answer.codes, await kept(client)) == (["FORBIDDEN"], [])

    @pytest.mark.parametrize(
        "claims", [{"acr": "1"}, second_factor(331), {"acr": "2"}], ids=["password", "old", "no time"]
    )
    async def test_it_takes_a_second_factor_just_shown(self, client: Client, claims: Json) -> None:
        answer = await publish(client, claims=claims)
        assert (answer.codes, await kept(client)) == (["STEP_UP_REQUIRED"], [])
        assert answer.errors[0]["extensions"]["maxAge"] == 300

    @pytest.mark.parametrize(
        "groups",
        [None, [], ["/business-economic-development/labour"], ["/business-economic-development"], [f"/{MINISTRY}"]],
        ids=str,
    )
    async def test_no_ministry_publishes_what_another_has_achieved(
        self, client: Client, groups: list[str] | None
    ) -> None:
        answer = await publish(client, claims={**second_factor(), "groups": groups})
        refused = answer.data["publishMeasure"]
        assert (refused["code"], refused["field"]) == ("OTHERS_STANDARD", "standardCode")
        assert "registration-decided" in refused["message"]["en"] and "registration-decided" in refused["message"]["fr"]
        assert await kept(client) == []

    async def test_who_works_for_two_ministries_publishes_for_both(self, client: Client) -> None:
        claims = {**second_factor(), **works_for("labour", MINISTRY)}
        for standard in ("registration-decided", "account-opened"):
            answer = await publish(client, claims=claims, standardCode=standard)
            assert answer.data["publishMeasure"]["standard"] == standard
        assert {row.standard_code for row in await kept(client)} == {"registration-decided", "account-opened"}


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "code", "field"),
        [
            ({"standardCode": "none"}, "STANDARD_UNKNOWN", "standardCode"),
            ({"standardCode": "é🐟" * 30}, "STANDARD_UNKNOWN", "standardCode"),
            ({"standardCode": "x" * 10_000}, "INVALID_INPUT", "standardCode"),
            ({"standardCode": "a\u0000"}, "INVALID_INPUT", "standardCode"),
            ({"line": "Fish line"}, "LINE_UNKNOWN", "line"),
            ({"line": "a\u202eb"}, "INVALID_INPUT", "line"),
            ({"standardCode": "publications-line-wait"}, "LINE_UNKNOWN", "line"),
            ({"month": "2999-01-01"}, "MONTH_NOT_OVER", "month"),
            ({"month": "0001-01-01"}, "INVALID_INPUT", "month"),
            ({"value": -1}, "INVALID_INPUT", "value"),
            ({"value": 1e300}, "INVALID_INPUT", "value"),
            ({"volume": -1}, "INVALID_INPUT", "volume"),
            ({"idempotencyKey": ""}, "INVALID_INPUT", "idempotencyKey"),
            ({"idempotencyKey": "k" * 10_000}, "INVALID_INPUT", "idempotencyKey"),
        ],
    )
    async def test_what_cannot_be_taken_changes_nothing(
        self, client: Client, changes: dict[str, Any], code: str, field: str
    ) -> None:
        answer = await publish(client, **changes)
        refused = answer.data["publishMeasure"]
        assert (refused["code"], refused["field"]) == (code, field)
        assert refused["message"]["en"] != refused["message"]["fr"]
        assert await kept(client) == []

    async def test_the_month_that_runs_is_not_over(self, client: Client) -> None:
        answer = await publish(client, month=datetime.now(ONTARIO).date().isoformat())
        assert answer.data["publishMeasure"]["code"] == "MONTH_NOT_OVER"

    @pytest.mark.parametrize(
        "changes",
        [
            {"month": "2024-02-30"},
            {"month": 5},
            {"value": "much"},
            {"volume": 1.5},
            {"volume": 2**40},
            {"volume": None},
        ],
    )
    async def test_a_value_of_another_type_is_bad_input(self, client: Client, changes: dict[str, Any]) -> None:
        answer = await publish(client, language="fr", **changes)
        assert answer.status < 500
        assert answer.codes
        assert "INTERNAL_FAULT" not in answer.codes
        assert await kept(client) == []


class TestRepeating:
    async def test_a_repeated_request_is_answered_alike(self, client: Client) -> None:
        first = await publish(client, idempotencyKey="once")
        assert (await publish(client, idempotencyKey="once")).data == first.data

    async def test_a_key_with_other_input_is_refused(self, client: Client) -> None:
        await publish(client, idempotencyKey="once")
        answer = await publish(client, idempotencyKey="once", value=1)
        assert answer.data["publishMeasure"]["code"] == "IDEMPOTENCY_KEY_REUSED"
        assert [row.value for row in await kept(client)] == [12.5]

    async def test_the_same_request_twice_at_once_acts_once(self, shared: Client) -> None:
        answers = await asyncio.gather(*(publish(shared, idempotencyKey="once") for _ in range(6)))
        assert [a.errors for a in answers] == [[]] * 6
        assert len(await kept(shared)) == 1

    async def test_two_results_for_one_month_at_once_leave_one(self, shared: Client) -> None:
        answers = await asyncio.gather(*(publish(shared, value=n) for n in range(6)))
        assert [a.errors for a in answers] == [[]] * 6
        (row,) = await kept(shared)
        assert row.value in range(6)
