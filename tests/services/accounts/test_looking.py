"""Who looked, as the person sees it; and what they ask about it."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from clusters.access import access
from services.accounts import inquiries, vocabulary
from services.accounts.looking import know_access
from services.accounts.service import who_answers
from services.kit import business_days, ministries
from services.kit.audit.announced import AccessLogged, LoggedEntry
from services.kit.service import StartRefused
from services.kit.testing import tokens
from services.kit.testing.client import Answer, Client
from services.kit.testing.grants import assisted, delegation, keep
from tests.services.accounts.conftest import PERSON, Somebody, know_business, letters

LOG = """query ($first: Int, $after: String, $where: AccessFilter) { me { accessLog(first: $first, after: $after, where: $where) {
    edges { node { id act service recipients businessNumber delegationId office { code } purpose { code } category { code }
        sentence { en fr } } } pageInfo { hasNextPage endCursor } } } }"""
ASK = """mutation ($input: QuestionAccessInput!) { questionAccess(input: $input) { __typename
    ... on AccessInquiry { id reference state due question entry { id } actor }
    ... on Refused { code field message { en fr } } } }"""
LIST = "{ accessInquiries(open: true) { edges { node { id question actor entry { sentence { en } } } } } }"
ANSWER = """mutation ($input: AnswerAccessInquiryInput!) { answerAccessInquiry(input: $input) { __typename
    ... on AccessInquiry { id state } ... on Refused { code message { en fr } } } }"""
MINE = "{ me { accessInquiries { edges { node { id state answer answeredAt actor } } } } }"
Json = dict[str, Any]


def an_entry(minutes_ago: float = 5, **said: Any) -> LoggedEntry:
    """That an inspector looked at the inspections of the owner's business."""
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    usual: Json = {
        "id": uuid4(),
        "at": at,
        "act": "READ",
        "actor": tokens.subject_of("inspector"),
        "role": "inspector",
        "subject": tokens.subject_of("owner"),
        "business": "700000015",
        "category": "inspections",
        "purpose": "inspection-conduct",
        "authority": "self",
        "kind": "",
        "operation": "",
        "recipients": [],
        "case_number": "",
        "reason": "",
        "shown_after": at,
        "keep_until": date.max,
    }
    return LoggedEntry(**usual | said)


async def told(client: Client, *entries: LoggedEntry, service: str = "inspections") -> list[str]:
    """A service's announcement has arrived. Returns the entries' ids."""
    async with client.database.transaction() as db:
        await know_access(AccessLogged(batch=f"{service}/1", service=service, entries=list(entries)), db)
    return [str(entry.id) for entry in entries]


async def log_of(somebody: Somebody, **asked: Any) -> list[Json]:
    found = (await somebody.ask(LOG, **asked))["me"]["accessLog"]["edges"]
    return [edge["node"] for edge in found]


class Ministry:
    """An administrator of ministries, who answers: of the one whose service `inspections` is, unless it says another."""

    def __init__(self, client: Client, *ministries: str, username: str = "administrator") -> None:
        self.client, self.username = client, username
        self.groups = tokens.works_for(*(ministries or ("labour",)))

    async def ask(self, text: str, purpose: str = "oversight", **given: Any) -> Answer:
        claims = {"realm_access": {"roles": ["ministry_administrator"]}, **self.groups}
        return await self.client.run(
            text,
            *PERSON,
            inquiries.ANSWER,
            username=self.username,
            claims=claims,
            purpose=purpose,
            variables={"input": given} if given else None,
        )


@pytest.fixture
def ministry(client: Client) -> Ministry:
    return Ministry(client)


async def question(somebody: Somebody, entry: str, asked: str = "Why did you look?", key: str = "k") -> Json:
    given = {"entryId": entry, "question": asked, "idempotencyKey": key}
    answered: Json = (await somebody.ask(ASK, input=given))["questionAccess"]
    return answered


