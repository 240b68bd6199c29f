"""Subscriptions between the protocols' own clients and servers, with the gateway in between, both ways in every pair."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from clusters import node
from tests.gateway.conftest import SUPERGRAPH, http, listening, playing
from tests.gateway.running import Running, running
from tests.gateway.speaking import speaking

pytestmark = pytest.mark.stack
HERE = Path(__file__).parent / "node"
TRACE = ("x-request-id", "accept-language", "onedoor-deadline")


@dataclass
class Publisher:
    """A subgraph by the protocols' own servers, and what it has said of its subscriptions."""

    port: int
    output: IO[str]
    process: subprocess.Popen[str]

    def said(self) -> dict[str, Any]:
        """The next line it says."""
        return json.loads(self.output.readline())  # type: ignore[no-any-return]


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    runtime = node.find()
    runtime.install(HERE)
    process = subprocess.Popen([*runtime.node, str(HERE / "publish.mjs")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Publisher(json.loads(process.stdout.readline())["port"], process.stdout, process)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def subscribe(protocol: str, port: int) -> dict[str, Any]:
    """What a client of a protocol heard, step by step."""
    url = f"{'ws' if protocol == 'ws' else 'http'}://127.0.0.1:{port}/graphql"
    command = [*node.find().node, str(HERE / "subscribe.mjs"), protocol, url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


async def none_open(gateway: Running) -> bool:
    return await gateway.figure("onedoor_subscriptions") == 0


class TestAClientOfEachProtocol:
    @pytest.mark.parametrize("upstream", ["ws", "sse"])
    @pytest.mark.parametrize("protocol", ["ws", "sse"])
    async def test_hears_a_server_of_each(self, publisher: Publisher, protocol: str, upstream: str) -> None:
        address = f"{'ws' if upstream == 'ws' else 'http'}://127.0.0.1:{publisher.port}/{upstream}"
        async with listening() as opinions:
            opinions.play = playing(http(b'{"data":{"_entities":[{"grade":4}]}}'))
            env = {"SUBSCRIPTION_URL_BOOKS": address, "SUBGRAPH_URL_OPINIONS": opinions.url, "ONEDOOR_MODE": "test"}
            async with running(SUPERGRAPH, env) as gateway:
                told = await asyncio.to_thread(subscribe, protocol, gateway.port)
                await gateway.until(lambda: none_open(gateway))
        assert told["query"] == {"results": [{"data": {"__typename": "Query"}}]}
        assert told["events"] == {
            "results": [{"data": {"bookAdded": {"title": f"NOVEL {n}", "grade": 4}}} for n in (1, 2)]
        }
        assert told["few"]["stopped"]
        few = [r["data"]["bookAdded"]["title"] for r in told["few"]["results"]]
        assert few[:2] == ["POETRY 1", "POETRY 2"]  # what was on its way when it stopped may be told yet
        invalid = told["invalid"]["failed" if protocol == "ws" else "results"]
        (error,) = invalid if protocol == "ws" else invalid[0]["errors"]
        assert (error["extensions"]["code"], error["message"]) == (
            "GRAPHQL_VALIDATION_FAILED",
            error["extensions"]["text"]["fr"],
        )
        assert [len(one["results"]) for one in told["side"]] == [2, 2]
        assert told["closed"] in ([], [1000])
        self._check_upstream(publisher, upstream)

    @staticmethod
    def _check_upstream(publisher: Publisher, upstream: str) -> None:
        """Four subscriptions began, with the headers that every fetch carries, and each has ended."""
        began, ended = list[dict[str, Any]](), list[str]()
        while len(ended) < 4 or len(began) < 4:
            line = publisher.said()
            began += [line] if "headers" in line else []
            ended += [line["ended"]] if "ended" in line else []
        assert sorted(ended) == ["NOVEL", "NOVEL", "NOVEL", "POETRY"]
        for line in began:
            assert all(name in line["headers"] for name in TRACE)
            assert line["headers"]["accept-language"] == "fr"
            if upstream == "ws":
                assert line["params"]["Accept-Language"] == "fr"
                assert line["params"]["X-Request-Id"] == line["headers"]["x-request-id"]


class TestASubgraphThatIsKilled:
    @pytest.mark.parametrize("upstream", ["ws", "sse"])
    async def test_ends_its_streams_by_name(self, publisher: Publisher, upstream: str) -> None:
        address = f"{'ws' if upstream == 'ws' else 'http'}://127.0.0.1:{publisher.port}/{upstream}"
        async with AsyncExitStack() as stack:
            gateway = await stack.enter_async_context(
                running(SUPERGRAPH, {"SUBSCRIPTION_URL_BOOKS": address, "ONEDOOR_MODE": "test"})
            )
            client = await stack.enter_async_context(speaking(gateway.port))
            async with asyncio.timeout(30):
                await client.begin()
                await client.ask("subscription { bookAdded(genre: POETRY) { title } }")
                assert (await client.hear())["payload"]["data"]["bookAdded"] == {"title": "POETRY 1"}
                publisher.process.kill()
                last = (await client.told())[-1]
                assert (last["type"], last["payload"][0]["extensions"]["code"]) == ("error", "SUBGRAPH_UNAVAILABLE")
                await client.ask("subscription { bookAdded(genre: POETRY) { title } }", "2")
                refused = await client.hear()
                assert refused["payload"][0]["extensions"]["code"] == "SUBGRAPH_UNAVAILABLE"
