"""The issuer or NATS goes away: what needs it is refused or waits, nothing opens, and all goes on when it is back."""

import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import OKPKey

from clusters.topology import SUPERGRAPH
from tests.journeys.hostile import fitting, judged, variable_types
from tests.stack.attacks.conftest import LentIssuer, Target, strict_door
from tests.stack.attacks.test_tokens import claims_of

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("attacks")]
OPERATIONS = SUPERGRAPH.parent / "operations"
MINE = "{ myBusinesses(first: 1) { edges { node { businessNumber } } } }"
PUBLIC = "{ clusters { code } }"
PATIENCE_S = 60


def until(so: Callable[[], object]) -> None:
    """Ask again and again until it is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def at_home(target: Target, text: str, user: str | None, variables: Mapping[str, Any] | None = None) -> httpx.Response:
    """What the province's own door answers, by which plain tokens reach the services."""
    headers = {"accept-language": "fr"}
    if user is not None:
        headers["authorization"] = f"Bearer {target.token(user, cnf=None)}"
    body = {"query": text, "variables": dict(variables or {})}
    return target.http.post(target.environment["GATEWAY_URL"], json=body, headers=headers)


@pytest.fixture
def without_issuer(target: Target) -> Iterator[LentIssuer]:
    """The issuer is away while the test runs."""
    target.issuer.stop()
    yield target.issuer
    target.issuer.start()


class TestWithoutTheIssuer:
    def test_known_keys_go_on_and_unknown_ones_are_refused(self, target: Target, without_issuer: LentIssuer) -> None:
        assert not judged(at_home(target, MINE, "owner")).told_no
        assert not judged(target.ask("{ __typename }", "owner")).told_no
        key = OKPKey.generate_key("Ed25519", {"kid": "made since", "use": "sig", "alg": "Ed25519"})
        header = {"alg": "Ed25519", "kid": "made since", "typ": "at+jwt"}
        claims = json.dumps(claims_of(target.token("owner"))).encode()
        token = jws.serialize_compact(header, claims, key, algorithms=["Ed25519"])
        for _ in range(20):
            answer = target.http.post(target.url, json={"query": "{ __typename }"}, headers=target.shown(token))
            assert answer.status_code == 401
            assert judged(answer, "en").codes == ["UNAUTHENTICATED"]

    def test_a_door_that_starts_takes_no_token_before_it_has_the_keys(
        self, target: Target, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        log = tmp_path_factory.mktemp("keyless") / "door.log"
        target.issuer.stop()
        back = False
        try:
            for door in strict_door(target.environment, target.issuer, log, user=None):
                assert door.ask(PUBLIC).json()["data"]["clusters"]
                for token in (door.token("owner"), door.token("operator"), "x"):
                    answer = door.http.post(door.url, json={"query": PUBLIC}, headers=door.shown(token))
                    assert answer.status_code == 401
                target.issuer.start()
                back = True
                until(partial(takes, door))
        finally:
            if not back:
                target.issuer.start()


def takes(door: Target) -> bool:
    """Whether a door takes a right token."""
    return door.ask("{ __typename }", "owner").status_code == 200


@pytest.fixture
def without_nats(target: Target) -> Iterator[None]:
    """NATS is frozen while the test runs: its connections stay open, and nothing comes of them."""
    os.kill(target.nats, signal.SIGSTOP)
    yield
    os.kill(target.nats, signal.SIGCONT)


class TestWithoutNats:
    def test_reading_and_changing_go_on_and_what_is_announced_waits(self, target: Target) -> None:
        os.kill(target.nats, signal.SIGSTOP)
        try:
            assert not judged(at_home(target, MINE, "owner")).told_no
            draft = (OPERATIONS / "DraftApplication.graphql").read_text()
            name = f"Lamps Of {secrets.token_hex(4)}"
            known = {
                "postalCode": "M5V 2T6",
                "street": "100 Main Street",
                "city": "Toronto",
                "sector": "72",
                "language": "fr",
            }
            given = {
                **fitting(variable_types(draft)["input"], {**known, "legalType": "SOLE_PROPRIETORSHIP"}),
                "name": name,
                "partners": [],
                "idempotencyKey": name,
            }
            drafted = at_home(target, draft, "owner", {"input": given})
            assert not judged(drafted).told_no
            submit = (OPERATIONS / "SubmitApplication.graphql").read_text()
            number = drafted.json()["data"]["draftApplication"]["id"]
            given = {"applicationId": number, "acknowledgeSimilarNames": True, "idempotencyKey": f"submit {name}"}
            submitted = at_home(target, submit, "owner", {"input": given})
            assert not judged(submitted).told_no
            assert states(target, number) == {"REQUESTED"}
        finally:
            os.kill(target.nats, signal.SIGCONT)
        until(lambda: "REQUESTED" not in states(target, number))

    def test_rights_stay_what_they_were(self, target: Target, without_nats: None) -> None:
        assert judged(at_home(target, MINE, None)).codes == ["UNAUTHENTICATED"]
        assert "FORBIDDEN" in judged(at_home(target, "{ inspections { edges { cursor } } }", "specialist")).codes
        expired = target.token("owner", exp=1)
        answer = target.http.post(target.url, json={"query": "{ __typename }"}, headers=target.shown(expired))
        assert answer.status_code == 401


def states(target: Target, number: str) -> set[str]:
    """The states of an application's programs."""
    text = "query ($id: ID!) { application(id: $id) { programs { state } } }"
    found = at_home(target, text, "owner", {"id": number}).json()["data"]["application"]["programs"]
    return {program["state"] for program in found}
