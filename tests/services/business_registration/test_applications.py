"""Drafting, revising, withdrawing: what a form accepts, and whose it is."""

from typing import Any

import pytest

from services.kit.testing.client import Client
from tests.services.business_registration.conftest import DRAFT, OWNER, Owner, draft_input

REVISE = """mutation ($input: ReviseApplicationInput!) { reviseApplication(input: $input) { __typename
    ... on Application { id name sector } ... on Refused { code field message { en fr } } } }"""
WITHDRAW = """mutation ($input: WithdrawApplicationInput!) { withdrawApplication(input: $input) { __typename
    ... on Application { status history { status } } ... on Refused { code field message { en fr } } } }"""
APPLICATION = "query ($id: ID!) { application(id: $id) { id name history { status at } programs { state } } }"


class TestDraft:
    async def test_it_keeps_what_was_said_and_files_nothing(self, owner: Owner) -> None:
        drafted = await owner.draft()
        assert drafted["status"] == "DRAFT"
        assert drafted["submittedAt"] is None
        assert drafted["address"]["postalCode"] == "M5V 2T6"
        assert [kind for kind, _ in await owner.client.events()] == ["application.status_changed.v1"]

    async def test_the_same_key_and_input_is_answered_alike_and_another_input_is_refused(self, owner: Owner) -> None:
        given = draft_input()
        first = (await owner.ask(DRAFT, input=given))["draftApplication"]
        again = (await owner.ask(DRAFT, input=given))["draftApplication"]
        other = (await owner.ask(DRAFT, input={**given, "sector": "23"}))["draftApplication"]
        assert first == again
        assert other["code"] == "IDEMPOTENCY_KEY_REUSED"

    async def test_a_partnership_names_its_partners(self, owner: Owner) -> None:
        alone = await owner.draft(legalType="GENERAL_PARTNERSHIP", partners=["Ann Lee", "  "])
        both = await owner.draft(legalType="GENERAL_PARTNERSHIP", partners=["Ann Lee", "Éloïse Roy"])
        assert alone["code"] == "PARTNERS_MISSING"
        assert both["partners"] == ["Ann Lee", "Éloïse Roy"]

    async def test_a_numbered_corporation_brings_no_name(self, owner: Owner) -> None:
        named = await owner.draft(legalType="NUMBERED_CORPORATION")
        unnamed = await owner.draft(legalType="NUMBERED_CORPORATION", name=None)
        assert named["code"] == "NAME_NOT_CHOSEN"
        assert unnamed["name"] == ""

    @pytest.mark.parametrize(
        ("changes", "code", "field"),
        [
            ({"name": None}, "NAME_MISSING", "name"),
            ({"name": ""}, "NAME_MISSING", "name"),
            ({"name": "...!"}, "NAME_MALFORMED", "name"),
            ({"name": "x" * 10_000}, "INVALID_INPUT", "name"),
            ({"name": "x" * 300}, "NAME_MALFORMED", "name"),
            ({"name": "🥐🥐🥐"}, "NAME_MALFORMED", "name"),
            ({"name": "مخبز الشمال"}, "NAME_MALFORMED", "name"),
            ({"name": "Bakery\u202egnp.exe"}, "INVALID_INPUT", "name"),
            ({"name": "Bak\u0000ery"}, "INVALID_INPUT", "name"),
            ({"sector": "99"}, "UNKNOWN_SECTOR", "sector"),
            ({"sector": "-7"}, "UNKNOWN_SECTOR", "sector"),
            ({"partners": ["Ann Lee"]}, "PARTNERS_NOT_ASKED", "partners"),
            ({"partners": ["x"] * 51, "legalType": "GENERAL_PARTNERSHIP"}, "INVALID_INPUT", "partners"),
            ({"address": {"street": "1 King", "city": "Montréal", "postalCode": "H2X 1Y4"}}, "NOT_IN_ONTARIO", None),
            ({"address": {"street": "1 King", "city": "Toronto", "postalCode": "12345"}}, "NOT_IN_ONTARIO", None),
            (
                {"address": {"street": "", "city": "Toronto", "postalCode": "M5V 2T6"}},
                "INVALID_INPUT",
                "address.street",
            ),
            ({"idempotencyKey": ""}, "INVALID_INPUT", "idempotencyKey"),
            ({"idempotencyKey": "k" * 201}, "INVALID_INPUT", "idempotencyKey"),
        ],
    )
    async def test_what_no_form_can_hold_is_refused_by_field_in_both_languages(
        self, owner: Owner, changes: dict[str, Any], code: str, field: str | None
    ) -> None:
        refused = await owner.draft(**changes)
        assert (refused["code"], refused["field"]) == (code, field or "address.postalCode")
        assert refused["message"]["en"] != refused["message"]["fr"]
        assert await owner.client.events() == []

    async def test_a_wrong_type_is_a_fault_of_the_request(self, client: Client) -> None:
        answer = await client.run(DRAFT, *OWNER, variables={"input": draft_input(legalType="GUILD", sector=72.5)})
        assert answer.status in (200, 400)
        assert answer.codes[0] == "BAD_USER_INPUT"


