"""The data folder of local mode: where it is, that it can be used, and which release wrote it.

It holds the data of PostgreSQL and NATS, the parts' credentials, the logs, `release.json`, and, while a province runs, its
state and lock.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from clusters.credentials import keep
from clusters.local import postgres
from clusters.topology import ROOT
from services.kit.language import spoken

DEFAULT = ROOT / ".onedoor"
VARIABLE = "ONEDOOR_DATA"
POSTGRESQL_MAJOR = 18
FIRST_START_MIB = 300  # an empty cluster, its write-ahead log, four small databases
LATER_START_MIB = 50
FULL_MIB = 1
LONG_LOG_MIB = 20


class FolderUnusable(Exception):
    """The data folder cannot be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A data folder that is there and ours. `note` is something the person should know, or empty."""

    path: Path
    note: str = ""

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def credentials(self) -> Path:
        return self.path / "credentials"

    @property
    def state(self) -> Path:
        return self.path / "state.json"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def release(self) -> Path:
        return self.path / "release.json"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


def locate(asked: Path | None = None) -> Folder:
    """Where the data is: `--data`, else ONEDOOR_DATA, else `.onedoor` in the repository.

    As root, PostgreSQL runs as another user; where that user cannot reach the folder (below /root, say), a folder in
    /var/tmp takes its place, the same one every time.
    """
    wanted = (asked or Path(os.environ.get(VARIABLE) or DEFAULT)).absolute()
    user = postgres.unprivileged_user()
    if user is None or postgres.reachable_by(user, wanted):
        return Folder(wanted)
    place = Path("/var/tmp") if Path("/var/tmp").is_dir() else Path(tempfile.gettempdir())  # noqa: S108 - owner checked
    moved = place / f"onedoor-{hashlib.sha256(str(wanted).encode()).hexdigest()[:12]}"
    note = spoken(
        f"PostgreSQL, which does not run as root, cannot reach {wanted}; the data is in {moved}",
        f"PostgreSQL, qui ne tourne pas sous root, ne peut atteindre {wanted}\u00a0; les données sont dans {moved}",
    )
    return Folder(moved, note)


def prepare(folder: Folder) -> list[str]:
    """Make the folder usable. Returns what a person should know. Raises FolderUnusable."""
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        _require_ours(folder.path)
        if os.geteuid() == 0:
            folder.path.chmod(0o711)  # whoever PostgreSQL runs as passes through, and lists nothing
        folder.logs.mkdir(exist_ok=True)
        probe = folder.path / ".writable"
        probe.write_bytes(b"x")
        probe.unlink()
        _require_space(folder)
        _begin_long_logs_anew(folder)
        notes = [folder.note] if folder.note else []
        return notes + _accept_release(folder)
    except OSError as problem:
        raise FolderUnusable(explain(problem, folder.path)) from problem


def explain(problem: OSError, path: Path) -> str:
    """What a failed write means and what to do about it."""
    if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return spoken(
            f"the disk that holds {path} is full. Free some space, or use another disk: onedoor up --data DIR",
            f"le disque qui contient {path} est plein. Libérez de l’espace ou choisissez un autre disque\u00a0: "
            "onedoor up --data DOSSIER",
        )
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return spoken(
            f"{path} cannot be written ({problem.strerror}). Choose a folder of yours: onedoor up --data DIR",
            f"impossible d’écrire dans {path} ({problem.strerror}). Choisissez un dossier à vous\u00a0: "
            "onedoor up --data DOSSIER",
        )
    return spoken(
        f"{path} cannot be used: {problem.strerror}. Choose another folder: onedoor up --data DIR",
        f"{path} est inutilisable\u00a0: {problem.strerror}. Choisissez un autre dossier\u00a0:"
        " onedoor up --data DOSSIER",
    )


def full_disk(folder: Folder) -> str:
    """A sentence for whoever wonders why something ended, where the disk is full; else empty."""
    is_full = shutil.disk_usage(folder.path).free < FULL_MIB * 2**20
    return explain(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), folder.path) + ". " if is_full else ""


def _require_ours(path: Path) -> None:
    if path.stat().st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, spoken("another user's folder", "dossier d’un autre utilisateur"), str(path))


def _require_space(folder: Folder) -> None:
    """A disk that is nearly full would stop PostgreSQL half way, with a less friendly message."""
    needed = LATER_START_MIB if (folder.path / "postgres").exists() else FIRST_START_MIB
    free = shutil.disk_usage(folder.path).free // 2**20
    if free < needed:
        raise FolderUnusable(
            spoken(
                f"the disk that holds {folder.path} has {free} MiB free and {needed} MiB are needed. "
                "Free some space, or use another disk: onedoor up --data DIR",
                f"le disque qui contient {folder.path} n’a que {free} Mio libres, il en faut {needed}. "
                "Libérez de l’espace ou choisissez un autre disque\u00a0: onedoor up --data DOSSIER",
            )
        )


def _begin_long_logs_anew(folder: Folder) -> None:
    """One older log is kept beside each, so that years of starts fill no disk."""
    for log in folder.logs.glob("*.log"):
        if log.stat().st_size > LONG_LOG_MIB * 2**20:
            log.replace(log.with_suffix(".log.1"))


def _accept_release(folder: Folder) -> list[str]:
    """Record that this release writes here now. Older data is migrated by each service as it starts; newer is refused.

    Without a readable record, data is taken for the oldest.
    """
    ours = version("onedoor")
    written, major = _held_release(folder), _held_major(folder)
    if major != POSTGRESQL_MAJOR or _order(written) > _order(ours):
        raise FolderUnusable(
            spoken(
                f"the data in {folder.path} was written by One Door {written} with PostgreSQL {major}; this is "
                f"{ours} with PostgreSQL {POSTGRESQL_MAJOR}. Use that release, or an empty folder: "
                "onedoor up --data DIR",
                f"les données de {folder.path} ont été écrites par One Door {written} avec PostgreSQL {major}\u00a0; "
                f"vous avez {ours} avec PostgreSQL {POSTGRESQL_MAJOR}. Utilisez cette version-là, ou un dossier "
                "vide\u00a0: onedoor up --data DOSSIER",
            )
        )
    is_older = (folder.path / "postgres").exists() and _order(written) < _order(ours)
    keep(folder.release, json.dumps({"release": ours}))
    if not is_older:
        return []
    return [
        spoken(
            f"the data in {folder.path} is of an older release; each service migrates its own as it starts",
            f"les données de {folder.path} sont d’une version antérieure\u00a0; chaque service migre les "
            "siennes au démarrage",
        )
    ]


def _held_release(folder: Folder) -> str:
    try:
        held = json.loads(folder.release.read_text())
    except (OSError, ValueError):
        return "0"
    return str(held.get("release", "0")) if isinstance(held, dict) else "0"


def _held_major(folder: Folder) -> int:
    """The PostgreSQL that made the data, as it says itself; ours where there is none yet."""
    try:
        return int((folder.path / "postgres" / "PG_VERSION").read_text())
    except (OSError, ValueError):
        return POSTGRESQL_MAJOR


def _order(release: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", release))
