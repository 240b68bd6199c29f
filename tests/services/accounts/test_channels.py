"""Channels: addresses that are somebody's, each shown to be theirs by a code that was sent to it."""

import asyncio
import re
from datetime import timedelta

import pytest
from sqlalchemy import text

from services.accounts.models import CodeRecord
from services.kit.columns import now
from services.kit.testing.client import Client
from tests.services.accounts.conftest import Json, Somebody, letters

REFUSED = "... on Refused { code field message { en fr } }"
CHANNEL = f"{{ __typename ... on Channel {{ id address verifiedAt }} {REFUSED} }}"
ADD = f"mutation ($input: AddChannelInput!) {{ addChannel(input: $input) {CHANNEL} }}"
SEND = f"mutation ($id: ID!) {{ sendChannelCode(input: {{ channelId: $id }}) {CHANNEL} }}"
VERIFY = f"mutation ($id: ID!, $code: String!) {{ verifyChannel(input: {{ channelId: $id, code: $code }}) {CHANNEL} }}"
REMOVE = f"mutation ($id: ID!) {{ removeChannel(input: {{ channelId: $id }}) {CHANNEL} }}"
MINE = "{ me { channels { address verifiedAt } } }"
OWN = "baker@example.ca"


async def added(person: Somebody, address: str = OWN, key: str = "k", language: str = "en") -> Json:
    found: Json = (await person.ask(ADD, language, input={"address": address, "idempotencyKey": key}))["addChannel"]
    return found


async def code_of(client: Client, address: str = OWN) -> str:
    """The code in the last letter to an address."""
    found = re.search(r"^    (\d{4} \d{4})$", (await letters(client, address))[-1].body, re.MULTILINE)
    assert found is not None
    return found[1]


async def verified(person: Somebody, address: str = OWN) -> Json:
    """A channel that is there, added and verified."""
    channel = await added(person, address, key=address)
    code = await code_of(person.client, address)
    found: Json = (await person.ask(VERIFY, id=channel["id"], code=code))["verifyChannel"]
    assert found["verifiedAt"], found
    return found


def wrong(code: str) -> str:
    return f"{(int(code.replace(' ', '')) + 1) % 10**8:08}"


class TestAnAddress:
    async def test_is_added_and_a_code_is_sent_to_it(self, somebody: Somebody) -> None:
        channel = await added(somebody)
        assert channel == {"__typename": "Channel", "id": channel["id"], "address": OWN, "verifiedAt": None}
        (letter,) = await letters(somebody.client, OWN)
        assert letter.title == f"Your code: {await code_of(somebody.client)}"

    async def test_is_written_to_in_its_persons_language(self, somebody: Somebody) -> None:
        await added(somebody, language="fr")
        (letter,) = await letters(somebody.client, OWN)
        assert letter.title.startswith("Votre code : ")
        assert "Il vaut 10 minutes" in letter.body

    @pytest.mark.parametrize(
        "address",
        ["", "baker", "baker@", "@example.ca", "a b@example.ca", "baker@localhost", "é@example.ca", "a@b@example.ca"],
    )
    async def test_that_is_none_is_refused_with_the_reason(self, somebody: Somebody, address: str) -> None:
        assert (await added(somebody, address))["code"] == "NO_ADDRESS"
        assert await letters(somebody.client) == []

    @pytest.mark.parametrize("address", ["a@example.ca\nBcc: b@example.ca", "a@example.ca\u202e", "a\x00@example.ca"])
    async def test_never_becomes_a_second_header(self, somebody: Somebody, address: str) -> None:
        assert (await added(somebody, address))["code"] in ("NO_ADDRESS", "INVALID_INPUT")
        assert await letters(somebody.client) == []

    async def test_is_taken_once_whatever_its_case(self, somebody: Somebody) -> None:
        await added(somebody)
        assert (await added(somebody, "Baker@Example.CA", "2"))["code"] == "CHANNEL_KNOWN"

    async def test_is_the_same_for_the_same_idempotency_key_and_one_letter_goes_out(self, somebody: Somebody) -> None:
        assert (await added(somebody))["id"] == (await added(somebody))["id"]
        assert len(await letters(somebody.client)) == 1

    async def test_can_be_that_of_two_people(self, client: Client) -> None:
        for name in ("owner", "baker"):
            assert (await added(Somebody(client, name)))["__typename"] == "Channel"

    async def test_is_one_of_five_at_most(self, somebody: Somebody) -> None:
        for number in range(5):
            await forget_codes(somebody.client)
            await added(somebody, f"a{number}@example.ca", str(number))
        assert (await added(somebody, "a5@example.ca", "5"))["code"] == "TOO_MANY_CHANNELS"

    async def test_two_at_once_are_one_where_they_are_the_same(self, shared: Client) -> None:
        person = Somebody(shared)
        found = await asyncio.gather(*(added(person, OWN, str(number)) for number in range(6)))
        assert sorted(one.get("code", "") for one in found) == ["", *["CHANNEL_KNOWN"] * 5]


