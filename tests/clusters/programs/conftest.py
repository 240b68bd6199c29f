"""The simulator on a NATS server of its own: it has one durable name, so tests that share a server would steal requests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import nats as nats_client
import nats.errors
import orjson
import pytest
from nats.aio.client import Client

from clusters.local import nats as nats_server
from clusters.local.processes import free_port
from clusters.programs.answering import Programs
from clusters.programs.behaviour import Behaviours

PATIENCE_S = 20.0
REQUESTED, DECIDED = "events.program.requested.v1", "events.program.decided.v1"
Json = dict[str, Any]


def request(**changes: Any) -> Json:
    """The data of a request as the registry sends it, with changes."""
    return {
        "requestId": str(uuid4()),
        "applicationId": str(uuid4()),
        "businessNumber": "700000013",
        "legalName": "Zephyr Lantern Bakery Inc.",
        "legalType": "NAMED_CORPORATION",
        "sector": "72",
        "program": "RETAIL_SALES_TAX",
        **changes,
    }


def enveloped(data: Any, **changes: Any) -> bytes:
    """The CloudEvents envelope of a request, as bytes of the stream."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": str(uuid4()),
            "source": "/services/business_registration",
            "type": "program.requested.v1",
            "subject": "an application",
            "time": "2026-11-24T15:00:00+00:00",
            "datacontenttype": "application/json",
            "data": data,
            **changes,
        }
    )


class Registry:
    """The other end: asks the programs and hears what they decide."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._heard: asyncio.Queue[Json] = asyncio.Queue()

    async def listen(self) -> None:
        async def hear(message: Any) -> None:
            self._heard.put_nowait(orjson.loads(message.data))

        await self._client.subscribe(DECIDED, cb=hear)

    async def ask(self, **changes: Any) -> Json:
        """Put a request into the stream; returns its data."""
        data = request(**changes)
        await self.put(enveloped(data))
        return data

    async def put(self, body: bytes) -> None:
        await self._client.jetstream().publish(REQUESTED, body)

    async def answer(self) -> Json:
        """The next decision's envelope."""
        return await asyncio.wait_for(self._heard.get(), PATIENCE_S)

    def unread(self) -> int:
        """Decisions that were heard and not yet looked at."""
        return self._heard.qsize()

    async def until_handled(self) -> None:
        """Return when no request waits in the stream: each was answered or put aside."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                state = await self._client.jetstream().consumer_info("ONEDOOR", "programs-program-requested-v1")
                if not state.num_pending and not state.num_ack_pending:
                    return
                await asyncio.sleep(0.02)


async def until(true: Callable[[], object]) -> None:
    """Return when it is true; raises TimeoutError when it does not become so."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.01)


@pytest.fixture
def nats_log(tmp_path: Path) -> Path:
    return tmp_path / "nats.log"


@pytest.fixture
def own_nats(tmp_path: Path, nats_log: Path) -> Iterator[nats_server.Nats]:
    server = nats_server.start(tmp_path / "nats", free_port(), nats_log, durable=False)
    yield server
    server.stop()


Running = Callable[[], Any]


@pytest.fixture
def running(own_nats: nats_server.Nats) -> Running:
    """Starts the programs for a block; their requests outlive them in the stream."""

    @asynccontextmanager
    async def run() -> AsyncIterator[Programs]:
        programs = Programs(own_nats.url, Behaviours())
        await programs.start()
        try:
            yield programs
        finally:
            await programs.stop()

    return run


@pytest.fixture
async def registry(own_nats: nats_server.Nats, running: Running) -> AsyncIterator[Registry]:
    async with running():
        pass  # the stream is made by whoever comes first
    client = await nats_client.connect(own_nats.url, max_reconnect_attempts=-1, reconnect_time_wait=1)
    asked = Registry(client)
    await asked.listen()
    yield asked
    with suppress(nats.errors.Error):
        await client.close()
