"""Tokens that are wrong in one thing, at a door whose issuer has lent its key: each is refused, and nothing is fetched for it."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import OKPKey, RSAKey

from services.kit.dpop import Prover
from services.kit.testing import tokens
from tests.journeys.hostile import judged
from tests.stack.attacks.conftest import LentIssuer, Target

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("attacks")]
ASKED = "{ myBusinesses(first: 1) { edges { cursor } } }"
ALGORITHMS = ["Ed25519", "RS256", "HS256"]


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def signed(target: Target, header: dict[str, Any], key: Any = None, **claims: Any) -> str:
    """A right token's claims under a header and a key that the attacker chooses."""
    head = {"alg": "Ed25519", "kid": "test", "typ": "at+jwt", **header}
    body = json.dumps({**claims_of(target.token()), **claims}).encode()
    key = key or tokens.key()
    if head["alg"] in ALGORITHMS:
        return jws.serialize_compact(head, body, key, algorithms=ALGORITHMS)
    return f"{segment(json.dumps(head).encode())}.{segment(body)}."


def segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def with_a_public_key_as_secret(target: Target) -> str:
    header = {"alg": "HS256", "kid": "test", "typ": "at+jwt"}
    told = f"{segment(json.dumps(header).encode())}.{segment(json.dumps(claims_of(target.token())).encode())}"
    secret = json.dumps(tokens.key().as_dict(private=False)).encode()
    return f"{told}.{segment(hmac.digest(secret, told.encode(), hashlib.sha256))}"


def with_more_rights(target: Target) -> str:
    head, _, signature = target.token("citizen").split(".")
    return f"{head}.{segment(json.dumps(claims_of(target.token('operator'))).encode())}.{signature}"


THIEF = OKPKey.generate_key("Ed25519", {"kid": "test"})
HOUR = 3_600
WRONG: dict[str, Callable[[Target], str]] = {
    "no algorithm": lambda t: signed(t, {"alg": "none"}),
    "no algorithm, in other letters": lambda t: signed(t, {"alg": "NoNe"}),
    "a public key as a secret": with_a_public_key_as_secret,
    "another key under the same id": lambda t: signed(t, {}, THIEF),
    "another kind of key under the same id": lambda t: signed(t, {"alg": "RS256"}, RSAKey.generate_key(2048)),
    "a key in its header": lambda t: signed(t, {"jwk": THIEF.as_dict(private=False)}, THIEF),
    "no id of a key": lambda t: signed(t, {"kid": ""}),
    "an id that is a path": lambda t: signed(t, {"kid": "../../../../dev/null"}),
    "an id that is SQL": lambda t: signed(t, {"kid": "x' UNION SELECT 'k' --"}),
    "an id that is a command": lambda t: signed(t, {"kid": "|/bin/id"}),
    "an id that is huge": lambda t: signed(t, {"kid": "k" * 10_000}),
    "another issuer": lambda t: signed(t, {}, iss="https://elsewhere.example/realms/onedoor"),
    "nearly the issuer": lambda t: signed(t, {}, iss=f"{t.issuer.url}/"),
    "no issuer": lambda t: signed(t, {}, iss=None),
    "another audience": lambda t: signed(t, {}, aud=["account"]),
    "a service's audience alone": lambda t: signed(t, {}, aud=["business-registration"]),
    "no audience": lambda t: signed(t, {}, aud=[]),
    "an end that is past": lambda t: signed(t, {}, exp=int(time.time()) - HOUR),
    "an end that is a text": lambda t: signed(t, {}, exp="9999999999"),
    "no end": lambda t: signed(t, {}, exp=None),
    "a beginning to come": lambda t: signed(t, {}, nbf=int(time.time()) + HOUR),
    "the kind of an ID token": lambda t: signed(t, {}, typ="ID"),
    "the kind of a refresh token": lambda t: signed(t, {}, typ="Refresh"),
    "the header of a logout token": lambda t: signed(t, {"typ": "logout+jwt"}),
    "the header of a proof": lambda t: signed(t, {"typ": "dpop+jwt"}),
    "no subject": lambda t: signed(t, {}, sub=""),
    "a subject that is no text": lambda t: signed(t, {}, sub={"$ne": ""}),
    "more rights than were signed": with_more_rights,
    "a cut signature": lambda t: t.token()[:-10],
    "no signature": lambda t: t.token().rpartition(".")[0] + ".",
    "another key's binding": lambda t: t.token(cnf={"jkt": Prover().thumbprint}),
    "no binding": lambda t: t.token(cnf=None),
    "a front end's name": lambda t: t.token(azp="onedoor-web"),
}


