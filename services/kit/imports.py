"""Imports of real files: an importer reads records and writes batches; this streams, counts and explains.

A row is rejected, never the file: whatever is wrong with one record becomes a coded reason in both languages, with the
line where it stands, and the next record follows. Only a file that cannot be read as what it should be is refused whole.
"""

import csv
import json
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Generic, Protocol, TextIO, TypeVar

from services.kit.database import Database, Db
from services.kit.inputs import explain, find_hostile
from services.kit.language import Words

T = TypeVar("T")
KEPT_REJECTIONS = 100  # a report names so many; the rejects file has them all
LONGEST_RAW = 2000
MOST_LINES = 200  # of one CSV row, whose texts may hold line breaks
_COLUMNS = ("line", "code", "reason_en", "reason_fr", "raw")

csv.field_size_limit(1 << 20)


class FileRefused(Exception):
    """The file as a whole is not what it should be. `words` say why and what would help."""

    def __init__(self, en: str, fr: str) -> None:
        super().__init__(en)
        self.words = Words(en, fr)


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T]):
    """A record that was understood. `line` is where it begins in the file, counted from 1."""

    line: int
    record: T


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that was not taken: its line, a stable code, the reason for a person, and what stood there."""

    line: int
    code: str
    reason: Words
    raw: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Flat, as a rejects file holds it."""
        # Bytes that were no UTF-8 are surrogates here, which no file of text can hold.
        raw = self.raw[:LONGEST_RAW].encode("utf-8", "replace").decode().replace("\0", "\u2400")
        return dict(zip(_COLUMNS, (self.line, self.code, self.reason.en, self.reason.fr, raw), strict=True))


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What writing one batch did. What could only be judged against the database may still be rejected."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: Sequence[Rejected] = ()


class Importer(Protocol[T]):
    """A kind of file that a service takes. Stateless: `read` and `write` may be called for several files."""

    service: str
    batch_size: int

    def read(self, path: Path) -> Iterator[Parsed[T] | Rejected]:
        """The file's records in order, lazily. Raises FileRefused."""
        ...

    async def write(self, db: Db, batch: Sequence[Parsed[T]]) -> Outcomes:
        """Store a batch inside the given transaction; a second time finds everything unchanged."""
        ...


@dataclass(slots=True)
class Report:
    """The counts of an import; `read` is the sum of the others. `rejections` holds the first hundred of them."""

    read: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    seconds: float = 0.0
    rejections: list[Rejected] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        names = ("read", "added", "changed", "unchanged", "rejected")
        return {
            **{name: getattr(self, name) for name in names},
            "seconds": round(self.seconds, 3),
            "reasons": dict(self.reasons),
            "rejections": [rejected.as_dict() for rejected in self.rejections],
        }


class Watcher(Protocol):
    """Told how an import goes on: each rejection, and the report after each batch."""

    def rejected(self, rejected: Rejected) -> None: ...

    def advanced(self, report: Report) -> None: ...


class Silent:
    """Watches without a word."""

    def rejected(self, rejected: Rejected) -> None:
        """Nothing."""

    def advanced(self, report: Report) -> None:
        """Nothing."""


async def import_file(
    importer: Importer[Any], path: Path, database: Database, watcher: Watcher | None = None
) -> Report:
    """Import a file, one transaction per batch; what was committed before a failure stays, and a second run goes on.

    Raises FileRefused.
    """
    watcher = watcher or Silent()
    report = Report()

    def reject(rejected: Rejected) -> None:
        report.rejected += 1
        report.reasons[rejected.code] += 1
        if len(report.rejections) < KEPT_REJECTIONS:
            report.rejections.append(rejected)
        watcher.rejected(rejected)

    with _readable(path):
        records = importer.read(path)
        while items := list(islice(records, importer.batch_size)):
            report.read += len(items)
            batch = [item for item in items if isinstance(item, Parsed)]
            for item in items:
                if isinstance(item, Rejected):
                    reject(item)
            if batch:
                async with database.transaction() as db:
                    done = await importer.write(db, batch)
                report.added += done.added
                report.changed += done.changed
                report.unchanged += done.unchanged
                for rejected in done.rejected:
                    reject(rejected)
            watcher.advanced(report)
    if not report.read:
        raise FileRefused(f"{path} holds no record", f"{path} ne contient aucun enregistrement")
    return report


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.filename is None or Path(error.filename) != path:
            raise
        raise FileRefused(
            f"{path} cannot be read: {error.strerror}", f"{path} est illisible : {error.strerror}"
        ) from None


