"""The issuer says that a session has ended: which tokens are believed, and what ends with the session."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import orjson
import pytest
from joserfc import jws
from joserfc.jwk import OKPKey

from clusters.local.processes import free_port
from gateway.app import Gateway, application
from gateway.backchannel_logout import ADDRESS, EVENT
from gateway.settings import Settings
from services.kit.settings import Issuer, Mode
from services.kit.testing import tokens
from tests.gateway.conftest import SUPERGRAPH, Answers, Door, Loopback, Reply, http, listening, playing
from tests.gateway.speaking import served, speaking
from tests.gateway.test_sockets import ADDED, BOOK, Endless

ASKED = b'{"query":"{ __typename }"}'


def logout_token(header: dict[str, Any] | None = None, key: Any = None, **claims: Any) -> str:
    """What the issuer signs at the end of a session, some of it changed; what is None is left out."""
    now = int(time.time())
    usual = {
        "iss": tokens.URL,
        "aud": "onedoor-cli",
        "iat": now,
        "exp": now + 120,
        "jti": str(uuid4()),
        "sub": tokens.subject_of("citizen"),
        "sid": "session-citizen",
        "events": {EVENT: {}},
    }
    content = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    head = {"alg": "Ed25519", "kid": "test", "typ": "logout+jwt", **(header or {})}
    return jws.serialize_compact(head, orjson.dumps(content), key or tokens.key(), algorithms=["Ed25519"])


class House:
    """A gateway with the test issuer's keys."""

    def __init__(self, gateway: Gateway, books: Loopback) -> None:
        self.gateway, self.books = gateway, books
        self.app = application(gateway)
        self.door = Door(self.app, Answers({}), gateway.settings)

    async def told(self, token: str, **changed: str) -> Reply:
        return await self.send(urlencode({"logout_token": token}).encode(), **changed)

    async def send(self, body: bytes, **headers: str) -> Reply:
        given = {"content-type": "application/x-www-form-urlencoded", **headers}
        return await self.door.send("POST", body, given, path=ADDRESS)

    async def asked(self, **claims: Any) -> Reply:
        return await self.door.send("POST", ASKED, {"authorization": bearer(**claims)})


def bearer(**claims: Any) -> str:
    return f"Bearer {tokens.token(audience='onedoor', **claims)}"


