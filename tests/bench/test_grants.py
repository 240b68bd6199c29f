"""What acting for somebody else costs the owner of the data: the grant, the entry with its commit, and the last look, in turns
with the same call by the person themselves. Time is told beside processor time, and if PostgreSQL waits for its disk (fsync)."""

import gc
import statistics
import time
from secrets import token_hex

import pytest
import uvloop
from sqlalchemy import text

from services.kit import database
from services.kit.tables import METADATA
from services.kit.testing import tokens
from services.kit.testing.client import Client
from services.kit.testing.database import administer, url_of
from services.kit.testing.grants import delegation, keep
from tests.bench.test_access_log import File, Row, service

ROUNDS, CALLS = 20, 20
ASKED = "... on File { id says }"


async def measured(client: Client, authority: str) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds of time and of processor time of one call, a pair a round, by who asks."""
    kinds = {"for oneself": ("ann", "self"), "for another": ("clerk", authority)}
    file = {"__typename": "File", "id": "0"}
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for _ in range(ROUNDS + 1):
        for kind, (who, named) in kinds.items():
            gc.collect()
            begun, worked = time.perf_counter(), time.process_time()
            for _ in range(CALLS):
                answer = await client.entities(ASKED, file, scopes=("business:read",), username=who, authority=named)
                assert answer.data == {"_entities": [{"id": "0", "says": "Something"}]}, answer.body
            spent = time.perf_counter() - begun, time.process_time() - worked
            found[kind].append((spent[0] * 1000 / CALLS, spent[1] * 1000 / CALLS))
    return {kind: rounds[1:] for kind, rounds in found.items()}


async def compared(postgres_url: str) -> tuple[dict[str, list[tuple[float, float]]], str]:
    name = f"bench_{token_hex(6)}"
    await administer(postgres_url, f'CREATE DATABASE "{name}"')
    held = database.connect(url_of(postgres_url, name), "bench")
    try:
        async with held.engine.begin() as connection:
            await connection.run_sync(Row.metadata.create_all)
            await connection.run_sync(METADATA.create_all)
        async with held.transaction() as db:
            db.add(File(id="0", person=tokens.subject_of("ann"), says="Something"))
        for _ in range(1_000):
            authority = await keep(held, delegation("ann", "clerk"))
        found = await measured(Client(service, held), authority)
        async with held.transaction() as db:
            fsync = str((await db.execute(text("SHOW fsync"))).scalar_one())
        return found, fsync
    finally:
        await held.close()
        await administer(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.mark.bench
class TestActingForSomebodyElse:
    def test_costs_at_most_two_milliseconds_more(self, postgres_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        with capsys.disabled():
            found, fsync = uvloop.run(compared(postgres_url))
            print(f"\nPostgreSQL with fsync {fsync}; medians of {ROUNDS} rounds of {CALLS} calls")
            for n, what in enumerate(("time", "processor time here")):
                own, other = (statistics.median(pair[n] for pair in found[kind]) for kind in found)
                print(
                    f"{what}: for oneself {own:.2f} ms, for another with its entry {other:.2f} ms: {other - own:.2f} more"
                )
