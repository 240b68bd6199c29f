"""The run itself, in a process of its own: Locust patches the standard library of whoever imports it."""

import os
import subprocess
import sys

import pytest

# Each starts processes of its own, whole provinces or gateways: with the stack tests, so that `make test` stays short.
pytestmark = pytest.mark.stack

LISTENING = """
from types import SimpleNamespace
from locust import events
from loadtests import locustfile
run = SimpleNamespace()
locustfile.watch_the_generator(run)
{heard}
print(run.generator_cpu_percent)
"""
JUDGING = """
from types import SimpleNamespace
from loadtests import locustfile
fine = SimpleNamespace(name="CheckName", num_requests=100, num_failures=0, get_response_time_percentile=lambda _: 5.0)
run = SimpleNamespace(
    parsed_options=None, stats=SimpleNamespace(entries={{0: fine}}, history=[]), generator_cpu_percent={busy},
    runner=SimpleNamespace(exceptions={exceptions}),
)
locustfile.judge(run)
print(run.process_exit_code)
"""


def said(program: str) -> str:
    """What a program prints last."""
    env = {name: value for name, value in os.environ.items() if name not in ("SHAPE", "REPORT")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=env, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


class TestGenerator:
    def test_the_busiest_moment_counts_whether_here_or_at_a_worker(self) -> None:
        here = "events.usage_monitor.fire(environment=run, cpu_usage={}, memory_usage=1)"
        worker = "events.worker_report.fire(client_id='w', data={'generator_cpu_percent': 97.0})"
        assert said(LISTENING.format(heard="\n".join([here.format(80.0), here.format(20.0)]))) == "80.0"
        assert said(LISTENING.format(heard="\n".join([here.format(80.0), worker, here.format(20.0)]))) == "97.0"

    def test_a_worker_tells_its_master(self) -> None:
        told = "data = {}; run.generator_cpu_percent = 42.0; events.report_to_master.fire(client_id='w', data=data)"
        assert said(LISTENING.format(heard=f"{told}; print(data)") + "print(data)") == "{'generator_cpu_percent': 42.0}"


class TestVerdict:
    def test_a_run_that_kept_its_promises_is_0(self) -> None:
        assert said(JUDGING.format(busy=10.0, exceptions={})) == "0"

    def test_a_saturated_generator_is_3(self) -> None:
        assert said(JUDGING.format(busy=99.0, exceptions={})) == "3"

    def test_tasks_that_broke_off_before_they_asked_are_failures(self) -> None:
        assert said(JUDGING.format(busy=10.0, exceptions={1: {"count": 7}})) == "1"