@pytest.fixture
async def house(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr("gateway.app.http_source", lambda *_: tokens.published)
    async with listening() as books, listening() as opinions:
        urls = {"SUBGRAPH_URL_BOOKS": books.url, "SUBGRAPH_URL_OPINIONS": opinions.url}
        issuer = Issuer(tokens.URL, tokens.URL)
        gateway = Gateway(Settings(SUPERGRAPH, Mode.TEST, issuer=issuer, subgraph_urls=urls, log_level="ERROR"))
        async with gateway.running():
            yield House(gateway, books)
            gateway.departures.closing.set()


class TestALogoutToken:
    async def test_ends_the_session_for_every_token_of_it(self, house: House) -> None:
        assert (await house.asked()).status == 200
        reply = await house.told(logout_token())
        assert (reply.status, reply.content, reply.headers["cache-control"]) == (200, b"", "no-store")
        refused = await house.asked()
        assert (refused.status, refused.codes) == (401, ["SESSION_ENDED"])
        assert (await house.asked(jti="another")).status == 401

    async def test_ends_no_other_session(self, house: House) -> None:
        await house.told(logout_token())
        assert (await house.asked(sid="other")).status == 200

    async def test_without_a_session_ends_all_that_the_person_had(self, house: House) -> None:
        await house.told(logout_token(sid=None))
        assert (await house.asked(sid="other", iat=int(time.time()) - 10)).status == 401
        assert (await house.asked(username="owner")).status == 200

    async def test_may_name_the_session_only(self, house: House) -> None:
        assert (await house.told(logout_token(sub=None))).status == 200
        assert (await house.asked()).status == 401


class TestWhatIsNoLogoutToken:
    @pytest.mark.parametrize(
        "claims",
        [
            {"iss": "http://evil.example"},
            {"iss": None},
            {"aud": "onedoor"},
            {"aud": []},
            {"aud": None},
            {"aud": {"onedoor-cli": 1}},
            {"iat": None},
            {"iat": 1},
            {"iat": int(time.time()) + 3_600},
            {"iat": "now"},
            {"exp": 1},
            {"exp": "never"},
            {"jti": None},
            {"jti": 7},
            {"jti": "x" * 300},
            {"events": None},
            {"events": []},
            {"events": {}},
            {"events": {EVENT: None}},
            {"nonce": "n"},
            {"sid": None, "sub": None},
            {"sid": 7},
            {"sub": []},
            {"sid": "", "sub": ""},
        ],
    )
    async def test_by_its_claims_ends_nothing(self, house: House, claims: dict[str, Any]) -> None:
        await self.refused(house, await house.told(logout_token(**claims)))

    async def test_by_its_kind_ends_nothing(self, house: House) -> None:
        for kind in ("JWT", "at+jwt"):
            await self.refused(house, await house.told(logout_token({"typ": kind})))

    async def test_by_its_signature_ends_nothing(self, house: House) -> None:
        other = OKPKey.generate_key("Ed25519", {"kid": "test"})
        await self.refused(house, await house.told(logout_token(key=other)))
        await self.refused(house, await house.told(logout_token({"kid": "stranger"}, other)))

    async def test_that_came_before_ends_nothing(self, house: House) -> None:
        token = logout_token(sid="another")
        assert (await house.told(token)).status == 200
        await self.refused(house, await house.told(token))

    async def test_an_access_token_and_an_id_token_end_nothing(self, house: House) -> None:
        await self.refused(house, await house.told(tokens.token(audience="onedoor-cli")))
        await self.refused(house, await house.told(tokens.token(audience="onedoor-cli", typ="ID", nonce="n")))

    @pytest.mark.parametrize(
        "body", [b"", b"logout_token=", b"logout_token=a.b.c", b"\xff\xfe", b"x=1&" * 50, b"x" * 20_000]
    )
    async def test_by_its_form_ends_nothing(self, house: House, body: bytes) -> None:
        await self.refused(house, await house.send(body))

    async def test_in_json_ends_nothing(self, house: House) -> None:
        body = orjson.dumps({"logout_token": logout_token()})
        await self.refused(house, await house.send(body, **{"content-type": "application/json"}))

    async def test_is_refused_in_the_callers_language(self, house: House) -> None:
        reply = await house.told("x", **{"accept-language": "fr"})
        assert reply.body["error"] == "invalid_request"
        assert "jeton de fin de session" in reply.body["error_description"]
        assert set(reply.body["errors"][0]["extensions"]["text"]) == {"en", "fr"}

    async def refused(self, house: House, reply: Reply) -> None:
        assert (reply.status, reply.codes) == (400, ["LOGOUT_REFUSED"])
        assert (await house.asked()).status == 200

    async def test_nothing_is_taken_by_a_gateway_without_an_issuer(self) -> None:
        async with listening() as books:
            urls = {"SUBGRAPH_URL_BOOKS": books.url, "SUBGRAPH_URL_OPINIONS": books.url}
            gateway = Gateway(Settings(SUPERGRAPH, Mode.TEST, subgraph_urls=urls))
            door = Door(application(gateway), Answers({}), gateway.settings)
            assert (await door.send("POST", b"", {}, path=ADDRESS)).status == 404


class TestWhileNatsIsAway:
    async def test_a_session_ends_here_all_the_same_and_so_does_the_gateway(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gateway.app.http_source", lambda *_: tokens.published)
        async with listening() as books:
            urls = {"SUBGRAPH_URL_BOOKS": books.url, "SUBGRAPH_URL_OPINIONS": books.url}
            nowhere = f"nats://127.0.0.1:{free_port()}"
            settings = Settings(
                SUPERGRAPH, Mode.TEST, issuer=Issuer(tokens.URL, tokens.URL), subgraph_urls=urls, nats_url=nowhere
            )
            gateway = Gateway(settings)
            async with asyncio.timeout(10):
                async with gateway.running():
                    house = House(gateway, books)
                    assert (await house.told(logout_token())).status == 200
                    assert (await house.asked()).codes == ["SESSION_ENDED"]


class TestASubscription:
    async def test_by_server_sent_events_ends_with_its_session_by_name(self, house: House) -> None:
        house.books.play = stream = Endless("Waves")
        async with served(house.app) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            headers = {"accept": "text/event-stream", "authorization": bearer()}
            async with client.stream("POST", "/graphql", json={"query": ADDED}, headers=headers) as answer:
                lines = answer.aiter_lines()
                async with asyncio.timeout(10):
                    while '"Waves"' not in await anext(lines):
                        pass
                    begun = time.perf_counter()
                    await house.told(logout_token())
                    rest = [line async for line in lines]
            assert time.perf_counter() - begun < 2
            assert "SESSION_ENDED" in "".join(rest)
            async with asyncio.timeout(5):
                await stream.hung_up.wait()

    async def test_over_a_websocket_ends_with_its_session_by_name_and_then_the_socket(self, house: House) -> None:
        house.books.play = Endless("Waves")
        async with served(house.app) as port, speaking(port) as client:
            await client.begin(authorization=bearer())
            await client.ask(ADDED)
            assert (await client.hear())["type"] == "next"
            await house.told(logout_token())
            error = await client.hear()
            assert (error["type"], error["payload"][0]["extensions"]["code"]) == ("error", "SESSION_ENDED")
            house.books.play = playing(http(b'{"data":{"book":{"title":"Waves"}}}'))
            await client.ask(BOOK, "2")
            late = await client.hear()
            assert late["payload"][0]["extensions"]["code"] == "SESSION_ENDED"
            assert await client.closed() == (4403, "SESSION_ENDED")

    async def test_of_another_session_and_of_the_public_goes_on(self, house: House) -> None:
        house.books.play = Endless("Waves")
        async with served(house.app) as port, speaking(port) as theirs, speaking(port) as public:
            await theirs.begin(authorization=bearer(sid="other"))
            await public.begin()
            for client in (theirs, public):
                await client.ask(ADDED)
                assert (await client.hear())["type"] == "next"
            await house.told(logout_token())
            for client in (theirs, public):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        raise AssertionError(await client.socket.recv())
                await client.say({"type": "ping"})
                assert (await client.hear())["type"] == "pong"