class TestTheLog:
    async def test_says_in_both_languages_who_did_what_and_why(self, client: Client, somebody: Somebody) -> None:
        (entry,) = await told(client, an_entry(recipients=["information_referral"]))
        (shown,) = await log_of(somebody)
        assert shown == {
            "id": entry,
            "act": "READ",
            "service": "inspections",
            "recipients": ["information_referral"],
            "businessNumber": "700000015",
            "delegationId": None,
            "office": {"code": "inspector"},
            "purpose": {"code": "inspection-conduct"},
            "category": {"code": "inspections"},
            "sentence": {
                "en": "An inspector looked at the inspections of your business. Purpose: Conducting an inspection.",
                "fr": "Une inspectrice ou un inspecteur a consulté les inspections de votre entreprise. "
                "Fin : Effectuer une inspection.",
            },
        }

    async def test_tells_changes_and_refusals_from_reading(self, client: Client, somebody: Somebody) -> None:
        await told(client, an_entry(2, act="CHANGE"), an_entry(1, act="REFUSED"))
        refused, changed = [entry["sentence"]["en"] for entry in await log_of(somebody)]
        assert refused.startswith("An inspector asked for the inspections of your business and was refused.")
        assert changed.startswith("An inspector changed the inspections of your business.")

    async def test_names_a_delegate_as_the_person_knows_them(self, client: Client, somebody: Somebody) -> None:
        made = "{ ... on Delegation { id invitationCode } }"
        offer = f"mutation ($input: OfferDelegationInput!) {{ offerDelegation(input: $input) {made} }}"
        ends = (datetime.now(UTC) + timedelta(days=30)).isoformat()
        given = {"offeredAs": "The baker", "scopes": ["business:read"], "ends": ends, "idempotencyKey": "k"}
        offered = (await somebody.ask(offer, input=given))["offerDelegation"]
        accept = (
            "mutation ($input: AcceptDelegationInput!) { acceptDelegation(input: $input) { ... on Delegation { id } } }"
        )
        accepted = {"code": offered["invitationCode"], "acceptedAs": "Prairie Ledger", "idempotencyKey": "k"}
        await Somebody(client, "citizen").ask(accept, input=accepted)
        by = {"kind": "delegation", "authority": offered["id"], "role": "citizen", "purpose": "representation"}
        await told(client, an_entry(**by))
        (shown,) = await log_of(somebody)
        assert (shown["delegationId"], shown["office"]) == (offered["id"], None)
        assert shown["sentence"]["en"].startswith("Prairie Ledger, whom you let act for you, looked at")
        assert shown["sentence"]["fr"].startswith("Prairie Ledger, qui agit en votre nom, a consulté")

    async def test_shows_an_investigation_later_and_then_like_any_other(
        self, client: Client, somebody: Somebody
    ) -> None:
        now = datetime.now(UTC)
        await told(client, an_entry(shown_after=now + timedelta(days=1)), service="inspections")
        (over,) = await told(client, an_entry(60 * 24 * 180, shown_after=now - timedelta(seconds=1)))
        assert [entry["id"] for entry in await log_of(somebody)] == [over]

    async def test_comes_newest_first_page_by_page(self, client: Client, somebody: Somebody) -> None:
        ids = await told(client, *(an_entry(minutes) for minutes in (1, 2, 3)))
        first = (await somebody.ask(LOG, first=2))["me"]["accessLog"]
        rest = (await somebody.ask(LOG, first=2, after=first["pageInfo"]["endCursor"]))["me"]["accessLog"]
        assert [edge["node"]["id"] for edge in first["edges"] + rest["edges"]] == ids
        assert (first["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ({"category": "application"}, 1),
            ({"act": "CHANGE"}, 0),
            ({"category": "none"}, 0),
            ({"service": "inspections", "since": "2026-01-01T00:00:00Z"}, 2),
            ({"until": "2026-01-01T00:00:00Z"}, 0),
            ({}, 2),
        ],
    )
    async def test_is_filtered(self, client: Client, somebody: Somebody, asked: Json, found: int) -> None:
        await told(client, an_entry(), an_entry(category="application"))
        assert len(await log_of(somebody, where=asked)) == found

    async def test_keeps_what_comes_again_once(self, client: Client, somebody: Somebody) -> None:
        entry = an_entry()
        await told(client, entry)
        await told(client, entry, an_entry())
        assert len(await log_of(somebody)) == 2

    async def test_of_a_business_is_its_owners(self, client: Client, somebody: Somebody) -> None:
        await know_business(client, "700000015", "owner")
        await told(client, an_entry(), an_entry(business=""))
        seen = "... on Business { accessLog { edges { node { businessNumber } } } }"
        asked = {"__typename": "Business", "businessNumber": "700000015"}
        mine = await client.entities(seen, asked, scopes=PERSON, username="owner")
        others = await client.entities(seen, asked, scopes=PERSON, username="citizen")
        assert mine.data["_entities"][0]["accessLog"]["edges"] == [{"node": {"businessNumber": "700000015"}}]
        assert others.data["_entities"][0]["accessLog"]["edges"] == []

    async def test_is_not_for_who_acts_for_the_person(self, client: Client) -> None:
        given = await keep(client.database, delegation("owner", "citizen", scopes=("account:read",)))
        answer = await client.run(LOG, *PERSON, username="citizen", authority=given)
        assert answer.codes == ["FORBIDDEN"]
        desk = await keep(client.database, assisted("owner", "officer", scopes=PERSON))
        officer = {"realm_access": {"roles": ["counter_officer"]}}
        answer = await client.run(LOG, *PERSON, username="officer", authority=desk, claims=officer)
        assert answer.codes == ["AUTHORITY_REFUSED"]


