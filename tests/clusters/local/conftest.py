"""A province of data stores only, as a person starts it: real processes on free ports, in a folder of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from clusters.local import postgres, state
from clusters.local.processes import free_port
from clusters.topology import PARTS
from tests.conftest import scratch

ONEDOOR = (sys.executable, "-m", "clusters")
PATIENCE_S = 60


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's own user can reach; pytest's folders are closed to others."""
    made = scratch("onedoor-test-")
    yield made
    shutil.rmtree(made, ignore_errors=True)


@dataclass
class Province:
    """Runs `onedoor` on one data folder and one set of ports, and knows what it left behind."""

    data: Path
    env: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def up(self, *arguments: str, output: int | IO[str] = subprocess.PIPE, **how: Any) -> subprocess.Popen[str]:
        command = [*ONEDOOR, "up", "--data", str(self.data), "--only", "nats", "postgres", *arguments]
        process = subprocess.Popen(
            command, env=self.env, stdout=output, stderr=subprocess.STDOUT, text=True, start_new_session=True, **how
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [*ONEDOOR, *arguments, "--data", str(self.data)]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=False, timeout=PATIENCE_S)

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return answer

    def until_ready(self) -> dict[str, Any]:
        return self.until(lambda status: bool(status.get("ready")))

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """What `status` says once the province is as wanted; until then its folder is read, which costs no process a look."""
        deadline = time.monotonic() + PATIENCE_S
        while not wanted(seen := self._seen()):
            assert time.monotonic() < deadline, seen
            time.sleep(0.02)
        return self.status()

    def _seen(self) -> dict[str, Any]:
        found = state.running(self.data)
        return (
            {"ready": False} if found is None else {"ready": found.is_ready, "parts": [asdict(p) for p in found.parts]}
        )

    def leftovers(self) -> list[str]:
        """The processes that still name our data folder, a moment given to those that are ending."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := self._alive()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def _alive(self) -> list[str]:
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            line = " ".join(process.info["cmdline"] or ())
            if str(self.data) in line and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(line)
        return found

    def stop(self, process: "subprocess.Popen[str]") -> str:
        """Ask a province to end, as `down` does. Returns all that it said."""
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=PATIENCE_S)
        return said

    def query(self, sql: str, database: str = "postgres") -> "subprocess.CompletedProcess[str]":
        """What psql answers, from outside."""
        port = self.env["POSTGRES_PORT"]
        url = f"postgresql://{postgres.USER}:{postgres.PASSWORD}@127.0.0.1:{port}/{database}"
        psql = postgres.reachable_programs(postgres.unprivileged_user()) / "psql"
        return subprocess.run([psql, "-XqAt", "-d", url, "-c", sql], capture_output=True, text=True, check=False)

    def close(self) -> None:
        for process in self.started:
            self.stop(process)


@pytest.fixture
def province(folder: Path) -> Iterator[Province]:
    env = {k: v for k, v in os.environ.items() if k not in ("NATS_URL", "ISSUER_URL", "LC_ALL", "LC_MESSAGES", "LANG")}
    ports = {part.port_variable: str(free_port()) for part in PARTS}
    made = Province(folder / "data", {**env, **ports, "COLUMNS": "200"})
    yield made
    made.close()
    made.run("down")
