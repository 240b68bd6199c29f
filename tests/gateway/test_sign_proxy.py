"""The proxy that signs for other routers: what they pass on becomes the signed context, and nothing else gets through."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from clusters.keys import PRIVATE, Step, take
from gateway.settings import Limits, Settings
from gateway.sign_proxy import application, serve
from gateway.signing import Signer
from gateway.subgraphs import Addressless
from services.kit.language import Language
from services.kit.settings import Mode, SettingMissing
from tests.gateway.conftest import SUPERGRAPH, Loopback, http, playing, silent
from tests.gateway.test_signing import headers_of, verified

ASKED = {"query": "{ __typename }"}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    take(Step.MAKE, tmp_path)
    return tmp_path


@pytest.fixture
async def router(loopback: Loopback, keys: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A router that calls the subgraph `books` through the proxy."""
    settings = Settings(SUPERGRAPH, Mode.TEST, limits=replace(Limits(), body_bytes=1_000), deadline_s=0.4)
    app = application(settings, {"books": loopback.url}, Signer(keys / PRIVATE))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8200") as client:
        yield client


class TestACall:
    async def test_is_signed_with_what_the_router_passes_on(
        self, router: httpx.AsyncClient, loopback: Loopback, keys: Path
    ) -> None:
        passed = {
            "authorization": "Bearer a.b.c",
            "accept-language": "fr",
            "x-request-id": "mine",
            "onedoor-purpose": "licensing",
            "onedoor-authority": "grant-7",
            "onedoor-deadline": "1700000000000",
            "onedoor-context": 'authority="forged"',
            "cookie": "a=b",
        }
        answer = await router.post("/books", json=ASKED, headers=passed)
        assert (answer.status_code, answer.json()) == (200, {"data": {"__typename": "Query"}})
        (told,) = verified(loopback, keys)
        assert (told.purpose, told.authority, told.language) == ("licensing", "grant-7", Language.FR)
        assert told.deadline_ms == 1_700_000_000_000
        assert told.rid != "mine"
        sent = dict(headers_of(loopback.requests[0][0]))
        assert (sent[b"authorization"], sent[b"x-request-id"]) == (b"Bearer a.b.c", b"mine")
        assert b"cookie" not in sent

    async def test_is_a_fetch_of_its_own_each_time(
        self, router: httpx.AsyncClient, loopback: Loopback, keys: Path
    ) -> None:
        for _ in "ab":
            await router.post("/books", json=ASKED)
        first, second = verified(loopback, keys)
        assert first.fetch != second.fetch
        assert first.op == second.op

    async def test_gets_the_answer_whatever_its_status(self, router: httpx.AsyncClient, loopback: Loopback) -> None:
        loopback.play = playing(http(b'{"errors":[]}', b"401 Unauthorized"))
        assert (await router.post("/books", json=ASKED)).status_code == 401

    async def test_for_events_gets_them_as_they_are(
        self, router: httpx.AsyncClient, loopback: Loopback, keys: Path
    ) -> None:
        said = b'event: next\ndata: {"data":{}}\n\nevent: complete\ndata:\n\n'
        loopback.play = playing(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", said, None)
        answer = await router.post("/books", json=ASKED, headers={"accept": "text/event-stream"})
        assert (answer.content, answer.headers["content-type"].partition(";")[0]) == (said, "text/event-stream")
        assert len(verified(loopback, keys)) == 1

    async def test_for_events_that_is_refused_is_told_so(self, router: httpx.AsyncClient, loopback: Loopback) -> None:
        loopback.play = playing(http(b'{"errors":[]}', b"401 Unauthorized"))
        answer = await router.post("/books", json=ASKED, headers={"accept": "text/event-stream"})
        assert (answer.status_code, answer.json()) == (401, {"errors": []})


class TestAnyOtherCall:
    async def test_to_a_subgraph_that_nobody_knows_is_refused(self, router: httpx.AsyncClient) -> None:
        answer = await router.post("/nowhere", json=ASKED)
        assert (answer.status_code, _codes(answer)) == (404, ["NOT_FOUND"])
        assert (await router.get("/books")).status_code == 405

    async def test_that_is_too_large_is_not_sent(self, router: httpx.AsyncClient, loopback: Loopback) -> None:
        answer = await router.post("/books", content=b"x" * 1_001)
        assert (answer.status_code, _codes(answer)) == (413, ["PAYLOAD_TOO_LARGE"])
        assert not loopback.requests

    async def test_that_finds_nobody_or_takes_too_long_is_told_so(
        self, router: httpx.AsyncClient, loopback: Loopback
    ) -> None:
        for play, code in ((playing(None), "SUBGRAPH_UNAVAILABLE"), (silent, "DEADLINE_EXCEEDED")):
            loopback.play = play
            answer = await router.post("/books", json=ASKED, headers={"accept-language": "fr"})
            assert _codes(answer) == [code]
            error = answer.json()["errors"][0]
            assert error["message"] == error["extensions"]["text"]["fr"]


def _codes(answer: httpx.Response) -> list[str]:
    return [error["extensions"]["code"] for error in answer.json()["errors"]]


class TestAStart:
    @pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::"])
    def test_is_refused_anywhere_but_on_the_loopback(self, keys: Path, host: str) -> None:
        env = {"SUPERGRAPH": str(SUPERGRAPH), "ONEDOOR_MODE": "test", "SIGNING_KEYS": str(keys / PRIVATE)}
        with pytest.raises(SettingMissing, match="HOST"):
            serve({**env, "HOST": host})

    def test_is_refused_without_a_key(self) -> None:
        with pytest.raises(SettingMissing, match="SIGNING_KEYS"):
            serve({"SUPERGRAPH": str(SUPERGRAPH), "ONEDOOR_MODE": "test"})

    def test_is_refused_in_production_for_a_subgraph_that_is_called_without_tls(self, keys: Path) -> None:
        env = {"SUPERGRAPH": str(SUPERGRAPH), "ONEDOOR_MODE": "production", "SIGNING_KEYS": str(keys / PRIVATE)}
        with pytest.raises(Addressless, match="SUBGRAPH_URL_BOOKS"):
            serve({**env, "SUBGRAPH_URL_BOOKS": "http://books.example.ca/graphql"})
