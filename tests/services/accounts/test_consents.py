"""Consents: given for a purpose that asks for one, shown, revoked."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.kit.caller import Kind
from services.kit.purposes import purposes
from services.kit.testing import tokens
from services.kit.testing.client import Client
from tests.services.accounts.conftest import Json, Somebody, held_grant
from tests.services.accounts.test_delegations import REFUSED

FIELDS = "id offices begins ends revokedAt inForce purpose { code name { fr } } categories { code name { en } }"
RESULT = f"{{ __typename ... on Consent {{ {FIELDS} }} {REFUSED} }}"
GIVE = f"mutation ($input: GiveConsentInput!) {{ giveConsent(input: $input) {RESULT} }}"
REVOKE = f"mutation ($id: ID!) {{ revokeConsent(input: {{ consentId: $id }}) {RESULT} }}"
MINE = f"{{ me {{ consents {{ edges {{ node {{ {FIELDS} }} }} }} }} }}"
PURPOSES = "{ consentPurposes { code name { en } basis { fr } offices categories { code } } }"
ADVICE = "business-advice"


async def given(person: Somebody, *, days: int = 30, **changes: Any) -> Json:
    ends = (datetime.now(UTC) + timedelta(days=days)).isoformat()
    said = {"purpose": ADVICE, "categories": ["inspections"], "ends": ends, "idempotencyKey": "k"} | changes
    found: Json = (await person.ask(GIVE, input=said))["giveConsent"]
    return found


async def revoked(person: Somebody, consent_id: str) -> Json:
    found: Json = (await person.ask(REVOKE, id=consent_id))["revokeConsent"]
    return found


class TestAConsent:
    async def test_is_announced_for_the_offices_of_the_purpose(self, somebody: Somebody) -> None:
        consent = await given(somebody)
        grant = await held_grant(somebody.client, consent["id"])
        assert (grant.kind, grant.active, grant.subject) == (Kind.CONSENT, True, tokens.subject_of("owner"))
        assert grant.actors == ("role:counter_officer", "role:ministry_administrator")
        assert (grant.purposes, grant.categories, grant.scopes) == ((ADVICE,), ("inspections",), ())

    async def test_can_be_for_one_office(self, somebody: Somebody) -> None:
        consent = await given(somebody, offices=["counter_officer"])
        assert consent["offices"] == ["counter_officer"]
        assert (await held_grant(somebody.client, consent["id"])).actors == ("role:counter_officer",)

    async def test_is_shown_to_its_person_alone_in_both_languages(self, client: Client, somebody: Somebody) -> None:
        await given(somebody)
        ((edge),) = (await somebody.ask(MINE))["me"]["consents"]["edges"]
        assert edge["node"]["purpose"]["name"]["fr"] == "Conseiller une entreprise qui a accepté de l’être"
        assert edge["node"]["categories"][0]["name"]["en"].startswith("Inspections of somebody")
        assert edge["node"]["inForce"]
        assert (await Somebody(client, "baker").ask(MINE))["me"]["consents"]["edges"] == []

    async def test_is_revoked_and_stays_so(self, somebody: Somebody) -> None:
        consent = await given(somebody)
        assert (await revoked(somebody, consent["id"]))["inForce"] is False
        grant = await held_grant(somebody.client, consent["id"])
        assert (grant.active, grant.rev) == (False, 2)
        assert (await revoked(somebody, consent["id"]))["code"] == "CONSENT_OVER"

    async def test_is_revoked_once_by_many_at_once(self, shared: Client) -> None:
        person = Somebody(shared)
        consent = await given(person)
        found = await asyncio.gather(*(revoked(person, consent["id"]) for _ in range(5)))
        assert sorted(one.get("code") or "" for one in found) == ["", *["CONSENT_OVER"] * 4]
        assert (await held_grant(shared, consent["id"])).rev == 2

    async def test_of_somebody_else_is_not_found(self, client: Client, somebody: Somebody) -> None:
        consent = await given(somebody)
        other = Somebody(client, "baker")
        assert await revoked(other, consent["id"]) == await revoked(other, "none")

    @pytest.mark.parametrize(
        ("changes", "code", "field"),
        [
            ({"purpose": "inspection-conduct"}, "NO_CONSENT_ASKED", "purpose"),
            ({"purpose": "none"}, "NO_CONSENT_ASKED", "purpose"),
            ({"offices": ["inspector"]}, "NOT_OF_PURPOSE", "offices"),
            ({"categories": ["contact"]}, "NOT_OF_PURPOSE", "categories"),
            ({"categories": []}, "INVALID_INPUT", "categories"),
            ({"days": -1}, "NO_CONSENT_PERIOD", "ends"),
            ({"days": 800}, "NO_CONSENT_PERIOD", "ends"),
        ],
        ids=str,
    )
    async def test_that_cannot_be_is_refused_by_name(
        self, somebody: Somebody, changes: Json, code: str, field: str
    ) -> None:
        refused = await given(somebody, **changes)
        assert (refused["code"], refused["field"]) == (code, field)


class TestThePurposes:
    async def test_that_ask_for_consent_are_public(self, client: Client) -> None:
        told = (await client.run(PURPOSES)).data["consentPurposes"]
        assert {one["code"] for one in told} == {code for code, purpose in purposes().items() if purpose.needs_consent}
