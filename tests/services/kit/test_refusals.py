"""Refusals: an expected no, as data, with nothing changed."""

import pytest

from services.kit.language import Language
from services.kit.refusals import Refusal
from services.kit.testing.client import Client
from tests.services.kit.conftest import ISSUE, count, issue


class LakeTooFull(Refusal, field="lake", en="{lake} is full.", fr="{lake} est plein."):
    """Nothing more fits."""


class TestARefusal:
    def test_has_a_code_from_its_name(self) -> None:
        assert LakeTooFull.code == "LAKE_TOO_FULL"

    def test_is_answered_with_field_and_both_halves(self) -> None:
        answer = LakeTooFull(lake="Érié").answer()
        assert (answer.code, answer.field) == ("LAKE_TOO_FULL", "lake")
        assert (answer.message.en, answer.message.of(Language.FR)) == ("Érié is full.", "Érié est plein.")

    def test_may_name_another_field(self) -> None:
        assert LakeTooFull(at="lakes.2", lake="x").answer().field == "lakes.2"

    def test_without_a_half_cannot_be_declared(self) -> None:
        with pytest.raises(ValueError, match="missing"):
            type("Silent", (Refusal,), {}, en="No.", fr="")


class TestARefusedMutation:
    async def test_answers_data_and_no_error(self, client: Client) -> None:
        refused = await issue(client, lake="Lake Closed")
        assert (refused["__typename"], refused["code"], refused["field"]) == ("Refused", "LAKE_CLOSED", "lake")
        assert refused["message"]["fr"] == "Lake Closed est fermé cette saison."

    async def test_changes_nothing(self, client: Client) -> None:
        await issue(client, lake="Lake Closed")
        for table in ("waterpermit", "outbox", "idempotency_key"):
            assert await count(client.database, table) == 0

    async def test_of_an_input_names_the_clients_field(self, client: Client) -> None:
        refused = await issue(client, businessNumber="12")
        assert (refused["code"], refused["field"]) == ("INVALID_INPUT", "businessNumber")

    @pytest.mark.parametrize("lake", ["", "x", "n" * 10_000, "a\x00b", "\u202eekal", "  "])
    async def test_comes_of_hostile_text_too(self, client: Client, lake: str) -> None:
        assert (await issue(client, lake=lake))["code"] == "INVALID_INPUT"
        assert await count(client.database, "waterpermit") == 0

    @pytest.mark.parametrize("lake", ["😀😀", "مرحبا", "Zoë’s Lake", "Lac à l'Eau Claire"])
    async def test_does_not_come_of_what_people_write(self, client: Client, lake: str) -> None:
        assert (await issue(client, lake=lake))["lake"] == lake

    async def test_without_the_right_is_an_error_and_changes_nothing(self, client: Client) -> None:
        given = {"lake": "Lake Simcoe", "businessNumber": "123456789", "idempotencyKey": "k"}
        answer = await client.run(ISSUE, "water:read", variables={"input": given})
        assert (answer.data, answer.codes) == ({"issuePermit": None}, ["FORBIDDEN"])
        assert await count(client.database, "waterpermit") == 0
