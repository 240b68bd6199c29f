"""`onedoor up` as a person uses and abuses it: real processes, ended in every way that processes end."""

import os
import pty
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable

import psutil
import pytest

from tests.clusters.local.conftest import PATIENCE_S, Province

# Each starts processes of its own, whole provinces or gateways: with the stack tests, so that `make test` stays short.
pytestmark = pytest.mark.stack

# A start, seen from the data folder: what is there first shows how far it has come.
MOMENTS: "dict[str, Callable[[Province], bool]]" = {
    "imports": lambda _: True,
    "the lock": lambda province: (province.data / "lock").exists(),
    "initdb's first file": lambda province: (province.data / "postgres.part" / "PG_VERSION").exists(),
    "initdb's catalogues": lambda province: (province.data / "postgres.part" / "base" / "1").exists(),
    "PostgreSQL starts": lambda province: (province.data / "logs" / "postgres.log").exists(),
    "NATS starts": lambda province: (province.data / "nats" / "nats.conf").exists(),
}


class TestARun:
    def test_it_is_ready_reports_itself_and_ends_on_ctrl_c(self, province: Province) -> None:
        process = province.up()
        status = province.until_ready()
        assert {part["name"]: part["status"] for part in status["parts"]} == {"postgres": "ready", "nats": "ready"}
        assert all(part["memoryMiB"] > 1 for part in status["parts"])
        assert status["environment"]["NATS_URL"].endswith(province.env["NATS_PORT"])
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
        assert said.splitlines()[-1] == "One Door is closed."
        assert province.leftovers() == []

    def test_a_second_start_on_the_same_data_says_where_the_first_one_is(self, province: Province) -> None:
        first = province.up()
        province.until_ready()
        second, _ = (again := province.up()).communicate(timeout=PATIENCE_S)
        assert again.returncode == 0
        assert f"runs already here (process {first.pid})" in second
        assert first.poll() is None

    def test_a_person_reads_it_in_french(self, province: Province) -> None:
        province.env["LANG"] = "fr_CA.UTF-8"
        process = province.up()
        province.until_ready()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=PATIENCE_S)
        assert "postgres est prêt à 127.0.0.1" in said
        assert said.splitlines()[-1] == "One Door est fermé."

    def test_a_folder_may_have_spaces_accents_and_quotes_in_its_name(self, province: Province) -> None:
        province.data = province.data.with_name('Les données de l’été "1993" — été')
        process = province.up()
        assert province.until_ready()["ready"]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
        assert (province.data / "nats" / "jetstream").is_dir()

    def test_a_terminal_shows_a_live_table(self, province: Province) -> None:
        ours, theirs = pty.openpty()
        province.env["TERM"] = "xterm"
        process = province.up(output=theirs)
        os.close(theirs)
        shown = b""
        while b"Ctrl-C stops everything" not in shown:
            shown += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        while process.poll() is None:  # drain, or the writer blocks
            try:
                shown += os.read(ours, 4096)
            except OSError:
                break
        os.close(ours)
        assert process.wait(PATIENCE_S) == 0
        for word in (b"memory", b"requests", b"postgres", b"One Door is closed."):
            assert word in shown

    def test_detached_it_returns_when_ready_and_down_ends_it(self, province: Province) -> None:
        process = province.up("--detach")
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
        assert province.status()["ready"]
        assert "postgres is ready" in province.run("logs", "onedoor").stdout
        assert province.run("down").returncode == 0
        assert province.leftovers() == []
        assert province.run("down").returncode == 3
        assert province.run("status").returncode == 3

    def test_a_crashed_part_is_started_again_and_that_is_said(self, province: Province) -> None:
        process = province.up()
        before = _part(province.until_ready(), "nats")
        os.kill(before["pid"], signal.SIGKILL)
        after = _part(province.until(lambda status: _part(status, "nats")["restarts"] == 1 and status["ready"]), "nats")
        assert after["pid"] != before["pid"]
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=PATIENCE_S)
        assert "nats ended (exit -9); it starts again in 1 s" in said


