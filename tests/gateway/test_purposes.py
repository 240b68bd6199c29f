"""Purposes at the front door: settled before anything is fetched, over the province's own supergraph."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from clusters.topology import SUPERGRAPH
from gateway.access_log import AccessLog
from gateway.callers import Callers
from gateway.departures import Departures
from gateway.documents import Documents, manifest
from gateway.engine.supergraph import load_supergraph
from gateway.operations import Operations
from gateway.pipeline import Pipeline
from gateway.settings import Limits, Settings
from services.kit.context import Context, unsigned
from services.kit.settings import Mode
from services.kit.testing import tokens
from tests.gateway.conftest import Answers, Door, Reply

SCOPES = ("business:read", "business:read-all", "inspection:read", "inspection:conduct")
TRUSTED = manifest(SUPERGRAPH.with_name("trusted-documents.json"))
NUMBER = {"businessNumber": "700000015"}
PROGRAMS = "query ($businessNumber: ID!) { business(businessNumber: $businessNumber) { programs { state } } }"
ADDRESS = "query ($businessNumber: ID!) { business(businessNumber: $businessNumber) { address { city } } }"
HELP = "query ($businessNumber: ID!) { business(businessNumber: $businessNumber) { helpNearby { distanceM } } }"
WATCH = 'subscription { applicationStatusChanged(id: "1") { status } }'
CASE = 'statutory-investigation; case="HPPA-2026/0117"; reason="Complaint about vermin"'
ANSWERS: dict[str, Any] = {
    "business_registration": {"data": {"business": None}},
    "inspections": {"data": {"inspections": {"edges": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}}},
    "catalogue": {"data": {"clusters": []}},
}


@pytest.fixture(scope="module")
def operations() -> Operations:
    supergraph = load_supergraph(SUPERGRAPH.read_text(encoding="utf-8"))
    return Operations(supergraph, Documents(TRUSTED, only_trusted=False), Limits(), remembered=99, shows_schema=True)


@pytest.fixture
def door(operations: Operations) -> Iterator[Door]:
    settings = Settings(Path("unread"), Mode.TEST)
    subgraphs, callers = Answers(ANSWERS), Callers(tokens.verifier("onedoor"), settings)
    yield Door(
        Pipeline(operations, subgraphs, callers, settings, Departures(), AccessLog(enabled=False)), subgraphs, settings
    )


async def ask(door: Door, text: str, role: str | None, purpose: str = "", **more: str) -> Reply:
    """What the door says to a role that names a purpose; texts are operations, words without blanks trusted documents."""
    headers = {"onedoor-purpose": purpose, **more}
    if role:
        claims: Any = {"realm_access": {"roles": role.split()}}
        headers["authorization"] = f"Bearer {tokens.token(*SCOPES, username=role, audience='onedoor', **claims)}"
    if " " not in text:
        text = (SUPERGRAPH.parent / "operations" / f"{text}.graphql").read_text(encoding="utf-8")
    return await door.post(text, headers, variables=NUMBER if "$businessNumber" in text else {})


def told(door: Door) -> Context:
    """What the owner was told of its last fetch."""
    lines = dict(line.split(b": ", 1) for line in door.subgraphs.headers.split(b"\r\n") if line)
    return unsigned({name: value.decode() for name, value in lines.items()}, "r")


class TestWhoWorksInAnOffice:
    @pytest.mark.parametrize(
        ("text", "role", "purpose", "code"),
        [
            (PROGRAMS, "counter_officer", "", "PURPOSE_REQUIRED"),
            (PROGRAMS, "counter_officer", "inspection-conduct", "PURPOSE_NOT_COVERING"),
            (PROGRAMS, "counter_officer", "no-such-purpose", "PURPOSE_NOT_COVERING"),
            (PROGRAMS, "counter_officer", "registration-verification", "PURPOSE_NOT_COVERING"),
            (PROGRAMS, "counter_officer", "representation", "PURPOSE_NOT_COVERING"),
            (HELP, "inspector", "inspection-conduct", "PURPOSE_NOT_COVERING"),
            (PROGRAMS, "inspector", "statutory-investigation", "CASE_REQUIRED"),
            (PROGRAMS, "inspector", 'statutory-investigation; case="12"', "CASE_REQUIRED"),
        ],
        ids=["none", "another role's", "unknown", "other data", "of a delegation", "recipient", "no case", "no number"],
    )
    async def test_is_refused_before_any_fetch(self, door: Door, text: str, role: str, purpose: str, code: str) -> None:
        reply = await ask(door, text, role, purpose)
        assert (reply.codes, "data" in reply.body) == ([code], False)
        assert door.subgraphs.sent == []

    async def test_is_told_in_both_languages_which_purposes_would_do(self, door: Door) -> None:
        (error,) = (await ask(door, HELP, "counter_officer")).body["errors"]
        listed = [purpose["code"] for purpose in error["extensions"]["purposes"]]
        assert listed == ["registration-counter", "business-advice"]
        assert "registration-counter (Counter service on registrations)" in error["message"]
        assert "registration-counter (Service au comptoir sur les inscriptions)" in error["extensions"]["text"]["fr"]

    async def test_is_told_which_part_of_a_case_is_missing(self, door: Door) -> None:
        (error,) = (await ask(door, PROGRAMS, "inspector", 'statutory-investigation; case="2026-1"')).body["errors"]
        assert error["extensions"]["field"] == "reason"

    @pytest.mark.parametrize(
        ("text", "role", "purpose"),
        [
            (PROGRAMS, "counter_officer", "registration-counter"),
            (PROGRAMS, "citizen counter_officer", "registration-counter"),
            (HELP, "counter_officer", "registration-counter"),
            (PROGRAMS, "inspector", CASE),
            (PROGRAMS, "counter_officer", "self-service"),
        ],
        ids=["covering", "a citizen too", "recipient", "a case", "one's own only, which the owner sees to"],
    )
    async def test_goes_on_with_a_purpose_that_covers(self, door: Door, text: str, role: str, purpose: str) -> None:
        assert (await ask(door, text, role, purpose)).codes == []
        assert told(door).chosen.header().split(";")[0] == purpose.split(";")[0]

    async def test_needs_none_for_what_is_public(self, door: Door) -> None:
        public = "query ($businessNumber: ID!) { business(businessNumber: $businessNumber) { legalName status } }"
        assert (await ask(door, public, "counter_officer")).codes == []

    async def test_needs_none_of_their_office_when_acting_for_somebody_who_lets_them(self, door: Door) -> None:
        assert (await ask(door, PROGRAMS, "counter_officer", **{"onedoor-authority": "grant-1"})).codes == []
        assert (told(door).purpose, told(door).authority) == ("", "grant-1")

    async def test_is_refused_before_a_subscription_opens(self, door: Door) -> None:
        reply = await ask(door, WATCH, "counter_officer", accept="text/event-stream")
        assert b'"code":"PURPOSE_REQUIRED"' in reply.content

    async def test_is_not_asked_for_fields_that_are_denied_anyway(self, door: Door) -> None:
        reply = await ask(door, "{ myReservations { name } }", "counter_officer")
        assert reply.codes == ["FORBIDDEN"]


class TestWhoDoesNot:
    @pytest.mark.parametrize("purpose", ["", "self-service", "inspection-conduct"])
    async def test_is_never_asked(self, door: Door, purpose: str) -> None:
        assert (await ask(door, PROGRAMS, "citizen", purpose)).codes == []

    async def test_the_public_neither(self, door: Door) -> None:
        assert "PURPOSE_REQUIRED" not in (await ask(door, PROGRAMS, None)).codes


class TestATrustedDocument:
    @pytest.mark.parametrize(
        ("role", "purpose"),
        [("inspector", "inspection-conduct"), ("reviewer", "inspection-review"),
         ("ministry_administrator", "inspection-planning"), ("citizen", "self-service")],
    )  # fmt: skip
    async def test_carries_the_purpose_of_its_callers_role(self, door: Door, role: str, purpose: str) -> None:
        assert (await ask(door, "Inspections", role)).codes == []
        assert told(door).purpose == purpose

    async def test_lets_a_request_choose_among_its_purposes(self, door: Door) -> None:
        assert (await ask(door, "Inspections", "inspector", "inspection-planning")).codes == []
        assert told(door).purpose == "inspection-planning"

    async def test_lets_a_request_name_the_case_of_an_investigation(self, door: Door) -> None:
        assert (await ask(door, "InspectionsOfBusiness", "inspector", CASE)).codes == []
        assert told(door).chosen == ("statutory-investigation", "HPPA-2026/0117", "Complaint about vermin")

    async def test_lets_no_request_choose_another(self, door: Door) -> None:
        reply = await ask(door, "Inspections", "ministry_administrator", "program-delivery")
        assert reply.codes == ["PURPOSE_NOT_COVERING"]
        listed = reply.body["errors"][0]["extensions"]["purposes"]
        assert [purpose["code"] for purpose in listed] == ["inspection-planning"]
        assert door.subgraphs.sent == []

    async def test_is_the_same_by_its_hash(self, door: Door) -> None:
        name = next(name for name, document in TRUSTED.items() if "query Inspections(" in document.text)
        claims: Any = {"realm_access": {"roles": ["reviewer"]}}
        access = tokens.token(*SCOPES, username="r", audience="onedoor", **claims)
        body = orjson.dumps({"documentId": name})
        assert (await door.send("POST", body, {"authorization": f"Bearer {access}"})).codes == []
        assert told(door).purpose == "inspection-review"
