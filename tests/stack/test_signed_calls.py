"""Calls to the services of a running province: as their gateway signs them they are answered, in any other way refused."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from clusters import signin
from clusters.keys import Step, take
from clusters.local.state import State
from clusters.topology import SERVICES
from services.kit.context import Context
from services.kit.signatures import LONGEST_S
from tests.journeys.signing import signed

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("province")]
NAME = b'{"query":"{ __typename }"}'
MINE = b'{"query":"{ myBusinesses(first: 1) { edges { cursor } } }"}'
REGISTRATION, INSPECTIONS = "SUBGRAPH_URL_BUSINESS_REGISTRATION", "SUBGRAPH_URL_INSPECTIONS"


@pytest.fixture(scope="module")
def env(open_province: State) -> dict[str, str]:
    return open_province.environment


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def owner(env: dict[str, str]) -> str:
    return signin.access_token(env["ISSUER_URL"], "owner", "owner-onedoor")


def is_refused(answer: httpx.Response) -> bool:
    body = answer.json()
    codes = [error["extensions"]["code"] for error in body.get("errors", ())]
    return (answer.status_code, codes, "data" in body) == (401, ["SIGNATURE_REFUSED"], False)


class TestACall:
    @pytest.mark.parametrize("variable", [part.subgraph_variable for part in SERVICES])
    def test_that_is_signed_is_answered_once_and_one_that_is_not_never(
        self, env: dict[str, str], http: httpx.Client, variable: str
    ) -> None:
        url = env[variable]
        headers = signed(env, url, NAME)
        assert http.post(url, content=NAME, headers=headers).json() == {"data": {"__typename": "Query"}}
        assert is_refused(http.post(url, content=NAME, headers=headers))
        assert is_refused(http.post(url, content=NAME, headers={"content-type": "application/json"}))

    def test_that_was_redirected_or_altered_or_has_grown_old_is_refused(
        self, env: dict[str, str], http: httpx.Client, owner: str
    ) -> None:
        url, other = env[REGISTRATION], env[INSPECTIONS]
        inspector = signin.access_token(env["ISSUER_URL"], "inspector", "inspector-onedoor")

        def fresh() -> dict[str, str]:
            return signed(env, url, MINE, owner)

        assert is_refused(http.post(other, content=MINE, headers=fresh()))
        assert is_refused(http.post(url, content=MINE + b" ", headers=fresh()))
        assert is_refused(http.post(f"{url}?a=1", content=MINE, headers=fresh()))
        for name, value in {
            "authorization": f"Bearer {inspector}",
            "onedoor-context": Context("r", fetch="f", authority="grant-7", deadline_ms=9_999_999_999_999).header(),
            "host": "elsewhere.example",  # says nothing either way: the address that is signed is the configured one
        }.items():
            answer = http.post(url, content=MINE, headers={**fresh(), name: value})
            assert is_refused(answer) is (name != "host"), name
        without = {name: value for name, value in fresh().items() if name != "authorization"}
        assert is_refused(http.post(url, content=MINE, headers=without))
        old = signed(env, url, MINE, owner, at=time.time() - LONGEST_S - 1)
        assert is_refused(http.post(url, content=MINE, headers=old))
        assert http.post(url, content=MINE, headers=fresh()).json().keys() == {"data"}

    def test_with_a_doubled_header_is_refused(self, env: dict[str, str], http: httpx.Client, owner: str) -> None:
        url = env[REGISTRATION]
        for name in ("authorization", "onedoor-context", "content-digest", "signature", "signature-input"):
            headers = signed(env, url, MINE, owner)
            doubled = [*headers.items(), (name, headers[name])]
            assert is_refused(http.post(url, content=MINE, headers=doubled)), name

    def test_to_what_is_public_or_for_operators_needs_no_signature(
        self, env: dict[str, str], http: httpx.Client
    ) -> None:
        for variable, path in (
            ("SUBGRAPH_URL_INFORMATION_REFERRAL", "/hsds"),
            (REGISTRATION, "/health/ready"),
            (REGISTRATION, "/metrics"),
        ):
            assert http.get(env[variable].replace("/graphql", path)).status_code == 200


class TestAChangeOfKeys:
    def test_refuses_nobody_while_it_lasts(self, env: dict[str, str], http: httpx.Client) -> None:
        folder = Path(env["SIGNING_KEYS"]).parents[1]
        ended, problems, asked = threading.Event(), list[Any](), 0

        def asks() -> None:
            nonlocal asked
            body = {"query": "{ clusters { code } } "}
            while not ended.is_set():
                answer = httpx.post(env["GATEWAY_URL"], json=body, timeout=30).json()
                asked += 1
                if answer.get("errors") or not answer["data"]["clusters"]:
                    problems.append(answer)

        asking = threading.Thread(target=asks)
        asking.start()
        try:
            old = signed(env, env[REGISTRATION], NAME)
            assert "keyid" in old["signature-input"]
            kept = Path(env["SIGNING_KEYS"]).read_bytes()
            first, following = take(Step.PUBLISH, folder)
            for part in SERVICES:
                _until(lambda url=env[part.subgraph_variable]: _answers(http, env, url, following))  # type: ignore[misc]
            log = folder.parent / "logs" / "gateway.log"
            _until(lambda: _read_anew(log) == 1)
            assert take(Step.ACTIVATE, folder)[0] == following
            _until(lambda: _read_anew(log) == 2)
            take(Step.WITHDRAW, folder)
            before = folder / "before.json"
            before.write_bytes(kept)
            with_old = {**env, "SIGNING_KEYS": str(before)}
            for part in SERVICES:
                _until(lambda url=env[part.subgraph_variable]: is_refused(_sent(http, with_old, url)))  # type: ignore[misc]
        finally:
            ended.set()
            asking.join()
        assert first != following
        assert problems == []
        assert asked > 10


def _sent(http: httpx.Client, env: dict[str, str], url: str) -> httpx.Response:
    return http.post(url, content=NAME, headers=signed(env, url, NAME))


def _answers(http: httpx.Client, env: dict[str, str], url: str, key: str) -> bool:
    """Whether a service knows the key that does not sign yet."""
    held = json.loads(Path(env["SIGNING_KEYS"]).read_bytes())
    alone = Path(env["SIGNING_KEYS"]).with_name("next.json")
    alone.write_text(json.dumps({"keys": [k for k in held["keys"] if k["kid"] == key]}))
    return _sent(http, {**env, "SIGNING_KEYS": str(alone)}, url).status_code == 200


def _read_anew(log: Path) -> int:
    """How often the gateway has read its keys anew."""
    return log.read_text().count('"keys_read"')


def _until(check: Callable[[], bool], within_s: float = 30) -> None:
    ends = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < ends, f"not within {within_s} s"
        time.sleep(0.1)  # between two looks
