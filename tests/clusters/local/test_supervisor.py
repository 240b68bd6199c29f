"""The supervisor's decisions, with parts that start, become ready and crash when the test says so."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from clusters.local import supervisor as supervisors
from clusters.local.folder import Folder
from clusters.local.launch import Launcher
from clusters.local.processes import StartFailed
from clusters.local.supervisor import Child, Status, Supervisor
from clusters.topology import PARTS, Kind, Part


@dataclass
class FakeProcess:
    """A process that ends when it is told to, or when the test crashes it."""

    name: str
    journal: list[str]
    pid: int = 4_000_000  # above Linux's highest
    returncode: int | None = None

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self.journal.append(f"{self.name} gone")
        return self.returncode or 0

    def send_signal(self, sig: int) -> None:
        self.journal.append(f"{self.name} asked to end")


@dataclass
class FakeLauncher:
    journal: list[str] = field(default_factory=list)
    processes: dict[str, FakeProcess] = field(default_factory=dict)
    unready: set[str] = field(default_factory=set)

    def start(self, part: Part) -> FakeProcess:
        self.journal.append(f"{part.name} started")
        self.processes[part.name] = FakeProcess(part.name, self.journal)
        return self.processes[part.name]

    def is_ready(self, part: Part, process: FakeProcess) -> bool:
        return part.name not in self.unready


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@dataclass
class Stage:
    launcher: FakeLauncher
    supervisor: Supervisor
    clock: Clock
    said: list[str]

    def status(self, name: str) -> Status:
        return next(c.status for c in self.supervisor.children if c.part.name == name)

    def steps(self, count: int = 4) -> None:
        for _ in range(count):
            self.supervisor.step()

    def after(self, seconds: float) -> None:
        self.clock.now += seconds
        self.steps()


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    clock, launcher, said = Clock(), FakeLauncher(), list[str]()
    monkeypatch.setattr(supervisors, "time", clock)
    folder = Folder(tmp_path)
    folder.logs.mkdir()
    children = [Child(part, f"127.0.0.1:{part.port}") for part in PARTS]
    supervisor = Supervisor(folder, children, cast(Launcher, launcher), said.append, {}, is_stack_loaded=True)
    return Stage(launcher, supervisor, clock, said)


class TestStarting:
    def test_services_wait_for_their_data_stores(self, stage: Stage) -> None:
        stage.launcher.unready = {"postgres"}
        stage.steps()
        assert "inspections started" not in stage.launcher.journal
        assert stage.status("gateway") is Status.READY
        stage.launcher.unready.clear()
        stage.steps()
        assert stage.supervisor.is_ready

    def test_nothing_is_forked_before_the_stack_is_loaded(self, stage: Stage) -> None:
        stage.supervisor.is_stack_loaded = False
        stage.steps()
        assert {"issuer started", "programs started"}.isdisjoint(stage.launcher.journal)
        assert {"postgres started", "nats started", "gateway started"} <= set(stage.launcher.journal)

    def test_what_is_elsewhere_is_not_started_and_keeps_nobody_waiting(self, stage: Stage) -> None:
        for child in stage.supervisor.children:
            if child.part.name in ("postgres", "nats"):
                child.status = Status.ELSEWHERE
        stage.steps()
        assert stage.supervisor.is_ready
        assert "postgres started" not in stage.launcher.journal

    def test_a_data_store_that_ends_before_it_was_ready_ends_the_start(self, stage: Stage) -> None:
        stage.launcher.unready = {"postgres"}
        stage.steps(1)
        stage.launcher.processes["postgres"].returncode = 1
        with pytest.raises(StartFailed, match=r"postgres ended at once \(exit 1\)"):
            stage.steps(1)

    def test_a_slow_part_is_named_and_waited_for(self, stage: Stage) -> None:
        stage.launcher.unready = {"catalogue"}
        stage.steps()
        stage.after(supervisors.PATIENCE_S + 1)
        assert "catalogue is still not ready" in stage.said
        assert stage.status("catalogue") is Status.STARTING


class TestCrashing:
    def test_each_quick_crash_doubles_the_wait(self, stage: Stage) -> None:
        stage.steps()
        for wait_s in (1, 2, 4, 8, 16, 30, 30):
            stage.launcher.processes["inspections"].returncode = 1
            stage.steps(1)
            assert stage.status("inspections") is Status.RESTARTING
            stage.after(wait_s - 0.1)
            assert stage.status("inspections") is Status.RESTARTING
            stage.after(0.2)
            assert stage.status("inspections") is Status.READY

    def test_a_part_that_was_steady_starts_again_at_once(self, stage: Stage) -> None:
        stage.steps()
        for _ in range(3):
            stage.after(supervisors.STEADY_S + 1)
            stage.launcher.processes["inspections"].returncode = -9
            stage.steps(1)
            stage.after(1.1)
            assert stage.status("inspections") is Status.READY

    def test_a_ministry_that_cannot_start_keeps_nobody_else_down(self, stage: Stage) -> None:
        stage.launcher.unready = {"catalogue"}
        stage.steps()
        stage.launcher.processes["catalogue"].returncode = 1
        stage.steps(1)
        assert stage.status("catalogue") is Status.RESTARTING
        others = [c for c in stage.supervisor.children if c.part.name != "catalogue"]
        assert all(c.status is Status.READY for c in others)
        assert any(line.startswith("catalogue ended (exit 1); it starts again in 1 s") for line in stage.said)


class TestStopping:
    def test_what_serves_ends_first_and_data_stores_last(self, stage: Stage) -> None:
        stage.steps()
        stage.launcher.journal.clear()
        stage.supervisor.stop()
        gone = [line.removesuffix(" gone") for line in stage.launcher.journal if line.endswith(" gone")]
        stores = [part.name for part in PARTS if part.kind in (Kind.DATABASE, Kind.BROKER)]
        assert set(gone[-2:]) == set(stores)
        assert len(gone) == len(PARTS)

    def test_services_are_asked_together_before_any_is_waited_for(self, stage: Stage) -> None:
        stage.steps()
        stage.launcher.journal.clear()
        stage.supervisor.stop()
        serving = len(PARTS) - 2
        assert [line.endswith("asked to end") for line in stage.launcher.journal[:serving]] == [True] * serving

    def test_nobody_is_asked_twice(self, stage: Stage) -> None:
        """The second request means: now, whatever you are doing."""
        stage.steps()
        stage.supervisor.stop()
        assert stage.launcher.journal.count("inspections asked to end") == 1
