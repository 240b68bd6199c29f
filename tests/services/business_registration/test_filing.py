"""Filing: a number, a held name, four programs asked; at most one of two identical names, however close they come."""

import asyncio

import pytest
from sqlalchemy import text
from stdnum import luhn

from services.kit.testing.client import Client
from tests.services.business_registration.conftest import AT_THE_COUNTER, OFFICER, SUBMIT, Owner

BUSINESS = (
    """query ($n: ID!) { business(businessNumber: $n) { legalName status address { city } programs { state } } }"""
)


class TestSubmission:
    async def test_a_draft_becomes_a_business_with_a_number_that_checks(self, owner: Owner) -> None:
        filed = await owner.register()
        number = filed["business"]["businessNumber"]
        assert filed["status"] == "SUBMITTED"
        assert len(number) == 9
        assert number[0] == "7"
        assert luhn.is_valid(number)

    async def test_every_program_is_asked_once_by_an_event_of_its_own(self, owner: Owner) -> None:
        filed = await owner.register()
        asked = [data for _, data in await owner.client.events("program.requested.v1")]
        assert sorted(a["program"] for a in asked) == sorted(p["program"] for p in filed["programs"])
        assert {p["state"] for p in filed["programs"]} == {"REQUESTED"}
        assert len({a["requestId"] for a in asked}) == 4

    async def test_the_registration_is_announced_with_what_other_ministries_need(self, owner: Owner) -> None:
        filed = await owner.register()
        ((_, announced),) = await owner.client.events("business.registered.v1")
        assert announced["businessNumber"] == filed["business"]["businessNumber"]
        assert announced["address"] == {
            "street": "1 King Street",
            "city": "Toronto",
            "province": "ON",
            "postalCode": "M5V 2T6",
        }

    async def test_the_same_request_again_is_answered_alike(self, owner: Owner) -> None:
        drafted = await owner.draft()
        given = {"applicationId": drafted["id"], "idempotencyKey": "one-click"}
        first = (await owner.ask(SUBMIT, input=given))["submitApplication"]
        again = (await owner.ask(SUBMIT, input=given))["submitApplication"]
        assert first == again
        assert len(await owner.client.events("business.registered.v1")) == 1

    async def test_another_request_for_the_same_draft_is_refused(self, owner: Owner) -> None:
        drafted = await owner.draft()
        await owner.submit(drafted["id"])
        assert (await owner.submit(drafted["id"]))["code"] == "NOT_A_DRAFT"

    async def test_a_numbered_corporation_is_named_by_the_registry(self, owner: Owner) -> None:
        filed = await owner.register(legalType="NUMBERED_CORPORATION", name=None)
        assert filed["business"]["legalName"].endswith(" Ontario Inc.")


class TestNames:
    async def test_a_corporations_name_blocks_an_identical_one(self, owner: Owner) -> None:
        await owner.register(name="Zephyr Lantern Bakery Inc.", legalType="NAMED_CORPORATION")
        drafted = await owner.draft(name="ZÉPHYR-LANTERN Bakery Ltd.", legalType="NAMED_CORPORATION")
        refused = await owner.submit(drafted["id"], acknowledgeSimilarNames=True)
        assert refused["code"] == "NAME_TAKEN"
        assert "Zephyr Lantern Bakery Inc." in refused["message"]["fr"]

    async def test_a_sole_proprietorships_name_is_only_an_advisory(self, owner: Owner) -> None:
        await owner.register(name="Zephyr Lantern Bakery")
        drafted = await owner.draft(name="Zephyr Lantern Bakery")
        warned = await owner.submit(drafted["id"])
        filed = await owner.submit(drafted["id"], acknowledgeSimilarNames=True)
        assert (warned["code"], warned["field"]) == ("SIMILAR_NAMES", "acknowledgeSimilarNames")
        assert filed["status"] == "SUBMITTED"

    async def test_a_refused_submission_leaves_the_draft_as_it_was(self, owner: Owner) -> None:
        await owner.register(name="Zephyr Lantern Bakery Inc.", legalType="NAMED_CORPORATION")
        before = len(await owner.client.events())
        drafted = await owner.draft(name="Zephyr Lantern Bakery Inc.", legalType="NAMED_CORPORATION")
        await owner.submit(drafted["id"])
        found = await owner.ask("query ($id: ID!) { application(id: $id) { status } }", id=drafted["id"])
        assert found["application"]["status"] == "DRAFT"
        assert len(await owner.client.events()) == before + 1  # the draft's own


