"""How local mode starts, ties to itself and ends the processes that it owns. Nothing here knows what they are."""

import contextlib
import ctypes
import errno
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from services.kit.language import spoken

PR_SET_NAME = 15
FREE_PORTS = (16_000, 32_000)
PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class StartFailed(Exception):
    """A process did not become ready. The text says which, why, and where its log is."""


def die_with(parent: int, death: signal.Signals) -> None:
    """In a new child: ask the kernel to send `death` when the parent ends, however it ends.

    Linux only; elsewhere a killed parent leaves its children to `onedoor down`. The kernel forgets the wish when a
    process changes its user, so this comes after that.
    """
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, int(death))
        if os.getppid() != parent:  # the parent ended before the wish was known
            os._exit(1)


def spawn(
    command: Sequence[str],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    user: int | None = None,
    death: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, its output appended to `log`, tied to this process's life."""
    parent = os.getpid()
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - commands are our own, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            user=user,
            group=_group_of(user),
            extra_groups=() if user is not None else None,
            start_new_session=True,
            preexec_fn=lambda: die_with(parent, death),
        )


def run(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, user: int | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a short program to its end, tied to this process's life. A terminal's Ctrl-C does not reach it: we decide."""
    parent = os.getpid()
    return subprocess.run(  # noqa: S603 - commands are our own, no shell
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env=env,
        user=user,
        group=_group_of(user),
        extra_groups=() if user is not None else None,
        start_new_session=True,
        preexec_fn=lambda: die_with(parent, signal.SIGTERM),
    )


class Process(Protocol):
    """What starting a program or forking gives: `subprocess.Popen` is one."""

    pid: int
    returncode: int | Any

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...


class Forked:
    """A child of this process that runs a function of ours; handled like a Popen."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or None while it runs; minus the signal's number when a signal ended it."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired, as Popen does."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and timeout is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.02)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)


def fork(run: Callable[[], object], name: str, log: Path, env: Mapping[str, str]) -> Forked:
    """Run a function in a child with its own session, environment and log, tied to this process's life.

    Only for a parent without threads, event loop or connection: the child gets a copy of everything.
    """
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return Forked(pid)
    code = 1
    try:
        os.setsid()
        die_with(parent, signal.SIGTERM)
        for handled in (signal.SIGINT, signal.SIGTERM):
            signal.signal(handled, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if _libc is not None:
            _libc.prctl(PR_SET_NAME, name[:15].encode())
        _redirect(log)
        os.environ.clear()
        os.environ.update(env)
        run()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:  # whatever it is, the log gets it and the parent's code is never reached
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _redirect(log: Path) -> None:
    """Standard input from nowhere, output and errors to the end of the log."""
    nowhere = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(nowhere, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(nowhere)
    os.close(output)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)


def end(process: Process, how: signal.Signals, patience_s: float) -> None:
    """Ask a process to end, once; after `patience_s` end it by force. Returns when it is gone."""
    if process.poll() is None:
        process.send_signal(how)
    await_end(process, patience_s)


def await_end(process: Process, patience_s: float) -> None:
    """Return when a process that was asked to end is gone; after `patience_s` end it and its whole group by force."""
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until(ready: Callable[[], bool], process: Process, name: str, log: Path, *, patience_s: float) -> None:
    """Probe until ready. Raises StartFailed when the process ends first or `patience_s` pass."""
    deadline = time.monotonic() + patience_s
    while not ready():
        if process.poll() is not None:
            raise StartFailed(
                spoken(
                    f"{name} ended at once (exit {process.returncode}). {last_words(log)}",
                    f"{name} s’est arrêté aussitôt (code {process.returncode}). {last_words(log)}",
                )
            )
        if time.monotonic() > deadline:
            raise StartFailed(
                spoken(
                    f"{name} was not ready after {patience_s:.0f} s. {last_words(log)}",
                    f"{name} n’était pas prêt après {patience_s:.0f} s. {last_words(log)}",
                )
            )
        time.sleep(0.02)  # between two probes


def last_words(log: Path, lines: int = 8) -> str:
    """The end of a log, with its address, for an error message."""
    if not log.exists():
        return spoken(f"Its log {log} does not exist.", f"Son journal {log} n’existe pas.")
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8_192))
        text = file.read().decode(errors="replace")
    return spoken(f"The end of {log}:\n", f"La fin de {log}\u00a0:\n") + "\n".join(
        f"    {line}" for line in text.splitlines()[-lines:]
    )


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody holds at this moment, below those that the kernel gives to outgoing connections: one of those could
    take it before a server does, or while a server restarts."""
    while not is_free(port := secrets.choice(range(*FREE_PORTS)), host):
        pass
    return port


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether nobody listens there (a port in TIME_WAIT counts as free, as it does for servers). What else may keep a server
    from it, a right or a host that is none, that server says itself."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as problem:
            return problem.errno != errno.EADDRINUSE
        return True


def require_free(port: int, name: str, host: str = "127.0.0.1") -> None:
    """Raises StartFailed when somebody holds the port."""
    if not is_free(port, host):
        raise StartFailed(
            spoken(
                f"port {port}, meant for {name}, is held by another program",
                f"le port {port}, prévu pour {name}, est occupé par un autre programme",
            )
        )


def _group_of(user: int | None) -> int | None:
    if user is None:
        return None
    import pwd

    return pwd.getpwuid(user).pw_gid
