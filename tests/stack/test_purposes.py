"""Purposes through a running province, signed from the door to the owner: what was carried or named is what the entry says."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from clusters import signin
from clusters.access import access
from clusters.journeys.business import journey
from clusters.journeys.door import Door
from clusters.local.state import State
from gateway.documents import hash_of
from services.kit.context import Chosen
from tests.journeys.hostile import OPERATIONS

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("province")]
CASE = Chosen("statutory-investigation", "HPPA-2026/0117", "Plainte déposée : « vermine »")


@pytest.fixture(scope="module")
def env(open_province: State) -> dict[str, str]:
    return open_province.environment


@pytest.fixture(scope="module")
def door(env: dict[str, str]) -> Iterator[Door]:
    with httpx.Client(timeout=30, trust_env=False) as http:
        yield Door(env["GATEWAY_URL"], http)


def sign_in(env: dict[str, str], user: str) -> str:
    return signin.access_token(env["ISSUER_URL"], user, f"{user}-onedoor")


@pytest.fixture(scope="module")
def number(env: dict[str, str], door: Door) -> str:
    """The number of a business that its owner has registered, and that an inspection awaits."""
    steps = {step.code: step.answer for step in journey(door, lambda user: sign_in(env, user))}
    found: str = steps["register"]["business"]["businessNumber"]
    return found


def last_entry(env: dict[str, str], user: str) -> dict[str, Any]:
    """The last that inspections have noted of a user."""

    async def read() -> dict[str, Any]:
        connection = await asyncpg.connect(env["INSPECTIONS_DATABASE_URL"])
        asked = "SELECT * FROM access_entry WHERE actor = $1 ORDER BY id DESC LIMIT 1"
        row = await connection.fetchrow(asked, access().users[user].subject)
        await connection.close()
        return dict(row)

    return asyncio.run(read())


class TestAPurpose:
    def test_that_a_document_carries_is_told_to_the_owner(self, env: dict[str, str], door: Door, number: str) -> None:
        seen = door.as_(sign_in(env, "inspector")).ask("InspectionsOfBusiness", businessNumber=number)
        assert seen["business"]["inspections"]["edges"]
        entry = last_entry(env, "inspector")
        said = [entry[name] for name in ("subject", "purpose", "category", "role", "operation")]
        wanted = [access().users["owner"].subject, "inspection-conduct", "inspections", "inspector"]
        assert said == [*wanted, hash_of(OPERATIONS["InspectionsOfBusiness"])]

    def test_of_an_investigation_keeps_case_and_reason_and_is_shown_later(
        self, env: dict[str, str], door: Door, number: str
    ) -> None:
        door.as_(sign_in(env, "inspector"), CASE.header()).ask("InspectionsOfBusiness", businessNumber=number)
        entry = last_entry(env, "inspector")
        assert (entry["purpose"], entry["case_number"], entry["reason"]) == CASE
        assert entry["shown_after"] - entry["at"] == timedelta(days=180)

    def test_that_does_not_cover_is_refused_at_the_door(self, env: dict[str, str], door: Door, number: str) -> None:
        inspector = sign_in(env, "inspector")
        refused = {
            "registration-counter": "PURPOSE_NOT_COVERING",
            "statutory-investigation": "CASE_REQUIRED",
            "a b": "BAD_REQUEST",
        }
        for purpose, code in refused.items():
            door.as_(inspector, purpose).refuses("InspectionsOfBusiness", code, businessNumber=number)
