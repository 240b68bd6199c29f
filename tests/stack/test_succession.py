"""A business changes hands in a running province: whom its former owner let act for it is refused, its new owner acts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from clusters import signin
from clusters.local.state import State
from tests.stack.test_delegations import ADDRESS, Ask, asking, done, eventually

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("province")]
INSPECTIONS = "query ($n: ID!) { business(businessNumber: $n) { inspections { edges { node { number } } } } }"
LOOKED = "{ me { accessLog(first: 5) { edges { node { businessNumber purpose { code } sentence { en fr } } } } } }"


@pytest.fixture(scope="module")
def ask(open_province: State) -> Iterator[Ask]:
    """Asks as somebody who has just shown a second factor."""
    env = open_province.environment
    tokens = {
        name: signin.sign_in(env["ISSUER_URL"], name, f"{name}-onedoor", acr="2")["access_token"]
        for name in ("owner", "citizen", "officer")
    }
    with asking(env["GATEWAY_URL"], tokens) as ask:
        yield ask


def key() -> str:
    return str(uuid4())


def registered(ask: Ask) -> str:
    """The number of a corporation that the owner has registered."""
    place = {"street": "1 King Street", "city": "Toronto", "postalCode": "M5V 2T6"}
    given = {"legalType": "NUMBERED_CORPORATION", "sector": "72", "address": place, "idempotencyKey": key()}
    draft = done(ask("owner", "DraftApplication", input=given))
    filed = done(ask("owner", "SubmitApplication", input={"applicationId": draft["id"], "idempotencyKey": key()}))
    return str(filed["business"]["businessNumber"])


def delegated(ask: Ask, number: str) -> str:
    """The authority by which the officer, in nobody's office, acts for the owner in one business, once it is in force."""
    offer = {
        "offeredAs": "Olive Baker",
        "scopes": ["business:read", "inspection:read"],
        "businessNumber": number,
        "ends": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
        "idempotencyKey": key(),
    }
    code = eventually(lambda: ask("owner", "Delegate", input=offer)["data"]["offerDelegation"].get("invitationCode"))
    given = {"code": code, "acceptedAs": "Ana Counter", "idempotencyKey": key()}
    grant = str(done(ask("officer", "AcceptDelegation", input=given))["id"])
    eventually(lambda: shown(ask("officer", ADDRESS, grant, n=number)))
    return grant


def shown(answer: Any) -> Any:
    """The address in an answer, or nothing."""
    return ((answer.get("data") or {}).get("business") or {}).get("address")


def codes(answer: Any) -> set[str]:
    return {error["extensions"]["code"] for error in answer.get("errors", ())}


def inspected(answer: Any) -> bool:
    """Whether an answer shows inspections."""
    business = (answer.get("data") or {}).get("business") or {}
    return bool((business.get("inspections") or {}).get("edges"))


class TestABusinessThatChangesHands:
    def test_is_its_new_owners_at_once_and_no_delegate_of_the_former_sees_it_again(self, ask: Ask) -> None:
        number = registered(ask)
        grant = delegated(ask, number)
        eventually(lambda: inspected(ask("officer", INSPECTIONS, grant, n=number)))
        offer = done(ask("owner", "OfferTransfer", input={"businessNumber": number, "idempotencyKey": key()}))
        assert shown(ask("officer", ADDRESS, grant, n=number))
        code = offer["invitationCode"]
        seen = ask("citizen", "TransferOffered", code=code)["data"]["businessTransfer"]
        assert (seen["id"], seen["business"]["businessNumber"]) == (offer["id"], number)
        taken = done(ask("citizen", "AcceptTransfer", input={"code": code, "idempotencyKey": key()}))
        assert taken["state"] == "ACCEPTED"

        def refused() -> bool:
            """Never shown again, from the reply on; refused as an authority, once its end has arrived."""
            answer = ask("officer", ADDRESS, grant, n=number)
            assert not shown(answer)
            return codes(answer) == {"AUTHORITY_REFUSED"}

        eventually(refused)
        assert not shown(ask("owner", ADDRESS, n=number))
        place = {"street": "5 Queen Street", "city": "Ottawa", "postalCode": "K1A 0B1"}
        move = {"businessNumber": number, "address": place}
        assert ask("owner", "ChangeBusinessAddress", input=move)["data"]["changeBusinessAddress"]["code"] == (
            "BUSINESS_UNKNOWN"
        )
        done(ask("citizen", "ChangeBusinessAddress", input=move))
        assert shown(ask("citizen", ADDRESS, n=number))["city"] == "Ottawa"

        eventually(lambda: inspected(ask("citizen", INSPECTIONS, n=number)))
        eventually(lambda: codes(ask("owner", INSPECTIONS, n=number)) == {"FORBIDDEN"})
        held = ask("owner", "MyDelegations")["data"]["me"]["delegations"]["edges"]
        assert [edge["node"]["state"] for edge in held if edge["node"]["id"] == grant] == ["ENDED"]

    def test_is_told_to_the_former_owner_as_an_entry(self, ask: Ask) -> None:
        number = registered(ask)
        offer = done(ask("owner", "OfferTransfer", input={"businessNumber": number, "idempotencyKey": key()}))
        done(ask("citizen", "AcceptTransfer", input={"code": offer["invitationCode"], "idempotencyKey": key()}))

        def told() -> list[Any]:
            edges = ask("owner", LOOKED)["data"]["me"]["accessLog"]["edges"]
            return [edge["node"] for edge in edges if edge["node"]["businessNumber"] == number]

        (entry,) = eventually(told)
        assert entry["purpose"] == {"code": "business-transfer"}
        assert entry["sentence"]["en"] == (
            "A person changed which businesses are yours. Purpose: Taking over a business that its owner hands over."
        )