class TestBeingEnded:
    @pytest.mark.stack
    @pytest.mark.parametrize("reached", MOMENTS)
    def test_ctrl_c_at_any_moment_leaves_nothing_behind_and_the_next_start_works(
        self, province: Province, reached: str
    ) -> None:
        """As a terminal does it: the whole foreground group is told, not only the supervisor."""
        process = province.up()
        _until(MOMENTS[reached], province, process)
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE_S)
        assert "Traceback" not in said
        assert process.returncode in (0, 130, -signal.SIGINT)
        assert province.leftovers() == []
        province.up()
        assert province.until_ready()["ready"]

    @pytest.mark.stack
    @pytest.mark.parametrize("reached", MOMENTS)
    def test_killed_at_any_moment_it_leaves_no_orphan_and_the_next_start_works(
        self, province: Province, reached: str
    ) -> None:
        process = province.up()
        _until(MOMENTS[reached], province, process)
        process.kill()
        process.communicate(timeout=PATIENCE_S)
        assert province.leftovers() == []
        province.up()
        assert province.until_ready()["ready"]

    def test_a_killed_supervisor_leaves_no_orphan_and_the_next_start_works(self, province: Province) -> None:
        process = province.up()
        status = province.until_ready()
        process.kill()
        process.communicate(timeout=PATIENCE_S)
        assert province.leftovers() == []
        assert not any(psutil.pid_exists(part["pid"]) and _runs(part["pid"]) for part in status["parts"])
        province.up()
        assert province.until_ready()["ready"]

    def test_data_and_pid_files_of_a_crash_are_no_obstacle(self, province: Province) -> None:
        process = province.up()
        status = province.until_ready()
        for pid in (process.pid, *(part["pid"] for part in status["parts"])):
            os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE_S)
        assert province.leftovers() == []
        assert (province.data / "postgres" / "postmaster.pid").exists()
        assert (province.data / "state.json").exists()
        assert province.run("status").returncode == 3
        province.up()
        assert province.until_ready()["ready"]


class TestWhatStandsInTheWay:
    def test_a_busy_port_is_named_with_its_holder_and_the_remedy(self, province: Province) -> None:
        with socket.create_server(("127.0.0.1", int(province.env["NATS_PORT"]))):
            said, _ = (process := province.up()).communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
        assert f"port {province.env['NATS_PORT']}, meant for nats, is held by" in said
        assert f"(process {os.getpid()})" in said
        assert f"NATS_PORT={int(province.env['NATS_PORT']) + 1} onedoor up" in said
        assert province.leftovers() == []

    def test_a_port_that_is_none_is_refused(self, province: Province) -> None:
        province.env["NATS_PORT"] = "99999"
        said, _ = (process := province.up()).communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
        assert said.strip() == "onedoor: NATS_PORT is '99999'; it must be a port number from 1 to 65535"
        province.env["NATS_PORT"] = "4242"

    def test_a_disk_that_fills_up_is_said_and_leaves_nothing_half_made(self, province: Province) -> None:
        def no_file_above_one_megabyte() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))

        said, _ = (process := province.up(preexec_fn=no_file_above_one_megabyte)).communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
        assert "PostgreSQL could not create" in said
        assert "Traceback" not in said
        assert province.leftovers() == []
        assert not (province.data / "postgres").exists()
        province.up()
        assert province.until_ready()["ready"]

    def test_an_unknown_part_is_refused_with_those_there_are(self, province: Province) -> None:
        said, _ = (process := province.up("postoffice")).communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
        assert "no part is called postoffice; the parts are postgres, nats, issuer" in said


def _until(wanted: "Callable[[Province], bool]", province: Province, process: "subprocess.Popen[str]") -> None:
    """Look as often as one can, so as to be there at the moment itself."""
    deadline = time.monotonic() + PATIENCE_S
    while not wanted(province) and process.poll() is None:
        assert time.monotonic() < deadline


def _part(status: "dict[str, object]", name: str) -> "dict[str, int]":
    parts = status["parts"]
    assert isinstance(parts, list)
    found: dict[str, int] = next(part for part in parts if part["name"] == name)
    return found


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