class TestACode:
    async def test_verifies_the_channel_that_it_came_to(self, somebody: Somebody) -> None:
        await verified(somebody)
        (channel,) = (await somebody.ask(MINE))["me"]["channels"]
        assert channel["verifiedAt"]

    async def test_counts_without_its_space_and_with_others(self, somebody: Somebody) -> None:
        channel = await added(somebody)
        code = (await code_of(somebody.client)).replace(" ", "-")
        assert (await somebody.ask(VERIFY, id=channel["id"], code=f" {code} "))["verifyChannel"]["verifiedAt"]

    async def test_counts_once(self, somebody: Somebody) -> None:
        channel = await verified(somebody)
        again = await somebody.ask(VERIFY, id=channel["id"], code=await code_of(somebody.client))
        assert again["verifyChannel"]["code"] == "CHANNEL_VERIFIED"

    async def test_that_is_wrong_is_counted_and_the_sixth_try_comes_too_late(self, somebody: Somebody) -> None:
        channel, code = await added(somebody), await code_of(somebody.client)
        for left in (4, 3, 2, 1, 0):
            refused = (await somebody.ask(VERIFY, id=channel["id"], code=wrong(code)))["verifyChannel"]
            assert (refused["code"], refused["field"]) == ("CODE_WRONG", "code")
            assert f"{left} more tries" in refused["message"]["en"]
        assert (await somebody.ask(VERIFY, id=channel["id"], code=code))["verifyChannel"]["code"] == "CODE_SPENT"

    async def test_is_tried_five_times_even_by_twenty_at_once(self, shared: Client) -> None:
        person = Somebody(shared)
        channel, code = await added(person), await code_of(shared)
        tries = [person.ask(VERIFY, id=channel["id"], code=wrong(code)) for _ in range(20)]
        found = [one["verifyChannel"]["code"] for one in await asyncio.gather(*tries)]
        assert (found.count("CODE_WRONG"), found.count("CODE_SPENT")) == (5, 15)

    async def test_holds_for_ten_minutes(self, somebody: Somebody) -> None:
        channel, code = await added(somebody), await code_of(somebody.client)
        async with somebody.client.database.transaction() as db:
            (held,) = await db.where(CodeRecord)
            assert held.expires_at - held.made_at == timedelta(minutes=10)
            held.expires_at = now()
        assert (await somebody.ask(VERIFY, id=channel["id"], code=code))["verifyChannel"]["code"] == "CODE_SPENT"

    async def test_ends_when_another_is_sent(self, somebody: Somebody) -> None:
        channel, first = await added(somebody), await code_of(somebody.client)
        await somebody.ask(SEND, id=channel["id"])
        second = await code_of(somebody.client)
        assert (await somebody.ask(VERIFY, id=channel["id"], code=first))["verifyChannel"]["code"] == "CODE_WRONG"
        assert (await somebody.ask(VERIFY, id=channel["id"], code=second))["verifyChannel"]["verifiedAt"]

    async def test_is_sent_five_times_an_hour_at_most(self, somebody: Somebody) -> None:
        channel = await added(somebody)
        codes = [(await somebody.ask(SEND, id=channel["id"]))["sendChannelCode"].get("code") for _ in range(5)]
        assert codes == [None] * 4 + ["TOO_MANY_CODES"]

    async def test_is_not_kept(self, somebody: Somebody) -> None:
        await added(somebody)
        code = (await code_of(somebody.client)).replace(" ", "")
        async with somebody.client.database.transaction() as db:
            (kept,) = (await db.execute(text("SELECT c::text FROM one_time_code c"))).scalars()
        assert code not in kept

    async def test_of_one_channel_verifies_no_other(self, somebody: Somebody) -> None:
        await added(somebody)
        other = await added(somebody, "other@example.ca", "2")
        code = await code_of(somebody.client)
        assert (await somebody.ask(VERIFY, id=other["id"], code=code))["verifyChannel"]["code"] == "CODE_WRONG"

    async def test_is_asked_for_at_most_so_often_at_the_gateway(self) -> None:
        from services.accounts.service import service

        assert "verifyChannel(input: VerifyChannelInput!): VerifyChannelResult" in service.sdl()
        assert service.sdl().count("@rateLimit(times: 10, seconds: 600)") == 1


class TestAPerson:
    async def test_is_told_at_their_other_channels_when_one_more_is_verified(self, somebody: Somebody) -> None:
        await verified(somebody)
        await verified(somebody, "second@example.ca")
        assert (await letters(somebody.client, OWN))[-1].title == "An address was added to your account"
        assert "second@example.ca" in (await letters(somebody.client, OWN))[-1].body

    async def test_is_told_at_all_of_them_when_one_is_removed(self, somebody: Somebody) -> None:
        await verified(somebody)
        removed = await verified(somebody, "second@example.ca")
        await somebody.ask(REMOVE, id=removed["id"])
        for address in (OWN, "second@example.ca"):
            assert (await letters(somebody.client, address))[-1].title == "An address was removed from your account"
        assert [one["address"] for one in (await somebody.ask(MINE))["me"]["channels"]] == [OWN]

    @pytest.mark.parametrize("mutation", [SEND, REMOVE, VERIFY])
    async def test_finds_nobody_elses_channel(self, client: Client, mutation: str) -> None:
        theirs = await added(Somebody(client, "baker"))
        variables: Json = {"id": theirs["id"], **({"code": "1"} if mutation is VERIFY else {})}
        answer = await Somebody(client).ask(mutation, **variables)
        assert next(iter(answer.values()))["code"] == "CHANNEL_UNKNOWN"

    @pytest.mark.parametrize("identifier", ["", "none", "7" * 5000, "00000000-0000-4000-8000-000000000001"])
    async def test_finds_nothing_by_an_identifier_that_is_none(self, somebody: Somebody, identifier: str) -> None:
        assert (await somebody.ask(REMOVE, id=identifier))["removeChannel"]["code"] == "CHANNEL_UNKNOWN"


async def forget_codes(client: Client) -> None:
    """As if the hour in which codes are counted were over."""
    async with client.database.transaction() as db:
        await db.execute(text("DELETE FROM one_time_code"))
