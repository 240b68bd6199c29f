"""Access tokens: what is accepted, what is refused, and how keys come and go."""

import asyncio
import base64
import hashlib
import hmac
import time
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.jwk import KeySet, OKPKey, RSAKey

from services.kit.settings import Issuer
from services.kit.testing import tokens
from services.kit.tokens import DPOP, Keys, TokenRefused, Verifier, credentials, http_source

AUDIENCE = "water-permits"
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig", "alg": "RS256"})


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


def payload(**claims: Any) -> dict[str, Any]:
    now = int(time.time())
    return {"iss": tokens.URL, "sub": "s", "aud": [AUDIENCE], "typ": "Bearer", "iat": now, "exp": now + 300, **claims}


def signed(key: Any, header: dict[str, Any], **claims: Any) -> str:
    algorithm = header["alg"]
    return jws.serialize_compact(header, orjson.dumps(payload(**claims)), key, algorithms=[algorithm])


async def refused(token: str) -> str:
    with pytest.raises(TokenRefused) as caught:
        await tokens.verifier(AUDIENCE).verify(token)
    return caught.value.reason


class Source:
    """An issuer's JWKS that a test changes; counts how often it was asked."""

    def __init__(self, *keys: Any) -> None:
        self.keys, self.asked, self.away = list(keys), 0, False

    async def __call__(self) -> dict[str, Any]:
        self.asked += 1
        if self.away:
            raise OSError("away")
        return {"keys": [key.as_dict(private=False) for key in self.keys]}


class TestAValidToken:
    async def test_says_who_asks_and_with_which_rights(self) -> None:
        token = tokens.token("water:read", "water:issue", audience=AUDIENCE, realm_access={"roles": ["officer", 7]})
        claims = await tokens.verifier(AUDIENCE).verify(token)
        assert claims.subject == tokens.subject_of("citizen")
        assert claims.scopes == {"water:read", "water:issue"}
        assert claims.roles == {"officer"}

    async def test_says_how_and_when_the_person_signed_in_and_to_which_key_it_is_bound(self) -> None:
        token = tokens.token(audience=AUDIENCE, acr="2", auth_time=1_700_000_000, cnf={"jkt": "thumb"})
        claims = await tokens.verifier(AUDIENCE).verify(token, DPOP)
        assert (claims.assurance, claims.authenticated_at, claims.key) == ("2", 1_700_000_000.0, "thumb")

    @pytest.mark.parametrize("kind", ["Bearer", "DPoP", None])
    async def test_that_is_bound_may_say_so_by_its_type(self, kind: str | None) -> None:
        """Keycloak 26.4 does."""
        token = tokens.token(audience=AUDIENCE, typ=kind, cnf={"jkt": "thumb"})
        assert (await tokens.verifier(AUDIENCE).verify(token, DPOP)).key == "thumb"

    @pytest.mark.parametrize("odd", [{"auth_time": "soon"}, {"cnf": "thumb"}, {"cnf": []}])
    async def test_with_odd_claims_says_nothing_by_them(self, odd: dict[str, Any]) -> None:
        claims = await tokens.verifier(AUDIENCE).verify(tokens.token(audience=AUDIENCE, **odd))
        assert (claims.authenticated_at, claims.key) == (0.0, "")

    async def test_says_for_which_ministries_the_person_works(self) -> None:
        groups = ["/justice/attorney-general", "/a-cluster/attorney-general", "/education/education"]
        claims = await tokens.verifier(AUDIENCE).verify(tokens.token(audience=AUDIENCE, groups=groups))
        assert claims.ministries == {"attorney-general", "education"}

    @pytest.mark.parametrize(
        "groups",
        [
            *(None, [], ["/education"], ["education"], ["education/education"], ["/"], [""], ["//education"]),
            *(["/education/"], ["/education/education/"], ["/education/education/office"], ["/education/education\n"]),
            *(["/education/Education"], ["/education/éducation"], ["/education/ education"], ["/a/~/education"]),
        ],
        ids=ascii,
    )
    async def test_whose_groups_are_no_ministries_names_none(self, groups: list[str] | None) -> None:
        claims = await tokens.verifier(AUDIENCE).verify(tokens.token(audience=AUDIENCE, groups=groups))
        assert claims.ministries == frozenset()

    async def test_may_name_one_audience_as_a_text(self) -> None:
        assert await tokens.verifier(AUDIENCE).verify(tokens.token(aud=AUDIENCE))

    async def test_may_be_signed_with_rs256(self) -> None:
        verifier = Verifier(Issuer(tokens.URL, tokens.URL), AUDIENCE, Keys(Source(RSA)))
        assert (await verifier.verify(signed(RSA, {"alg": "RS256", "kid": "rsa"}))).subject == "s"

    async def test_is_remembered_until_it_ends(self) -> None:
        clock = [time.time()]
        keys = Keys(tokens.published)
        await keys.refresh()
        verifier = Verifier(Issuer(tokens.URL, tokens.URL), AUDIENCE, keys, lambda: clock[0])
        token = tokens.token(audience=AUDIENCE)
        first = await verifier.verify(token)
        assert await verifier.verify(token) is first
        clock[0] += 331
        with pytest.raises(TokenRefused, match="expired"):
            await verifier.verify(token)

    async def test_is_forgotten_when_many_others_have_come(self) -> None:
        verifier = Verifier(Issuer(tokens.URL, tokens.URL), AUDIENCE, Keys(tokens.published), remembered=2)
        held = [tokens.token(audience=AUDIENCE, jti=str(n)) for n in range(3)]
        first = await verifier.verify(held[0])
        for token in held[1:]:
            await verifier.verify(token)
        assert await verifier.verify(held[0]) is not first


