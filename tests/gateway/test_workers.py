"""Several workers behind one port: one supervisor, no orphan, figures of all."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from clusters.local.processes import free_port
from gateway.engine.supergraph import load_supergraph
from gateway.settings import gateway_settings
from services.kit.settings import SettingMissing
from tests.gateway.conftest import SDL, SUPERGRAPH, http, listening, playing
from tests.gateway.running import Running, running
from tests.gateway.speaking import speaking

# Each starts processes of its own, whole provinces or gateways: with the stack tests, so that `make test` stays short.
pytestmark = pytest.mark.stack

BOOK = b'{"data":{"book":{"title":"Waves"}}}'
TEXT = '{ book(isbn: "1") { title } }'


@asynccontextmanager
async def two(supergraph: Path = SUPERGRAPH) -> AsyncIterator[Running]:
    """Two workers, both answering."""
    async with listening() as books:
        books.play = playing(http(BOOK))
        async with running(supergraph, {"SUBGRAPH_URL_BOOKS": books.url}, "--workers", "2") as process:
            await until(lambda: len(listeners(process)) == 2)
            yield process


def children(process: Running) -> list[psutil.Process]:
    return psutil.Process(process.process.pid).children()


def listeners(process: Running) -> set[int]:
    """The workers that listen."""
    return {child.pid for child in children(process) if listens(child)}


def listens(process: psutil.Process) -> bool:
    try:
        return any(c.status == psutil.CONN_LISTEN for c in process.net_connections("tcp"))
    except psutil.NoSuchProcess:
        return False


async def until(seen: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not seen():  # noqa: ASYNC110 - processes tell nobody
            await asyncio.sleep(0.05)


async def ask(process: Running, times: int) -> None:
    """As many clients, each on a connection of its own."""
    for _ in range(times):
        async with httpx.AsyncClient(base_url=process.client.base_url, trust_env=False) as client:
            assert (await client.post("/graphql", json={"query": TEXT})).content == BOOK


class TestTwoWorkers:
    async def test_share_the_work_and_their_figures_add_up(self) -> None:
        async with two() as process:
            before = {child.pid: child.num_ctx_switches().voluntary for child in children(process)}
            await ask(process, 60)

            async def counted(name: str, total: int) -> bool:
                return await process.figure(name) == total

            # A worker counts its own twice a second.
            await process.until(lambda: counted('onedoor_gateway_requests_total{status="200"}', 60))
            await process.until(lambda: counted("onedoor_subgraph_fetches_total", 60))
            await ask(process, 1)
            await process.until(lambda: counted('onedoor_gateway_requests_total{status="200"}', 61))
            worked = {c.pid: c.num_ctx_switches().voluntary - before[c.pid] for c in children(process)}
            assert all(count > 20 for count in worked.values())

    async def test_take_sockets_and_send_their_clients_elsewhere_when_they_end(self) -> None:
        async with two() as process, AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(speaking(process.port)) for _ in range(16)]
            for client in clients:
                await client.begin()
                await client.ask(TEXT)
                assert (await client.told())[0]["payload"] == {"data": {"book": {"title": "Waves"}}}
            assert await process.figure("onedoor_websockets ") == 16
            held = [
                len([c for c in child.net_connections("tcp") if c.status == "ESTABLISHED"])
                for child in children(process)
            ]
            assert min(held) > 1  # each holds some
            await process.end()
            assert {await client.closed() for client in clients} == {(1012, "Service restart")}

    async def test_end_with_their_supervisor_when_it_is_told_to(self) -> None:
        async with two() as process:
            workers = children(process)
            assert await process.end() == -signal.SIGTERM
            assert not any(worker.is_running() for worker in workers)

    async def test_end_with_it_even_when_it_is_killed(self) -> None:
        async with two() as process:
            workers = children(process)
            figures = Path(workers[0].environ()["PROMETHEUS_MULTIPROC_DIR"])
            await process.end(signal.SIGKILL)
            await until(lambda: not any(worker.is_running() for worker in workers))
            await until(lambda: not figures.exists())

    async def test_one_that_is_killed_is_replaced(self) -> None:
        async with two() as process:
            killed = min(listeners(process))
            os.kill(killed, signal.SIGKILL)
            await until(lambda: len(listeners(process) - {killed}) == 2)
            await ask(process, 20)

    async def test_serve_another_supergraph_when_their_supervisor_hangs_up(self, tmp_path: Path) -> None:
        path = tmp_path / "supergraph.graphql"
        path.write_bytes(SDL.encode())
        wanted = load_supergraph(SDL + "\n# new\n").id
        async with two(path) as process:
            path.write_bytes((SDL + "\n# new\n").encode())
            process.process.send_signal(signal.SIGHUP)

            async def everywhere() -> bool:
                found = set()
                for _ in range(8):
                    async with httpx.AsyncClient(base_url=process.client.base_url, trust_env=False) as client:
                        found.add((await client.get("/health/ready")).json()["supergraph"])
                return found == {wanted}

            await process.until(everywhere)
            assert await process.figure("onedoor_supergraph{") == 1


class TestAStartThatFails:
    @pytest.fixture
    def env(self) -> dict[str, str]:
        return {**os.environ, "WORKERS": "2", "SUPERGRAPH": str(SUPERGRAPH), "ONEDOOR_MODE": "test"}

    def run(self, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gateway"]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)

    def test_is_told_in_one_sentence(self, env: dict[str, str], tmp_path: Path) -> None:
        plain = tmp_path / "plain.graphql"
        plain.write_text("type Query { a: Int }")
        done = self.run({**env, "SUPERGRAPH": str(plain), "PORT": str(free_port())})
        assert (done.returncode, done.stderr.count("Compose it first")) == (1, 1)

    def test_names_a_port_that_another_holds(self, env: dict[str, str]) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            done = self.run({**env, "PORT": str(other.getsockname()[1])})
        assert done.returncode == 1
        assert "Address already in use" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize("variable", ["WORKERS", "SUBGRAPH_CONNECTIONS", "DEADLINE_MS"])
    def test_names_a_number_that_would_serve_nobody(self, variable: str) -> None:
        with pytest.raises(SettingMissing, match=f"{variable} is 0; it must be at least 1"):
            gateway_settings({"SUPERGRAPH": "any", variable: "0"})
