"""How local mode starts, ties to itself and ends the processes that it owns. Nothing here knows what they are."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

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


def end(process: subprocess.Popen[bytes], how: signal.Signals, patience_s: float) -> None:
    """Ask a process to end; after `patience_s` end it and its whole group by force. Returns when it is gone."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], name: str, log: Path, *, patience_s: float
) -> None:
    """Probe until ready. Raises StartFailed when the process ends first or `patience_s` pass."""
    deadline = time.monotonic() + patience_s
    while not ready():
        if process.poll() is not None:
            raise StartFailed(f"{name} ended at once (exit {process.returncode}). {last_words(log)}")
        if time.monotonic() > deadline:
            raise StartFailed(f"{name} was not ready after {patience_s:.0f} s. {last_words(log)}")
        time.sleep(0.02)  # between two probes


def last_words(log: Path, lines: int = 8) -> str:
    """The end of a log, with its address, for an error message."""
    if not log.exists():
        return f"Its log {log} does not exist."
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8_192))
        text = file.read().decode(errors="replace")
    return f"The end of {log}:\n" + "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody holds at this moment."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        port: int = listener.getsockname()[1]
        return port


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now (a port in TIME_WAIT counts as free, as it does for servers)."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
        return True


def require_free(port: int, name: str) -> None:
    """Raises StartFailed when somebody holds the port."""
    if not is_free(port):
        raise StartFailed(f"port {port}, meant for {name}, is held by another program")


def _group_of(user: int | None) -> int | None:
    if user is None:
        return None
    import pwd

    return pwd.getpwuid(user).pw_gid
