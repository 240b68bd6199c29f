"""The two data stores of local mode, as programs: created, reached, restarted, ended with their parent."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import nats as nats_client
import pytest

from clusters.local import postgres
from clusters.local.processes import StartFailed, free_port


class TestTheSharedServers:
    async def test_postgresql_is_version_18_and_keeps_accents(self, postgres_url: str) -> None:
        connection = await asyncpg.connect(postgres_url)
        try:
            assert (await connection.fetchval("SHOW server_version")).startswith("18")
            assert await connection.fetchval("SELECT upper('élève')") == "ÉLÈVE"
            assert await connection.fetchval("SHOW timezone") == "UTC"
        finally:
            await connection.close()

    async def test_nats_has_jetstream(self, nats_url: str) -> None:
        client = await nats_client.connect(nats_url)
        try:
            info = await client.jetstream().account_info()
            assert info.limits.max_streams == -1  # -1: no limit
        finally:
            await client.close()


class TestPostgres:
    def test_data_outlives_a_restart(self, folder: Path) -> None:
        port = free_port()
        first = postgres.start(folder / "pg", port, folder / "log", settings=postgres.VOLATILE)
        try:
            first.query("CREATE DATABASE river")
        finally:
            first.stop()
        second = postgres.start(folder / "pg", port, folder / "log", settings=postgres.VOLATILE)
        try:
            assert second.query("SELECT datname FROM pg_database WHERE datname = 'river'") == "river"
        finally:
            second.stop()

    def test_a_busy_port_is_named(self, folder: Path, postgres_url: str) -> None:
        port = urlsplit(postgres_url).port
        assert port is not None
        with pytest.raises(StartFailed, match=str(port)):
            postgres.start(folder / "pg", port, folder / "log", settings=postgres.VOLATILE)


class TestOrphans:
    """A killed parent leaves nothing behind, even when it had no chance to clean up."""

    @pytest.mark.parametrize("store", ["postgres", "nats"])
    def test_a_killed_parent_takes_its_store_along(self, folder: Path, store: str) -> None:
        program = f"""
            import sys, time
            from pathlib import Path
            from clusters.local import {store} as store
            folder = Path({str(folder)!r})
            server = store.start(folder / "data", {free_port()}, folder / "log")
            print(server.process.pid, flush=True)
            time.sleep(60)
        """
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
        ) as parent:
            assert parent.stdout is not None
            child = int(parent.stdout.readline())
            os.kill(child, 0)  # alive
            parent.send_signal(signal.SIGKILL)
        assert _gone(child)


def _gone(pid: int, patience_s: float = 15) -> bool:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False
