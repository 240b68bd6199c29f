"""A business has another owner: what the one before granted for it ends, and whom it acts for hears of its people anew."""

import asyncio
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import text

from services.accounts.models import KnownBusiness
from services.accounts.service import service
from services.kit.testing import tokens
from services.kit.testing.client import Client
from tests.services.accounts.conftest import Json, Somebody, held_grant, know_business, letters
from tests.services.accounts.test_channels import verified
from tests.services.accounts.test_delegations import BAKERY, accepted, given, mine, offered, revoked
from tests.services.accounts.test_firms import FIRM, actors, held_by_firm, invited, joined, people, removed
from tests.services.accounts.test_looking import an_entry, log_of, told

NAME = "Amber Kiln Inc."
ENTRIES = "... on Business { accessLog { edges { node { id } } } }"


def changed(to: str, number: str = BAKERY, former: str = "baker", day: int = 1) -> Json:
    """The data of business.party.changed.v1, as the registry sends it."""
    return {
        "businessNumber": number,
        "legalName": NAME,
        "formerOwner": tokens.subject_of(former),
        "owner": tokens.subject_of(to),
        "changedAt": f"2026-04-{day:02}T15:00:00Z",
    }


async def hears(client: Client, data: Json) -> None:
    handler = service.handlers["business.party.changed.v1"]
    async with client.database.transaction() as db:
        await handler.function(handler.event.model_validate(data), db)


async def states(person: Somebody) -> dict[str, str]:
    """How far each delegation is that concerns somebody, by its id."""
    return {one["id"]: one["state"] for one in await mine(person)}


@pytest.fixture
def buyer(client: Client) -> Somebody:
    return Somebody(client, "buyer")


class TestADelegationForTheBusiness:
    async def test_ends_for_both_sides_and_all_services(self, baker: Somebody, accountant: Somebody) -> None:
        await know_business(baker.client, BAKERY, "baker")
        held = await given(baker, accountant, businessNumber=BAKERY)
        await hears(baker.client, changed("buyer"))
        for person in (baker, accountant):
            assert await states(person) == {held["id"]: "ENDED"}
        grant = await held_grant(baker.client, held["id"])
        assert (grant.active, grant.rev) == (False, 2)
        assert (await revoked(baker, held["id"]))["code"] == "DELEGATION_OVER"

    async def test_that_is_only_offered_is_accepted_no_more(self, baker: Somebody, accountant: Somebody) -> None:
        await know_business(baker.client, BAKERY, "baker")
        offer = await offered(baker, businessNumber=BAKERY)
        await hears(baker.client, changed("buyer"))
        assert await states(baker) == {offer["id"]: "ENDED"}
        assert (await accepted(accountant, offer["invitationCode"]))["code"] == "INVITATION_UNKNOWN"

    async def test_ends_with_what_was_passed_on_from_it(
        self, baker: Somebody, accountant: Somebody, clerk: Somebody
    ) -> None:
        await know_business(baker.client, BAKERY, "baker")
        held = await given(baker, accountant, businessNumber=BAKERY, mayPassOn=True)
        passed = await given(accountant, clerk, passesOn=held["id"], ends=5)
        await hears(baker.client, changed("buyer"))
        assert await states(accountant) == {held["id"]: "ENDED", passed["id"]: "ENDED"}
        assert [(await held_grant(baker.client, one["id"])).rev for one in (held, passed)] == [2, 2]

    async def test_ends_also_where_it_was_passed_on_from_one_for_everything(
        self, baker: Somebody, accountant: Somebody, clerk: Somebody
    ) -> None:
        await know_business(baker.client, BAKERY, "baker")
        held = await given(baker, accountant, mayPassOn=True)
        passed = await given(accountant, clerk, passesOn=held["id"], businessNumber=BAKERY, ends=5)
        await hears(baker.client, changed("buyer"))
        assert await states(accountant) == {held["id"]: "ACCEPTED", passed["id"]: "ENDED"}
        assert not (await held_grant(baker.client, passed["id"])).active

    async def test_does_not_come_back_with_its_grantor(self, baker: Somebody, accountant: Somebody) -> None:
        """Sold and bought back; the word of the sale comes last."""
        await know_business(baker.client, BAKERY, "baker")
        held = await given(baker, accountant, businessNumber=BAKERY)
        await hears(baker.client, changed("baker", former="buyer", day=2))
        await hears(baker.client, changed("buyer", day=1))
        assert await states(baker) == {held["id"]: "ENDED"}

    async def test_is_told_to_both_sides_with_the_reason_once(self, baker: Somebody, accountant: Somebody) -> None:
        await know_business(baker.client, BAKERY, "baker")
        await verified(accountant, "ana@example.ca")
        await given(baker, accountant, businessNumber=BAKERY)
        for _ in range(2):
            await hears(baker.client, changed("buyer"))
        (letter,) = [one for one in await letters(baker.client, "ana@example.ca") if "ended" in one.title]
        assert (
            f"What Olive Baker let Ana Counter do has ended: nobody acts on it any more. {NAME} has another owner."
            in (letter.body)
        )

    async def test_of_another_business_or_of_the_new_owners_goes_on(
        self, baker: Somebody, buyer: Somebody, accountant: Somebody
    ) -> None:
        other = "700000023"
        await know_business(baker.client, BAKERY, "baker")
        await know_business(baker.client, other, "baker")
        held = await given(baker, accountant, businessNumber=other)
        general = await given(baker, accountant, idempotencyKey="2")
        await hears(baker.client, changed("buyer"))
        theirs = await offered(buyer, businessNumber=BAKERY)
        taken = await accepted(accountant, theirs["invitationCode"], idempotencyKey="3")
        await hears(baker.client, changed("buyer"))  # once more, and late
        assert await states(accountant) == dict.fromkeys((held["id"], general["id"], taken["id"]), "ACCEPTED")

    async def test_is_nothing_that_the_former_owner_can_offer_again(self, baker: Somebody) -> None:
        await know_business(baker.client, BAKERY, "baker")
        await hears(baker.client, changed("buyer"))
        assert (await offered(baker, businessNumber=BAKERY))["code"] == "BUSINESS_NOT_YOURS"


