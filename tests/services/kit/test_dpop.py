"""Proofs of a key: what holds, what does not and why, and that none holds twice."""

import base64
import hashlib
import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from services.kit.dpop import (
    AGE_S,
    AHEAD_S,
    LARGEST,
    REMEMBERED_S,
    ProofRefused,
    Proofs,
    Prover,
    TooManyProofs,
    target,
)

URL = "https://api.example.ca/graphql"
KEY = ECKey.generate_key("P-256")
ANYTHING = st.none() | st.integers() | st.text() | st.lists(st.text()) | st.dictionaries(st.text(), st.text())
TOKEN = "a.b.c"


def made(header: dict[str, Any] | None = None, key: Any = KEY, **claims: Any) -> str:
    """A proof, some of it changed; what is None is left out."""
    usual = {
        "jti": "1",
        "htm": "POST",
        "htu": URL,
        "iat": int(time.time()),
        "ath": base64.urlsafe_b64encode(hashlib.sha256(TOKEN.encode()).digest()).rstrip(b"=").decode(),
    }
    head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False), **(header or {})}
    content = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    return jws.serialize_compact(head, orjson.dumps(content), key, algorithms=[head["alg"]])


def unsigned(header: object, claims: object = None) -> str:
    parts = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims or {})
    )
    return ".".join((*parts, "AAAA"))


def checked(proof: str, proofs: Proofs | None = None) -> str:
    return (proofs or Proofs()).check(proof, "POST", {target(URL)}, TOKEN)


class TestAProof:
    def test_says_which_key_has_made_it(self) -> None:
        prover = Prover()
        assert checked(prover.proof("POST", URL, TOKEN)) == prover.thumbprint

    def test_may_be_of_an_ed25519_key(self) -> None:
        key = OKPKey.generate_key("Ed25519")
        assert checked(made({"alg": "Ed25519"}, key)) == key.thumbprint()

    def test_of_a_token_request_names_no_token(self) -> None:
        assert Proofs().check(Prover().proof("POST", URL), "POST", {target(URL)})

    @pytest.mark.parametrize(
        "written",
        [
            "HTTPS://API.example.CA/graphql",
            "https://api.example.ca:443/graphql",
            "https://api.example.ca/graphql?query=x#there",
            "wss://api.example.ca/graphql",
        ],
    )
    def test_names_the_address_in_any_of_its_spellings(self, written: str) -> None:
        assert checked(made(htu=written))

    def test_may_come_a_little_late_and_from_a_clock_that_is_a_little_ahead(self) -> None:
        for moment in (-AGE_S + 2, AHEAD_S - 2):
            assert checked(made(iat=int(time.time()) + moment))


