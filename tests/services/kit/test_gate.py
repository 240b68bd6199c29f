"""The gate of `/graphql`: signed calls only, each once, whichever process it comes to."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from secrets import token_hex
from types import MappingProxyType
from typing import Any

import orjson
import pytest
from joserfc.jwk import OKPKey
from sqlalchemy import text

from services.kit import database, nonces
from services.kit.context import Context
from services.kit.database import Database
from services.kit.gate import Gate
from services.kit.language import Language
from services.kit.nonces import HALF_S, Full, Nonces
from services.kit.signatures import LONGEST_S, sign
from services.kit.signing_keys import KeyFile, public_keys, signing_key
from services.kit.testing import tokens
from services.kit.testing.client import Answer, Client
from tests.services.kit.conftest import ISSUE, count
from tests.services.sample_service.service import service

TARGET = "http://water.test/graphql"
KEY = OKPKey.generate_key("Ed25519", {"kid": "one"})
SIGNING = signing_key(orjson.dumps(KEY.as_dict(private=True)))
NOTHING: Mapping[str, str] = MappingProxyType({})
NAME = orjson.dumps({"query": "{ __typename }"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "keys.json"
    publish(found, KEY)
    return found


def publish(file: Path, *keys: OKPKey) -> None:
    file.write_bytes(orjson.dumps({"keys": [key.as_dict(private=False) for key in keys]}))


@pytest.fixture
def gated(db: Database, file: Path) -> Client:
    return Client(service, db, Gate(KeyFile(file, public_keys), TARGET))


@pytest.fixture
async def another(db: Database, file: Path) -> AsyncIterator[Client]:
    """Another process of the same service: a pool, a memory and a gate of its own on the same database."""
    opened = database.connect(db.engine.url.render_as_string(hide_password=False), "another", pool_size=8)
    yield Client(service, opened, Gate(KeyFile(file, public_keys), TARGET))
    await opened.close()


def signed(
    body: bytes,
    *scopes: str,
    at: float | None = None,
    target: str = TARGET,
    context: Context | None = None,
    more: Mapping[str, str] = NOTHING,
) -> dict[str, str]:
    """The headers of a signed call."""
    given = {"content-type": "application/json", **more}
    if scopes:
        given["authorization"] = f"Bearer {tokens.token(*scopes, audience='water-permits')}"
    told = context or Context(token_hex(8), fetch=token_hex(8), deadline_ms=int((time.time() + 10) * 1000))
    authorization = given.get("authorization", "").encode() or None
    lines = sign(SIGNING, "POST", target, body, told.header(), authorization, time.time() if at is None else at)
    named = (line.partition(": ") for line in lines.decode().split("\r\n") if line)
    return given | {name: value for name, _, value in named}


def issuing(key: str = "k", **change: str) -> bytes:
    given = {"lake": "Lake Simcoe", "businessNumber": "123456789", "idempotencyKey": key, **change}
    return orjson.dumps({"query": ISSUE, "variables": {"input": given}})


def is_refused(answer: Answer) -> bool:
    """Whether it is the one answer that says nothing of what was wrong."""
    return (answer.status, answer.codes, list(answer.body)) == (401, ["SIGNATURE_REFUSED"], ["errors"])


class TestASignedCall:
    async def test_is_answered(self, gated: Client) -> None:
        assert (await gated.post(NAME, signed(NAME))).data == {"__typename": "Query"}

    async def test_is_answered_in_the_language_and_time_that_are_signed(self, gated: Client) -> None:
        late = Context("r", fetch="f", language=Language.FR, deadline_ms=int(time.time() * 1000) - 1)
        headers = signed(NAME, context=late, more={"accept-language": "en", "onedoor-deadline": "9999999999999"})
        answer = await gated.post(NAME, headers)
        assert (answer.codes, answer.headers["content-language"]) == (["DEADLINE_EXCEEDED"], "fr")
        assert answer.errors[0]["message"] == answer.errors[0]["extensions"]["text"]["fr"]

    async def test_may_carry_a_token_that_is_bound_to_a_key(self, gated: Client, client: Client) -> None:
        bound = tokens.token("water:read", audience="water-permits", cnf={"jkt": "thumb"})
        headers = {"authorization": f"DPoP {bound}"}
        assert (await gated.post(NAME, signed(NAME, more=headers))).status == 200
        unproven = await client.post(NAME, {"content-type": "application/json", **headers})
        assert (unproven.status, unproven.codes) == (401, ["UNAUTHENTICATED"])

    async def test_tells_resolvers_on_whose_behalf_and_for_what(
        self, gated: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[Context] = []
        execute = gated._view._execute

        async def watched(document: Any, node: Any, variables: Any, operation: Any, receive: Any) -> Any:
            seen.append(operation.context)
            return await execute(document, node, variables, operation, receive)

        monkeypatch.setattr(gated._view, "_execute", watched)
        told = Context("r", "0a", "f", "licensing", deadline_ms=9_999_999_999_999, recipients=("inspections",))
        await gated.post(NAME, signed(NAME, context=told))
        assert seen == [told]


class TestAnyOtherCall:
    @pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
    async def test_that_is_not_signed_is_refused(self, gated: Client, method: str) -> None:
        answer = await gated.post(NAME, {"content-type": "application/json"}, method)
        assert is_refused(answer)
        assert set(answer.errors[0]["extensions"]["text"]) == {"en", "fr"}

    async def test_is_refused_before_its_body_is_read(self, gated: Client) -> None:
        assert is_refused(await gated.post(b"x" * 2_000_000, {"content-type": "application/json"}))
        large = b"x" * 2_000_000
        assert (await gated.post(large, signed(large))).status == 413

    async def test_that_was_altered_or_redirected_or_is_old_is_refused_alike(self, gated: Client) -> None:
        body, other = issuing(), issuing("another")
        good = signed(body, "water:issue", "water:read")
        another = tokens.token("water:issue", audience="water-permits", username="someone")
        tried: Mapping[str, tuple[bytes, dict[str, str]]] = {
            "body": (other, good),
            "token": (body, {**good, "authorization": f"Bearer {another}"}),
            "no token": (body, {name: value for name, value in good.items() if name != "authorization"}),
            "context": (body, {**good, "onedoor-context": good["onedoor-context"].replace("self", "grant-7")}),
            "service": (body, signed(body, "water:issue", target="http://other.test/graphql")),
            "old": (body, signed(body, "water:issue", at=time.time() - LONGEST_S - 1)),
            "future": (body, signed(body, "water:issue", at=time.time() + 60)),
            "unreadable": (body, {**good, "onedoor-context": "é"}),
        }
        answers = {what: await gated.post(*given) for what, given in tried.items()}
        assert {what for what, answer in answers.items() if not is_refused(answer)} == set()
        assert len({answer.errors[0]["message"] for answer in answers.values()}) == 1
        assert await count(gated.database, "waterpermit") == 0
        assert (await gated.post(body, good)).data["issuePermit"]["__typename"] == "WaterPermit"

    async def test_with_a_query_in_its_address_is_refused(self, gated: Client) -> None:
        assert is_refused(await gated.post(NAME, signed(NAME), query=b"a=1"))
        assert (await gated.post(NAME, signed(NAME, target=f"{TARGET}?a=1"), query=b"a=1")).status == 200

    async def test_whose_context_says_nothing_is_refused(self, gated: Client) -> None:
        assert is_refused(await gated.post(NAME, signed(NAME, context=Context())))

    async def test_by_a_key_that_was_withdrawn_is_refused(self, gated: Client, file: Path) -> None:
        other = OKPKey.generate_key("Ed25519", {"kid": "other"})
        gate = gated._view._gate
        assert gate is not None
        publish(file, KEY, other)
        gate.keys.refresh()
        assert (await gated.post(NAME, signed(NAME))).status == 200
        publish(file, other)
        gate.keys.refresh()
        assert is_refused(await gated.post(NAME, signed(NAME)))


class TestAReplay:
    async def test_to_the_same_process_is_refused(self, gated: Client) -> None:
        headers = signed(NAME)
        answers = await asyncio.gather(*(gated.post(NAME, headers) for _ in range(20)))
        assert sorted(answer.status for answer in answers) == [200] + [401] * 19

    async def test_of_a_mutation_runs_once_in_all_processes(
        self, gated: Client, another: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each forgets what it has seen, as processes that are started anew do."""
        monkeypatch.setattr(Nonces, "is_first", lambda *_: True)
        body = orjson.dumps({"query": ISSUE.replace("issuePermit(", "a: issuePermit("), "variables": _given("k")})
        headers = signed(body, "water:issue", "water:read")
        answers = await asyncio.gather(*((gated, another)[i % 2].post(body, headers) for i in range(50)))
        assert sorted(answer.status for answer in answers) == [200] + [401] * 49
        assert sum(not is_refused(answer) for answer in answers) == 1
        assert await count(gated.database, "waterpermit") == 1

    async def test_of_several_mutations_is_refused_as_a_whole(
        self, gated: Client, another: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Nonces, "is_first", lambda *_: True)
        field = "issuePermit(input: $%s) { ... on WaterPermit { number } }"
        query = f"mutation ($a: IssuePermit!, $b: IssuePermit!) {{ a: {field % 'a'} b: {field % 'b'} }}"
        variables = {name: _given(name)["input"] for name in "ab"}
        body = orjson.dumps({"query": query, "variables": variables})
        headers = signed(body, "water:issue", "water:read")
        answers = await asyncio.gather(*((gated, another)[i % 2].post(body, headers) for i in range(10)))
        (whole,) = [answer for answer in answers if not is_refused(answer)]
        assert whole.data["a"]["number"] != whole.data["b"]["number"]
        assert (await count(gated.database, "waterpermit"), await count(gated.database, "request_nonce")) == (2, 2)

    async def test_of_what_was_refused_leaves_its_nonce_free(self, gated: Client, another: Client) -> None:
        """Nothing was done, and the row went with the transaction."""
        body = issuing(lake="Lake Closed")
        headers = signed(body, "water:issue", "water:read")
        for process in (gated, another):
            assert (await process.post(body, headers)).data["issuePermit"]["code"] == "LAKE_CLOSED"
        assert await count(gated.database, "request_nonce") == 0