class TestRaces:
    async def test_of_many_identical_names_at_the_same_moment_one_is_registered(self, shared: Client) -> None:
        owners = [Owner(shared, name) for name in ("owner", "citizen", "officer", "inspector") * 10]
        drafts = [await o.draft(name="Zephyr Lantern Bakery Inc.", legalType="NAMED_CORPORATION") for o in owners]
        answers = await asyncio.gather(*(o.submit(d["id"]) for o, d in zip(owners, drafts, strict=True)))
        outcomes = sorted(a.get("code") or a["__typename"] for a in answers)
        assert outcomes == ["Application", *["NAME_TAKEN"] * 39]
        assert len(await shared.events("business.registered.v1")) == 1

    async def test_one_draft_submitted_many_times_at_once_is_filed_once(self, shared: Client) -> None:
        owner = Owner(shared)
        drafted = await owner.draft()
        answers = await asyncio.gather(*(owner.submit(drafted["id"]) for _ in range(6)))
        outcomes = sorted(a.get("code") or a["__typename"] for a in answers)
        assert outcomes == ["Application", *["NOT_A_DRAFT"] * 5]
        assert len(await shared.events("business.registered.v1")) == 1

    async def test_one_key_sent_many_times_at_once_is_answered_alike(self, shared: Client) -> None:
        owner = Owner(shared)
        drafted = await owner.draft()
        given = {"applicationId": drafted["id"], "idempotencyKey": "one-click"}
        answers = await asyncio.gather(*(owner.ask(SUBMIT, input=given) for _ in range(6)))
        assert all(answer == answers[0] for answer in answers)
        assert len(await shared.events("program.requested.v1")) == 4

    async def test_the_database_itself_lets_no_two_blocking_names_stand(self, shared: Client) -> None:
        await Owner(shared).register(name="Zephyr Lantern Bakery Inc.", legalType="NAMED_CORPORATION")
        again = text(
            "INSERT INTO held_name (name, identical_key, words, phonetic, stems, legal_type, blocks, business_number, "
            "rule_version) SELECT name, identical_key, words, phonetic, stems, legal_type, blocks, business_number, "
            "rule_version FROM held_name"
        )
        with pytest.raises(Exception, match="uq_blocking_name"):
            async with shared.database.transaction() as db:
                await db.execute(again)


class TestReservations:
    RESERVE = """mutation ($input: ReserveNameInput!) { reserveName(input: $input) { __typename
        ... on NameReservation { id name reservedUntil } ... on Refused { code } } }"""

    async def _reserve(self, person: Owner, name: str) -> dict[str, str]:
        given = {"name": name, "legalType": "NAMED_CORPORATION", "idempotencyKey": name}
        found: dict[str, str] = (await person.ask(self.RESERVE, input=given))["reserveName"]
        return found

    async def test_a_reserved_name_is_its_holders_alone(self, owner: Owner, client: Client) -> None:
        held = await self._reserve(owner, "Zephyr Lantern Bakery Inc.")
        other = Owner(client, "citizen")
        drafted = await other.draft(name="Zephyr Lantern Bakery")
        assert held["__typename"] == "NameReservation"
        assert (await other.submit(drafted["id"], acknowledgeSimilarNames=True))["code"] == "NAME_TAKEN"
        filed = await owner.register(name="Zephyr Lantern Bakery Inc.", legalType="NAMED_CORPORATION")
        assert filed["status"] == "SUBMITTED"
        assert (await owner.ask("{ myReservations { name } }"))["myReservations"] == []

    async def test_a_reservation_ends(self, owner: Owner, client: Client) -> None:
        await self._reserve(owner, "Zephyr Lantern Bakery Inc.")
        async with client.database.transaction() as db:
            await db.execute(text("UPDATE held_name SET reserved_until = now() - interval '1 second'"))
        filed = await Owner(client, "citizen").register(name="Zephyr Lantern Bakery")
        assert filed["status"] == "SUBMITTED"

    async def test_nobody_hoards_names(self, owner: Owner) -> None:
        names = ("Amber Kiln", "Basalt Heron", "Cedar Violin", "Dune Compass", "Ember Trout", "Fjord Needle")
        answers = [await self._reserve(owner, f"{name} Inc.") for name in names]
        assert [a.get("code") for a in answers] == [None] * 5 + ["TOO_MANY_RESERVATIONS"]


class TestSight:
    async def test_the_registers_facts_are_public_and_the_applicants_are_not(
        self, owner: Owner, client: Client
    ) -> None:
        number = (await owner.register())["business"]["businessNumber"]
        public = await client.run(BUSINESS, variables={"n": number})
        stranger = await client.run(BUSINESS, "business:read", username="citizen", variables={"n": number})
        officer = await client.run(
            BUSINESS, *OFFICER, username="officer", variables={"n": number}, claims=AT_THE_COUNTER
        )
        assert public.data["business"]["legalName"] == "Zephyr Lantern Bakery"
        assert public.codes == ["UNAUTHENTICATED", "UNAUTHENTICATED"]
        assert stranger.codes == ["FORBIDDEN", "FORBIDDEN"]
        assert stranger.data["business"]["address"] is None
        assert officer.errors == []
        assert len(officer.data["business"]["programs"]) == 4

    @pytest.mark.parametrize("number", ["", "123456789", "70000001", "7000000100", "٧٠٠٠٠٠٠١٢", "x" * 10_000])
    async def test_a_mistyped_number_is_told_by_its_check_digit(self, client: Client, number: str) -> None:
        answer = await client.run(BUSINESS, variables={"n": number}, language="fr")
        assert answer.codes == ["BAD_USER_INPUT"]
        assert "chiffre" in answer.errors[0]["message"]

    async def test_many_businesses_are_found_in_one_statement(self, owner: Owner, client: Client) -> None:
        names = ("Amber Kiln", "Basalt Heron", "Cedar Violin")
        numbers = [(await owner.register(name=name))["business"]["businessNumber"] for name in names]
        wanted = [{"__typename": "Business", "businessNumber": n} for n in numbers]
        with client.statements() as seen:
            answer = await client.entities(
                "... on Business { legalName address { city } programs { state } }",
                *wanted,
                scopes=("business:read",),
                username="owner",
            )
        assert [e["legalName"] for e in answer.data["_entities"]] == list(names)
        assert seen.count == 2, seen.texts