class TestAtTheDoor:
    def test_a_right_one_is_taken(self, target: Target) -> None:
        assert not judged(target.ask(ASKED, "owner")).told_no
        right = signed(target, {})
        answer = target.http.post(target.url, json={"query": ASKED}, headers=target.shown(right))
        assert not judged(answer, "en").told_no

    @pytest.mark.parametrize("wrong", WRONG)
    def test_one_is_refused_with(self, target: Target, wrong: str) -> None:
        token = WRONG[wrong](target)
        answer = target.http.post(target.url, json={"query": ASKED}, headers=target.shown(token))
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"]
        assert judged(answer, "en").codes[0] in ("UNAUTHENTICATED", "INVALID_DPOP_PROOF", "DPOP_REQUIRED")
        assert token not in answer.text

    def test_a_bound_one_is_not_taken_as_a_plain_one(self, target: Target) -> None:
        headers = {"authorization": f"Bearer {target.token()}"}
        answer = target.http.post(target.url, json={"query": ASKED}, headers=headers)
        assert answer.status_code == 401

    def test_keys_are_fetched_from_nowhere_that_a_token_names(self, target: Target) -> None:
        elsewhere = LentIssuer()
        elsewhere.start()
        try:
            for header in (
                {"jku": f"{elsewhere.url}/protocol/openid-connect/certs"},
                {"x5u": f"{elsewhere.url}/certs"},
            ):
                token = signed(target, {**header, "kid": "theirs"}, THIEF)
                answer = target.http.post(target.url, json={"query": ASKED}, headers=target.shown(token))
                assert answer.status_code == 401
        finally:
            elsewhere.stop()
        assert elsewhere.asked == 0

    def test_a_flood_of_unknown_keys_asks_the_issuer_hardly_ever(self, target: Target) -> None:
        begun, before = time.monotonic(), target.issuer.asked
        for number in range(300):
            token = signed(target, {"kid": f"unknown-{number}"})
            answer = target.http.post(target.url, json={"query": ASKED}, headers=target.shown(token))
            assert answer.status_code == 401
        processes = 6  # the door, the four services and the province's own gateway refresh by a timer besides
        fetches = (time.monotonic() - begun) / 10 + 1 + processes * ((time.monotonic() - begun) / 60 + 1)
        assert target.issuer.asked - before <= fetches


class TestAProof:
    def test_serves_once(self, target: Target) -> None:
        headers = target.shown(target.token())
        first = target.http.post(target.url, json={"query": ASKED}, headers=headers)
        again = target.http.post(target.url, json={"query": ASKED}, headers=headers)
        assert (first.status_code, again.status_code) == (200, 401)

    def test_of_another_address_method_or_token_does_not_serve(self, target: Target) -> None:
        token, other = target.token(), target.token(jti="other")
        for method, url, shown in (
            ("GET", target.url, token),
            ("POST", target.url.replace("/graphql", "/graphql2"), token),
            ("POST", "https://elsewhere.example/graphql", token),
            ("POST", target.url, other),
        ):
            headers = {"authorization": f"DPoP {token}", "dpop": target.prover.proof(method, url, shown)}
            answer = target.http.post(target.url, json={"query": ASKED}, headers=headers)
            assert (answer.status_code, judged(answer, "en").codes) == (401, ["INVALID_DPOP_PROOF"])