class TestAQuestion:
    async def test_goes_to_the_ministry_which_answers_by_its_day(
        self, client: Client, somebody: Somebody, ministry: Ministry
    ) -> None:
        (entry,) = await told(client, an_entry())
        asked = await question(somebody, entry)
        due = business_days.after(business_days.today(), inquiries.ANSWERED_WITHIN)
        assert (asked["state"], asked["due"], asked["actor"]) == ("OPEN", due.isoformat(), None)
        (seen,) = (await ministry.ask(LIST)).data["accessInquiries"]["edges"]
        assert (seen["node"]["question"], seen["node"]["actor"]) == (
            "Why did you look?",
            tokens.subject_of("inspector"),
        )
        answered = await ministry.ask(ANSWER, inquiryId=asked["id"], answer="A first inspection was due.")
        assert answered.data["answerAccessInquiry"]["state"] == "ANSWERED"
        (mine,) = (await somebody.ask(MINE))["me"]["accessInquiries"]["edges"]
        assert (mine["node"]["answer"], mine["node"]["actor"]) == ("A first inspection was due.", None)

    async def test_that_is_answered_is_told_by_letter_without_what_it_says(
        self, client: Client, somebody: Somebody, ministry: Ministry
    ) -> None:
        add = "mutation ($input: AddChannelInput!) { addChannel(input: $input) { ... on Channel { id } } }"
        channel = (await somebody.ask(add, input={"address": "o@example.ca", "idempotencyKey": "k"}))["addChannel"]
        (letter,) = await letters(client)
        verify = "mutation ($input: VerifyChannelInput!) { verifyChannel(input: $input) { __typename } }"
        code = letter.title.partition(": ")[2]
        await somebody.ask(verify, input={"channelId": channel["id"], "code": code})
        (entry,) = await told(client, an_entry())
        asked = await question(somebody, entry)
        await ministry.ask(ANSWER, inquiryId=asked["id"], answer="A first inspection was due.")
        *_, letter = await letters(client, "o@example.ca")
        assert asked["reference"] in letter.title
        assert "first inspection" not in letter.body

    async def test_is_about_an_entry_of_ones_own_that_is_shown(self, client: Client, somebody: Somebody) -> None:
        later = datetime.now(UTC) + timedelta(days=1)
        others = an_entry(subject=tokens.subject_of("citizen"))
        for entry in (*await told(client, others, an_entry(shown_after=later)), "nope", str(uuid4())):
            assert (await question(somebody, entry))["code"] == "ENTRY_UNKNOWN"

    async def test_is_open_once(self, client: Client, somebody: Somebody, ministry: Ministry) -> None:
        (entry,) = await told(client, an_entry())
        first = await question(somebody, entry)
        again = await question(somebody, entry, key="another")
        assert again["code"] == "INQUIRY_OPEN"
        assert first["reference"] in again["message"]["fr"]
        await ministry.ask(ANSWER, inquiryId=first["id"], answer="A first inspection was due.")
        assert (await question(somebody, entry, key="a third"))["state"] == "OPEN"

    async def test_of_ten_at_once_is_asked_once(self, shared: Client) -> None:
        (entry,) = await told(shared, an_entry())
        asking = (question(Somebody(shared), entry, key=f"key {n}") for n in range(10))
        answers = await asyncio.gather(*asking)
        assert sorted(answer.get("code", "asked") for answer in answers) == [*["INQUIRY_OPEN"] * 9, "asked"]

    async def test_is_answered_once(self, client: Client, somebody: Somebody, ministry: Ministry) -> None:
        (entry,) = await told(client, an_entry())
        asked = await question(somebody, entry)
        await ministry.ask(ANSWER, inquiryId=asked["id"], answer="A first inspection was due.")
        again = await ministry.ask(ANSWER, inquiryId=asked["id"], answer="Something else.")
        assert again.data["answerAccessInquiry"]["code"] == "INQUIRY_ANSWERED"

    async def test_is_not_answered_by_who_looked(self, client: Client, somebody: Somebody) -> None:
        (entry,) = await told(client, an_entry(actor=tokens.subject_of("administrator")))
        asked = await question(somebody, entry)
        own = await Ministry(client).ask(ANSWER, inquiryId=asked["id"], answer="I did nothing wrong.")
        assert own.data["answerAccessInquiry"]["code"] == "OWN_INQUIRY"

    async def test_is_read_for_oversight_only(self, client: Client, somebody: Somebody, ministry: Ministry) -> None:
        (entry,) = await told(client, an_entry())
        await question(somebody, entry)
        assert (await ministry.ask(LIST, purpose="program-delivery")).codes == ["PURPOSE_NOT_COVERING"]

    @pytest.mark.parametrize("words", ["", "short", "x" * 2001])
    async def test_says_something(self, client: Client, somebody: Somebody, words: str) -> None:
        (entry,) = await told(client, an_entry())
        refused = await question(somebody, entry, words)
        assert (refused["code"], refused["field"]) == ("INVALID_INPUT", "question")


