"""A gateway as a process of its own, as its operators run it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from clusters.local.processes import free_port

# A gateway in production whose neighbours are plain: all but the check of what production refuses to start without.
UNGUARDED = """
from gateway.__main__ import serve
from gateway.settings import gateway_settings
serve(gateway_settings())
"""


@dataclass
class Running:
    """A gateway process and a client of it."""

    process: asyncio.subprocess.Process
    client: httpx.AsyncClient
    port: int

    async def ready(self) -> dict[str, Any]:
        """What readiness says."""
        return (await self.client.get("/health/ready")).json()  # type: ignore[no-any-return]

    async def figure(self, name: str) -> float:
        """A metric's value; 0 when it is not there."""
        text = (await self.client.get("/metrics")).text
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))

    async def until(self, seen: Callable[[], Awaitable[object]]) -> None:
        """Ask again and again until it is so."""
        async with asyncio.timeout(30):
            while not await seen():  # noqa: ASYNC110 - a process tells nobody
                await asyncio.sleep(0.05)

    async def serves(self, supergraph: str) -> bool:
        """Whether a supergraph, by its id, is the one that is served."""
        return (await self.ready())["supergraph"] == supergraph  # type: ignore[no-any-return]

    async def leaves(self) -> bool:
        """Whether readiness says that it leaves, as a load balancer would see it."""
        return (await self.client.get("/health/ready")).status_code == 503

    async def end(self, sig: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; returns its exit code."""
        self.process.send_signal(sig)
        async with asyncio.timeout(30):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def running(supergraph: Path, env: Mapping[str, str], *options: str) -> AsyncIterator[Running]:
    """A gateway on a free port, ready while the block lasts; killed after it if it still runs."""
    port = free_port()
    command = ["-m", "clusters", "gateway", "--supergraph", str(supergraph), "--port", str(port), *options]
    given = {**{name: value for name, value in os.environ.items() if name != "ISSUER_URL"}, **env}
    if env.get("ONEDOOR_MODE") == "production":
        command, given = ["-c", UNGUARDED], {**given, "SUPERGRAPH": str(supergraph), "PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, env=given, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    limits = httpx.Limits(max_connections=500)
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30, limits=limits
        ) as client:
            await listening(client, process)
            yield Running(process, client, port)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def listening(client: httpx.AsyncClient, process: asyncio.subprocess.Process) -> None:
    """Wait until a gateway answers."""
    async with asyncio.timeout(60):
        while process.returncode is None:
            try:
                if (await client.get("/health/live")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)
    raise AssertionError("it ended")