class TestBothOwners:
    async def test_are_told(self, client: Client, baker: Somebody, buyer: Somebody) -> None:
        await know_business(client, BAKERY, "baker", NAME)
        await verified(baker, "olive@example.ca")
        await verified(buyer, "ben@example.ca")
        for _ in range(2):
            await hears(client, changed("buyer"))
        for address, title in (
            ("olive@example.ca", f"{NAME} is no longer yours"),
            ("ben@example.ca", f"{NAME} is yours"),
        ):
            assert [one.title for one in await letters(client, address)][1:] == [title]

    async def test_see_who_looked_at_what_was_kept_while_it_was_theirs(self, client: Client) -> None:
        await know_business(client, BAKERY, "baker")
        await told(client, *(an_entry(subject=tokens.subject_of(name), business=BAKERY) for name in ("baker", "buyer")))
        await hears(client, changed("buyer"))
        for name, seen in (("baker", 0), ("buyer", 1)):
            business: Json = {"__typename": "Business", "businessNumber": BAKERY}
            answer = await client.entities(ENTRIES, business, scopes=Somebody(client).scopes, username=name)
            assert len(answer.data["_entities"][0]["accessLog"]["edges"]) == seen
            assert len(await log_of(Somebody(client, name))) == 1


class TestAFirmThatChangedHands:
    async def test_acts_through_its_new_owner_and_its_members(
        self, baker: Somebody, accountant: Somebody, clerk: Somebody, buyer: Somebody
    ) -> None:
        grant = await held_by_firm(baker, accountant)
        await joined(clerk, (await invited(accountant))["invitationCode"])
        await hears(baker.client, changed("buyer", FIRM, "accountant"))
        assert await actors(baker.client, grant) == people("buyer", "clerk")
        assert [await states(person) for person in (buyer, clerk, baker)] == [{grant: "ACCEPTED"}] * 3

    async def test_is_no_affair_of_its_former_owner_who_accepted_for_it(
        self, baker: Somebody, accountant: Somebody
    ) -> None:
        grant = await held_by_firm(baker, accountant)
        await hears(baker.client, changed("buyer", FIRM, "accountant"))
        assert await states(accountant) == {}
        assert (await revoked(accountant, grant))["code"] == "DELEGATION_UNKNOWN"

    async def test_lets_nobody_in_by_an_invitation_of_its_former_owner(
        self, baker: Somebody, accountant: Somebody, clerk: Somebody
    ) -> None:
        grant = await held_by_firm(baker, accountant)
        code = (await invited(accountant))["invitationCode"]
        await hears(baker.client, changed("buyer", FIRM, "accountant"))
        for person in (accountant, clerk):
            assert (await joined(person, code))["code"] == "INVITATION_UNKNOWN"
        assert await actors(baker.client, grant) == people("buyer")

    async def test_keeps_no_member_who_has_owned_it(
        self, baker: Somebody, accountant: Somebody, clerk: Somebody
    ) -> None:
        grant = await held_by_firm(baker, accountant)
        await joined(clerk, (await invited(accountant))["invitationCode"])
        await hears(baker.client, changed("clerk", FIRM, "accountant"))
        assert await actors(baker.client, grant) == people("clerk")
        await hears(baker.client, changed("buyer", FIRM, "clerk", day=2))
        assert await actors(baker.client, grant) == people("buyer")

    async def test_never_acts_through_the_person_whose_rights_they_are(
        self, baker: Somebody, accountant: Somebody
    ) -> None:
        grant = await held_by_firm(baker, accountant)
        await hears(baker.client, changed("baker", FIRM, "accountant"))
        assert await actors(baker.client, grant) == set()

    @pytest.mark.parametrize("who", ["its former owner", "a member who was removed"])
    async def test_ends_what_was_passed_on_by_who_acts_for_it_no_more(
        self, baker: Somebody, accountant: Somebody, clerk: Somebody, who: str
    ) -> None:
        await know_business(baker.client, FIRM, "accountant")
        offer = await offered(baker, mayPassOn=True)
        held = await accepted(accountant, offer["invitationCode"], businessNumber=FIRM)
        member = await invited(accountant)
        await joined(clerk, member["invitationCode"])
        third, passed = Somebody(baker.client, "third"), {}
        for number, person in enumerate((accountant, clerk)):
            child = await given(person, third, passesOn=held["id"], ends=5, idempotencyKey=f"p{number}")
            passed[person.username] = child["id"]
        if who == "its former owner":
            await hears(baker.client, changed("buyer", FIRM, "accountant"))
        else:
            await removed(accountant, member["id"])
        gone, stays = ("accountant", "clerk") if who == "its former owner" else ("clerk", "accountant")
        assert await states(third) == {passed[gone]: "ENDED", passed[stays]: "ACCEPTED"}
        assert not (await held_grant(baker.client, passed[gone])).active


