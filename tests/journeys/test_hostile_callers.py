"""Whatever callers send to a running province, they get a coded answer in their language, and nothing has changed."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusters import signin
from clusters.local.state import State
from services.kit.language import Language
from tests.conftest import province
from tests.journeys.hostile import (
    LEAKS,
    OPERATIONS,
    TEXTS,
    WRONG_TYPES,
    anything,
    fitting,
    judged,
    operation_of,
    spoiled,
    variable_types,
)
from tests.journeys.signing import signed

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("province")]
MUTATIONS = [name for name, text in OPERATIONS.items() if operation_of(text).operation.value == "mutation"]
ASKED = [name for name, text in OPERATIONS.items() if operation_of(text).operation.value != "subscription"]
# Refusals are accounted for too, and what is accounted for is sealed and told a little later.
NOT_AUDIT = "tablename !~ '^(audit_|access_entry$)'"
SETTLED = {
    "business_registration": """
        select not exists (select from outbox where sent_at is null) and not exists (select from inbox where finished_at is null)
        and not exists (select from program_status where state = 'REQUESTED')""",
    "inspections": """
        select not exists (select from outbox where sent_at is null) and not exists (select from inbox where finished_at is null)
        and (select count(*) from inspection) = 3""",
}  # the demo owner's three businesses, each with its first inspection


class Door:
    """A caller at the front door, who can also look behind it."""

    def __init__(self, running: State) -> None:
        self.env = running.environment
        self.http = httpx.Client(timeout=30)
        self._tokens: dict[str, tuple[str, float]] = {}
        self._loop = asyncio.Runner()
        self._databases = {
            name: self._loop.run(asyncpg.connect(self.env[f"{name.upper()}_DATABASE_URL"])) for name in SETTLED
        }

    def close(self) -> None:
        for database in self._databases.values():
            self._loop.run(database.close())
        self._loop.close()
        self.http.close()

    def token(self, user: str) -> str:
        token, until = self._tokens.get(user, ("", 0.0))
        if until < time.monotonic():
            token = signin.access_token(self.env["ISSUER_URL"], user, f"{user}-onedoor")
            self._tokens[user] = (token, time.monotonic() + 200)
        return token

    def ask(
        self, text: str, variables: Any = None, user: str | None = None, token: str | None = None
    ) -> httpx.Response:
        body = json.dumps({"query": text, "variables": variables or {}}, ensure_ascii=False).encode(
            "utf-8", "surrogatepass"
        )
        return self.send(body, user=user, token=token)

    def send(
        self, body: bytes, *, user: str | None = None, token: str | None = None, language: str = "fr-CA"
    ) -> httpx.Response:
        headers = {"content-type": "application/json", "accept-language": language}
        if user is not None:
            token = self.token(user)
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        return self.http.post(self.env["GATEWAY_URL"], content=body, headers=headers)

    def settle(self) -> None:
        """Wait until what the seeds set going has come to its end."""
        deadline = time.monotonic() + 60
        while not all(self._loop.run(self._databases[name].fetchval(sql)) for name, sql in SETTLED.items()):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def fingerprint(self) -> dict[str, str]:
        """A digest of every row of every table of the services that can be changed from outside."""
        return {name: self._loop.run(_digest(database)) for name, database in self._databases.items()}


async def _digest(database: "asyncpg.Connection[Any]") -> str:
    tables = await database.fetch(
        f"select tablename from pg_tables where schemaname = 'public' and {NOT_AUDIT} order by 1"
    )
    each = " union all ".join(
        f"select md5((to_jsonb(t) - 'sent_at')::text) as row from \"{table['tablename']}\" t "
        "where coalesce(to_jsonb(t) ->> 'type', '') not in ('audit.head.v1', 'access.logged.v1')"
        for table in tables
    )
    return str(await database.fetchval(f"select md5(string_agg(row, '' order by row)) from ({each}) as rows"))


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with province() as running:
        opened = Door(running)
        opened.settle()
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def known(door: Door) -> dict[str, Any]:
    """Values that name something that is there, so that a hostile neighbour is what decides."""
    number = door.ask(OPERATIONS["MyBusinesses"], {}, "owner").json()["data"]["myBusinesses"]["edges"][0]["node"]
    inspections = door.ask(OPERATIONS["Inspections"], {"first": 1}, "inspector").json()["data"]["inspections"]
    return {
        "name": "Harbour Lamps",
        "businessNumber": number["businessNumber"],
        "number": inspections["edges"][0]["node"]["number"],
        "postalCode": "M5V 2T6",
        "street": "100 Main Street",
        "city": "Toronto",
        "sector": "72",
        "code": "business-registration",
        "language": "fr",
        "after": None,
        "idempotencyKey": "k" * 20,
        "legalType": "SOLE_PROPRIETORSHIP",
        "checklist": "food-premises",
    }


def user_of(operation: str) -> str:
    """A demo user who may run the operation, so that it is judged for what it holds."""
    if operation in ("InspectionsReview", "InspectionsClose"):
        return "reviewer"
    return "inspector" if operation.startswith("Inspections") else "owner"


class TestVariables:
    @pytest.mark.parametrize("operation", ASKED)
    def test_each_hostile_value_is_answered_and_changes_nothing(
        self, door: Door, known: dict[str, Any], operation: str
    ) -> None:
        text, user = OPERATIONS[operation], user_of(operation)
        types = variable_types(text)
        usual = {name: fitting(expected, known, name) for name, expected in types.items()}
        before = door.fingerprint()
        for name, expected in types.items():
            for count, bad in enumerate(spoiled(usual[name], expected)):
                if isinstance(bad, dict) and "idempotencyKey" in bad == usual[name].get("idempotencyKey"):
                    bad = {**bad, "idempotencyKey": f"{operation}-{count}"}
                found = judged(door.ask(text, {**usual, name: bad}, user))
                if operation in MUTATIONS:
                    after = door.fingerprint()
                    assert not found.told_no or after == before, (name, bad, found.codes)
                    before = after

    @settings(
        max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    )
    @pytest.mark.parametrize("operation", [name for name in ASKED if variable_types(OPERATIONS[name])])
    @given(data=st.data())
    def test_whatever_is_sent_is_answered(self, door: Door, operation: str, data: st.DataObject) -> None:
        """Properties: values of all kinds in all variables at once."""
        text = OPERATIONS[operation]
        variables = {name: data.draw(anything(expected), name) for name, expected in variable_types(text).items()}
        judged(door.ask(text, variables, user_of(operation)))

    @pytest.mark.parametrize("bad", [*TEXTS, *WRONG_TYPES])
    def test_nobody_watches_what_is_no_application(self, door: Door, bad: Any) -> None:
        body = json.dumps({"query": OPERATIONS["WatchApplication"], "variables": {"id": bad}}).encode()
        headers = {"accept": "text/event-stream", "content-type": "application/json", "accept-language": "fr"}
        headers["authorization"] = f"Bearer {door.token('owner')}"
        answer = door.http.post(door.env["GATEWAY_URL"], content=body, headers=headers)
        assert answer.status_code < 500
        assert "INTERNAL_FAULT" not in answer.text
        assert not LEAKS.search(answer.text)


class TestBodies:
    @pytest.mark.parametrize(
        "body",
        [
            b"", b"{", b"null", b"[]", b"{}", b'"x"', b"\xff\xfe", b'{"query": NaN}', b'{"query": 1}', b"[" * 100_000,
            b'{"query": "{ clusters { code } }", "variables": {"a": 1e400}}',
            b'{"query": "{ clusters { code } }", "variables": {"a": ' + b"9" * 400 + b"}}",
            b'{"query": "{ clusters { code } }", "variables": {"a": "\\ud800"}}',
            b'{"query": "{ clusters { code } }", "variables": [1]}',
            b'{"query": "' + b"x" * 1_048_577 + b'"}',
            b'{"query": "{ clusters { code", "operationName": "A"}',
            b'{"query": "{ thereIsNoSuchField }"}',
            b'{"query": "query A { clusters { code } }", "operationName": "B"}',
            b'{"query": "{ clusters(code: 1) { code } }"}',
            b'{"query": "{ findServices(openAt: \\"yesterday\\") { edges { cursor } } }"}',
            b'{"query": "{ findServices(first: 99999999999999999999) { edges { cursor } } }"}',
            b'{"query": "{ clusters { code } \\u0000 }"}',
            b'{"operationName": "SubmitApplication"}',
            b'{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "00"}}}',
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("language", ["en", "fr"])
    def test_what_is_no_request_is_refused_in_the_callers_language(
        self, door: Door, body: bytes, language: str
    ) -> None:
        assert judged(door.send(body, language=language), language).told_no


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def _header(token: str) -> dict[str, Any]:
    part = token.split(".")[0]
    header: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return header


@pytest.fixture(scope="module")
def forged(door: Door) -> dict[str, str]:
    good = door.token("owner")
    header, claims = _header(good), _claims(good)
    thief = Ed25519PrivateKey.generate()
    published = door.http.get(f"{door.env['ISSUER_URL']}/protocol/openid-connect/certs").json()["keys"][0]
    public_key = json.dumps(published).encode()

    def signed(head: dict[str, Any], body: dict[str, Any], how: Any) -> str:
        told = f"{_segment(json.dumps(head).encode())}.{_segment(json.dumps(body).encode())}"
        return f"{told}.{_segment(how(told.encode()))}"

    def mac(data: bytes) -> bytes:
        return hmac.digest(public_key, data, hashlib.sha256)

    own_key = {"kty": "OKP", "crv": "Ed25519", "x": _segment(thief.public_key().public_bytes_raw())}
    more = {**claims, "scope": claims["scope"] + " inspection:conduct business:read-all"}
    return {
        "no algorithm": signed({**header, "alg": "none"}, claims, lambda _: b""),
        "another key": signed(header, claims, thief.sign),
        "another key, unnamed": signed({"alg": header["alg"]}, claims, thief.sign),
        "its own key": signed({**header, "jwk": own_key}, claims, thief.sign),
        "a key from elsewhere": signed({**header, "jku": "http://127.0.0.1:1/keys"}, claims, thief.sign),
        "a public key as a secret": signed({**header, "alg": "HS256"}, claims, mac),
        "more rights": f"{good.split('.')[0]}.{_segment(json.dumps(more).encode())}.{good.split('.')[2]}",
        "cut": good[:-10],
        "nothing": "x",
        "huge": "x" * 15_000,
    }


class TestTokens:
    """The gateway refuses them, and so does each service when it is reached without the gateway."""

    @pytest.mark.parametrize(
        "kind",
        ["no algorithm", "another key", "another key, unnamed", "its own key", "a key from elsewhere",
         "a public key as a secret", "more rights", "cut", "nothing", "huge"],
    )  # fmt: skip
    @pytest.mark.parametrize("where", ["GATEWAY_URL", "SUBGRAPH_URL_BUSINESS_REGISTRATION", "SUBGRAPH_URL_INSPECTIONS"])
    def test_a_forged_token_is_refused(self, door: Door, forged: dict[str, str], kind: str, where: str) -> None:
        headers, body = (
            {"authorization": f"Bearer {forged[kind]}", "accept-language": "fr"},
            b'{"query":"{ __typename }"}',
        )
        if where == "GATEWAY_URL":
            headers |= {"content-type": "application/json"}
        else:  # as if the gateway had passed it on
            headers |= signed(door.env, door.env[where], body, forged[kind], language=Language.FR)
        answer = door.http.post(door.env[where], content=body, headers=headers)
        assert answer.status_code == 401
        assert judged(answer).codes == ["UNAUTHENTICATED"]
        assert forged[kind] == "x" or forged[kind] not in answer.text

    def test_an_id_token_and_a_refresh_token_are_no_access_tokens(self, door: Door) -> None:
        tokens = signin.sign_in(door.env["ISSUER_URL"], "owner", "owner-onedoor")
        for kind in ("id_token", "refresh_token"):
            answer = door.ask(OPERATIONS["MyBusinesses"], token=str(tokens[kind]))
            assert (answer.status_code, judged(answer).codes) == (401, ["UNAUTHENTICATED"])


class TestSubmitting:
    """The same submit again, and the same submit at once: one business."""

    @pytest.fixture
    def drafted(self, door: Door, known: dict[str, Any]) -> str:
        text = OPERATIONS["DraftApplication"]
        given = fitting(variable_types(text)["input"], known)
        name = f"Lamps Of {secrets.token_hex(4)}"
        given |= {"name": name, "partners": [], "idempotencyKey": name}
        draft = door.ask(text, {"input": given}, "owner").json()["data"]["draftApplication"]
        assert "id" in draft, draft
        return str(draft["id"])

    def submit(self, door: Door, application: str, key: str) -> dict[str, Any]:
        given = {"applicationId": application, "acknowledgeSimilarNames": True, "idempotencyKey": key}
        answer = door.ask(OPERATIONS["SubmitApplication"], {"input": given}, "owner")
        judged(answer)
        done: dict[str, Any] = answer.json()["data"]["submitApplication"]
        return done

    def test_repeated_with_its_key_is_answered_alike(self, door: Door, drafted: str) -> None:
        first = self.submit(door, drafted, "the-same")
        assert first["__typename"] == "Application"
        again = self.submit(door, drafted, "the-same")
        assert (again["id"], again["business"]) == (first["id"], first["business"])

    def test_repeated_with_another_key_is_refused(self, door: Door, drafted: str) -> None:
        assert self.submit(door, drafted, "one")["__typename"] == "Application"
        assert self.submit(door, drafted, "another")["__typename"] == "Refused"

    @pytest.mark.parametrize("keys", [["k"] * 8, [f"k{n}" for n in range(8)]], ids=["one key", "many keys"])
    def test_at_once_makes_one_business(self, door: Door, drafted: str, keys: list[str]) -> None:
        door.token("owner")
        with ThreadPoolExecutor(8) as pool:
            done = list(pool.map(lambda key: self.submit(door, drafted, f"{key}-{drafted}"), keys))
        registered = {one["business"]["businessNumber"] for one in done if one["__typename"] == "Application"}
        assert len(registered) == 1
        codes = {one["code"] for one in done if one["__typename"] == "Refused"}
        assert codes <= {"NOT_A_DRAFT"}