def _given(key: str) -> dict[str, Any]:
    return {"input": {"lake": "Lake Simcoe", "businessNumber": "123456789", "idempotencyKey": key}}


class TestTheMemoryOfNonces:
    def test_keeps_each_while_its_signature_can_hold(self) -> None:
        memory, begun = Nonces(), 1_000.0
        for step in range(200):
            at = begun + step
            assert memory.is_first(f"n{step}", at)
            for age in range(min(step, int(HALF_S))):
                assert not memory.is_first(f"n{step - age}", at), (step, age)

    def test_forgets_what_has_ended(self) -> None:
        memory = Nonces(most=10)
        for step in range(1_000):
            assert memory.is_first(f"n{step}", step * 10.0)
        assert len(memory._older) + len(memory._newer) <= 10

    def test_refuses_more_than_it_can_keep_instead_of_forgetting(self) -> None:
        memory = Nonces(most=2)
        assert memory.is_first("a", 0)
        assert memory.is_first("b", 0)
        with pytest.raises(Full):
            memory.is_first("c", 1)
        assert not memory.is_first("a", 1)
        assert memory.is_first("c", 2 * HALF_S)

    async def test_tells_callers_to_come_again_when_it_is_full(
        self, gated: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = gated._view._gate
        assert gate is not None
        monkeypatch.setattr(gate, "_nonces", Nonces(most=1))
        assert [(await gated.post(NAME, signed(NAME))).status for _ in "ab"] == [200, 503]


class TestTheRowsOfNonces:
    async def test_are_swept_when_their_signatures_have_ended(self, gated: Client) -> None:
        for key in ("old", "young"):
            body = issuing(key)
            assert (await gated.post(body, signed(body, "water:issue", "water:read"))).status == 200
        async with gated.database.transaction() as db:
            aged = "UPDATE request_nonce SET expires_at = now() - interval '1 second' WHERE nonce = (%s)"
            await db.execute(text(aged % "SELECT min(nonce) FROM request_nonce"))
        async with gated.database.transaction() as db:
            assert await nonces.forget(db) == 1
        assert await count(gated.database, "request_nonce") == 1