class TestAProofThatDoesNotHold:
    @pytest.mark.parametrize(
        ("claims", "named"),
        [
            ({"htm": "GET"}, "htm"),
            ({"htm": "post"}, "htm"),
            ({"htm": None}, "htm"),
            ({"htu": "https://evil.example/graphql"}, "htu"),
            ({"htu": "http://api.example.ca/graphql"}, "htu"),
            ({"htu": "https://api.example.ca:8443/graphql"}, "htu"),
            ({"htu": "https://api.example.ca/"}, "htu"),
            ({"htu": "https://api.example.ca@evil.example/graphql"}, "htu"),
            ({"htu": "https://[api.example.ca/graphql"}, "htu"),
            ({"htu": 7}, "htu"),
            ({"htu": None}, "htu"),
            ({"iat": 1}, "iat"),
            ({"iat": int(time.time()) + 3_600}, "iat"),
            ({"iat": "now"}, "iat"),
            ({"iat": None}, "iat"),
            ({"jti": ""}, "jti"),
            ({"jti": "x" * 257}, "jti"),
            ({"jti": 7}, "jti"),
            ({"jti": None}, "jti"),
            ({"ath": "AAAA"}, "ath"),
            ({"ath": None}, "ath"),
        ],
    )
    def test_says_something_of_another_request(self, claims: dict[str, Any], named: str) -> None:
        with pytest.raises(ProofRefused, match=named):
            checked(made(**claims))

    @pytest.mark.parametrize(
        ("header", "named"),
        [
            ({"typ": "JWT"}, "typ"),
            ({"typ": None}, "typ"),
            ({"alg": "none"}, "alg"),
            ({"alg": "HS256"}, "alg"),
            ({"alg": ["ES256"]}, "alg"),
            ({"crit": ["exp"]}, "alg"),
            ({"b64": False}, "alg"),
            ({"jwk": None}, "jwk"),
            ({"jwk": "key"}, "jwk"),
            ({"jwk": KEY.as_dict(private=True)}, "jwk"),
            ({"jwk": {"kty": "oct", "k": "AAAA"}}, "jwk"),
            ({"jwk": ECKey.generate_key("P-384").as_dict(private=False)}, "jwk"),
            ({"jwk": OKPKey.generate_key("Ed25519").as_dict(private=False)}, "jwk"),
            ({"jwk": {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}}, "jwk"),
            ({"jwk": {"kty": "EC", "crv": "P-256", "x": 7, "y": None}}, "jwk"),
            ({"jwk": {"kty": "EC", "crv": "P-256"}}, "jwk"),
        ],
    )
    def test_has_a_header_of_another_kind(self, header: dict[str, Any], named: str) -> None:
        usual = {"typ": "dpop+jwt", "alg": "ES256", "jwk": KEY.as_dict(private=False)}
        with pytest.raises(ProofRefused, match=named):
            checked(unsigned({**usual, **header}))

    def test_is_signed_by_another_key_than_it_shows(self) -> None:
        shown = {"jwk": ECKey.generate_key("P-256").as_dict(private=False)}
        with pytest.raises(ProofRefused, match="signature"):
            checked(made(shown))

    def test_is_signed_with_an_algorithm_that_is_not_taken(self) -> None:
        key = RSAKey.generate_key(2048)
        with pytest.raises(ProofRefused, match="alg"):
            checked(made({"alg": "RS256"}, key))

    def test_holds_something_else_than_claims(self) -> None:
        head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": KEY.as_dict(private=False)}
        for content in (b"[1]", b"null", b"no json", b""):
            with pytest.raises(ProofRefused):
                checked(jws.serialize_compact(head, content, KEY, algorithms=["ES256"]))

    def test_is_very_large(self) -> None:
        with pytest.raises(ProofRefused, match="large"):
            checked(made(more="x" * LARGEST))

    @given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,80}\.[A-Za-z0-9_-]{0,80}\.[A-Za-z0-9_-]{0,80}"))
    def test_is_any_text(self, text: str) -> None:
        with pytest.raises(ProofRefused):
            checked(text)

    @given(st.dictionaries(st.sampled_from(["x", "y", "kid", "use", "key_ops", "x5c"]), ANYTHING))
    def test_shows_anything_as_its_key(self, members: dict[str, object]) -> None:
        with pytest.raises(ProofRefused):
            checked(unsigned({"typ": "dpop+jwt", "alg": "ES256", "jwk": {"kty": "EC", "crv": "P-256", **members}}))

    def test_says_why_in_both_languages(self) -> None:
        with pytest.raises(ProofRefused) as caught:
            checked(made(htm="GET"))
        assert "must be POST" in caught.value.words.en
        assert "doit être POST" in caught.value.words.fr


class TestAProofThatComesAgain:
    def test_is_refused(self) -> None:
        proofs, proof = Proofs(), made()
        checked(proof, proofs)
        with pytest.raises(ProofRefused, match="used before"):
            checked(proof, proofs)

    def test_is_refused_for_as_long_as_its_moment_would_do(self) -> None:
        now = [time.time()]
        proofs = Proofs(lambda: now[0])
        proof = made(iat=int(now[0]) + AHEAD_S)
        checked(proof, proofs)
        now[0] += REMEMBERED_S - 2
        with pytest.raises(ProofRefused, match="used before"):
            checked(proof, proofs)
        now[0] += 3
        with pytest.raises(ProofRefused, match="iat"):
            checked(proof, proofs)

    def test_of_another_key_is_another_proof(self) -> None:
        proofs = Proofs()
        for key in (KEY, ECKey.generate_key("P-256")):
            assert checked(made({"jwk": key.as_dict(private=False)}, key), proofs)

    def test_is_forgotten_once_it_cannot_hold_any_more(self) -> None:
        now = [time.time()]
        proofs = Proofs(lambda: now[0], most=2)
        for number in range(10):
            checked(made(jti=str(number), iat=int(now[0])), proofs)
            now[0] += REMEMBERED_S / 2 + 1

    def test_among_more_than_can_be_remembered_no_new_one_is_taken(self) -> None:
        proofs = Proofs(most=2)
        for number in range(2):
            checked(made(jti=str(number)), proofs)
        with pytest.raises(TooManyProofs):
            checked(made(jti="2"), proofs)
        with pytest.raises(ProofRefused, match="used before"):
            checked(made(jti="0"), proofs)
