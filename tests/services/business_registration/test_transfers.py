"""A business changes hands: offered by its owner, taken over by who holds the code, with all that is kept of it."""

import asyncio
from secrets import token_hex
from typing import Any

import pytest
from sqlalchemy import text

from services.kit.testing import tokens
from services.kit.testing.client import Answer, Client
from services.kit.testing.grants import assisted, delegation, keep
from tests.services.business_registration.conftest import AT_THE_COUNTER, OWNER, SUBMIT, Json, Owner

REFUSED = "... on Refused { code field message { en fr } }"
FIELDS = "id state given invitationCode offeredAt openUntil endedAt business { businessNumber legalName }"
RESULT = f"{{ __typename ... on BusinessTransfer {{ {FIELDS} }} {REFUSED} }}"
OFFER = f"mutation ($input: OfferTransferInput!) {{ offerTransfer(input: $input) {RESULT} }}"
WITHDRAW = f"mutation ($input: WithdrawTransferInput!) {{ withdrawTransfer(input: $input) {RESULT} }}"
ACCEPT = f"mutation ($input: AcceptTransferInput!) {{ acceptTransfer(input: $input) {RESULT} }}"
LOOK = f"query ($code: String!) {{ businessTransfer(code: $code) {{ {FIELDS} }} }}"
MINE = f"{{ myTransfers {{ edges {{ node {{ {FIELDS} }} }} }} }}"
FILE = """{ myBusinesses { edges { node { businessNumber address { city } programs { state } } } }
    myApplications { edges { node { id programs { state } } } } }"""
ADDRESS = "query ($n: ID!) { business(businessNumber: $n) { legalName address { city } } }"
APPLICATION = "query ($id: ID!) { application(id: $id) { status } }"
MOVE = f"""mutation ($input: ChangeBusinessAddressInput!) {{ changeBusinessAddress(input: $input) {{ __typename
    ... on Business {{ businessNumber }} {REFUSED} }} }}"""
ELSEWHERE = {"street": "5 Queen Street", "city": "Ottawa", "postalCode": "K1A 0B1"}
CORPORATION = {"name": "Zephyr Lantern Bakery Inc.", "legalType": "NAMED_CORPORATION"}
TAKING = "business-transfer"
CITIZEN: Json = {"realm_access": {"roles": ["citizen"]}}


class Person(Owner):
    """Somebody who has just shown a second factor."""

    async def does(self, query: str, purpose: str | None = None, **given: Any) -> Json:
        """What came of a mutation that must not fail."""
        answer = await self.tries(query, purpose, **given)
        assert not answer.errors, answer.body
        ((found),) = answer.data.values()
        return dict(found)

    async def tries(
        self,
        query: str,
        purpose: str | None = None,
        authority: str | None = None,
        claims: Json | None = None,
        **given: Any,
    ) -> Answer:
        return await self.client.run(
            query,
            *self.scopes,
            username=self.username,
            claims=CITIZEN | tokens.second_factor() | (claims or {}),
            purpose=purpose,
            authority=authority,
            variables={"input": given},
        )

    async def offers(self, number: str) -> Json:
        return await self.does(OFFER, businessNumber=number, idempotencyKey=token_hex(8))

    async def takes(self, code: str) -> Json:
        return await self.does(ACCEPT, TAKING, code=code, idempotencyKey=token_hex(8))

    async def withdraws(self, transfer_id: str) -> Json:
        return await self.does(WITHDRAW, transferId=transfer_id)

    async def transfers(self) -> list[Json]:
        return [edge["node"] for edge in (await self.ask(MINE))["myTransfers"]["edges"]]

    async def file(self) -> tuple[list[str], list[str]]:
        """The numbers of their businesses, and the ids of their applications."""
        shown = await self.ask(FILE)
        numbers = [edge["node"]["businessNumber"] for edge in shown["myBusinesses"]["edges"]]
        return numbers, [edge["node"]["id"] for edge in shown["myApplications"]["edges"]]


@pytest.fixture
def seller(client: Client) -> Person:
    return Person(client, "seller")


@pytest.fixture
def buyer(client: Client) -> Person:
    return Person(client, "buyer")


@pytest.fixture
async def filed(seller: Person) -> Json:
    return await seller.register(**CORPORATION)


@pytest.fixture
async def number(filed: Json) -> str:
    return str(filed["business"]["businessNumber"])


async def handed_over(seller: Person, buyer: Person, number: str) -> Json:
    taken = await buyer.takes((await seller.offers(number))["invitationCode"])
    assert taken["state"] == "ACCEPTED", taken
    return taken


