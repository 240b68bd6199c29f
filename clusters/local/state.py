"""What a running province tells the commands of other terminals: its parts, their addresses, its variables.

The supervisor holds a lock on a file of the data folder for as long as it lives; the kernel lets go of it whatever
ends the process. So a state file without a held lock is what an earlier run left behind, and counts for nothing.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from clusters.credentials import keep
from clusters.local.folder import Folder, locate
from services.kit.language import spoken


class AlreadyRunning(Exception):
    """Another supervisor holds this data folder, and has not said yet who it is."""


@dataclass(frozen=True, slots=True)
class PartState:
    """One part as the supervisor sees it. `status`: waiting, starting, ready, restarting, elsewhere or stopped."""

    name: str
    kind: str
    address: str
    status: str
    pid: int | None
    restarts: int
    log: str | None


@dataclass(frozen=True, slots=True)
class State:
    """A running province. `environment` holds what a command needs to join it: database, broker, issuer and gateway
    addresses by the names of their variables. `is_ready` once every part has been ready."""

    pid: int
    is_ready: bool
    parts: tuple[PartState, ...]
    environment: dict[str, str]


def running(data: Path | None = None) -> State | None:
    """The province that runs on the data folder (by default this repository's), or None."""
    folder = locate(data)
    return read(folder) if _is_held(folder.lock) else None


def read(folder: Folder) -> State | None:
    """What the supervisor last wrote, for itself and for those who know that it runs; None before it wrote."""
    try:
        held = json.loads(folder.state.read_text())
        parts = tuple(PartState(**part) for part in held.pop("parts"))
        return State(parts=parts, **held)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write(folder: Folder, state: State) -> None:
    """Replace the state file, readable by its owner only."""
    keep(folder.state, json.dumps(asdict(state), indent=1))


@contextmanager
def held_lock(folder: Folder) -> Iterator[None]:
    """Be the only supervisor of this folder, and be seen as such from the first moment. Raises AlreadyRunning.

    A POSIX record lock: forked children do not inherit it.
    """
    descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as held:
        os.close(descriptor)
        raise AlreadyRunning(
            spoken(
                f"One Door starts here already, from another terminal ({folder.path})",
                f"One Door démarre déjà ici, depuis un autre terminal ({folder.path})",
            )
        ) from held
    try:
        write(folder, State(os.getpid(), is_ready=False, parts=(), environment={}))
        yield
    finally:
        folder.state.unlink(missing_ok=True)
        os.close(descriptor)


def _is_held(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
