"""Firms: a business acts for others through its owner and the members whom its owner has let in."""

import asyncio

import pytest

from services.kit.testing import tokens
from services.kit.testing.client import Client
from tests.services.accounts.conftest import Json, Somebody, held_grant, know_business, letters
from tests.services.accounts.test_channels import verified
from tests.services.accounts.test_delegations import REFUSED, accepted, mine, offered, revoked

MEMBER = f"{{ __typename ... on FirmMember {{ id knownAs joinedAt endedAt invitationCode }} {REFUSED} }}"
INVITE = f"mutation ($input: InviteMemberInput!) {{ inviteMember(input: $input) {MEMBER} }}"
JOIN = f"mutation ($input: JoinFirmInput!) {{ joinFirm(input: $input) {MEMBER} }}"
REMOVE = f"mutation ($id: ID!) {{ removeMember(input: {{ memberId: $id }}) {MEMBER} }}"
FIRM = "700000031"


async def invited(owner: Somebody, **changes: str) -> Json:
    given = {"businessNumber": FIRM, "knownAs": "Cleo Clerk", "idempotencyKey": "k"} | changes
    found: Json = (await owner.ask(INVITE, input=given))["inviteMember"]
    return found


async def joined(person: Somebody, code: str, key: str = "k") -> Json:
    found: Json = (await person.ask(JOIN, input={"code": code, "idempotencyKey": key}))["joinFirm"]
    return found


async def removed(person: Somebody, member_id: str) -> Json:
    found: Json = (await person.ask(REMOVE, id=member_id))["removeMember"]
    return found


async def held_by_firm(baker: Somebody, accountant: Somebody) -> str:
    """A delegation that the accountant's firm holds, by its id."""
    await know_business(baker.client, FIRM, "accountant", "Counter Books Inc.")
    offer = await offered(baker)
    found = await accepted(accountant, offer["invitationCode"], businessNumber=FIRM)
    assert found["firm"] == {"businessNumber": FIRM}, found
    return str(found["id"])


async def actors(client: Client, grant_id: str) -> set[str]:
    return set((await held_grant(client, grant_id)).actors)


def people(*names: str) -> set[str]:
    return set(map(tokens.subject_of, names))


class TestAFirm:
    async def test_acts_through_its_owner(self, baker: Somebody, accountant: Somebody) -> None:
        assert await actors(baker.client, await held_by_firm(baker, accountant)) == people("accountant")

    async def test_is_ones_own(self, baker: Somebody, clerk: Somebody) -> None:
        await know_business(baker.client, FIRM, "accountant")
        offer = await offered(baker)
        assert (await accepted(clerk, offer["invitationCode"], businessNumber=FIRM))["code"] == "BUSINESS_NOT_YOURS"

    async def test_acts_through_a_member_from_when_they_have_joined(
        self, baker: Somebody, accountant: Somebody, clerk: Somebody
    ) -> None:
        grant = await held_by_firm(baker, accountant)
        member = await invited(accountant)
        assert await actors(baker.client, grant) == people("accountant")
        assert (await joined(clerk, member["invitationCode"]))["joinedAt"]
        assert await actors(baker.client, grant) == people("accountant", "clerk")
        assert [one["id"] for one in await mine(clerk)] == [grant]

    @pytest.mark.parametrize("who", ["accountant", "clerk"])
    async def test_acts_no_more_through_a_member_who_is_removed_or_leaves(
        self, client: Client, baker: Somebody, accountant: Somebody, clerk: Somebody, who: str
    ) -> None:
        grant = await held_by_firm(baker, accountant)
        member = await invited(accountant)
        await joined(clerk, member["invitationCode"])
        assert (await removed(Somebody(client, who), member["id"]))["endedAt"]
        assert await actors(client, grant) == people("accountant")
        assert await mine(clerk) == []
        assert (await removed(Somebody(client, who), member["id"]))["code"] == "MEMBER_UNKNOWN"

    async def test_never_acts_through_the_person_whose_rights_they_are(
        self, baker: Somebody, accountant: Somebody
    ) -> None:
        grant = await held_by_firm(baker, accountant)
        await joined(baker, (await invited(accountant))["invitationCode"])
        assert await actors(baker.client, grant) == people("accountant")

    async def test_can_end_what_it_holds_through_any_of_its_people(
        self, baker: Somebody, accountant: Somebody, clerk: Somebody
    ) -> None:
        grant = await held_by_firm(baker, accountant)
        await joined(clerk, (await invited(accountant))["invitationCode"])
        assert (await revoked(clerk, grant))["state"] == "REVOKED"

    async def test_whose_members_change_while_it_accepts_is_told_of_all_of_them(self, shared: Client) -> None:
        baker, accountant, clerk = (Somebody(shared, name) for name in ("baker", "accountant", "clerk"))
        await know_business(shared, FIRM, "accountant")
        member = await invited(accountant)
        offer = await offered(baker)
        await asyncio.gather(
            accepted(accountant, offer["invitationCode"], businessNumber=FIRM), joined(clerk, member["invitationCode"])
        )
        assert await actors(shared, offer["id"]) == people("accountant", "clerk")


