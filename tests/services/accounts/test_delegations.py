"""Delegations: offered, accepted, used, ended; never wider than what was given, decided once whoever comes at the same time."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from services.accounts.models import DelegationRecord
from services.kit.caller import Kind
from services.kit.testing import tokens
from services.kit.testing.client import Client
from tests.services.accounts.conftest import Json, Somebody, held_grant, know_business, known_grant, letters
from tests.services.accounts.test_channels import verified

REFUSED = "... on Refused { code field message { en fr } }"
FIELDS = """id version state offeredAs acceptedAs given begins ends mayPassOn invitationCode email scopes { code name { fr } }
    business { businessNumber } firm { businessNumber } passedOnFrom"""
RESULT = f"{{ __typename ... on Delegation {{ {FIELDS} }} {REFUSED} }}"
OFFER = f"mutation ($input: OfferDelegationInput!) {{ offerDelegation(input: $input) {RESULT} }}"
ACCEPT = f"mutation ($input: AcceptDelegationInput!) {{ acceptDelegation(input: $input) {RESULT} }}"
REFUSE = f"mutation ($code: String!) {{ refuseDelegation(input: {{ code: $code }}) {RESULT} }}"
RENEW = f"mutation ($id: ID!, $v: Int!) {{ renewInvitation(input: {{ delegationId: $id, version: $v }}) {RESULT} }}"
REVOKE = f"mutation ($id: ID!) {{ revokeDelegation(input: {{ delegationId: $id }}) {RESULT} }}"
LOOK = f"query ($code: String!) {{ invitation(code: $code) {{ {FIELDS} }} }}"
MINE = f"{{ me {{ delegations {{ edges {{ node {{ {FIELDS} }} }} }} }} }}"
BAKERY = "700000015"


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def offer_input(**changes: Any) -> Json:
    """A sound offer, with changes."""
    days = {name: in_days(value) for name, value in changes.items() if name in ("begins", "ends")}
    usual = {"offeredAs": "Olive Baker", "scopes": ["business:read"], "ends": in_days(30), "idempotencyKey": "k"}
    return usual | changes | days


async def offered(person: Somebody, **changes: Any) -> Json:
    found: Json = (await person.ask(OFFER, input=offer_input(**changes)))["offerDelegation"]
    return found


async def accepted(person: Somebody, code: str | None, **changes: Any) -> Json:
    given = {"code": code, "acceptedAs": "Ana Counter", "idempotencyKey": "k"} | changes
    found: Json = (await person.ask(ACCEPT, input=given))["acceptDelegation"]
    return found


async def revoked(person: Somebody, delegation_id: str) -> Json:
    found: Json = (await person.ask(REVOKE, id=delegation_id))["revokeDelegation"]
    return found


async def given(grantor: Somebody, actor: Somebody, **changes: Any) -> Json:
    """A delegation in force."""
    offer = await offered(grantor, **changes)
    assert offer["__typename"] == "Delegation", offer
    found = await accepted(actor, offer["invitationCode"], idempotencyKey=changes.get("idempotencyKey", "k"))
    assert found["state"] == "ACCEPTED", found
    return found


async def mine(person: Somebody) -> list[Json]:
    edges = (await person.ask(MINE))["me"]["delegations"]["edges"]
    return [edge["node"] for edge in edges]


class TestAnOffer:
    async def test_is_nothing_in_force(self, baker: Somebody) -> None:
        offer = await offered(baker)
        assert (offer["state"], offer["given"]) == ("OFFERED", True)
        assert [scope["code"] for scope in offer["scopes"]] == ["business:read"]
        async with baker.client.database.transaction() as db:
            assert (await db.execute(text("SELECT count(*) FROM grant_revision"))).scalar_one() == 0

    async def test_shows_its_code_once(self, baker: Somebody) -> None:
        ends = in_days(3)
        first, again = [
            (await baker.ask(OFFER, input={**offer_input(), "ends": ends}))["offerDelegation"] for _ in "ab"
        ]
        assert len(first["invitationCode"]) == 14 and again["invitationCode"] is None
        assert first["id"] == again["id"]

    async def test_goes_by_e_mail_too(self, baker: Somebody) -> None:
        offer = await offered(baker, email="ana@example.ca")
        (letter,) = await letters(baker.client, "ana@example.ca")
        assert letter.title == "Olive Baker asks you to act for them"
        assert offer["invitationCode"] in letter.body

    async def test_names_scopes_in_both_languages(self, baker: Somebody) -> None:
        ((scope),) = (await offered(baker))["scopes"]
        assert scope["name"]["fr"].startswith("Lire des dossiers d’entreprise")

    @pytest.mark.parametrize(
        ("changes", "code", "field"),
        [
            ({"scopes": ["account:manage"]}, "SCOPE_NOT_YOURS", "scopes"),
            ({"scopes": ["business:read-all"]}, "SCOPE_NOT_YOURS", "scopes"),
            ({"scopes": ["business:read", "all"]}, "SCOPE_NOT_YOURS", "scopes"),
            ({"scopes": []}, "INVALID_INPUT", "scopes"),
            ({"scopes": ["business:read"] * 21}, "INVALID_INPUT", "scopes"),
            ({"ends": -1}, "NO_PERIOD", "ends"),
            ({"ends": 732}, "NO_PERIOD", "ends"),
            ({"begins": 3, "ends": 2}, "NO_PERIOD", "ends"),
            ({"offeredAs": " "}, "INVALID_INPUT", "offeredAs"),
            ({"offeredAs": "Olive\u202e"}, "INVALID_INPUT", "offeredAs"),
            ({"offeredAs": "O" * 81}, "INVALID_INPUT", "offeredAs"),
            ({"email": "ana"}, "NO_ADDRESS", "email"),
            ({"businessNumber": BAKERY}, "BUSINESS_NOT_YOURS", "businessNumber"),
            ({"passesOn": "none"}, "PARENT_UNKNOWN", "passesOn"),
        ],
        ids=str,
    )
    async def test_that_cannot_be_is_refused_by_name(
        self, baker: Somebody, changes: Json, code: str, field: str
    ) -> None:
        await know_business(baker.client, BAKERY, "somebody")
        refused = await offered(baker, **changes)
        assert (refused["code"], refused["field"]) == (code, field)
        assert await mine(baker) == []

    async def test_for_a_business_is_of_ones_own(self, baker: Somebody) -> None:
        await know_business(baker.client, BAKERY, "baker")
        assert (await offered(baker, businessNumber="700 000 015"))["business"] == {"businessNumber": BAKERY}

    async def test_is_one_of_twenty_open_ones_at_most(self, baker: Somebody) -> None:
        for number in range(20):
            await offered(baker, idempotencyKey=str(number))
        assert (await offered(baker))["code"] == "TOO_MANY_OFFERS"

    async def test_is_seen_by_its_code_before_it_is_answered(self, baker: Somebody, accountant: Somebody) -> None:
        offer = await offered(baker, email="ana@example.ca")
        seen = (await accountant.ask(LOOK, code=offer["invitationCode"].lower().replace("-", " ")))["invitation"]
        assert (seen["id"], seen["offeredAs"], seen["given"]) == (offer["id"], "Olive Baker", False)
        assert (seen["invitationCode"], seen["email"]) == (None, None)

    @pytest.mark.parametrize("code", ["", "0000-0000-0000", "x" * 5000])
    async def test_is_not_found_by_another_code(self, baker: Somebody, accountant: Somebody, code: str) -> None:
        await offered(baker)
        assert (await accountant.ask(LOOK, code=code))["invitation"] is None

    async def test_lapses_after_two_weeks(self, baker: Somebody, accountant: Somebody) -> None:
        offer = await offered(baker)
        await passes(baker.client, "open_until = now()")
        assert (await mine(baker))[0]["state"] == "LAPSED"
        assert (await accountant.ask(LOOK, code=offer["invitationCode"]))["invitation"] is None
        assert (await accepted(accountant, offer["invitationCode"]))["code"] == "INVITATION_UNKNOWN"

    async def test_that_is_renewed_is_accepted_by_the_new_code_alone(
        self, baker: Somebody, accountant: Somebody
    ) -> None:
        offer = await offered(baker)
        renewed = (await baker.ask(RENEW, id=offer["id"], v=offer["version"]))["renewInvitation"]
        assert (await accepted(accountant, offer["invitationCode"]))["code"] == "INVITATION_UNKNOWN"
        assert (await accepted(accountant, renewed["invitationCode"], idempotencyKey="2"))["state"] == "ACCEPTED"

    async def test_is_renewed_in_the_version_that_was_seen(self, baker: Somebody) -> None:
        offer = await offered(baker)
        await baker.ask(RENEW, id=offer["id"], v=1)
        assert (await baker.ask(RENEW, id=offer["id"], v=1))["renewInvitation"]["code"] == "OFFER_CHANGED"

    async def test_that_is_withdrawn_is_over(self, baker: Somebody, accountant: Somebody) -> None:
        offer = await offered(baker)
        assert (await revoked(baker, offer["id"]))["state"] == "WITHDRAWN"
        assert (await accepted(accountant, offer["invitationCode"]))["code"] == "INVITATION_UNKNOWN"
        assert (await revoked(baker, offer["id"]))["code"] == "DELEGATION_OVER"

    async def test_that_is_refused_is_over_and_who_offered_is_told(self, baker: Somebody, accountant: Somebody) -> None:
        await verified(baker)
        offer = await offered(baker)
        assert (await accountant.ask(REFUSE, code=offer["invitationCode"]))["refuseDelegation"]["state"] == "REFUSED"
        assert (await letters(baker.client))[-1].title == "Your offer was refused"
        assert (await accepted(accountant, offer["invitationCode"]))["code"] == "INVITATION_UNKNOWN"


class TestAcceptance:
    async def test_announces_the_grant(self, baker: Somebody, accountant: Somebody) -> None:
        await know_business(baker.client, BAKERY, "baker")
        delegation = await given(baker, accountant, businessNumber=BAKERY, scopes=["inspection:read", "business:read"])
        grant = await held_grant(baker.client, delegation["id"])
        assert (grant.kind, grant.active, grant.rev) == (Kind.DELEGATION, True, 1)
        assert (grant.subject, grant.grantor) == (tokens.subject_of("baker"),) * 2
        assert grant.actors == (tokens.subject_of("accountant"),)
        assert (grant.business, grant.scopes) == (BAKERY, ("business:read", "inspection:read"))
        assert grant.purposes == ("representation",)
        assert grant.ends - grant.begins < timedelta(days=30)

    async def test_is_seen_by_both(self, baker: Somebody, accountant: Somebody, clerk: Somebody) -> None:
        await given(baker, accountant)
        (one,), (other,) = await mine(baker), await mine(accountant)
        assert (one["acceptedAs"], one["given"], other["given"]) == ("Ana Counter", True, False)
        assert await mine(clerk) == []

    async def test_is_told_to_who_offered(self, baker: Somebody, accountant: Somebody) -> None:
        await verified(baker)
        await given(baker, accountant)
        assert (await letters(baker.client))[-1].title == "Ana Counter now acts for you"

    async def test_happens_once(self, baker: Somebody, accountant: Somebody, clerk: Somebody) -> None:
        offer = await offered(baker)
        first, again = (
            await accepted(accountant, offer["invitationCode"]),
            await accepted(accountant, offer["invitationCode"]),
        )
        assert first["id"] == again["id"]
        assert (await accepted(accountant, offer["invitationCode"], idempotencyKey="2"))["code"] == "INVITATION_UNKNOWN"
        assert (await accepted(clerk, offer["invitationCode"]))["code"] == "INVITATION_UNKNOWN"

    async def test_of_ones_own_offer_is_refused(self, baker: Somebody) -> None:
        assert (await accepted(baker, (await offered(baker))["invitationCode"]))["code"] == "OWN_INVITATION"

    async def test_asks_for_a_token(self, client: Client, baker: Somebody) -> None:
        offer = await offered(baker)
        variables = {"input": {"code": offer["invitationCode"], "acceptedAs": "A", "idempotencyKey": "k"}}
        assert (await client.run(ACCEPT, variables=variables)).codes == ["UNAUTHENTICATED"]

    async def test_by_many_at_once_is_by_one(self, shared: Client) -> None:
        offer = await offered(Somebody(shared, "baker"))
        people = [Somebody(shared, f"person-{number}") for number in range(8)]
        found = await asyncio.gather(*(accepted(person, offer["invitationCode"]) for person in people))
        assert sorted(one.get("code") or "" for one in found) == ["", *["INVITATION_UNKNOWN"] * 7]
        grant = await held_grant(shared, offer["id"])
        assert grant.rev == 1 and len(grant.actors) == 1

    async def test_and_withdrawal_at_once_leave_one_of_both(self, shared: Client) -> None:
        """Whichever comes first: an accepted one is revoked, a withdrawn one is not accepted. In no case is it left in force."""
        baker, accountant = Somebody(shared, "baker"), Somebody(shared, "accountant")
        for number in range(6):
            offer = await offered(baker, idempotencyKey=str(number))
            key = {"idempotencyKey": str(number)}
            one, other = await asyncio.gather(
                accepted(accountant, offer["invitationCode"], **key), revoked(baker, offer["id"])
            )
            assert (one.get("state"), one.get("code"), other["state"]) in (
                ("ACCEPTED", None, "REVOKED"),
                (None, "INVITATION_UNKNOWN", "WITHDRAWN"),
            )
            if other["state"] == "REVOKED":
                assert not (await held_grant(shared, offer["id"])).active


class TestRevocation:
    @pytest.mark.parametrize("who", ["baker", "accountant"])
    async def test_ends_it_by_either_side(
        self, client: Client, baker: Somebody, accountant: Somebody, who: str
    ) -> None:
        delegation = await given(baker, accountant)
        assert (await revoked(Somebody(client, who), delegation["id"]))["state"] == "REVOKED"
        grant = await held_grant(client, delegation["id"])
        assert (grant.active, grant.rev) == (False, 2)
        assert (await revoked(Somebody(client, who), delegation["id"]))["code"] == "DELEGATION_OVER"

    async def test_is_told_to_the_other_side(self, baker: Somebody, accountant: Somebody) -> None:
        await verified(accountant, "ana@example.ca")
        await revoked(baker, (await given(baker, accountant))["id"])
        assert (await letters(baker.client, "ana@example.ca"))[-1].title == "A delegation has ended"

    @pytest.mark.parametrize("mutation", [REVOKE, RENEW])
    async def test_by_anybody_else_finds_nothing(
        self, baker: Somebody, accountant: Somebody, clerk: Somebody, mutation: str
    ) -> None:
        delegation = await given(baker, accountant)
        extra: Json = {"v": 2} if mutation is RENEW else {}
        theirs = next(iter((await clerk.ask(mutation, id=delegation["id"], **extra)).values()))
        none = next(iter((await clerk.ask(mutation, id="none", **extra)).values()))
        assert theirs == none
        assert theirs["code"] == "DELEGATION_UNKNOWN"

    async def test_is_not_needed_when_the_time_is_over(self, baker: Somebody, accountant: Somebody) -> None:
        await given(baker, accountant)
        await passes(baker.client, "begins = now() - interval '2 days', ends = now()")
        assert (await mine(accountant))[0]["state"] == "LAPSED"


class TestPassingOn:
    async def test_is_refused_where_the_person_did_not_say_so(self, baker: Somebody, accountant: Somebody) -> None:
        held = await given(baker, accountant)
        assert (await offered(accountant, passesOn=held["id"]))["code"] == "NO_PASSING_ON"

    async def test_gives_the_persons_rights_in_the_delegates_name(
        self, baker: Somebody, accountant: Somebody, clerk: Somebody
    ) -> None:
        held = await given(baker, accountant, mayPassOn=True)
        passed = await given(accountant, clerk, passesOn=held["id"], ends=5)
        assert passed["passedOnFrom"] == held["id"]
        grant = await held_grant(baker.client, passed["id"])
        assert (grant.subject, grant.grantor) == (tokens.subject_of("baker"), tokens.subject_of("accountant"))
        assert {one["id"] for one in await mine(baker)} == {held["id"], passed["id"]}

    async def test_goes_one_step_only(self, baker: Somebody, accountant: Somebody, clerk: Somebody) -> None:
        held = await given(baker, accountant, mayPassOn=True)
        passed = await given(accountant, clerk, passesOn=held["id"], ends=5)
        assert (await offered(clerk, passesOn=passed["id"], ends=4))["code"] == "NO_PASSING_ON"
        again = await offered(accountant, passesOn=held["id"], ends=4, mayPassOn=True, idempotencyKey="2")
        assert again["code"] == "NO_PASSING_ON"

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"scopes": ["inspection:read"]}, "scopes"),
            ({"scopes": ["business:read", "business:register"]}, "scopes"),
            ({"ends": 31}, "ends"),
            ({"businessNumber": "700000023"}, "businessNumber"),
        ],
        ids=str,
    )
    async def test_never_gives_more_than_was_given(
        self, baker: Somebody, accountant: Somebody, changes: Json, field: str
    ) -> None:
        await know_business(baker.client, BAKERY, "baker")
        held = await given(baker, accountant, mayPassOn=True, businessNumber=BAKERY)
        refused = await offered(accountant, **{"passesOn": held["id"], "ends": 5} | changes)
        assert (refused["code"], refused["field"]) == ("WIDER_THAN_PARENT", field)

    async def test_keeps_to_the_business(self, baker: Somebody, accountant: Somebody, clerk: Somebody) -> None:
        await know_business(baker.client, BAKERY, "baker")
        held = await given(baker, accountant, mayPassOn=True, businessNumber=BAKERY)
        passed = await given(accountant, clerk, passesOn=held["id"], ends=5)
        assert passed["business"] == {"businessNumber": BAKERY}

    async def test_of_somebody_elses_is_refused(self, baker: Somebody, accountant: Somebody, clerk: Somebody) -> None:
        held = await given(baker, accountant, mayPassOn=True)
        for person in (baker, clerk):
            assert (await offered(person, passesOn=held["id"], idempotencyKey="2"))["code"] == "PARENT_UNKNOWN"

    async def test_ends_with_what_it_was_passed_on_from(
        self, baker: Somebody, accountant: Somebody, clerk: Somebody
    ) -> None:
        held = await given(baker, accountant, mayPassOn=True)
        passed = await given(accountant, clerk, passesOn=held["id"], ends=5)
        open_one = await offered(accountant, passesOn=held["id"], ends=5, idempotencyKey="2")
        await revoked(baker, held["id"])
        assert not (await held_grant(baker.client, passed["id"])).active
        assert {one["state"] for one in await mine(accountant)} == {"REVOKED", "ENDED"}
        assert (await accepted(clerk, open_one["invitationCode"], idempotencyKey="2"))["code"] == "INVITATION_UNKNOWN"

    async def test_accepted_while_what_it_stands_on_is_revoked_is_never_left_in_force(self, shared: Client) -> None:
        baker, accountant, clerk = (Somebody(shared, name) for name in ("baker", "accountant", "clerk"))
        for number in range(5):
            key = {"idempotencyKey": str(number)}
            parent = await offered(baker, mayPassOn=True, **key)
            held = await accepted(accountant, parent["invitationCode"], **key)
            child = await offered(accountant, passesOn=held["id"], ends=5, **key)
            await asyncio.gather(accepted(clerk, child["invitationCode"], **key), revoked(baker, held["id"]))
            async with shared.database.transaction() as db:
                found = await db.one(DelegationRecord, child["id"])
                told = text(
                    "SELECT told ->> 'active' FROM grant_revision WHERE grant_id = :id ORDER BY rev DESC LIMIT 1"
                )
                active = (await db.execute(told, {"id": child["id"]})).scalar()
            assert found is not None and found.state.value == "ENDED" and active != "true"


class TestADelegate:
    async def test_manages_no_account_but_the_own(self, baker: Somebody, accountant: Somebody) -> None:
        delegation = await given(baker, accountant, scopes=["account:read"])
        answer = await baker.client.run(
            OFFER,
            *accountant.scopes,
            username="accountant",
            variables={"input": offer_input()},
            authority=await known_grant(baker.client, delegation["id"]),
        )
        assert answer.codes == ["FORBIDDEN"]

    async def test_sees_the_account_where_that_was_given_and_leaves_entries(
        self, baker: Somebody, accountant: Somebody
    ) -> None:
        delegation = await given(baker, accountant, scopes=["account:read"])
        answer = await baker.client.run(
            "{ me { id delegations { edges { node { id } } } } }",
            *accountant.scopes,
            username="accountant",
            authority=await known_grant(baker.client, delegation["id"]),
        )
        assert answer.data["me"]["id"] == tokens.subject_of("baker")
        async with baker.client.database.transaction() as db:
            told = (await db.execute(text("SELECT DISTINCT actor, subject, category FROM access_entry"))).all()
        assert {tuple(row) for row in told} == {
            (tokens.subject_of("accountant"), tokens.subject_of("baker"), category)
            for category in ("contact", "representation")
        }

    async def test_of_one_business_sees_nothing_of_the_account(self, baker: Somebody, accountant: Somebody) -> None:
        await know_business(baker.client, BAKERY, "baker")
        delegation = await given(baker, accountant, scopes=["account:read"], businessNumber=BAKERY)
        answer = await baker.client.run(
            "{ me { id } }",
            *accountant.scopes,
            username="accountant",
            authority=await known_grant(baker.client, delegation["id"]),
        )
        assert answer.data == {"me": None}


async def passes(client: Client, change: str) -> None:
    """As if time had passed for every delegation."""
    async with client.database.transaction() as db:
        await db.execute(text(f"UPDATE delegation SET {change}"))