async def rows(client: Client, statement: str) -> list[tuple[Any, ...]]:
    async with client.database.transaction() as db:
        return [tuple(row) for row in await db.execute(text(statement))]


class TestAnOffer:
    async def test_changes_nothing_before_it_is_accepted(self, seller: Person, number: str) -> None:
        offer = await seller.offers(f"{number[:3]} {number[3:]}")
        assert (offer["state"], offer["given"]) == ("OFFERED", True)
        assert offer["business"] == {"businessNumber": number, "legalName": CORPORATION["name"]}
        assert (await seller.file())[0] == [number]
        assert await seller.client.events("business.party.changed.v1") == []

    async def test_shows_its_code_once(self, seller: Person, number: str) -> None:
        given = {"businessNumber": number, "idempotencyKey": "k"}
        first, again = await seller.does(OFFER, **given), await seller.does(OFFER, **given)
        assert len(first["invitationCode"]) == 14
        assert again == {**first, "invitationCode": None}
        assert await seller.transfers() == [{k: v for k, v in again.items() if k != "__typename"}]

    async def test_is_the_only_open_one_of_its_business(self, seller: Person, number: str) -> None:
        offer = await seller.offers(number)
        assert (await seller.offers(number))["code"] == "TRANSFER_OPEN"
        await seller.withdraws(offer["id"])
        assert (await seller.offers(number))["state"] == "OFFERED"

    async def test_lapses_after_two_weeks_and_another_takes_its_place(
        self, seller: Person, buyer: Person, number: str
    ) -> None:
        offer = await seller.offers(number)
        async with seller.client.database.transaction() as db:
            await db.execute(text("UPDATE business_transfer SET open_until = now()"))
        assert [one["state"] for one in await seller.transfers()] == ["LAPSED"]
        assert (await buyer.ask(LOOK, code=offer["invitationCode"]))["businessTransfer"] is None
        assert (await buyer.takes(offer["invitationCode"]))["code"] == "INVITATION_UNKNOWN"
        assert (await seller.withdraws(offer["id"]))["code"] == "TRANSFER_OVER"
        assert (await seller.offers(number))["state"] == "OFFERED"
        assert {one["state"] for one in await seller.transfers()} == {"LAPSED", "OFFERED"}

    @pytest.mark.parametrize(
        "changes",
        [
            {"name": "Zephyr Lantern", "legalType": "SOLE_PROPRIETORSHIP"},
            {"name": "Zephyr Lantern", "legalType": "GENERAL_PARTNERSHIP", "partners": ["Ann Ash", "Bob Birch"]},
        ],
        ids=["sole proprietorship", "general partnership"],
    )
    async def test_is_of_a_corporation_since_others_end_with_their_owners(self, seller: Person, changes: Json) -> None:
        business = (await seller.register(**changes))["business"]
        refused = await seller.offers(business["businessNumber"])
        assert (refused["code"], refused["field"]) == ("ENDS_WITH_ITS_OWNERS", "businessNumber")

    async def test_is_of_a_numbered_one_too(self, seller: Person) -> None:
        business = (await seller.register(name=None, legalType="NUMBERED_CORPORATION"))["business"]
        assert (await seller.offers(business["businessNumber"]))["state"] == "OFFERED"

    async def test_of_somebody_elses_is_refused_as_of_one_that_is_not_there(self, buyer: Person, number: str) -> None:
        theirs, none = await buyer.offers(number), await buyer.offers("700000000")
        assert theirs == none
        assert theirs["code"] == "BUSINESS_UNKNOWN"

    async def test_is_seen_by_its_code_before_it_is_answered(self, seller: Person, buyer: Person, number: str) -> None:
        offer = await seller.offers(number)
        seen = (await buyer.ask(LOOK, code=offer["invitationCode"].lower().replace("-", " ")))["businessTransfer"]
        assert (seen["id"], seen["given"], seen["invitationCode"]) == (offer["id"], False, None)
        assert seen["business"]["businessNumber"] == number

    async def test_that_is_withdrawn_is_over(self, seller: Person, buyer: Person, number: str) -> None:
        offer = await seller.offers(number)
        assert (await buyer.withdraws(offer["id"]))["code"] == "TRANSFER_UNKNOWN"
        assert (await seller.withdraws(offer["id"]))["state"] == "WITHDRAWN"
        assert (await buyer.takes(offer["invitationCode"]))["code"] == "INVITATION_UNKNOWN"
        assert (await seller.withdraws(offer["id"]))["code"] == "TRANSFER_OVER"


