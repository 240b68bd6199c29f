"""A delegation through a running province: offered, accepted, used at another ministry, revoked; its letters in the folder."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from clusters import signin
from clusters.local.letters import Letter
from clusters.local.state import State
from tests.journeys.hostile import OPERATIONS

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("province")]
ADDRESS = "query ($n: ID!) { business(businessNumber: $n) { address { city } } }"
Ask = Callable[..., Any]


@contextmanager
def asking(door: str, tokens: Mapping[str, str]) -> Iterator[Ask]:
    """Asks the door as somebody, by an operation's name or text, on an authority."""
    with httpx.Client(timeout=30, trust_env=False) as http:

        def of(who: str, operation: str, authority: str = "self", **variables: Any) -> Any:
            headers = {"authorization": f"Bearer {tokens[who]}", "onedoor-authority": authority}
            sent = {"query": OPERATIONS.get(operation, operation), "variables": variables}
            return http.post(door, json=sent, headers=headers).json()

        yield of


@pytest.fixture(scope="module")
def ask(open_province: State) -> Iterator[Ask]:
    env = open_province.environment
    tokens = {name: signin.access_token(env["ISSUER_URL"], name, f"{name}-onedoor") for name in ("owner", "citizen")}
    with asking(env["GATEWAY_URL"], tokens) as ask:
        yield ask


def done(answer: Any) -> Any:
    """What a mutation made."""
    ((made),) = answer["data"].values()
    assert made["__typename"] != "Refused", made
    return made


def eventually(found: Callable[[], Any], patience_s: float = 15) -> Any:
    """What is there at last. Raises AssertionError where it never is."""
    ends = time.monotonic() + patience_s
    while not (there := found()):
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.1)
    return there


class TestADelegation:
    def test_is_used_at_another_ministry_until_it_is_revoked(self, ask: Ask) -> None:
        (number, *_) = [
            edge["node"]["businessNumber"] for edge in ask("owner", "MyBusinesses")["data"]["myBusinesses"]["edges"]
        ]
        offer = done(
            ask(
                "owner",
                "Delegate",
                input={
                    "offeredAs": "Olive Baker",
                    "scopes": ["business:read"],
                    "businessNumber": number,
                    "ends": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
                    "idempotencyKey": str(uuid4()),
                },
            )
        )
        given = {"code": offer["invitationCode"], "acceptedAs": "Ana Counter", "idempotencyKey": str(uuid4())}
        grant = done(ask("citizen", "AcceptDelegation", input=given))["id"]
        assert ask("citizen", ADDRESS, n=number)["data"]["business"]["address"] is None
        eventually(lambda: (ask("citizen", ADDRESS, grant, n=number).get("data") or {}).get("business"))
        assert ask("citizen", ADDRESS, grant, n=number)["data"]["business"]["address"]["city"]
        assert done(ask("owner", "Revoke", input={"delegationId": grant}))["state"] == "REVOKED"
        refused = ask("citizen", ADDRESS, grant, n=number)
        assert {error["extensions"]["code"] for error in refused["errors"]} == {"AUTHORITY_REFUSED"}


class TestAChannel:
    def test_is_verified_by_the_code_in_the_folder(self, ask: Ask, letters: Callable[[], list[Letter]]) -> None:
        address = f"{uuid4().hex[:12]}@example.ca"
        added = done(ask("citizen", "AddChannel", input={"address": address, "idempotencyKey": address}))
        (letter,) = eventually(lambda: [one for one in letters() if one.to == address])
        found = re.search(r"\d{4} \d{4}", letter.text)
        assert found is not None
        verified = done(ask("citizen", "VerifyChannel", input={"channelId": added["id"], "code": found[0]}))
        assert verified["verifiedAt"]