def csv_records(path: Path, columns: Sequence[str]) -> Iterator[Parsed[dict[str, str]] | Rejected]:
    """The rows of a CSV file with a header, UTF-8, as column → text without surrounding space.

    Raises FileRefused when it is empty or lacks one of `columns`. Rejects rows that are no UTF-8, hold a control
    character or have another number of fields than the header.
    """
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines = _Lines(file)
        header = [name.strip() for name in next(_rows(lines), None) or []]
        _check_header(path, header, columns)
        for row in _rows(lines, len(header)):
            yield _malformed(lines) if row is None else _checked(lines.number, header, row)


class _Lines:
    """The lines of a file for `csv.reader`. Those of the row at hand are kept, so that a row that came out wrong can give
    back all but its first."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._given_back: deque[str] = deque()
        self.number = 1  # of the first line of the row at hand
        self.held: list[str] = []

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if len(self.held) == MOST_LINES:
            raise StopIteration
        line = self._given_back.popleft() if self._given_back else next(self._file)
        self.held.append(line)
        return line

    def begin(self) -> None:
        """What comes is the next row."""
        self.number += len(self.held)
        self.held = []

    def give_back(self) -> None:
        """The row ends with its first line; what it took beyond comes again."""
        self._given_back.extendleft(reversed(self.held[1:]))
        del self.held[1:]


def _rows(lines: _Lines, width: int | None = None) -> Iterator[Any]:
    """The rows that hold anything, as lists; None for one that cannot be read.

    A quote that nobody closes would swallow the rows that follow. So when a row of several lines does not come out as it
    should, its first line alone is lost.
    """
    reader = csv.reader(lines, strict=True)
    while True:
        lines.begin()
        try:
            row = next(reader, None)
        except csv.Error:
            row = []
        if row is None and not lines.held:
            return
        if row and (width in (None, len(row)) or len(lines.held) == 1):
            if any(row):
                yield row
        elif "".join(lines.held).strip():
            lines.give_back()
            reader = csv.reader(lines, strict=True)
            yield None


def _malformed(lines: _Lines) -> Rejected:
    reason = Words(
        "not a CSV row; check its quotation marks", "ce n’est pas une ligne CSV; vérifiez ses guillemets droits"
    )
    return Rejected(lines.number, "MALFORMED_ROW", reason, lines.held[0].rstrip("\r\n"))


def _check_header(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    if not any(header):
        raise FileRefused(f"{path} is empty or no CSV file", f"{path} est vide ou n’est pas un fichier CSV")
    if missing := [name for name in columns if name not in header]:
        names = ", ".join(missing)
        raise FileRefused(
            f"{path} lacks the columns {names}; is it the right file for this source?",
            f"il manque à {path} les colonnes {names}; est-ce le bon fichier pour cette source ?",
        )


def _checked(line: int, header: Sequence[str], row: Sequence[str]) -> Parsed[dict[str, str]] | Rejected:
    raw = ",".join(row)
    if len(row) != len(header):
        reason = Words(
            f"the row has {len(row)} fields where the header has {len(header)}",
            f"la ligne compte {len(row)} champs et l’en-tête {len(header)}",
        )
        return Rejected(line, "WRONG_FIELD_COUNT", reason, raw)
    record = {name: value.strip() for name, value in zip(header, row, strict=True)}
    return rejected_text(line, record, raw) or Parsed(line, record)


def rejected_text(line: int, record: Any, raw: str) -> Rejected | None:
    """The rejection of a record whose text is no UTF-8 or holds a control character; None when all is well."""
    if (found := find_hostile(record)) is None:
        return None
    where, character = found
    if "U+DC80" <= character <= "U+DCFF":
        return Rejected(line, "NOT_UTF8", Words(f"{where} is not UTF-8", f"{where} n’est pas en UTF-8"), raw)
    english, french = explain("hostile_character", {"character": character})
    return Rejected(line, "HOSTILE_CHARACTER", Words(f"{where}: {english}", f"{where} : {french}"), raw)


class RejectsFile:
    """Writes rejections as they come: JSON Lines where the name ends in .jsonl or .json, else CSV."""

    def __init__(self, file: TextIO, *, as_json: bool) -> None:
        self._file = file
        self._as_json = as_json
        self._rows = csv.DictWriter(file, _COLUMNS)
        if not as_json:
            self._rows.writeheader()

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator["RejectsFile"]:
        """A rejects file at this path. Raises FileRefused when it cannot be written."""
        try:
            file = path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise FileRefused(
                f"{path} cannot be written: {error.strerror}",
                f"{path} ne peut pas être écrit : {error.strerror}",
            ) from None
        with file:
            yield cls(file, as_json=path.suffix in (".jsonl", ".json"))

    def write(self, rejected: Rejected) -> None:
        """One rejection."""
        if self._as_json:
            self._file.write(json.dumps(rejected.as_dict(), ensure_ascii=False) + "\n")
        else:
            self._rows.writerow(rejected.as_dict())