class TestWhichMinistry:
    """Answers: the one that owns the service whose entry it is."""

    async def test_is_told_to_the_person(self, client: Client, somebody: Somebody) -> None:
        (looked,) = await told(client, an_entry())
        (filed,) = await told(client, an_entry(), service="business_registration")
        (left,) = await told(client, an_entry(), service="a_service_that_is_no_more")
        for entry in (looked, filed, left):
            await question(somebody, entry, key=entry)
        asked = await somebody.ask("{ me { accessInquiries { edges { node { entry { id } ministry { code } } } } } }")
        answers = {
            edge["node"]["entry"]["id"]: edge["node"]["ministry"] for edge in asked["me"]["accessInquiries"]["edges"]
        }
        assert answers == {looked: {"code": "labour"}, filed: {"code": "consumer-commercial-relations"}, left: None}

    async def test_sees_its_own_and_no_others(self, client: Client, somebody: Somebody) -> None:
        asked = {}
        for service in ("inspections", "business_registration", "information_referral", "accounts", "no_more"):
            (entry,) = await told(client, an_entry(), service=service)
            asked[service] = (await question(somebody, entry, key=service))["id"]
        for some, services in (
            (["labour"], ["inspections"]),
            (["consumer-commercial-relations"], ["business_registration", "information_referral"]),
            (["labour", "management-board"], ["inspections", "accounts"]),
            (["education"], []),
        ):
            found = (await Ministry(client, *some).ask(LIST)).data["accessInquiries"]["edges"]
            assert {edge["node"]["id"] for edge in found} == {asked[service] for service in services}, some

    async def test_asked_for_anothers_service_finds_nothing(self, client: Client, somebody: Somebody) -> None:
        (entry,) = await told(client, an_entry())
        await question(somebody, entry)
        of_inspections = '{ accessInquiries(service: "inspections") { edges { node { id } } } }'
        other = await Ministry(client, "consumer-commercial-relations").ask(of_inspections)
        assert other.data["accessInquiries"]["edges"] == []

    @pytest.mark.parametrize(
        "groups", [{}, {"groups": []}, {"groups": ["/labour"]}, {"groups": ["/a/b/labour"]}], ids=str
    )
    async def test_is_none_for_who_works_for_none(
        self, client: Client, somebody: Somebody, ministry: Ministry, groups: Json
    ) -> None:
        (entry,) = await told(client, an_entry())
        asked = await question(somebody, entry)
        ministry.groups = groups
        assert (await ministry.ask(LIST)).data["accessInquiries"]["edges"] == []
        refused = await ministry.ask(ANSWER, inquiryId=asked["id"], answer="A first inspection was due.")
        assert refused.data["answerAccessInquiry"]["code"] == "INQUIRY_UNKNOWN"

    async def test_answers_no_others_and_is_told_nothing_of_them(self, client: Client, somebody: Somebody) -> None:
        (entry,) = await told(client, an_entry())
        asked = await question(somebody, entry)
        other = Ministry(client, "consumer-commercial-relations")
        answers = [
            (await other.ask(ANSWER, inquiryId=identifier, answer="A first inspection was due.")).data
            for identifier in (asked["id"], str(uuid4()), "nonsense")
        ]
        assert answers[0]["answerAccessInquiry"]["code"] == "INQUIRY_UNKNOWN"
        assert answers[0] == answers[1] == answers[2]
        (mine,) = (await somebody.ask(MINE))["me"]["accessInquiries"]["edges"]
        assert mine["node"]["state"] == "OPEN"

    async def test_sees_who_acted_in_its_own_alone(self, client: Client, somebody: Somebody) -> None:
        (entry,) = await told(client, an_entry())
        asked = await question(somebody, entry)
        read = "query ($r: [_Any!]!) { _entities(representations: $r) { ... on AccessInquiry { question actor } } }"
        found = {}
        for ministry in ("labour", "consumer-commercial-relations"):
            claims = {"realm_access": {"roles": ["ministry_administrator"]}, **tokens.works_for(ministry)}
            reference = {"r": [{"__typename": "AccessInquiry", "id": asked["id"]}]}
            scopes, options = (*PERSON, inquiries.ANSWER), {"username": "administrator", "purpose": "oversight"}
            answer = await client.run(read, *scopes, variables=reference, claims=claims, **options)
            found[ministry] = answer.data["_entities"]
        assert found == {
            "labour": [{"question": "Why did you look?", "actor": tokens.subject_of("inspector")}],
            "consumer-commercial-relations": [None],
        }

    async def test_does_not_tell_its_administrator_who_looked_at_them(self, client: Client, ministry: Ministry) -> None:
        (entry,) = await told(client, an_entry(subject=tokens.subject_of("administrator")))
        await question(Somebody(client, "administrator"), entry)
        (mine,) = (await ministry.ask(MINE)).data["me"]["accessInquiries"]["edges"]
        (listed,) = (await ministry.ask(LIST)).data["accessInquiries"]["edges"]
        assert mine["node"]["actor"] is listed["node"]["actor"] is None

    async def test_is_left_behind_by_who_acts_for_somebody(self, client: Client, somebody: Somebody) -> None:
        (entry,) = await told(client, an_entry())
        await question(somebody, entry)
        given = await keep(client.database, delegation("citizen", "administrator", scopes=PERSON))
        claims = {"realm_access": {"roles": ["ministry_administrator"]}, **tokens.works_for("labour")}
        scopes = (*PERSON, inquiries.ANSWER)
        answer = await client.run(LIST, *scopes, username="administrator", claims=claims, authority=given)
        assert answer.codes == ["FORBIDDEN"]


class TestWords:
    def test_are_there_for_every_office_and_category(self) -> None:
        assert vocabulary.offices().keys() == access().roles.keys()
        assert vocabulary.yours().keys() == vocabulary.categories().keys()


class TestTheStart:
    def test_stops_where_nothing_says_who_answers(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CLUSTERS_DIR", str(tmp_path))
        ministries.owners.cache_clear()
        with pytest.raises(StartRefused, match="CLUSTERS_DIR"):
            who_answers()
