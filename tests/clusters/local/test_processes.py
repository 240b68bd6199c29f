"""Children of a forking parent: their environment, their log, their end. Each parent is a process of its own here,
since the test runner has threads and must not be forked."""

import subprocess
import sys
import textwrap
from pathlib import Path

from clusters.local.processes import is_free, last_words


def run_parent(folder: Path, body: str) -> "subprocess.CompletedProcess[str]":
    """Run a small program that forks `child`, with `log` as its log."""
    program = (
        f"""
        import os, signal, subprocess, sys, time
        from pathlib import Path
        from clusters.local.processes import end, fork
        log = Path({str(folder / "log")!r})
        """
        + body
    )
    command = [sys.executable, "-c", textwrap.dedent(program)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


class TestForking:
    def test_a_child_has_only_the_environment_it_is_given_and_writes_to_its_log(self, folder: Path) -> None:
        done = run_parent(
            folder,
            """
        child = fork(lambda: print(dict(os.environ)), "child", log, {"RIVER": "Ottawa"})
        print(child.wait(10))
        """,
        )
        assert done.stdout == "0\n", done.stderr
        assert "{'RIVER': 'Ottawa'}" in (folder / "log").read_text()

    def test_a_child_that_raises_exits_with_1_and_leaves_its_trace_in_the_log(self, folder: Path) -> None:
        done = run_parent(
            folder,
            """
        def run(): raise ValueError("the river is closed")
        print(fork(run, "child", log, {}).wait(10))
        """,
        )
        assert done.stdout == "1\n", done.stderr
        assert "ValueError: the river is closed" in last_words(folder / "log")

    def test_an_exit_code_is_kept(self, folder: Path) -> None:
        body = "print(fork(lambda: sys.exit(3), 'child', log, {}).wait(10))"
        assert run_parent(folder, body).stdout == "3\n"

    def test_a_child_that_ignores_a_polite_end_is_ended_by_force_with_its_group(self, folder: Path) -> None:
        done = run_parent(
            folder,
            """
        def run():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print("deaf", flush=True)
            time.sleep(60)
        child = fork(run, "child", log, {})
        while "deaf" not in (log.read_text() if log.exists() else ""):
            time.sleep(0.01)
        end(child, signal.SIGTERM, 0.2)
        print(child.returncode)
        """,
        )
        assert done.stdout == "-9\n", done.stderr


class TestPorts:
    def test_a_listening_port_is_not_free(self, postgres_url: str) -> None:
        assert not is_free(int(postgres_url.rsplit(":", 1)[1].split("/")[0]))
