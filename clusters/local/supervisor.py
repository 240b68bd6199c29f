"""The parent of a local province: starts parts when what they need is ready, restarts what crashes, ends all in order.

It has no thread, no event loop and no lasting connection, so that it can fork at any time. Signals only raise a flag;
the loop looks at it between two steps. Should this process be killed outright, the kernel ends its children.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from clusters.local import state
from clusters.local.folder import Folder, explain, full_disk
from clusters.local.launch import FORKED, Launcher
from clusters.local.processes import Process, StartFailed, await_end, last_words
from clusters.topology import Kind, Part
from services.kit.language import spoken

STEADY_S = 60  # a part that was ready this long starts again without delay after a crash
SLOWEST_RESTART_S = 30
PATIENCE_S = 90  # to become ready at first start; then a person is told, and waiting goes on
GRACE_S = {Kind.DATABASE: 20, Kind.BROKER: 10}
SERVING_GRACE_S = 8  # to finish the requests that are there
STORES = (Kind.DATABASE, Kind.BROKER)


class Status(Enum):
    """Where a part is in its life. `elsewhere`: an address from the environment is used, nothing is started."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    ELSEWHERE = "elsewhere"
    STOPPED = "stopped"


@dataclass(slots=True)
class Child:
    """A part and the process that is it now. Times are monotonic seconds."""

    part: Part
    address: str
    status: Status = Status.WAITING
    process: Process | None = None
    restarts: int = 0
    was_ready: bool = False
    started_at: float = 0.0
    ready_at: float = 0.0
    next_start_at: float = 0.0
    quick_crashes: int = 0