class TestTakingOver:
    async def test_makes_the_business_and_its_file_the_new_owners_and_nobody_elses(
        self, seller: Person, buyer: Person, filed: Json, number: str
    ) -> None:
        await handed_over(seller, buyer, number)
        assert await buyer.file() == ([number], [filed["id"]])
        assert await seller.file() == ([], [])
        assert (await seller.client.run(ADDRESS, *OWNER, username="seller", variables={"n": number})).codes == [
            "FORBIDDEN"
        ]
        assert (await seller.ask(APPLICATION, id=filed["id"]))["application"] is None
        moved = await buyer.does(MOVE, businessNumber=number, address=ELSEWHERE)
        assert moved["businessNumber"] == number
        moved = await seller.does(MOVE, businessNumber=number, address={**ELSEWHERE, "street": "1 Elm Street"})
        assert moved["code"] == "BUSINESS_UNKNOWN"

    async def test_leaves_the_former_owner_what_is_not_of_the_business(
        self, seller: Person, buyer: Person, number: str
    ) -> None:
        other = (await seller.register(name="Quartz Ferry Inc.", legalType="NAMED_CORPORATION"))["business"]
        draft = await seller.draft(name="Violet Loom Clothing")
        await handed_over(seller, buyer, number)
        numbers, applications = await seller.file()
        assert numbers == [other["businessNumber"]]
        assert draft["id"] in applications and len(applications) == 2

    async def test_is_announced_in_the_transaction_that_does_it(
        self, seller: Person, buyer: Person, number: str
    ) -> None:
        taken = await handed_over(seller, buyer, number)
        ((_, announced),) = await seller.client.events("business.party.changed.v1")
        assert announced.pop("changedAt").replace("Z", "+00:00") == taken["endedAt"]
        assert announced.pop("registeredAt")
        assert announced == {
            "businessNumber": number,
            "legalName": CORPORATION["name"],
            "sector": "72",
            "formerOwner": tokens.subject_of("seller"),
            "owner": tokens.subject_of("buyer"),
        }

    async def test_stays_in_the_history_that_both_see(self, seller: Person, buyer: Person, number: str) -> None:
        await handed_over(seller, buyer, number)
        await handed_over(buyer, Person(seller.client, "third"), number)
        assert [(one["state"], one["given"]) for one in await seller.transfers()] == [("ACCEPTED", True)]
        assert [(one["state"], one["given"]) for one in await buyer.transfers()] == [
            ("ACCEPTED", True),
            ("ACCEPTED", False),
        ]
        chain = "SELECT offered_by, taken_by FROM business_transfer ORDER BY ended_at"
        people = [tokens.subject_of(name) for name in ("seller", "buyer", "third")]
        assert await rows(seller.client, chain) == [(people[0], people[1]), (people[1], people[2])]

    async def test_leaves_the_former_owner_an_entry_with_its_purpose(
        self, seller: Person, buyer: Person, number: str
    ) -> None:
        await handed_over(seller, buyer, number)
        said = "SELECT actor, subject, act, category, business, purpose, role FROM access_entry"
        people = (tokens.subject_of("buyer"), tokens.subject_of("seller"))
        assert await rows(seller.client, said) == [(*people, "CHANGE", "ownership", number, TAKING, "citizen")]

    async def test_asks_for_its_purpose(self, seller: Person, buyer: Person, number: str) -> None:
        given = {"code": (await seller.offers(number))["invitationCode"], "idempotencyKey": "k"}
        refused = await buyer.tries(ACCEPT, **given)
        assert refused.codes == ["PURPOSE_REQUIRED"]
        assert [one["code"] for one in refused.errors[0]["extensions"]["purposes"]] == [TAKING]
        assert (await buyer.does(ACCEPT, TAKING, **given))["state"] == "ACCEPTED"

    async def test_happens_once(self, seller: Person, buyer: Person, number: str) -> None:
        given = {"code": (await seller.offers(number))["invitationCode"], "idempotencyKey": "k"}
        first, again = await buyer.does(ACCEPT, TAKING, **given), await buyer.does(ACCEPT, TAKING, **given)
        assert first == again
        assert (await buyer.does(ACCEPT, TAKING, **{**given, "idempotencyKey": "2"}))["code"] == "INVITATION_UNKNOWN"
        assert (await Person(seller.client, "third").takes(given["code"]))["code"] == "INVITATION_UNKNOWN"

    async def test_of_ones_own_offer_is_refused(self, seller: Person, number: str) -> None:
        assert (await seller.takes((await seller.offers(number))["invitationCode"]))["code"] == "OWN_INVITATION"

    @pytest.mark.parametrize("code", ["0000-0000-0000", "' OR 1=1 --", "x" * 40, "é" * 14])
    async def test_by_another_code_finds_nothing(self, seller: Person, buyer: Person, number: str, code: str) -> None:
        await seller.offers(number)
        assert (await buyer.takes(code))["code"] == "INVITATION_UNKNOWN"
        assert (await buyer.ask(LOOK, code=code * 100))["businessTransfer"] is None

    @pytest.mark.parametrize("code", ["", " ", "x" * 41, "0000\u202e"])
    async def test_by_what_is_no_code_is_refused_by_name(self, buyer: Person, code: str) -> None:
        refused = await buyer.takes(code)
        assert (refused["code"], refused["field"]) == ("INVALID_INPUT", "code")

    async def test_lets_its_former_applicant_follow_nothing(
        self, seller: Person, buyer: Person, filed: Json, number: str
    ) -> None:
        follow = "subscription ($id: ID!) { applicationStatusChanged(id: $id) { status } }"
        await handed_over(seller, buyer, number)
        answer = await seller.client.run(follow, *OWNER, username="seller", variables={"id": filed["id"]})
        assert "SUBMITTED" not in str(answer.body)


