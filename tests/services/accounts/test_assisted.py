"""Assisted service: an officer acts for a person who is present, and for what is final with the code that the person is sent."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select

from services.accounts.models import Mail, SessionRecord
from services.accounts.service import service
from services.kit.caller import Kind
from services.kit.columns import now
from services.kit.testing import grants, tokens
from services.kit.testing.client import Answer, Client
from tests.services.accounts.conftest import Json, Somebody, held_grant, letters

AT_THE_COUNTER = {"realm_access": {"roles": ["counter_officer"]}}
SCOPES = ("account:read", "account:manage", "assist:act")
REFUSED = "... on Refused { code field message { en fr } }"
SESSION = "id citizen channel reason openedAt idleEnds ends closedAt state acts { act words { en fr } state until }"
RESULT = f"{{ __typename ... on AssistedSession {{ {SESSION} }} {REFUSED} }}"
OPEN = f"mutation ($input: OpenAssistedSessionInput!) {{ openAssistedSession(input: $input) {RESULT} }}"
KEEP = f"mutation ($id: ID!) {{ keepAssistedSession(input: {{ session: $id }}) {RESULT} }}"
CLOSE = f"mutation ($id: ID!) {{ closeAssistedSession(input: {{ session: $id }}) {RESULT} }}"
CONFIRM = f"mutation ($input: ConfirmActInput!) {{ confirmAct(input: $input) {RESULT} }}"
MINE = f"{{ assistedSessions {{ edges {{ node {{ {SESSION} }} }} }} }}"
CONSENT = f"""mutation ($input: GiveConsentInput!) {{ giveConsent(input: $input) {{ __typename
    ... on Consent {{ id }} {REFUSED} }} }}"""
OFFER = f"""mutation ($input: OfferDelegationInput!) {{ offerDelegation(input: $input) {{ __typename
    ... on Delegation {{ id invitationCode }} {REFUSED} }} }}"""
ADD = f"mutation ($input: AddChannelInput!) {{ addChannel(input: $input) {{ __typename {REFUSED} }} }}"
OWNER = tokens.subject_of("owner")
ADDRESS = "owner@example.ca"


class Officer:
    """An officer at a counter."""

    def __init__(self, client: Client, username: str = "officer") -> None:
        self.client, self.username = client, username

    async def ask(self, query: str, authority: str | None = None, **variables: Any) -> Answer:
        return await self.client.run(
            query,
            *SCOPES,
            username=self.username,
            claims={**AT_THE_COUNTER, **tokens.second_factor()},
            authority=authority,
            purpose=None if authority else "registration-counter",
            variables=variables,
        )

    async def opens(self, **changes: Any) -> Json:
        said = {"citizen": OWNER, "channel": "COUNTER", "reason": "To give a consent", "idempotencyKey": "k"} | changes
        answer = await self.ask(OPEN, input=said)
        assert not answer.errors, answer.body
        found: Json = answer.data["openAssistedSession"]
        return found

    async def enters(self, session: str, act: str, code: str) -> Json:
        answer = await self.ask(CONFIRM, input={"session": session, "act": act, "code": code})
        assert not answer.errors, answer.body
        found: Json = answer.data["confirmAct"]
        return found

    async def tries(self, session: str, query: str = CONSENT, **given: Any) -> Answer:
        """What the person came for, on the session’s authority as it stands now: a consent, unless something else is given."""
        await known_grant(self.client, session)
        if query == CONSENT:
            usual = {"purpose": "business-advice", "categories": ["inspections"], "ends": in_a_month()}
            given = {**usual, "idempotencyKey": "c", **given}
        return await self.ask(query, authority=session, input=given)


def in_a_month() -> str:
    return (now() + timedelta(days=30)).isoformat()


@pytest.fixture
async def officer(client: Client) -> Officer:
    await known(client)
    return Officer(client)


async def known(client: Client, days: int = 30, address: str = ADDRESS) -> None:
    """The owner has had an address for a while."""
    async with client.database.transaction() as db:
        await db.execute(
            text(
                "INSERT INTO channel (id, subject, address, added_at, verified_at)"
                " VALUES (gen_random_uuid(), :subject, :address, :since, :since)"
            ),
            {"subject": OWNER, "address": address, "since": now() - timedelta(days=days)},
        )


async def deliver(client: Client) -> None:
    """Hand accounts what owners have proposed."""
    handler = service.handlers["act.proposed.v1"]
    async with client.database.transaction() as db:
        rows = (await db.execute(text("SELECT data FROM outbox WHERE type = 'act.proposed.v1' ORDER BY seq"))).all()
        for row in rows:
            await handler.function(handler.event.model_validate(row.data), db)
        await db.execute(text("UPDATE outbox SET type = 'delivered' WHERE type = 'act.proposed.v1'"))


async def code_in(client: Client, address: str = ADDRESS) -> str:
    """The code of the newest letter that asks for an agreement."""
    asked = [
        mail for mail in await letters(client, address) if mail.title.startswith(("Your agreement", "Votre accord"))
    ]
    found = re.search(r"^ {4}(\d{4} \d{4})$", asked[-1].body, re.MULTILINE)
    assert found, asked[-1].body
    return found[1]


async def known_grant(client: Client, grant_id: str) -> None:
    """Have accounts hold a grant as other services do."""
    await grants.keep(client.database, await held_grant(client, grant_id))


def act_of(answer: Answer) -> str:
    assert answer.codes == ["CITIZEN_CODE_REQUIRED"], answer.body
    return str(answer.errors[0]["extensions"]["act"])


async def as_owner_of_tables(client: Client, statement: str, **given: Any) -> None:
    async with client.database.transaction() as db:
        await db.execute(text(statement), given)


class TestASession:
    async def test_is_recorded_announced_and_told_to_the_person(self, officer: Officer) -> None:
        opened = await officer.opens()
        assert (opened["state"], opened["citizen"], opened["channel"]) == ("OPEN", OWNER, "COUNTER")
        grant = await held_grant(officer.client, opened["id"])
        assert (grant.kind, grant.subject, grant.actors) == (Kind.ASSISTED, OWNER, (tokens.subject_of("officer"),))
        assert (grant.ends - grant.begins).total_seconds() == 600
        [letter] = await letters(officer.client, ADDRESS)
        assert "To give a consent" in letter.body
        seen = await Somebody(officer.client).ask(MINE)
        assert [edge["node"]["id"] for edge in seen["assistedSessions"]["edges"]] == [opened["id"]]
        stranger = await Somebody(officer.client, "stranger").ask(MINE)
        assert stranger["assistedSessions"]["edges"] == []

    async def test_takes_a_second_factor_and_the_office(self, officer: Officer) -> None:
        said = {"citizen": OWNER, "channel": "PHONE", "reason": "To give a consent", "idempotencyKey": "k"}
        plain = {"realm_access": {"roles": ["counter_officer"]}}
        answer = await officer.client.run(OPEN, *SCOPES, username="officer", claims=plain, variables={"input": said})
        assert answer.codes == ["STEP_UP_REQUIRED"]
        answer = await officer.client.run(OPEN, "account:manage", username="owner", variables={"input": said})
        assert answer.codes == ["FORBIDDEN"]

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"citizen": tokens.subject_of("officer")}, "OWN_ACCOUNT"),
            ({"citizen": "somebody-unheard-of"}, "CITIZEN_UNKNOWN"),
            ({"reason": "help"}, "INVALID_INPUT"),
        ],
        ids=["of the officer", "of nobody", "without a reason"],
    )
    async def test_is_refused(self, officer: Officer, changes: Json, code: str) -> None:
        assert (await officer.opens(**changes))["code"] == code
        assert await letters(officer.client) == []

    async def test_is_one_at_a_time_and_a_lapsed_one_is_in_nobodys_way(self, officer: Officer) -> None:
        first = await officer.opens()
        assert (await officer.opens(idempotencyKey="2"))["code"] == "SESSION_OPEN"
        await as_owner_of_tables(officer.client, "UPDATE assisted_session SET idle_ends = now()")
        assert (await officer.ask(KEEP, id=first["id"])).data["keepAssistedSession"]["code"] == "SESSION_UNKNOWN"
        assert (await officer.opens(idempotencyKey="3"))["state"] == "OPEN"

    async def test_goes_on_with_the_officer_for_an_hour_at_most(self, officer: Officer) -> None:
        opened = await officer.opens()
        await as_owner_of_tables(officer.client, "UPDATE assisted_session SET idle_ends = now() + interval '1 minute'")
        await officer.ask(KEEP, id=opened["id"])
        grant = await held_grant(officer.client, opened["id"])
        assert 590 < (grant.ends - now()).total_seconds() <= 600
        await as_owner_of_tables(officer.client, "UPDATE assisted_session SET ends = now() + interval '2 minutes'")
        await officer.ask(KEEP, id=opened["id"])
        assert (await held_grant(officer.client, opened["id"])).ends < now() + timedelta(minutes=3)

    @pytest.mark.parametrize("who", ["officer", "owner"])
    async def test_is_closed_by_either_and_by_nobody_else(self, officer: Officer, who: str) -> None:
        opened = await officer.opens()
        stranger = await Somebody(officer.client, "stranger").ask(CLOSE, id=opened["id"])
        assert stranger["closeAssistedSession"]["code"] == "SESSION_UNKNOWN"
        if who == "officer":
            closed = (await officer.ask(CLOSE, id=opened["id"])).data["closeAssistedSession"]
        else:
            closed = (await Somebody(officer.client).ask(CLOSE, id=opened["id"]))["closeAssistedSession"]
        assert closed["state"] == "CLOSED"
        assert not (await held_grant(officer.client, opened["id"])).active
        assert (await officer.tries(opened["id"])).codes == ["AUTHORITY_REFUSED"]

    async def test_leaves_entries_of_the_officer(self, officer: Officer) -> None:
        opened = await officer.opens()
        await known_grant(officer.client, opened["id"])
        await officer.ask("{ me { language } }", authority=opened["id"])
        async with officer.client.database.transaction() as db:
            said = "SELECT actor, subject, authority, kind, role, purpose, act FROM access_entry ORDER BY at"
            rows = [tuple(row) for row in (await db.execute(text(said))).all()]
        who = (tokens.subject_of("officer"), OWNER)
        assert (*who, "self", "", "counter_officer", "registration-counter", "CHANGE") in rows
        assert (*who, opened["id"], "assisted", "counter_officer", "assisted-service", "READ") in rows

    async def test_is_not_shown_to_who_acts_for_the_officer_as_a_person(self, officer: Officer) -> None:
        opened = await officer.opens()
        delegated = grants.delegation("officer", "accountant", scopes=("account:read",))
        authority = await grants.keep(officer.client.database, delegated)
        found = (
            f"query ($r: [_Any!]!) {{ _entities(representations: $r) {{ ... on AssistedSession {{ {SESSION} }} }} }}"
        )
        things = {"r": [{"__typename": "AssistedSession", "id": opened["id"]}]}
        asked: dict[str, Any] = {"username": "accountant", "authority": authority}
        answer = await officer.client.run(MINE, "account:read", **asked)
        assert answer.data["assistedSessions"]["edges"] == []
        assert (await officer.client.run(found, "account:read", variables=things, **asked)).data["_entities"] == [None]


class TestTheCode:
    async def test_lets_one_act_be_done_once(self, officer: Officer) -> None:
        session = (await officer.opens())["id"]
        ends = in_a_month()
        act = act_of(await officer.tries(session, ends=ends))
        await deliver(officer.client)
        [told] = (await officer.ask(MINE)).data["assistedSessions"]["edges"][0]["node"]["acts"]
        assert (told["act"], told["state"]) == (act, "WAITING")
        assert "business-advice" not in told["words"]["en"] and "Consent until" in told["words"]["en"]
        confirmed = await officer.enters(session, act, await code_in(officer.client))
        assert confirmed["acts"][0]["state"] == "AGREED"
        assert (await officer.tries(session, ends=ends)).data["giveConsent"]["__typename"] == "Consent"
        assert act_of(await officer.tries(session, ends=ends, idempotencyKey="again")) != act
        async with officer.client.database.transaction() as db:
            assert len(await db.all(select(SessionRecord))) == 1

    async def test_is_never_in_what_the_officer_gets(self, officer: Officer) -> None:
        session = (await officer.opens())["id"]
        answers = [await officer.tries(session)]
        await deliver(officer.client)
        code = await code_in(officer.client)
        answers += [
            await officer.ask(MINE),
            await officer.ask(CONFIRM, input={"session": session, "act": "x", "code": "1"}),
        ]
        for answer in answers:
            assert code not in str(answer.body) and code.replace(" ", "") not in str(answer.body)

    async def test_goes_in_the_persons_language_and_names_the_act(self, officer: Officer) -> None:
        await Somebody(officer.client).ask("mutation { setLanguage(input: { language: FR }) { __typename } }")
        session = (await officer.opens())["id"]
        await officer.tries(session)
        await deliver(officer.client)
        asked = (await letters(officer.client, ADDRESS))[-1]
        assert asked.title == "Votre accord est demandé"
        assert "Consentir jusqu’au" in asked.body

    @pytest.mark.parametrize(
        "kind", ["wrong", "used", "old", "of another act", "of another session", "tried six times"]
    )
    async def test_is_refused(self, officer: Officer, kind: str) -> None:
        session = (await officer.opens())["id"]
        act = act_of(await officer.tries(session))
        await deliver(officer.client)
        code, refused = await code_in(officer.client), "CODE_SPENT"
        if kind == "wrong":
            code, refused = "0000 0000", "CODE_WRONG"
        elif kind == "used":
            assert (await officer.enters(session, act, code))["__typename"] == "AssistedSession"
        elif kind == "old":
            await as_owner_of_tables(officer.client, "UPDATE one_time_code SET expires_at = now()")
        elif kind == "tried six times":
            wrong = [(await officer.enters(session, act, "0000 0000"))["code"] for _ in range(5)]
            assert wrong == ["CODE_WRONG"] * 5
        elif kind == "of another act":
            act_of(await officer.tries(session, OFFER, **offer()))
            await deliver(officer.client)
            code, refused = await code_in(officer.client), "CODE_WRONG"
        else:
            await officer.ask(CLOSE, id=session)
            session = (await officer.opens(idempotencyKey="2"))["id"]
            act = act_of(await officer.tries(session))
            await deliver(officer.client)
            refused = "CODE_WRONG"
        assert (await officer.enters(session, act, code))["code"] == refused
        answer = await officer.tries(session) if kind != "used" else None
        assert answer is None or answer.codes == ["CITIZEN_CODE_REQUIRED"]

    async def test_is_sent_once_while_it_waits(self, officer: Officer) -> None:
        session = (await officer.opens())["id"]
        ends = in_a_month()
        for _ in range(3):
            act_of(await officer.tries(session, ends=ends))
            await deliver(officer.client)
        assert len(await letters(officer.client, ADDRESS)) == 2  # that the session began, and one code

    @pytest.mark.parametrize("days", [0, 6])
    async def test_goes_to_no_address_that_is_new(self, client: Client, days: int) -> None:
        await known(client, days=days)
        officer = Officer(client)
        session = (await officer.opens())["id"]
        act = act_of(await officer.tries(session))
        await deliver(client)
        assert len(await letters(client)) == 1  # that the session began
        assert (await officer.enters(session, act, "0000 0000"))["code"] == "NO_SURE_ADDRESS"

    async def test_goes_to_the_old_address_where_a_new_one_was_added(self, officer: Officer) -> None:
        await known(officer.client, days=1, address="thief@example.ca")
        session = (await officer.opens())["id"]
        act_of(await officer.tries(session))
        await deliver(officer.client)
        assert await code_in(officer.client)
        assert len(await letters(officer.client, "thief@example.ca")) == 1

    async def test_is_nothing_of_another_officers(self, officer: Officer) -> None:
        session = (await officer.opens())["id"]
        act = act_of(await officer.tries(session))
        await deliver(officer.client)
        other = Officer(officer.client, "colleague")
        assert (await other.enters(session, act, await code_in(officer.client)))["code"] == "SESSION_UNKNOWN"
        assert (await other.tries(session)).codes == ["AUTHORITY_REFUSED"]


def offer(**changes: Any) -> Json:
    return {"offeredAs": "O", "scopes": ["business:read"], "ends": in_a_month(), "idempotencyKey": "o", **changes}


class TestInASession:
    async def test_nobody_adds_an_address_or_manages_what_is_the_persons_alone(self, officer: Officer) -> None:
        session = (await officer.opens())["id"]
        given = {"address": "officer@example.ca", "idempotencyKey": "a"}
        assert (await officer.tries(session, ADD, **given)).codes == ["AUTHORITY_REFUSED"]
        close = await officer.ask(CLOSE, authority=session, id=session)  # as if they were the person
        assert close.codes == ["AUTHORITY_REFUSED"]

    async def test_a_delegation_is_given_with_a_code_and_its_invitation_is_not_shown(self, officer: Officer) -> None:
        session, given = (await officer.opens())["id"], offer(email="book@example.ca")
        act = act_of(await officer.tries(session, OFFER, **given))
        await deliver(officer.client)
        await officer.enters(session, act, await code_in(officer.client))
        offered = (await officer.tries(session, OFFER, **given)).data["offerDelegation"]
        assert (offered["__typename"], offered["invitationCode"]) == ("Delegation", None)

    async def test_a_refused_act_asks_for_no_code(self, officer: Officer) -> None:
        session = (await officer.opens())["id"]
        answer = await officer.tries(session, OFFER, **offer(scopes=["account:manage"]))
        assert answer.data["offerDelegation"]["code"] == "SCOPE_NOT_YOURS"


class TestAtOnce:
    async def test_an_officer_who_opens_many_gets_one(self, shared: Client) -> None:
        await known(shared)
        officer = Officer(shared)
        found = await asyncio.gather(*(officer.opens(idempotencyKey=str(n)) for n in range(4)))
        assert sorted(one["__typename"] for one in found) == ["AssistedSession", "Refused", "Refused", "Refused"]

    async def test_a_code_that_comes_twice_counts_once(self, shared: Client) -> None:
        await known(shared)
        officer = Officer(shared)
        session = (await officer.opens())["id"]
        act = act_of(await officer.tries(session))
        await deliver(shared)
        code = await code_in(shared)
        found = await asyncio.gather(*(officer.enters(session, act, code) for _ in range(4)))
        assert sorted(one.get("code", "") for one in found) == ["", "CODE_SPENT", "CODE_SPENT", "CODE_SPENT"]
        async with shared.database.transaction() as db:
            assert len([m for m in await db.all(select(Mail)) if "agreement" in m.title]) == 1