class TestRevision:
    async def test_a_draft_is_replaced(self, owner: Owner) -> None:
        drafted = await owner.draft()
        given = {**draft_input(name="Quiet Harbour Tea"), "applicationId": drafted["id"]}
        del given["idempotencyKey"]
        revised = (await owner.ask(REVISE, input=given))["reviseApplication"]
        assert revised["name"] == "Quiet Harbour Tea"
        assert (await owner.ask(APPLICATION, id=drafted["id"]))["application"]["name"] == "Quiet Harbour Tea"

    async def test_someone_else_finds_nothing(self, owner: Owner, client: Client) -> None:
        drafted = await owner.draft()
        other = Owner(client, "citizen")
        given = {**draft_input(), "applicationId": drafted["id"]}
        del given["idempotencyKey"]
        assert (await other.ask(REVISE, input=given))["reviseApplication"]["code"] == "APPLICATION_UNKNOWN"
        assert (await other.ask(APPLICATION, id=drafted["id"]))["application"] is None

    @pytest.mark.parametrize("identifier", ["", "0", "not-a-uuid", "9" * 500])
    async def test_an_identifier_that_is_none_is_unknown(self, owner: Owner, identifier: str) -> None:
        refused = (await owner.ask(WITHDRAW, input={"applicationId": identifier}))["withdrawApplication"]
        assert refused["code"] == "APPLICATION_UNKNOWN"
        assert (await owner.ask(APPLICATION, id=identifier))["application"] is None


class TestWithdrawal:
    async def test_a_withdrawn_draft_is_final(self, owner: Owner) -> None:
        drafted = await owner.draft()
        given_up = (await owner.ask(WITHDRAW, input={"applicationId": drafted["id"]}))["withdrawApplication"]
        again = (await owner.ask(WITHDRAW, input={"applicationId": drafted["id"]}))["withdrawApplication"]
        submitted = await owner.submit(drafted["id"])
        assert given_up["status"] == "WITHDRAWN"
        assert [entry["status"] for entry in given_up["history"]] == ["DRAFT", "WITHDRAWN"]
        assert (again["code"], submitted["code"]) == ("NOT_A_DRAFT", "NOT_A_DRAFT")
        assert "retirée" in again["message"]["fr"]


class TestMyApplications:
    async def test_they_come_newest_first_in_pages_and_are_mine_alone(self, owner: Owner, client: Client) -> None:
        for name in ("Amber Kiln Pottery", "Basalt Ridge Honey", "Cedar Finch Books"):
            await owner.draft(name=name)
        await Owner(client, "citizen").draft(name="Dune Fox Optics")
        text = """query ($after: String) { myApplications(first: 2, after: $after) {
            edges { node { name } } pageInfo { hasNextPage endCursor } } }"""
        page = (await owner.ask(text))["myApplications"]
        rest = (await owner.ask(text, after=page["pageInfo"]["endCursor"]))["myApplications"]
        names = [edge["node"]["name"] for edge in (*page["edges"], *rest["edges"])]
        assert names == ["Cedar Finch Books", "Basalt Ridge Honey", "Amber Kiln Pottery"]
        assert (page["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)
