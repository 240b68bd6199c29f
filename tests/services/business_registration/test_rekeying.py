"""New rules, and names that are held under old ones."""

import pytest
from sqlalchemy import text

from services.business_registration import rekeying
from services.business_registration.names.rules import rules
from services.kit.testing.client import Client
from tests.services.business_registration.conftest import Owner

STATE = (
    "SELECT name, identical_key, words, phonetic, stems, legal_type, blocks, business_number, reserved_by, rule_version"
)
AGE = "UPDATE held_name SET rule_version = '2020-01-1', identical_key = 'old' || id, words = '{}', phonetic = '{}', stems = '{}'"


async def held(client: Client) -> list[tuple[object, ...]]:
    async with client.database.transaction() as db:
        return [
            tuple(row)
            for row in await db.execute(text(f"{STATE} FROM held_name ORDER BY name, identical_key, business_number"))
        ]


async def rekeyed(client: Client, *statements: str) -> None:
    async with client.database.transaction() as db:
        for statement in statements:
            await db.execute(text(statement))
        await rekeying.rekey(db)


class TestRekeying:
    async def test_every_name_is_keyed_as_if_it_were_new(
        self, owner: Owner, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rekeying, "AT_ONCE", 2)
        await owner.register(name="Lake Bakery Inc. / Boulangerie du Lac inc.", legalType="NAMED_CORPORATION")
        for name in ("Amber Kiln", "Amber Kiln", "Basalt Heron", "Cedar Violin"):
            await owner.register(name=name)
        await owner.register(legalType="NUMBERED_CORPORATION", name=None)
        before = await held(client)
        await rekeyed(client, AGE)
        assert await held(client) == before
        assert len(before) == 7

    async def test_of_two_names_that_became_identical_the_first_blocks(self, owner: Owner, client: Client) -> None:
        for name in ("Amber Kiln Inc.", "Basalt Heron Inc."):
            await owner.register(name=name, legalType="NAMED_CORPORATION")
        await rekeyed(client, AGE, "UPDATE held_name SET name = 'Amber-Kiln Ltd.' WHERE name = 'Basalt Heron Inc.'")
        assert [(row[0], row[6]) for row in await held(client)] == [
            ("Amber Kiln Inc.", True),
            ("Amber-Kiln Ltd.", False),
        ]

    async def test_names_of_these_rules_are_left_alone(self, owner: Owner, client: Client) -> None:
        await owner.register()
        with client.statements() as seen:
            await rekeyed(client)
        assert seen.count == 3, seen.texts  # the lock, what blocks, what is stale
        assert {row[9] for row in await held(client)} == {rules().version}
