"""An officer assists a baker: with the baker's rights, and with the baker's code for what is final."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from services.kit import nonces
from services.kit.testing.client import Answer, Client
from services.kit.testing.grants import assisted, delegation, keep
from tests.services.business_registration.conftest import AT_THE_COUNTER, DRAFT, SUBMIT, Owner, draft_input

REFUSED = "... on Refused { code message { en fr } }"
MOVE = f"""mutation ($input: ChangeBusinessAddressInput!) {{ changeBusinessAddress(input: $input) {{ __typename
    ... on Business {{ businessNumber address {{ street city postalCode }} }} {REFUSED} }} }}"""
WITHDRAW = f"""mutation ($input: WithdrawApplicationInput!) {{ withdrawApplication(input: $input) {{ __typename
    ... on Application {{ status }} {REFUSED} }} }}"""
ELSEWHERE = {"street": "5 Queen Street", "city": "Ottawa", "postalCode": "K1A 0B1"}
OFFICER = ("business:read", "business:register", "business:read-all")


class Counter:
    """An officer with a person before them."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.session = assisted("owner", "officer")

    async def asks(self, query: str, **given: Any) -> Answer:
        await keep(self.client.database, self.session)
        return await self.client.run(
            query,
            *OFFICER,
            username="officer",
            claims=AT_THE_COUNTER,
            authority=self.session.id,
            variables={"input": given},
        )

    def agreed(self, *acts: str, minutes: float = 10) -> None:
        """The person has told a code for each of these acts."""
        until = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
        said = ({"act": act, "until": until} for act in acts)
        self.session = replace(self.session, rev=self.session.rev + 1, confirmed=(*self.session.confirmed, *said))


@pytest.fixture
def counter(client: Client) -> Counter:
    return Counter(client)


@pytest.fixture
async def number(owner: Owner) -> str:
    return str((await owner.register())["business"]["businessNumber"])


async def proposed(client: Client) -> list[dict[str, Any]]:
    """What was proposed to `accounts`, in order."""
    async with client.database.transaction() as db:
        rows = await db.execute(text("SELECT data FROM outbox WHERE type = 'act.proposed.v1' ORDER BY seq"))
        return [row.data for row in rows]


def act_of(answer: Answer) -> str:
    """Which act was refused for want of a code."""
    assert answer.codes == ["CITIZEN_CODE_REQUIRED"], answer.body
    return str(answer.errors[0]["extensions"]["act"])


class TestAnOfficer:
    async def test_moves_the_persons_business_with_their_code_once(self, counter: Counter, number: str) -> None:
        move = {"businessNumber": number, "address": ELSEWHERE}
        counter.agreed(act_of(await counter.asks(MOVE, **move)))
        moved = await counter.asks(MOVE, **move)
        assert moved.data["changeBusinessAddress"]["address"] == ELSEWHERE
        back = {**move, "address": {**ELSEWHERE, "street": "6 Queen Street"}}
        counter.agreed(act_of(await counter.asks(MOVE, **back)))
        assert not (await counter.asks(MOVE, **back)).errors
        act_of(await counter.asks(MOVE, **move))  # what was agreed to has been used

    async def test_does_what_is_ordinary_without_one(self, counter: Counter) -> None:
        drafted = await counter.asks(DRAFT, **draft_input())
        assert drafted.data["draftApplication"]["status"] == "DRAFT"

    async def test_files_and_withdraws_with_it_only(self, counter: Counter, owner: Owner, client: Client) -> None:
        draft, other = await owner.draft(), await owner.draft(name="Violet Loom Clothing")
        filing = {"applicationId": draft["id"], "idempotencyKey": "k"}
        acts = [act_of(await counter.asks(SUBMIT, **filing))]
        acts += [act_of(await counter.asks(WITHDRAW, applicationId=other["id"]))]
        assert [told["act"] for told in await proposed(client)] == acts
        counter.agreed(*acts)
        assert (await counter.asks(SUBMIT, **filing)).data["submitApplication"]["status"] == "SUBMITTED"
        assert (await counter.asks(WITHDRAW, applicationId=other["id"])).data["withdrawApplication"][
            "status"
        ] == "WITHDRAWN"
        again = await counter.asks(SUBMIT, **filing)  # the same request comes again: the same answer, and no code
        assert again.data["submitApplication"]["id"] == draft["id"]

    async def test_has_the_act_named_to_the_person_in_both_languages(
        self, counter: Counter, number: str, client: Client
    ) -> None:
        act = act_of(await counter.asks(MOVE, businessNumber=number, address=ELSEWHERE))
        assert await proposed(client) == [
            {
                "grant": counter.session.id,
                "act": act,
                "en": "Change the address of “Zephyr Lantern Bakery” to 5 Queen Street, Ottawa K1A 0B1.",
                "fr": "Changer l’adresse de «\u00a0Zephyr Lantern Bakery\u00a0» pour 5 Queen Street, Ottawa K1A 0B1.",
            }
        ]

    async def test_gets_by_a_code_nothing_of_anybody_elses(self, counter: Counter, client: Client) -> None:
        foreign = (await Owner(client, "stranger").register(name="Quartz Ferry Transport"))["business"]
        for some in (foreign["businessNumber"], "700000000"):
            answer = await counter.asks(MOVE, businessNumber=some, address=ELSEWHERE)
            assert answer.data["changeBusinessAddress"]["code"] == "BUSINESS_UNKNOWN"
        assert await proposed(client) == []


