"""Answers in parts, as Apollo Client reads them in both forms: the first part is shown while the deferred subgraph is silent."""

import asyncio
import json
from pathlib import Path

import pytest

from clusters import node
from tests.gateway.conftest import SUPERGRAPH, http, listening, playing
from tests.gateway.running import running

pytestmark = pytest.mark.stack
HERE = Path(__file__).parent
TEXT = 'query Read { book(isbn: "1") { __typename isbn title ... @defer(label: "slow") { grade } } }'
BOOK = {"__typename": "Book", "isbn": "1", "title": "Waves"}


async def test_apollo_client_shows_the_first_part_before_the_deferred_one_is_there() -> None:
    runtime = node.find()
    runtime.install(HERE / "node")
    go_on = asyncio.Event()

    async def opinions(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        go_on.clear()
        writer.write(http(b'{"data":{"_entities":[{"grade":4.5}]}}'))

    async def told(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        go_on.set()
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    async with listening() as books, listening() as slow, asyncio.timeout(120):
        books.play = playing(http(json.dumps({"data": {"book": {"isbn": "1", "title": "Waves"}}}).encode()))
        slow.play = opinions
        signal = await asyncio.start_server(told, "127.0.0.1", 0)
        port = signal.sockets[0].getsockname()[1]
        env = {"SUBGRAPH_URL_BOOKS": books.url, "SUBGRAPH_URL_OPINIONS": slow.url, "ONEDOOR_MODE": "test"}
        async with signal, running(SUPERGRAPH, env) as gateway:
            client = await asyncio.create_subprocess_exec(
                *runtime.node,
                str(HERE / "node" / "defer.mjs"),
                f"http://127.0.0.1:{gateway.port}/graphql",
                TEXT,
                f"http://127.0.0.1:{port}/",
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, problems = await client.communicate()
    assert client.returncode == 0, problems.decode()
    shown = json.loads(out)
    for form in ("spec2022", "draft"):
        first, *_, last = shown[form]
        assert (first["data"], first["dataState"]) == ({"book": BOOK}, "streaming"), form
        assert (last["data"], last["dataState"]) == ({"book": {**BOOK, "grade": 4.5}}, "complete"), form
