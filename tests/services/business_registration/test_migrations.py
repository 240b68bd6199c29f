"""The register of the first release, brought up to this one: what was held is held, under today's rules."""

from collections.abc import AsyncIterator
from secrets import token_hex

import pytest
from sqlalchemy import text
from sqlalchemy.pool import NullPool

from services.business_registration.service import service
from services.kit import database, migrate, privileges
from services.kit.testing import tokens
from services.kit.testing.client import Client
from services.kit.testing.database import Template, copied, migrator_url
from tests.services.business_registration.conftest import Owner

OWNER = tokens.subject_of("owner")
# As the first release wrote them: one row a name, in whatever form, under its own keys.
HELD = """INSERT INTO held_name
    (name, identical_key, phonetic, stems, legal_type, blocks, business_number, reservation, reserved_by, reserved_until)
    VALUES ({})"""
ROWS = (
    *(
        f"""INSERT INTO business VALUES ('{number}', '{name}', '{kind}', '72', 'ACTIVE', now(), '{OWNER}', '1 King Street',
        'Toronto', 'M5V 2T6')"""
        for number, name, kind in (
            ("700000015", "Amber Kiln Inc.", "NAMED_CORPORATION"),
            ("700000023", "Lake Bakery Inc. / Boulangerie du Lac inc.", "NAMED_CORPORATION"),
            ("700000031", "Cedar Violin", "SOLE_PROPRIETORSHIP"),
        )
    ),
    HELD.format("'Amber Kiln Inc.', 'amberkiln', '{}', '{}', 'NAMED_CORPORATION', true, '700000015', NULL, NULL, NULL"),
    HELD.format(
        """'Lake Bakery Inc. / Boulangerie du Lac inc.', 'lakebakeryboulangeriedulac', '{}', '{}', 'NAMED_CORPORATION', true,
        '700000023', NULL, NULL, NULL"""
    ),
    HELD.format(
        "'Cedar Violin', 'cedarviolin', '{}', '{}', 'SOLE_PROPRIETORSHIP', false, '700000031', NULL, NULL, NULL"
    ),
    HELD.format(
        f"""'Dune Compass Inc.', 'dunecompass', '{{}}', '{{}}', 'NAMED_CORPORATION', true, NULL, gen_random_uuid(),
        '{OWNER}', now() + interval '7 days'"""
    ),
)


@pytest.fixture
async def register(postgres_url: str) -> AsyncIterator[Client]:
    """The service started on the first release's data."""
    async with copied(postgres_url, Template("template0", service.name), f"first_{token_hex(4)}") as url:
        engine = database.engine(migrator_url(url), poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.run_sync(privileges.become_owner, service.name)
            await connection.run_sync(migrate.upgrade_connection, service.name, "0001")
            for row in ROWS:
                await connection.execute(text(row))
        await migrate.upgrade(engine, service.name)
        await engine.dispose()
        opened = database.connect(url, "test", pool_size=4)
        try:
            for seed in service.seeds:
                async with opened.transaction() as db:
                    await seed(db)
            yield Client(service, opened)
        finally:
            await opened.close()


class TestNamesOfTheFirstRelease:
    @pytest.mark.parametrize(
        ("name", "outcome"),
        [
            ("Amber Kiln Ltd.", "IDENTICAL"),
            ("Lake Bakery Corp.", "IDENTICAL"),
            ("Boulangerie du Lac ltée", "IDENTICAL"),
            ("Dune Compass Inc.", "IDENTICAL"),
            ("Cedar Violin Inc.", "SIMILAR"),
            ("Fjord Needle Inc.", "AVAILABLE"),
        ],
    )
    async def test_are_held_against_others(self, register: Client, name: str, outcome: str) -> None:
        check = "query ($n: String!) { nameCheck(name: $n, legalType: NAMED_CORPORATION) { outcome } }"
        answer = await register.run(check, variables={"n": name})
        assert answer.data["nameCheck"]["outcome"] == outcome

    async def test_are_still_reserved_for_their_holder_alone(self, register: Client) -> None:
        owner, other = Owner(register), Owner(register, "citizen")
        held = (await owner.ask("{ myReservations { name } }"))["myReservations"]
        assert held == [{"name": "Dune Compass Inc."}]
        wanted = {"name": "Dune Compass Inc.", "legalType": "NAMED_CORPORATION"}
        assert (await other.register(**wanted))["code"] == "NAME_TAKEN"
        assert (await owner.register(**wanted))["status"] == "SUBMITTED"

    async def test_are_their_businesses_still(self, register: Client) -> None:
        mine = await Owner(register).ask("{ myBusinesses { edges { node { legalName address { city } } } } }")
        names = {edge["node"]["legalName"] for edge in mine["myBusinesses"]["edges"]}
        assert names == {"Amber Kiln Inc.", "Lake Bakery Inc. / Boulangerie du Lac inc.", "Cedar Violin"}
