"""The audit of a running province, over its real NATS, by its real users: sealed, signed, told, held by others, verified."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx
import pytest

from clusters.keys import AUDIT_PUBLIC
from clusters.local.state import State

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("province")]
ENTRY = """INSERT INTO access_entry (request_id, fetch_id, actor, act, subject, category)
    VALUES ('r', $1, 'an-actor', 'READ', 'a-subject', 'inspections')"""


def rows(env: dict[str, str], service: str, statement: str, *given: object) -> list[Any]:
    """What a statement of a service's own login answers."""

    async def asked() -> list[Any]:
        connection = await asyncpg.connect(env[f"{service.upper()}_DATABASE_URL"])
        try:
            return list(await connection.fetch(statement, *given))
        finally:
            await connection.close()

    return asyncio.run(asked())


def within(seconds: float, look: Callable[[], Any]) -> Any:
    """What there is to see as soon as there is something; fails when there is nothing within the time."""
    ends = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < ends, "not in time"
        time.sleep(0.2)
    return found


def onedoor(*arguments: object, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "clusters", "audit", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **env},
    )


class TestTheAuditOfARunningProvince:
    def test_seals_tells_and_verifies_what_was_looked_at_and_what_was_refused(
        self, open_province: State, tmp_path: Path
    ) -> None:
        env = open_province.environment
        file = parse_qs(urlsplit(env["CATALOGUE_DATABASE_URL"]).query)["passfile"][0]
        public = Path(file).parents[1] / AUDIT_PUBLIC
        rows(env, "inspections", ENTRY, f"a-fetch-{time.time_ns()}")
        with httpx.Client(timeout=30, trust_env=False) as http:
            refused = http.post(
                env["GATEWAY_URL"], json={"query": "{ me { id } }"}, headers={"authorization": "Bearer nonsense"}
            )
        assert refused.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"

        told = "SELECT count(*) FROM outbox WHERE type = 'access.logged.v1' AND sent_at IS NOT NULL HAVING count(*) > 0"
        within(20, lambda: rows(env, "inspections", told))
        seen = "SELECT count FROM security_event WHERE kind = 'UNAUTHENTICATED' AND source = 'gateway'"
        within(30, lambda: rows(env, "accounts", seen))
        held = "SELECT count FROM audit_witness WHERE service = 'inspections'"
        within(90, lambda: rows(env, "accounts", held))  # a head goes out each minute

        for service in ("inspections", "accounts"):
            assert onedoor("export", service, tmp_path / service, env=env).returncode == 0
        outside = tmp_path / "accounts"
        done = onedoor("verify", tmp_path / "inspections", "--keys", public, "--heads", outside, "--json", env=env)
        report = json.loads(done.stdout)
        assert (done.returncode, report["holds"], report["unsigned"]) == (0, True, None)
        assert report["witnesses"] >= 1
        assert onedoor("verify", outside, "--keys", public, env=env).returncode == 0