class TestAnAgreement:
    @pytest.mark.parametrize("kind", ["of another act", "that has ended", "in another session"])
    async def test_opens_nothing_else(self, counter: Counter, number: str, kind: str) -> None:
        move = {"businessNumber": number, "address": ELSEWHERE}
        act = act_of(await counter.asks(MOVE, **move))
        if kind == "of another act":
            there = {**ELSEWHERE, "street": "1 Elm Street"}
            counter.agreed(act_of(await counter.asks(MOVE, businessNumber=number, address=there)))
        elif kind == "that has ended":
            counter.agreed(act, minutes=-1)
        else:
            counter.agreed(act)
            await keep(counter.client.database, counter.session)
            counter.session = assisted("owner", "officer")
        assert act_of(await counter.asks(MOVE, **move)) == act

    async def test_is_not_asked_of_the_person_nor_of_a_delegate(
        self, owner: Owner, client: Client, number: str
    ) -> None:
        moved = await owner.ask(MOVE, input={"businessNumber": number, "address": ELSEWHERE})
        assert moved["changeBusinessAddress"]["address"] == ELSEWHERE
        authority = await keep(client.database, delegation("owner", "accountant"))
        there = {"businessNumber": number, "address": {**ELSEWHERE, "street": "6 Queen Street"}}
        answer = await client.run(
            MOVE, "business:register", username="accountant", authority=authority, variables={"input": there}
        )
        assert answer.data["changeBusinessAddress"]["address"]["street"] == "6 Queen Street"


class TestAtOnce:
    async def test_one_of_many_uses_an_agreement(self, shared: Client) -> None:
        until = datetime.now(UTC) + timedelta(minutes=10)

        async def take() -> bool:
            async with shared.database.transaction() as db:
                return await nonces.take(db, "a session and an act", until.isoformat(), until)

        assert sorted(await asyncio.gather(*(take() for _ in range(6)))) == [False] * 5 + [True]


class TestAMove:
    async def test_is_announced_and_to_the_same_place_is_none(self, owner: Owner, client: Client, number: str) -> None:
        move = {"businessNumber": number, "address": ELSEWHERE}
        await owner.ask(MOVE, input=move)
        again = await owner.ask(MOVE, input={**move, "address": {**ELSEWHERE, "postalCode": "k1a0b1"}})
        assert again["changeBusinessAddress"]["code"] == "ADDRESS_UNCHANGED"
        async with client.database.transaction() as db:
            said = "SELECT data FROM outbox WHERE type = 'business.address_changed.v1'"
            [row] = (await db.execute(text(said))).all()
        assert row.data["businessNumber"] == number
        assert row.data["address"] == {**ELSEWHERE, "province": "ON"}

    async def test_is_within_ontario(self, owner: Owner, number: str) -> None:
        away = {**ELSEWHERE, "postalCode": "H2X 1Y4"}
        answer = await owner.ask(MOVE, input={"businessNumber": number, "address": away})
        assert answer["changeBusinessAddress"]["code"] == "NOT_IN_ONTARIO"