class TestOnAnothersBehalf:
    @pytest.fixture
    async def code(self, seller: Person, number: str) -> str:
        return str((await seller.offers(number))["invitationCode"])

    @pytest.mark.parametrize("kind", ["a delegate", "an officer"])
    async def test_nobody_offers_takes_or_withdraws(
        self, seller: Person, buyer: Person, number: str, code: str, kind: str
    ) -> None:
        """Also with a second factor of their own: it says nothing of the person whose business it is."""
        (open_one,) = await seller.transfers()
        grant = (delegation if kind == "a delegate" else assisted)(seller.username, "agent")
        authority = await keep(seller.client.database, grant)
        claims = AT_THE_COUNTER | tokens.second_factor()
        agent = Person(seller.client, "agent")
        for query, given in (
            (OFFER, {"businessNumber": number, "idempotencyKey": "k"}),
            (ACCEPT, {"code": code, "idempotencyKey": "k"}),
            (WITHDRAW, {"transferId": open_one["id"]}),
        ):
            answer = await agent.tries(query, authority=authority, claims=claims, **given)
            assert answer.codes == ["AUTHORITY_REFUSED"], query
        assert await seller.transfers() == [open_one]

    @pytest.mark.parametrize("query", [OFFER, ACCEPT], ids=["offering", "taking over"])
    async def test_and_nobody_without_a_second_factor_just_shown(self, seller: Person, number: str, query: str) -> None:
        given = {"businessNumber": number} if query is OFFER else {"code": "0000-0000-0000"}
        for claims in ({"acr": "1"}, tokens.second_factor(age_s=600)):
            answer = await seller.tries(query, claims=claims, **given, idempotencyKey="k")
            assert answer.codes == ["STEP_UP_REQUIRED"]


class TestWhatTheFormerOwnerGranted:
    """The service has grants whose end is still on its way: what they are for is in its own rows, and those have changed."""

    @pytest.mark.parametrize("limited", [True, False], ids=["for the business", "for all that is theirs"])
    async def test_gives_nothing_of_the_business_at_once(
        self, seller: Person, buyer: Person, filed: Json, number: str, limited: bool
    ) -> None:
        client = seller.client
        grant = delegation("seller", "accountant", business=number if limited else "")
        accountant, authority = Person(client, "accountant"), await keep(client.database, grant)

        async def asks(query: str, **variables: Any) -> Answer:
            return await client.run(query, *OWNER, username="accountant", authority=authority, variables=variables)

        assert len((await asks(FILE)).data["myBusinesses"]["edges"]) == 1
        offer = await seller.offers(number)
        assert (await asks(ADDRESS, n=number)).data["business"]["address"]
        await buyer.takes(offer["invitationCode"])
        assert (await asks(FILE)).data == {"myBusinesses": {"edges": []}, "myApplications": {"edges": []}}
        assert (await asks(ADDRESS, n=number)).codes == ["FORBIDDEN"]
        assert (await asks(APPLICATION, id=filed["id"])).data == {"application": None}
        moved = await accountant.tries(MOVE, authority=authority, businessNumber=number, address=ELSEWHERE)
        assert moved.data["changeBusinessAddress"]["code"] == "BUSINESS_UNKNOWN"

    async def test_stays_in_force_for_the_rest_and_the_new_owners_delegates_reach_the_business(
        self, seller: Person, buyer: Person, number: str
    ) -> None:
        client = seller.client
        other = (await seller.register(name="Quartz Ferry Inc.", legalType="NAMED_CORPORATION"))["business"]
        grants = {name: await keep(client.database, delegation(name, f"{name}s-clerk")) for name in ("seller", "buyer")}
        await handed_over(seller, buyer, number)
        for name, expected in (("seller", other["businessNumber"]), ("buyer", number)):
            shown = await client.run(FILE, *OWNER, username=f"{name}s-clerk", authority=grants[name])
            assert [e["node"]["businessNumber"] for e in shown.data["myBusinesses"]["edges"]] == [expected]

    async def test_shows_a_delegate_the_transfers_of_whom_they_act_for(
        self, seller: Person, buyer: Person, number: str
    ) -> None:
        await handed_over(seller, buyer, number)
        for name, business, seen in (("seller", "", 1), ("buyer", number, 1), ("buyer", "700000023", 0)):
            authority = await keep(seller.client.database, delegation(name, "clerk", business=business))
            shown = await seller.client.run(MINE, *OWNER, username="clerk", authority=authority)
            assert len(shown.data["myTransfers"]["edges"]) == seen