class TestARefusedToken:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"exp": 1}, "expired"),
            ({"exp": None}, "expired"),
            ({"exp": "never"}, "expired"),
            ({"nbf": time.time() + 3600}, "not yet valid"),
            ({"nbf": "soon"}, "not yet valid"),
            ({"iss": "http://issuer.test/realms/other"}, "issuer"),
            ({"iss": None}, "issuer"),
            ({"aud": ["inspections"]}, "audience"),
            ({"aud": None}, "audience"),
            ({"aud": "water-permits-too"}, "audience"),
            ({"typ": "ID"}, "token type"),
            ({"typ": "Refresh"}, "token type"),
            ({"typ": "DPoP"}, "token type"),
            ({"typ": "ID", "cnf": {"jkt": "thumb"}}, "token type"),
            ({"sub": None}, "subject"),
            ({"sub": ""}, "subject"),
            ({"sub": 7}, "subject"),
            ({"groups": "/justice/attorney-general"}, "groups"),
            ({"groups": {"/justice/attorney-general": True}}, "groups"),
            ({"groups": ["/justice/attorney-general", 7]}, "groups"),
            ({"groups": [["/justice/attorney-general"]]}, "groups"),
            ({"groups": True}, "groups"),
            ({"groups": 0}, "groups"),
            ({"groups": ""}, "groups"),
        ],
    )
    async def test_has_a_claim_that_does_not_hold_here(self, changes: dict[str, Any], reason: str) -> None:
        assert await refused(tokens.token(**{"audience": AUDIENCE, **changes})) == reason

    async def test_is_not_signed_at_all(self) -> None:
        assert await refused(f"{encoded({'alg': 'none', 'kid': 'test'})}.{encoded(payload())}.") == "algorithm"

    async def test_is_signed_with_the_public_key_as_a_shared_secret(self) -> None:
        """RFC 8725, 2.1: the attacker hopes that the verifier lets the token choose the algorithm."""
        public = RSA.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        header = {"alg": "HS256", "kid": "rsa"}
        signing = f"{encoded(header)}.{encoded(payload())}"
        mac = base64.urlsafe_b64encode(hmac.digest(public, signing.encode(), hashlib.sha256)).rstrip(b"=").decode()
        verifier = Verifier(Issuer(tokens.URL, tokens.URL), AUDIENCE, Keys(Source(RSA)))
        with pytest.raises(TokenRefused, match="algorithm"):
            await verifier.verify(f"{signing}.{mac}")

    async def test_is_bound_to_a_key_and_comes_as_a_plain_one(self) -> None:
        assert await refused(tokens.token(audience=AUDIENCE, cnf={"jkt": "thumb"})) == "bound to a key"

    async def test_is_plain_and_comes_as_one_that_is_bound_to_a_key(self) -> None:
        with pytest.raises(TokenRefused, match="bound to no key"):
            await tokens.verifier(AUDIENCE).verify(tokens.token(audience=AUDIENCE), DPOP)

    async def test_is_forged_by_changing_its_payload(self) -> None:
        head, _, signature = tokens.token(audience=AUDIENCE).split(".")
        assert await refused(f"{head}.{encoded(payload(scope='everything'))}.{signature}") == "BadSignatureError"

    async def test_is_signed_by_another_key_of_the_same_id(self) -> None:
        other = OKPKey.generate_key("Ed25519", {"kid": "test"})
        assert await refused(signed(other, {"alg": "Ed25519", "kid": "test"})) == "BadSignatureError"

    async def test_names_an_algorithm_that_its_key_is_not_for(self) -> None:
        head = encoded({"alg": "RS256", "kid": "test"})
        _, middle, signature = tokens.token(audience=AUDIENCE).split(".")
        assert await refused(f"{head}.{middle}.{signature}")

    async def test_names_a_key_that_nobody_knows(self) -> None:
        other = OKPKey.generate_key("Ed25519")
        assert await refused(signed(other, {"alg": "Ed25519", "kid": "stranger"})) == "unknown key"
        assert await refused(signed(other, {"alg": "Ed25519"})) == "unknown key"

    async def test_is_of_another_kind_by_its_header(self) -> None:
        token = signed(tokens.key(), {"alg": "Ed25519", "kid": "test", "typ": "logout+jwt"})
        assert await refused(token) == "header type"

    async def test_holds_something_else_than_claims(self) -> None:
        header = {"alg": "Ed25519", "kid": "test"}
        for content in (b"[1]", b"null", b"no json", b""):
            assert await refused(jws.serialize_compact(header, content, tokens.key(), algorithms=["Ed25519"]))

    @pytest.mark.parametrize(
        "text", ["", ".", "..", "a.b.c", "é.é.é", "x" * 20_000, "a.b", "a.b.c.d", "\x00.\x00.\x00"]
    )
    async def test_is_no_token(self, text: str) -> None:
        assert await refused(text)


