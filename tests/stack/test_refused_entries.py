"""Entries of what was refused wait for no answer, so a process that is told to end writes first what still waits."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from clusters import signin
from clusters.local.observe import is_ready
from clusters.local.processes import end, free_port, spawn, wait_until
from clusters.local.state import State
from clusters.topology import BY_NAME, environment
from tests.services.kit.conftest import until

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("province")]
REGISTER = BY_NAME["business_registration"]
MINE = "{ myBusinesses(first: 1) { edges { node { businessNumber } } } }"
THEIRS = "query ($n: ID!) { business(businessNumber: $n) { address { city } } } # %s"
REFUSED = "SELECT count(DISTINCT operation) FROM access_entry WHERE act = 'REFUSED' AND at > $1"


@dataclass(frozen=True)
class Instance:
    """One more process of the registry, which takes unsigned calls."""

    address: str
    process: "subprocess.Popen[bytes]"
    database_url: str
    owner_url: str  # by which its tables can be locked
    tokens: dict[str, str]

    async def ask(self, who: str, query: str, **variables: Any) -> Any:
        headers = {"authorization": f"Bearer {self.tokens[who]}"}
        async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
            sent = {"query": query, "variables": variables}
            return (await http.post(f"http://{self.address}/graphql", json=sent, headers=headers)).json()


@pytest.fixture
def instance(open_province: State, tmp_path: Path) -> Iterator[Instance]:
    addresses, env = {part.name: part.address for part in open_province.parts}, open_province.environment
    address = f"127.0.0.1:{free_port()}"
    where = (addresses | {REGISTER.name: address}).__getitem__
    credentials = Path(env["SIGNING_KEYS"]).parents[1]
    told = environment(REGISTER, where, mode="local", host="127.0.0.1", credentials=credentials)
    del told["GATEWAY_KEYS"]
    log = tmp_path / "registry.log"
    names = ("owner", "citizen")
    tokens = {name: signin.access_token(env["ISSUER_URL"], name, f"{name}-onedoor") for name in names}
    command = [sys.executable, "-m", "services.kit.serve", REGISTER.name]
    with ExitStack() as held:
        process = spawn(command, log, env={**os.environ, **told})
        held.callback(end, process, signal.SIGKILL, patience_s=20)
        wait_until(lambda: is_ready(address), process, "the registry", log, patience_s=60)
        urls = (told[REGISTER.database_variable], told[REGISTER.migration_variable])
        yield Instance(address, process, *urls, tokens)


class TestAProcessThatIsToldToEnd:
    async def test_writes_first_what_waits(self, instance: Instance) -> None:
        (edge,) = (await instance.ask("owner", MINE))["data"]["myBusinesses"]["edges"]
        number = edge["node"]["businessNumber"]
        service, owner = await asyncpg.connect(instance.database_url), await asyncpg.connect(instance.owner_url)
        try:
            since = await service.fetchval("SELECT clock_timestamp()")
            async with owner.transaction():
                await owner.execute(f"SET LOCAL ROLE {REGISTER.name}_owner")
                await owner.execute("LOCK TABLE access_entry IN SHARE MODE")
                for _ in range(5):
                    answer = await instance.ask("citizen", THEIRS % uuid4(), n=number)
                    assert answer["data"]["business"]["address"] is None
                instance.process.terminate()
                await until(lambda: _has_closed(instance.address), 20)
                with pytest.raises(subprocess.TimeoutExpired):  # it stays for them
                    await asyncio.to_thread(instance.process.wait, 1.5)
            await asyncio.to_thread(instance.process.wait, 30)
            assert await service.fetchval(REFUSED, since) == 5
        finally:
            await service.close()
            await owner.close()


async def _has_closed(address: str) -> bool:
    host, port = address.split(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return True
    writer.close()
    return False
