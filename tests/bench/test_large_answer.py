"""How long others wait while a ten-megabyte answer is fetched, shaped and sent; and what it costs. `make bench`."""

import asyncio
import statistics
import time
from pathlib import Path

import httpx
import orjson
import psutil
import pytest

from tests.gateway.conftest import SUPERGRAPH, http, listening
from tests.gateway.running import Running, running

pytestmark = pytest.mark.bench

ROUNDS = 8
BOOKS = [{"isbn": str(n), "title": f"A title of some length, number {n}", "genre": "NOVEL"} for n in range(125_000)]
MANY = orjson.dumps({"data": {"books": BOOKS}})
ONE = b'{"data":{"book":{"title":"Waves"}}}'


async def large(gateway: Running, into: Path) -> None:
    """Ask for all, from a process of its own, so that this one only measures."""
    url, body = f"http://127.0.0.1:{gateway.port}/graphql", '{"query":"{ books { isbn title genre } }"}'
    command = ("curl", "-s", "-o", str(into), "-H", "content-type: application/json", "-d", body, url)
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0


class TestALargeAnswer:
    async def test_holds_others_up_for_less_than_a_tenth_of_a_second(self, tmp_path: Path) -> None:
        waits: list[float] = []
        over = asyncio.Event()

        async def small(gateway: Running) -> None:
            async with httpx.AsyncClient(base_url=gateway.client.base_url, trust_env=False) as client:
                while not over.is_set():
                    begun = time.perf_counter()
                    reply = await client.post("/graphql", json={"query": '{ book(isbn: "1") { title } }'})
                    waits.append((time.perf_counter() - begun) * 1_000)
                    assert reply.content == ONE
                    await asyncio.sleep(0.005)

        async with listening() as books:

            async def play(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                answer = memoryview(http(MANY if b"books" in books.requests[-1][1] else ONE))
                for start in range(
                    0, len(answer), 65_536
                ):  # so that this process, which measures, is not held up itself
                    writer.write(answer[start : start + 65_536])
                    await writer.drain()

            books.play = play
            async with running(SUPERGRAPH, {"SUBGRAPH_URL_BOOKS": books.url}) as gateway:
                process = psutil.Process(gateway.process.pid)
                asking = asyncio.ensure_future(small(gateway))
                await asyncio.sleep(1)
                quiet, longest, costs = max(waits), [], []
                for _ in range(ROUNDS):
                    waits.clear()
                    before = sum(process.cpu_times()[:2])
                    await large(gateway, tmp_path / "answer")
                    costs.append((sum(process.cpu_times()[:2]) - before) * 1_000)
                    longest.append(max(waits))
                over.set()
                await asyncio.gather(asking)
                assert orjson.loads((tmp_path / "answer").read_bytes())["data"]["books"] == BOOKS
        print(
            f"\n{len(MANY) / 1e6:.1f} MB: others wait at most {statistics.median(longest):.0f} ms (median of {ROUNDS} rounds; "
            f"{quiet:.0f} ms while it is quiet); {statistics.median(costs):.0f} ms of CPU"
        )
        assert statistics.median(longest) < 100
