"""Keys of clients: tokens that are bound to one (DPoP), and clients that prove themselves by one (private_key_jwt)."""

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from clusters.access import access
from clusters.issuer.app import create_app
from services.kit.door import assertion
from services.kit.dpop import Prover
from services.kit.tokens import DPOP, TokenRefused
from tests.clusters.issuer.conftest import ENDPOINT, REDIRECT, URL, VERIFIER, code_of, verifier

TOKEN = f"{ENDPOINT}/token"
CLIENT = "inspections"
KEY = ECKey.generate_key("P-256", {"kid": "own"})


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    """A browser before an issuer that knows the public key of one client."""
    app = create_app(URL, access(), keys={CLIENT: {"keys": [KEY.as_dict(private=False)]}})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as client:
        yield client


async def exchanged(browser: httpx.AsyncClient, proof: str | None = None, **form: str) -> httpx.Response:
    headers = {"dpop": proof} if proof else {}
    return await browser.post(TOKEN, data=form, headers=headers)


async def by_code(browser: httpx.AsyncClient, proof: str | None) -> httpx.Response:
    form = {"grant_type": "authorization_code", "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    return await exchanged(browser, proof, client_id="onedoor-cli", code=await code_of(browser), **form)


async def refreshed(browser: httpx.AsyncClient, token: str, prover: Prover | None) -> httpx.Response:
    proof = prover.proof("POST", TOKEN) if prover else None
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return await exchanged(browser, proof, client_id="onedoor-cli", **form)


class TestATokenThatIsAskedForWithAProof:
    async def test_is_bound_to_its_key(self, browser: httpx.AsyncClient) -> None:
        prover = Prover()
        given = (await by_code(browser, prover.proof("POST", TOKEN))).json()
        assert given["token_type"] == "DPoP"
        claims = await verifier(browser, "onedoor").verify(given["access_token"], DPOP)
        assert claims.key == prover.thumbprint
        with pytest.raises(TokenRefused):
            await verifier(browser, "onedoor").verify(given["access_token"])

    async def test_is_renewed_by_the_same_key_only(self, browser: httpx.AsyncClient) -> None:
        prover = Prover()
        first = (await by_code(browser, prover.proof("POST", TOKEN))).json()
        second = await refreshed(browser, first["refresh_token"], prover)
        assert second.json()["token_type"] == "DPoP"
        for other in (None, Prover()):
            stolen = (await by_code(browser, prover.proof("POST", TOKEN))).json()["refresh_token"]
            answer = await refreshed(browser, stolen, other)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")

    async def test_names_its_holder_to_who_proves_the_key(self, browser: httpx.AsyncClient) -> None:
        prover, address = Prover(), f"{ENDPOINT}/userinfo"
        token = (await by_code(browser, prover.proof("POST", TOKEN))).json()["access_token"]
        own = await browser.get(address, headers=prover.headers("GET", address, token))
        assert own.json() == {"sub": access().users["owner"].subject}
        for headers in (
            {"authorization": f"Bearer {token}"},
            {"authorization": f"DPoP {token}"},
            Prover().headers("GET", address, token),
            prover.headers("POST", address, token),
        ):
            assert (await browser.get(address, headers=headers)).status_code == 401

    @pytest.mark.parametrize(
        ("method", "url"), [("GET", TOKEN), ("POST", f"{ENDPOINT}/auth"), ("POST", "http://evil.example/token")]
    )
    async def test_is_not_given_for_the_proof_of_another_request(
        self, browser: httpx.AsyncClient, method: str, url: str
    ) -> None:
        answer = await by_code(browser, Prover().proof(method, url))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")

    async def test_is_not_given_for_a_proof_that_was_used(self, browser: httpx.AsyncClient) -> None:
        proof = Prover().proof("POST", TOKEN)
        assert (await by_code(browser, proof)).status_code == 200
        assert (await by_code(browser, proof)).json()["error"] == "invalid_dpop_proof"

    async def test_is_a_plain_one_without(self, browser: httpx.AsyncClient) -> None:
        given = (await by_code(browser, None)).json()
        assert given["token_type"] == "Bearer"
        assert not (await verifier(browser, "onedoor").verify(given["access_token"])).key


def made(key: Any = KEY, header: dict[str, Any] | None = None, **claims: Any) -> dict[str, str]:
    """The fields by which the client proves itself, some of them changed; what is None is left out."""
    usual = {"iss": CLIENT, "sub": CLIENT, "aud": URL, "jti": "1", "exp": int(time.time()) + 30}
    content = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    head = {"alg": "ES256", "kid": "own", **(header or {})}
    signed = jws.serialize_compact(head, orjson.dumps(content), key, algorithms=[head["alg"]])
    return {**assertion(CLIENT, KEY, URL), "client_assertion": signed}


async def by_key(browser: httpx.AsyncClient, fields: dict[str, str], proof: str | None = None) -> httpx.Response:
    return await exchanged(browser, proof, grant_type="client_credentials", **fields)


class TestAClientWithAKey:
    async def test_acts_by_itself_with_a_bound_token(self, browser: httpx.AsyncClient) -> None:
        prover = Prover()
        answer = await by_key(browser, assertion(CLIENT, KEY, URL), prover.proof("POST", TOKEN))
        claims = await verifier(browser, "onedoor").verify(answer.json()["access_token"], DPOP)
        assert (claims.client, claims.key) == (CLIENT, prover.thumbprint)

    @pytest.mark.parametrize("audience", [URL, TOKEN, ["other", URL]])
    async def test_may_name_the_issuer_in_either_way(self, browser: httpx.AsyncClient, audience: Any) -> None:
        assert (await by_key(browser, made(aud=audience))).status_code == 200

    @pytest.mark.parametrize(
        "claims",
        [
            {"iss": "catalogue"},
            {"sub": "catalogue"},
            {"sub": "nobody"},
            {"sub": None},
            {"sub": []},
            {"aud": "http://evil.example"},
            {"aud": None},
            {"aud": {URL: 1}},
            {"exp": 1},
            {"exp": int(time.time()) + 3_600},
            {"exp": "never"},
            {"exp": None},
            {"jti": None},
            {"jti": 7},
        ],
    )
    async def test_is_refused_with_an_assertion_that_says_something_else(
        self, browser: httpx.AsyncClient, claims: dict[str, Any]
    ) -> None:
        await self.refused(browser, made(**claims))

    async def test_is_refused_with_an_assertion_of_another_key(self, browser: httpx.AsyncClient) -> None:
        await self.refused(browser, made(ECKey.generate_key("P-256", {"kid": "own"})))
        await self.refused(browser, made(ECKey.generate_key("P-256", {"kid": "other"}), {"kid": "other"}))

    @pytest.mark.parametrize("text", ["", "a.b.c", "é.é.é", "x" * 9_000, "e30.e30.", "bnVsbA.bnVsbA.AA"])
    async def test_is_refused_with_any_text(self, browser: httpx.AsyncClient, text: str) -> None:
        await self.refused(browser, {**made(), "client_assertion": text})

    async def test_is_refused_with_an_assertion_that_was_used(self, browser: httpx.AsyncClient) -> None:
        fields = made()
        assert (await by_key(browser, fields)).status_code == 200
        await self.refused(browser, fields)

    async def test_is_refused_with_its_name_alone_and_under_another(self, browser: httpx.AsyncClient) -> None:
        await self.refused(browser, {"client_id": CLIENT})
        await self.refused(browser, {**made(), "client_id": "catalogue"})

    async def refused(self, browser: httpx.AsyncClient, fields: dict[str, str]) -> None:
        answer = await by_key(browser, fields)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
