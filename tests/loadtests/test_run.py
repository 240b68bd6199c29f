"""Locust itself against a running province: the file decides, and the exit code says so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clusters.local.state import State
from loadtests import promises

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("province")]
SHORT = re.sub(r"smoke = .*", "smoke = [[4, 4]]", promises.FILE.read_text())
PATIENT = re.sub(r"(?m)^(\w+ = )\d+$", r"\g<1>60000", SHORT.partition("[latency_ms]")[2].partition("[generator]")[0])


def thresholds(folder: Path, latencies: str) -> Path:
    """The shipped file, four seconds long, with these latencies promised."""
    head, _, rest = SHORT.partition("[latency_ms]")
    file = folder / "thresholds.toml"
    file.write_text(f"{head}[latency_ms]{latencies}[generator]{rest.partition('[generator]')[2]}")
    return file


def load(running: State, folder: Path, latencies: str, *options: str) -> "subprocess.CompletedProcess[str]":
    env = {name: value for name, value in os.environ.items() if name not in ("SHAPE", "REPORT")}
    env |= {
        "THRESHOLDS": str(thresholds(folder, latencies)),
        "ONEDOOR_URL": running.environment["GATEWAY_URL"].removesuffix("/graphql"),
        "ISSUER_URL": running.environment["ISSUER_URL"],
        "REPORT": str(folder / "smoke"),
    }
    locust = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless", "--only-summary"]
    reports = ["--csv", str(folder / "smoke"), "--html", str(folder / "smoke.html")]
    command = [*locust, *reports, *options]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=90)


class TestARun:
    def test_that_keeps_its_promises_ends_with_0_and_leaves_its_reports(
        self, open_province: State, tmp_path: Path
    ) -> None:
        done = load(open_province, tmp_path, PATIENT)
        assert done.returncode == 0, done.stderr
        assert "verdict: passed" in done.stderr
        assert (tmp_path / "smoke.png").read_bytes().startswith(b"\x89PNG")
        assert "FindServices" in (tmp_path / "smoke_stats.csv").read_text()
        assert "<html" in (tmp_path / "smoke.html").read_text()

    def test_that_breaks_one_threshold_ends_with_1_and_names_the_operation(
        self, open_province: State, tmp_path: Path
    ) -> None:
        done = load(open_province, tmp_path, PATIENT.replace("FindServices = 60000", "FindServices = 0.001"))
        assert done.returncode == 1, done.stderr
        assert re.search(r"FindServices: p95 \d+ ms, promised 0 ms", done.stderr)
        assert "verdict: failed" in done.stderr
