"""`onedoor import`: finds the importer of a source and the database it writes to, shows progress, ends with counts.

Exit codes: 0 done, rejected rows included; 1 the file, the source or the database cannot be used.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusters.topology import BY_NAME
from services.kit.language import is_french, spoken

if TYPE_CHECKING:
    from services.kit.imports import Importer, Rejected, RejectsFile, Report

# What a file is → the importer that takes it, imported when it is asked for.
SOURCES: Mapping[str, str] = {
    "ontario-locations": "services.information_referral.ontario_locations:importer",
    "hsds": "services.information_referral.hsds_files:importer",
    "dinesafe": "services.inspections.imports:importer",
    "contact-centres": "services.catalogue.imports:importer",
}
PLAIN_EVERY_S = 2.0


def run(source: str, file: Path, *, rejects: Path | None = None, as_json: bool = False) -> int:
    """Import a file into the service that takes its source. Returns the exit code."""
    from services.kit.imports import FileRefused, RejectsFile
    from services.kit.migrate import NotMigrated
    from services.kit.settings import SettingMissing

    try:
        importer = find(source)
        known = variables(importer.service)
        with ExitStack() as stack:
            sink = stack.enter_context(RejectsFile.open(rejects)) if rejects else None
            progress = stack.enter_context(_progress(file, sink))
            report = asyncio.run(_import(importer, file, known, progress))
    except FileRefused as refused:
        return _failed(spoken(refused.words.en, refused.words.fr))
    except (SettingMissing, NotMigrated, OSError) as problem:
        return _failed(str(problem))
    sys.stdout.write(json.dumps(report.as_dict(), ensure_ascii=False) + "\n" if as_json else _told(report, rejects))
    return 0


def find(source: str) -> "Importer[Any]":
    """The importer of a source. Raises FileRefused, naming the sources there are."""
    from services.kit.imports import FileRefused

    if source not in SOURCES:
        names = ", ".join(SOURCES)
        raise FileRefused(
            f"no source is called {source!r}; the sources are {names}",
            f"aucune source ne s’appelle « {source} »; les sources sont {names}",
        )
    module, _, name = SOURCES[source].partition(":")
    importer: Importer[Any] = getattr(import_module(module), name)
    return importer


def variables(service: str) -> Mapping[str, str]:
    """Where a service's database is said to be: the environment, else the province that runs here. Raises FileRefused."""
    from clusters.local import state
    from services.kit.imports import FileRefused

    variable = BY_NAME[service].database_variable
    running = None if os.environ.get(variable) else state.running()
    known = os.environ if running is None else running.environment
    if not known.get(variable):
        raise FileRefused(
            f"no database to import into: start the province (onedoor up) or set {variable}",
            f"aucune base où importer : démarrez la province (onedoor up) ou donnez {variable}",
        )
    return known


async def _import(importer: "Importer[Any]", file: Path, known: Mapping[str, str], progress: "_Progress") -> "Report":
    from services.kit import database, migrate, settings
    from services.kit.imports import import_file

    service = importer.service
    url = settings.database_url(service, known)
    if settings.migrates_at_start(service, known):
        await migrate.bring_up(settings.migration_url(service, known), service)
    else:
        await migrate.require(url, service)
    store = database.connect(url, f"import-{service}", pool_size=2)
    try:
        begun = time.perf_counter()
        report = await import_file(importer, file, store, progress)
        report.seconds = time.perf_counter() - begun
        return report
    finally:
        await store.close()


class _Progress:
    """Shows how an import goes on: a moving line on a terminal, a plain line every two seconds elsewhere."""

    def __init__(self, sink: "RejectsFile | None", status: Any = None) -> None:
        self._sink, self._status = sink, status
        self._said = time.monotonic()

    def rejected(self, rejected: "Rejected") -> None:
        if self._sink is not None:
            self._sink.write(rejected)

    def advanced(self, report: "Report") -> None:
        if self._status is not None:
            self._status.update(_counts(report))
        elif time.monotonic() - self._said >= PLAIN_EVERY_S:
            self._said = time.monotonic()
            sys.stderr.write(_counts(report) + "\n")


@contextmanager
def _progress(file: Path, sink: "RejectsFile | None") -> Iterator[_Progress]:
    if not sys.stderr.isatty():
        yield _Progress(sink)
        return
    from rich.console import Console

    with Console(stderr=True).status(file.name) as status:
        yield _Progress(sink, status)


def _counts(report: "Report") -> str:
    values = (report.read, report.added, report.changed, report.unchanged, report.rejected)
    english = "read {}, added {}, changed {}, unchanged {}, rejected {}"
    french = "lus {}, ajoutés {}, modifiés {}, inchangés {}, rejetés {}"
    return spoken(english, french).format(*values)


def _told(report: "Report", rejects: Path | None) -> str:
    lines = [f"{_counts(report)} ({report.seconds:.1f} s)"]
    label = spoken("line", "ligne")
    for rejected in report.rejections[:10]:
        reason = rejected.reason.fr if is_french() else rejected.reason.en
        lines.append(f"  {label} {rejected.line}: {rejected.code}: {reason}")
    if (more := report.rejected - min(10, len(report.rejections))) > 0:
        lines.append(spoken(f"  … and {more} more", f"  … et {more} autres"))
    if rejects and report.rejected:
        lines.append(spoken(f"rejected rows: {rejects}", f"lignes rejetées : {rejects}"))
    return "\n".join(lines) + "\n"


def _failed(message: str) -> int:
    sys.stderr.write(f"onedoor: {message}\n")
    return 1
