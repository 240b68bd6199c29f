"""What sealing costs the requests beside it, and how fast an export is verified. Both in one process, as a service runs."""

import asyncio
import os
import resource
import statistics
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any
from uuid import UUID

import orjson
import pytest
import uvloop
from joserfc.jwk import OKPKey
from sqlalchemy import text

from services.kit import access_log, database
from services.kit.audit import chain
from services.kit.audit.heads import Head
from services.kit.audit.sealer import Sealer
from services.kit.audit.verifying import Verification
from services.kit.feed import Feed
from services.kit.tables import METADATA
from services.kit.testing import tokens
from services.kit.testing.database import administer, url_of
from services.kit.view import GraphQLView
from tests.bench.test_access_log import File, Row, call, service

ROUNDS, CALLS = 10, 40
ENTRIES = int(os.environ.get("ONEDOOR_AUDIT_ENTRIES", "1000000"))
NAME, NOW = "files", datetime(2026, 6, 1, tzinfo=UTC)


async def measured(postgres_url: str) -> tuple[dict[str, list[float]], int]:
    """Milliseconds of each noting call, beside a sealer and without one, in turns; how many entries were sealed."""
    name = f"bench_{token_hex(6)}"
    await administer(postgres_url, f'CREATE DATABASE "{name}"')
    held = database.connect(url_of(postgres_url, name), "bench")
    key = OKPKey.generate_key("Ed25519", {"kid": f"{NAME}-1"})
    try:
        async with held.engine.begin() as connection:
            await connection.run_sync(Row.metadata.create_all)
            await connection.run_sync(METADATA.create_all)
        async with held.transaction() as db:
            db.add(*(File(id=str(n), person=tokens.subject_of(str(n)), says="Something") for n in range(50)))
        view = GraphQLView(service.schema, held, Feed(), tokens.verifier("files"))
        found: dict[str, list[float]] = {"without a sealer": [], "beside a sealer": []}
        for turn in range(2 * ROUNDS):
            kind = list(found)[turn % 2]
            sealing = asyncio.create_task(Sealer(held, NAME, [access_log.SEALED], lambda: key).run())
            if kind == "without a sealer":
                sealing.cancel()
            for n in range(CALLS):
                begun = time.perf_counter()
                assert b"errors" not in await call(view, "clerk", [str(n % 50)])
                found[kind].append((time.perf_counter() - begun) * 1000)
            sealing.cancel()
            await asyncio.gather(sealing, return_exceptions=True)
        while await Sealer(held, NAME, [access_log.SEALED], lambda: key).seal_some():
            pass
        async with held.transaction() as db:
            sealed = int((await db.execute(text("SELECT count(*) FROM audit_seal"))).scalar_one())
        return found, sealed
    finally:
        await held.close()
        await administer(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


def written(file: Path, key: OKPKey) -> None:
    """An export of many entries, a head for each fifty, as long as real ones."""
    prev, until = chain.first(NAME), date(2033, 1, 1)
    same: dict[str, Any] = {"at": NOW, "request_id": "0" * 32, "fetch_id": "1" * 32, "actor": "a" * 36, "act": "READ"}
    same |= {"purpose": "inspection-planning", "category": "inspections", "authority": "self", "role": "inspector"}
    same |= {"operation": "d" * 64, "business": "700000015", "shown_after": NOW, "subject": "b" * 36}
    line: Callable[[Any], bytes] = lambda told: orjson.dumps(told) + b"\n"  # noqa: E731
    with file.open("wb", buffering=1 << 20) as sink:
        sink.write(line({"audit": 1, "service": NAME, "exportedAt": NOW, "seals": ENTRIES}))
        for n in range(1, ENTRIES + 1):
            entry_id, salt = UUID(int=n), n.to_bytes(16, "big")
            told = chain.payload({"id": entry_id, **same})
            digest = chain.digest_of(salt, told)
            hashed = chain.linked(prev, entry_id, digest, until)
            sink.write(line([n, str(entry_id), digest.hex(), until, prev.hex(), hashed.hex(), salt.hex(), told]))
            prev = hashed
            if n % 50 == 0 or n == ENTRIES:
                sink.write(
                    line(
                        {
                            "head": {
                                "count": n,
                                "hash": hashed.hex(),
                                "at": NOW,
                                "jws": Head(NAME, n, hashed, NOW).signed(key),
                            }
                        }
                    )
                )
        sink.write(line({"end": {"seals": ENTRIES}}))


@pytest.mark.bench
class TestSealing:
    def test_delays_no_request(self, postgres_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        with capsys.disabled():
            found, sealed = uvloop.run(measured(postgres_url))
            for kind, taken in found.items():
                quantiles = statistics.quantiles(taken, n=20)
                print(f"\na noting call {kind}: p50 {statistics.median(taken):.2f} ms, p95 {quantiles[-1]:.2f} ms")
        assert sealed == 2 * ROUNDS * CALLS


@pytest.mark.bench
class TestVerifying:
    def test_takes_seconds_and_flat_memory(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        key = OKPKey.generate_key("Ed25519", {"kid": f"{NAME}-1"})
        written(file := tmp_path / "audit.jsonl", key)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun, worked = time.perf_counter(), time.process_time()
        with file.open("rb", buffering=1 << 20) as lines:
            report = Verification({f"{NAME}-1": key.public_key}).of(lines)  # type: ignore[dict-item]
        taken, spent = time.perf_counter() - begun, time.process_time() - worked
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        with capsys.disabled():
            print(
                f"\n{ENTRIES} entries ({file.stat().st_size / 1e6:.0f} MB) verified in {taken:.1f} s, {spent:.1f} s of them of"
            )
            print(f"processor time; memory grew by {grown:.0f} MB")
        assert (report.finding, report.seals, report.signed_to) == (None, ENTRIES, ENTRIES)