class TestARepeatedFiling:
    async def test_shows_its_former_applicant_nothing(self, seller: Person, buyer: Person) -> None:
        draft = await seller.draft(**CORPORATION)
        filing = {"applicationId": draft["id"], "acknowledgeSimilarNames": True, "idempotencyKey": "k"}
        business = (await seller.ask(SUBMIT, input=filing))["submitApplication"]["business"]
        await handed_over(seller, buyer, business["businessNumber"])
        assert (await seller.ask(SUBMIT, input=filing))["submitApplication"] is None


class TestAtOnce:
    """Real, concurrent transactions on a database of its own."""

    @pytest.fixture
    async def number(self, shared: Client) -> str:
        return str((await Person(shared, "seller").register(**CORPORATION))["business"]["businessNumber"])

    async def test_one_of_many_takes_a_business_over(self, shared: Client, number: str) -> None:
        code = (await Person(shared, "seller").offers(number))["invitationCode"]
        found = await asyncio.gather(*(Person(shared, f"buyer-{n}").takes(code) for n in range(6)))
        assert sorted(one.get("code") or "" for one in found) == ["", *["INVITATION_UNKNOWN"] * 5]
        assert len(await shared.events("business.party.changed.v1")) == 1

    async def test_one_of_many_offers_is_open(self, shared: Client, number: str) -> None:
        found = await asyncio.gather(*(Person(shared, "seller").offers(number) for _ in range(6)))
        assert sorted(one.get("code") or "" for one in found) == ["", *["TRANSFER_OPEN"] * 5]

    async def test_withdrawal_and_acceptance_leave_one_of_both(self, shared: Client, number: str) -> None:
        owner, other = Person(shared, "seller"), Person(shared, "buyer")
        for _ in range(6):
            offer = await owner.offers(number)
            taken, withdrawn = await asyncio.gather(other.takes(offer["invitationCode"]), owner.withdraws(offer["id"]))
            assert (taken.get("state") or taken["code"], withdrawn.get("state") or withdrawn["code"]) in (
                ("ACCEPTED", "TRANSFER_OVER"),
                ("INVITATION_UNKNOWN", "WITHDRAWN"),
            )
            if taken.get("state") == "ACCEPTED":
                owner, other = other, owner
            assert (await owner.file())[0] == [number]

    async def test_a_move_by_the_former_owner_comes_before_or_not_at_all(self, shared: Client, number: str) -> None:
        owner, other = Person(shared, "seller"), Person(shared, "buyer")
        moves = 0
        for n in range(6):
            code = (await owner.offers(number))["invitationCode"]
            place = {**ELSEWHERE, "street": f"{n} Queen Street"}
            taken, moved = await asyncio.gather(
                other.takes(code), owner.does(MOVE, businessNumber=number, address=place)
            )
            assert taken["state"] == "ACCEPTED"
            assert moved["__typename"] == "Business" or moved["code"] == "BUSINESS_UNKNOWN"
            moves += moved["__typename"] == "Business"
            owner, other = other, owner
        told = await rows(shared, "SELECT type FROM outbox WHERE type LIKE 'business.%changed%' ORDER BY seq")
        assert len(told) == 6 + moves
