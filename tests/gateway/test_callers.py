"""Who asks, at the door: tokens with and without a key, the proof of the key, and what production takes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson
import pytest

from gateway.settings import gateway_settings
from services.kit.dpop import ALGORITHMS, Prover
from services.kit.settings import Mode, SettingMissing
from services.kit.testing import tokens
from tests.gateway.conftest import Door, Opening, Reply
from tests.gateway.speaking import speaking
from tests.gateway.test_sockets import house

URL = "https://api.example.ca/graphql"
PUBLIC: Mapping[str, Any] = MappingProxyType({"public_urls": (URL,)})
ASKED = '{ book(isbn: "1") { title } }'
HELD = {"data": {"book": {"title": "Waves"}}}
PROVER = Prover()


def bound(prover: Prover = PROVER, **claims: Any) -> str:
    return tokens.token(audience="onedoor", cnf={"jkt": prover.thumbprint}, **claims)


def bearer(**claims: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {tokens.token(audience='onedoor', **claims)}"}


@pytest.fixture
def door(open_door: Opening) -> Door:
    return open_door(changed=PUBLIC, books=HELD)


@pytest.fixture
def production(open_door: Opening) -> Door:
    return open_door(Mode.PRODUCTION, changed=PUBLIC, books=HELD)


def refused(reply: Reply, code: str, error: str) -> None:
    assert (reply.status, reply.codes) == (401, [code])
    assert f'error="{error}"' in reply.headers["www-authenticate"]
    assert f'DPoP algs="{" ".join(ALGORITHMS)}"' in reply.headers["www-authenticate"]


class TestABoundToken:
    async def test_with_a_proof_for_this_request_is_taken(self, door: Door) -> None:
        reply = await door.post(ASKED, PROVER.headers("POST", URL, bound()))
        assert reply.body == HELD

    async def test_goes_to_the_services_as_it_came_and_its_proof_stays_here(self, door: Door) -> None:
        headers = PROVER.headers("POST", URL, bound())
        await door.post(ASKED, headers)
        assert f"authorization: {headers['authorization']}\r\n".encode() in door.subgraphs.headers
        assert headers["dpop"].encode() not in door.subgraphs.headers

    async def test_may_be_shown_by_a_get(self, door: Door) -> None:
        headers = {**PROVER.headers("GET", f"{URL}?query=x", bound()), "accept": "application/json"}
        reply = await door.send("GET", headers=headers, query="query=%7B+__typename+%7D")
        assert reply.body == {"data": {"__typename": "Query"}}

    async def test_with_a_proof_that_has_been_used_is_refused(self, door: Door) -> None:
        headers = PROVER.headers("POST", URL, bound())
        await door.post(ASKED, headers)
        refused(await door.post(ASKED, headers), "INVALID_DPOP_PROOF", "invalid_dpop_proof")
        assert len(door.subgraphs.sent) == 1

    async def test_without_a_proof_is_refused(self, door: Door) -> None:
        reply = await door.post(ASKED, {"authorization": f"DPoP {bound()}"})
        refused(reply, "INVALID_DPOP_PROOF", "invalid_dpop_proof")

    async def test_with_two_proofs_is_refused(self, door: Door) -> None:
        headers = PROVER.headers("POST", URL, bound())
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": orjson.dumps({"query": ASKED})}

        async def send(message: Any) -> None:
            sent.append(message)

        given = {"content-type": "application/json", **headers}
        lines = [(name.encode(), value.encode()) for name, value in given.items()]
        second = (b"dpop", PROVER.proof("POST", URL, bound()).encode())
        await door.app({"type": "http", "method": "POST", "headers": [*lines, second]}, receive, send)
        assert sent[0]["status"] == 401
        assert not door.subgraphs.sent

    async def test_with_the_proof_of_another_key_is_refused(self, door: Door) -> None:
        reply = await door.post(ASKED, Prover().headers("POST", URL, bound()))
        refused(reply, "INVALID_DPOP_PROOF", "invalid_dpop_proof")

    async def test_with_the_proof_for_another_token_is_refused(self, door: Door) -> None:
        headers = {**PROVER.headers("POST", URL, bound()), "authorization": f"DPoP {bound(username='owner')}"}
        refused(await door.post(ASKED, headers), "INVALID_DPOP_PROOF", "invalid_dpop_proof")

    async def test_with_the_proof_for_another_server_is_refused(self, door: Door) -> None:
        """The address is the configured one: what the request calls its host counts for nothing."""
        elsewhere = "https://inspections.example.ca/graphql"
        headers = {**PROVER.headers("POST", elsewhere, bound()), "host": "inspections.example.ca"}
        refused(await door.post(ASKED, headers), "INVALID_DPOP_PROOF", "invalid_dpop_proof")

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
    async def test_passed_off_as_a_plain_one_is_refused(self, door: Door, scheme: str) -> None:
        headers = {**PROVER.headers("POST", URL, bound()), "authorization": f"{scheme} {bound()}"}
        refused(await door.post(ASKED, headers), "UNAUTHENTICATED", "invalid_token")

    async def test_that_has_ended_is_refused_whatever_its_proof(self, door: Door) -> None:
        reply = await door.post(ASKED, PROVER.headers("POST", URL, bound(exp=1)))
        refused(reply, "UNAUTHENTICATED", "invalid_token")

    @pytest.mark.parametrize(
        "proof", ["", "x", "a.b.c", "é" * 20, "x" * 20_000], ids=["none", "word", "parts", "accents", "huge"]
    )
    async def test_with_any_text_as_its_proof_is_refused(self, door: Door, proof: str) -> None:
        reply = await door.post(ASKED, {"authorization": f"DPoP {bound()}", "dpop": proof})
        refused(reply, "INVALID_DPOP_PROOF", "invalid_dpop_proof")

    @pytest.mark.parametrize(("language", "words"), [("en", "its htm must be POST"), ("fr", "son htm doit être POST")])
    async def test_is_refused_by_a_sentence_that_says_what_to_mend(self, door: Door, language: str, words: str) -> None:
        headers = {**PROVER.headers("PATCH", URL, bound()), "accept-language": language}
        assert words in (await door.post(ASKED, headers)).body["errors"][0]["message"]


class TestAPlainToken:
    async def test_is_taken_outside_production(self, door: Door) -> None:
        assert (await door.post(ASKED, bearer())).body == HELD

    async def test_passed_off_as_a_bound_one_is_refused(self, door: Door) -> None:
        headers = PROVER.headers("POST", URL, tokens.token(audience="onedoor"))
        refused(await door.post(ASKED, headers), "UNAUTHENTICATED", "invalid_token")

    async def test_is_refused_in_production_with_the_way_to_a_better_one(self, production: Door) -> None:
        reply = await production.post(ASKED, bearer())
        refused(reply, "DPOP_REQUIRED", "invalid_token")
        assert "Bearer" not in reply.headers["www-authenticate"]
        assert not production.subgraphs.sent


class TestProduction:
    async def test_takes_a_bound_token(self, production: Door) -> None:
        assert (await production.post(ASKED, PROVER.headers("POST", URL, bound()))).body == HELD

    async def test_serves_the_public(self, production: Door) -> None:
        assert (await production.post(ASKED)).body == HELD

    async def test_takes_no_token_of_the_web_client_not_even_a_bound_one(self, production: Door) -> None:
        reply = await production.post(ASKED, PROVER.headers("POST", URL, bound(azp="onedoor-web")))
        refused(reply, "UNAUTHENTICATED", "invalid_token")


class TestAWebSocket:
    async def test_is_opened_with_a_token_and_a_proof_of_the_handshake(self) -> None:
        async with house(**PUBLIC) as it, speaking(it.port) as client:
            headers = PROVER.headers("GET", URL.replace("https", "wss"), bound())
            await client.begin(**headers)
            for number in ("1", "2"):  # one proof does for all of its operations
                await client.ask("{ __typename }", number)
                assert [message["type"] for message in await client.told()] == ["next", "complete"]

    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    async def test_is_closed_where_the_proof_is_of_another_request(self, method: str) -> None:
        async with house(**PUBLIC) as it, speaking(it.port) as client:
            await client.say({"type": "connection_init", "payload": PROVER.headers(method, URL, bound())})
            assert await client.closed() == (4403, "INVALID_DPOP_PROOF")

    async def test_is_closed_where_production_wants_a_bound_token(self) -> None:
        async with house(mode=Mode.PRODUCTION, **PUBLIC) as it, speaking(it.port) as client:
            await client.say({"type": "connection_init", "payload": bearer()})
            assert await client.closed() == (4403, "DPOP_REQUIRED")


class TestThePublicAddress:
    ENV: Mapping[str, str] = MappingProxyType(
        {"SUPERGRAPH": "x", "ISSUER_URL": "http://issuer.test/realms/onedoor", "SIGNING_KEYS": "unread"}
    )

    def test_must_be_told_in_production_where_tokens_are_taken(self) -> None:
        with pytest.raises(SettingMissing, match="PUBLIC_URL"):
            gateway_settings({**self.ENV, "ONEDOOR_MODE": "production"})

    def test_is_this_machines_elsewhere(self) -> None:
        found = gateway_settings({**self.ENV, "ONEDOOR_MODE": "local", "PORT": "8001"})
        assert found.public_urls == ("http://127.0.0.1:8001/graphql", "http://localhost:8001/graphql")

    def test_may_be_several(self) -> None:
        found = gateway_settings({**self.ENV, "PUBLIC_URL": f"{URL} http://gateway:8000/graphql"})
        assert found.public_urls == (URL, "http://gateway:8000/graphql")

    @pytest.mark.parametrize("value", ["api.example.ca", "ftp://api.example.ca/", "https://", "https://user@host/"])
    def test_that_is_none_is_refused(self, value: str) -> None:
        with pytest.raises(SettingMissing, match="PUBLIC_URL"):
            gateway_settings({**self.ENV, "PUBLIC_URL": value})