class TestTheAuthorizationHeader:
    @pytest.mark.parametrize("header", [None, "", "  "])
    def test_is_absent_for_the_public(self, header: str | None) -> None:
        assert credentials(header) is None

    @pytest.mark.parametrize("header", ["Bearer abc", "bearer abc", "BEARER  abc "])
    def test_carries_a_token(self, header: str) -> None:
        assert credentials(header) == ("bearer", "abc")

    def test_says_that_a_token_is_bound_to_a_key(self) -> None:
        assert credentials("DPoP abc") == ("dpop", "abc")

    @pytest.mark.parametrize("header", ["Basic abc", "Bearer", "Bearer ", "abc", "DPoP", "DPoP\tabc"])
    def test_of_another_form_is_refused(self, header: str) -> None:
        with pytest.raises(TokenRefused):
            credentials(header)


class TestKeys:
    async def test_a_new_key_is_found_when_a_token_names_it(self) -> None:
        source, clock = Source(tokens.key()), [0.0]
        keys = Keys(source, lambda: clock[0])
        assert await keys.find("test")
        source.keys.append(RSA)
        clock[0] += 11
        assert await keys.find("rsa")

    async def test_unknown_keys_cause_one_fetch_in_ten_seconds(self) -> None:
        source, clock = Source(tokens.key()), [0.0]
        keys = Keys(source, lambda: clock[0])
        answers = await asyncio.gather(*(keys.find(f"stranger-{n}") for n in range(50)), return_exceptions=True)
        assert all(isinstance(answer, TokenRefused) for answer in answers)
        assert source.asked == 1

    async def test_a_withdrawn_key_ends_the_tokens_that_it_signed(self) -> None:
        source = Source(tokens.key(), RSA)
        keys = Keys(source)
        verifier = Verifier(Issuer(tokens.URL, tokens.URL), AUDIENCE, keys)
        token = signed(RSA, {"alg": "RS256", "kid": "rsa"})
        await verifier.verify(token)
        source.keys.remove(RSA)
        await keys.refresh()
        with pytest.raises(TokenRefused, match="unknown key"):
            await verifier.verify(token)

    async def test_an_issuer_that_is_away_leaves_the_known_keys_in_place(self) -> None:
        source = Source(tokens.key())
        keys = Keys(source)
        await keys.refresh()
        source.away = True
        await keys.refresh()
        assert await keys.find("test")

    async def test_encryption_keys_are_not_for_signatures(self) -> None:
        async def source() -> dict[str, Any]:
            return {"keys": [{**RSA.as_dict(private=False), "use": "enc"}, tokens.key().as_dict(private=False)]}

        keys = Keys(source)
        with pytest.raises(TokenRefused):
            await keys.find("rsa")

    @pytest.mark.parametrize("document", [{}, {"keys": 7}, {"keys": [{"kty": "nonsense"}]}, {"keys": [7]}])
    async def test_a_malformed_document_is_no_document(self, document: dict[str, Any]) -> None:
        async def source() -> dict[str, Any]:
            return document

        keys = Keys(source)
        await keys.refresh()
        assert not keys.known


class TestKeysOverHttp:
    async def fetched(self, answer: bytes) -> dict[str, Any]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await http_source(f"http://127.0.0.1:{port}/certs")()

    async def test_are_read_from_the_issuer(self) -> None:
        body = orjson.dumps(KeySet([tokens.key()]).as_dict(private=False))
        assert (await self.fetched(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + body))["keys"]

    @pytest.mark.parametrize("answer", [b"HTTP/1.1 500 No\r\n\r\n{}", b"HTTP/1.1 200 OK\r\n\r\n[]", b"", b"nonsense"])
    async def test_are_not_taken_from_another_answer(self, answer: bytes) -> None:
        with pytest.raises(ValueError):
            await self.fetched(answer)
