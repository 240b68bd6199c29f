"""An accountant acts for a baker: on all of the baker's files, or on those of one business."""

from typing import Any

import pytest
from sqlalchemy import text

from services.kit.testing import tokens
from services.kit.testing.client import Answer, Client
from services.kit.testing.grants import delegation, keep
from tests.services.business_registration.conftest import DRAFT, OWNER, Owner, draft_input

FILES = """{ myBusinesses { edges { node { businessNumber address { city } } } } myApplications { edges { node { id } } }
    myReservations { id } }"""
RESERVE = (
    """mutation ($input: ReserveNameInput!) { reserveName(input: $input) { __typename ... on Refused { code } } }"""
)
ADDRESS = """query ($n: ID!) { business(businessNumber: $n) { address { city } } }"""
NAMES = ("Amber Kiln Pottery", "Quartz Ferry Transport")


@pytest.fixture
async def numbers(owner: Owner) -> list[str]:
    """The businesses of the baker, who has begun another application, too."""
    found = [(await owner.register(name=name))["business"]["businessNumber"] for name in NAMES]
    await owner.draft(name="Violet Loom Clothing")
    return found


async def asks(client: Client, authority: str, query: str = FILES, **variables: Any) -> Answer:
    return await client.run(query, *OWNER, username="accountant", authority=authority, variables=variables)


def counted(answer: Answer) -> list[int]:
    assert not answer.errors, answer.body
    return [len(answer.data[name]["edges"]) for name in ("myBusinesses", "myApplications")]


class TestAnAccountantOfAPerson:
    async def test_sees_and_does_what_the_person_may_and_every_look_leaves_an_entry(
        self, client: Client, numbers: list[str]
    ) -> None:
        authority = await keep(client.database, delegation("owner", "accountant"))
        assert counted(await asks(client, authority)) == [2, 3]
        drafted = await asks(client, authority, DRAFT, input=draft_input(name="Onyx Barrel Foods"))
        assert drafted.data["draftApplication"]["status"] == "DRAFT"
        assert counted(await client.run(FILES, *OWNER, username="owner")) == [2, 4]
        async with client.database.transaction() as db:
            said = "SELECT DISTINCT actor, authority, kind, subject, category, act FROM access_entry"
            rows = (await db.execute(text(said))).all()
        shared = (tokens.subject_of("accountant"), authority, "delegation", tokens.subject_of("owner"))
        looked = {(*shared, category, "READ") for category in ("ownership", "application", "business-address")}
        assert set(map(tuple, rows)) == looked | {(*shared, "application", "CHANGE")}


class TestAnAccountantOfOneBusiness:
    async def test_sees_nothing_of_the_persons_others(self, client: Client, numbers: list[str]) -> None:
        authority = await keep(client.database, delegation("owner", "accountant", business=numbers[0]))
        assert counted(await asks(client, authority)) == [1, 1]
        cities = [(await asks(client, authority, ADDRESS, n=number)).codes for number in numbers]
        assert cities == [[], ["FORBIDDEN"]]

    async def test_begins_nothing_that_is_of_no_business(self, client: Client, numbers: list[str]) -> None:
        authority = await keep(client.database, delegation("owner", "accountant", business=numbers[0]))
        reserved = {"name": "Onyx Barrel Inc.", "legalType": "NAMED_CORPORATION", "idempotencyKey": "k"}
        for query, given in ((DRAFT, draft_input()), (RESERVE, reserved)):
            assert (await asks(client, authority, query, input=given)).codes == ["AUTHORITY_REFUSED"]
        assert counted(await client.run(FILES, *OWNER, username="owner")) == [2, 3]