@dataclass(slots=True)
class Supervisor:
    """One province. `say` gets a line for a person whenever something happens."""

    folder: Folder
    children: Sequence[Child]
    launcher: Launcher
    say: Callable[[str], None]
    environment: Mapping[str, str]
    is_stack_loaded: bool = False
    is_stopping: bool = False
    _dirty: bool = field(default=True)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """While this lasts, Ctrl-C, SIGTERM and a closed terminal ask for an orderly end."""

        def ask(number: int, _frame: object) -> None:
            self.is_stopping = True

        handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, ask) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @property
    def is_ready(self) -> bool:
        """Whether every part is ready, or elsewhere."""
        return all(child.status in (Status.READY, Status.ELSEWHERE) for child in self.children)

    def seen(self) -> state.State:
        """The province as it is now."""
        parts = tuple(
            state.PartState(
                name=c.part.name,
                kind=c.part.kind.value,
                address=c.address,
                status=c.status.value,
                pid=c.process.pid if c.process else None,
                restarts=c.restarts,
                log=None if c.status is Status.ELSEWHERE else str(self.folder.log(c.part.name)),
            )
            for c in self.children
        )
        return state.State(os.getpid(), self.is_ready, parts, dict(self.environment))

    def step(self) -> None:
        """Look at every part once and do what is due. Raises StartFailed when a data store cannot start at all."""
        if self._dirty:
            self._record()
        for child in self.children:
            if self.is_stopping:
                return
            self._advance(child, time.monotonic())

    def stop(self) -> None:
        """End everything: first what serves, together, then the data stores. Returns when all are gone."""
        self.is_stopping = True
        serving = [c for c in self.children if c.part.kind not in STORES]
        stores = [c for c in reversed(self.children) if c.part.kind in STORES]
        for group in (serving, *([store] for store in stores)):
            self._end(group)
        self._record()

    def _end(self, children: Sequence[Child]) -> None:
        live = [(c, c.process) for c in children if c.process is not None]
        for child, process in live:
            if process.poll() is None:
                process.send_signal(_polite(child.part))
        for child, process in live:
            await_end(process, GRACE_S.get(child.part.kind, SERVING_GRACE_S))
            child.process, child.status = None, Status.STOPPED

    def _advance(self, child: Child, now: float) -> None:
        match child.status:
            case Status.WAITING if self._can_start(child):
                self._start(child, now)
            case Status.RESTARTING if now >= child.next_start_at:
                self._start(child, now)
            case Status.STARTING | Status.READY if child.process is not None and child.process.poll() is not None:
                self._crashed(child, now)
            case Status.STARTING if self._is_ready(child):
                self._ready(child, now)
            case Status.STARTING if now - child.started_at > PATIENCE_S:
                child.started_at = now
                self._say_about(child, "is still not ready", "n’est toujours pas prêt")

    def _can_start(self, child: Child) -> bool:
        ready = {c.part.name for c in self.children if c.status in (Status.READY, Status.ELSEWHERE)}
        is_loaded = self.is_stack_loaded or child.part.kind not in FORKED
        return is_loaded and ready.issuperset(child.part.needs)

    def _start(self, child: Child, now: float) -> None:
        try:
            child.process = self.launcher.start(child.part)
        except (StartFailed, OSError) as problem:
            if not child.was_ready:
                raise
            self._plan_restart(child, now)
            wait_s = child.next_start_at - now
            self._say_about(
                child,
                f"could not start ({problem}); it is tried again in {wait_s:.0f} s",
                f"n’a pu démarrer ({problem})\u00a0; nouvel essai dans {wait_s:.0f} s",
            )
            return
        child.status, child.started_at = Status.STARTING, now
        self._dirty = True

    def _is_ready(self, child: Child) -> bool:
        """A store that cannot be prepared ends the first start; later, what runs is worth more: asked again."""
        try:
            return child.process is not None and self.launcher.is_ready(child.part, child.process)
        except StartFailed:
            if not child.was_ready:
                raise
            return False

    def _ready(self, child: Child, now: float) -> None:
        child.status, child.was_ready, child.ready_at = Status.READY, True, now
        took = now - child.started_at
        seconds = spoken(f"{took:.1f}", f"{took:.1f}".replace(".", ","))
        self.say(
            spoken(
                f"{child.part.name} is ready at {child.address} ({seconds} s)",
                f"{child.part.name} est prêt à {child.address} ({seconds} s)",
            )
        )
        self._dirty = True

    def _crashed(self, child: Child, now: float) -> None:
        words = full_disk(self.folder) + last_words(self.folder.log(child.part.name))
        code = child.process.returncode if child.process else None
        child.process = None
        if child.part.kind in STORES and not child.was_ready:
            raise StartFailed(
                spoken(
                    f"{child.part.name} ended at once (exit {code}). {words}",
                    f"{child.part.name} s’est arrêté aussitôt (code {code}). {words}",
                )
            )
        if child.status is Status.READY and now - child.ready_at >= STEADY_S:
            child.quick_crashes = 0
        self._plan_restart(child, now)
        wait_s = child.next_start_at - now
        self._say_about(
            child,
            f"ended (exit {code}); it starts again in {wait_s:.0f} s. {words}",
            f"s’est arrêté (code {code})\u00a0; redémarrage dans {wait_s:.0f} s. {words}",
        )

    def _plan_restart(self, child: Child, now: float) -> None:
        child.next_start_at = now + min(2**child.quick_crashes, SLOWEST_RESTART_S)
        child.quick_crashes += 1
        child.restarts += 1
        child.status = Status.RESTARTING
        self._dirty = True

    def _say_about(self, child: Child, en: str, fr: str) -> None:
        self.say(f"{child.part.name} {spoken(en, fr)}")

    def _record(self) -> None:
        """Tell other terminals. A full disk must not end what runs, so a failed write waits for the next change."""
        self._dirty = False
        try:
            state.write(self.folder, self.seen())
        except OSError as problem:
            self.say(explain(problem, self.folder.path))


def _polite(part: Part) -> signal.Signals:
    """PostgreSQL's fast shutdown is SIGINT; everybody else ends on SIGTERM."""
    return signal.SIGINT if part.kind is Kind.DATABASE else signal.SIGTERM