class TestWhatIsHeard:
    @pytest.mark.parametrize("order", [*permutations(range(3))], ids=str)
    async def test_leaves_the_latest_owner_in_whatever_order_it_comes(
        self, client: Client, order: tuple[int, ...]
    ) -> None:
        """Each twice."""
        for position in (*order, *order):
            if position == 0:
                await know_business(client, BAKERY, "baker", NAME)
            else:
                await hears(client, changed(("", "buyer", "third")[position], day=position))
        async with client.database.transaction() as db:
            known = await db.one(KnownBusiness, BAKERY)
        assert known is not None
        assert (known.name, known.owner) == (NAME, tokens.subject_of("third"))


class TestAtOnce:
    async def test_no_delegation_for_the_business_is_left_in_force(self, shared: Client) -> None:
        """Offered, accepted or revoked while the owner changes: in no order is it the former owner's and in force."""
        baker, accountant = Somebody(shared, "baker"), Somebody(shared, "accountant")
        for number in range(5):
            business = f"70000010{number}"
            await know_business(shared, business, "baker")
            key: dict[str, Any] = {"idempotencyKey": str(number)}
            waiting = await offered(baker, businessNumber=business, **key)
            held = await given(baker, accountant, businessNumber=business, idempotencyKey=f"h{number}")
            await asyncio.gather(
                hears(shared, changed("buyer", business)),
                accepted(accountant, waiting["invitationCode"], **key),
                offered(baker, businessNumber=business, idempotencyKey=f"o{number}"),
                revoked(baker, held["id"]),
            )
        left = "SELECT count(*) FROM delegation WHERE state IN ('OFFERED', 'ACCEPTED')"
        active = """SELECT count(*) FROM (SELECT DISTINCT ON (grant_id) told FROM grant_revision ORDER BY grant_id, rev DESC) AS g
            WHERE told ->> 'active' = 'true'"""
        async with shared.database.transaction() as db:
            assert [(await db.execute(text(count))).scalar_one() for count in (left, active)] == [0, 0]

    async def test_who_joins_while_the_firm_changes_hands_is_told_or_not_let_in(self, shared: Client) -> None:
        baker, accountant, clerk = (Somebody(shared, name) for name in ("baker", "accountant", "clerk"))
        await know_business(shared, FIRM, "accountant")
        offer = await offered(baker)
        grant = (await accepted(accountant, offer["invitationCode"], businessNumber=FIRM))["id"]
        code = (await invited(accountant))["invitationCode"]
        member, _ = await asyncio.gather(joined(clerk, code), hears(shared, changed("buyer", FIRM, "accountant")))
        let_in = ["clerk"] if member["__typename"] == "FirmMember" else []
        assert await actors(shared, grant) == people("buyer", *let_in)