class TestAnInvitation:
    async def test_is_for_ones_own_business(self, baker: Somebody, accountant: Somebody) -> None:
        await know_business(baker.client, FIRM, "accountant")
        assert (await invited(baker))["code"] == "BUSINESS_NOT_YOURS"

    async def test_goes_by_e_mail_and_its_owner_is_told_who_joined(self, accountant: Somebody, clerk: Somebody) -> None:
        await know_business(accountant.client, FIRM, "accountant", "Counter Books Inc.")
        await verified(accountant, "ana@example.ca")
        member = await invited(accountant, email="cleo@example.ca")
        assert member["invitationCode"] in (await letters(accountant.client, "cleo@example.ca"))[0].body
        await joined(clerk, member["invitationCode"])
        last = (await letters(accountant.client, "ana@example.ca"))[-1]
        assert last.title == "Cleo Clerk has joined Counter Books Inc."

    async def test_is_taken_once_by_one_of_many(self, shared: Client) -> None:
        await know_business(shared, FIRM, "accountant")
        code = (await invited(Somebody(shared, "accountant")))["invitationCode"]
        found = await asyncio.gather(*(joined(Somebody(shared, f"person-{n}"), code) for n in range(6)))
        assert sorted(one.get("code") or "" for one in found) == ["", *["INVITATION_UNKNOWN"] * 5]

    async def test_makes_nobody_a_member_twice_nor_the_owner_one(self, accountant: Somebody, clerk: Somebody) -> None:
        await know_business(accountant.client, FIRM, "accountant")
        first, second = [(await invited(accountant, idempotencyKey=key))["invitationCode"] for key in "ab"]
        assert (await joined(accountant, first))["code"] == "OWN_INVITATION"
        await joined(clerk, first)
        assert (await joined(clerk, second, "2"))["code"] == "ALREADY_MEMBER"

    async def test_that_is_withdrawn_lets_nobody_in(self, accountant: Somebody, clerk: Somebody) -> None:
        await know_business(accountant.client, FIRM, "accountant")
        member = await invited(accountant)
        await removed(accountant, member["id"])
        assert (await joined(clerk, member["invitationCode"]))["code"] == "INVITATION_UNKNOWN"


class TestMembers:
    async def test_are_seen_by_the_owner_alone(self, accountant: Somebody, clerk: Somebody) -> None:
        await know_business(accountant.client, FIRM, "accountant")
        await invited(accountant)
        business = {"__typename": "Business", "businessNumber": FIRM}
        for person, names in ((accountant, ["Cleo Clerk"]), (clerk, [])):
            answer = await person.client.entities(
                "... on Business { members { knownAs } }", business, scopes=person.scopes, username=person.username
            )
            assert [one["knownAs"] for one in answer.data["_entities"][0]["members"]] == names

    async def test_are_removed_by_nobody_else(self, accountant: Somebody, baker: Somebody) -> None:
        await know_business(accountant.client, FIRM, "accountant")
        member = await invited(accountant)
        assert await removed(baker, member["id"]) == await removed(baker, "none")
