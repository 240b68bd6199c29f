"""Importer `contact-centres`: monthly calls and waiting times per telephone line → measured results of a standard.

The file is the Ontario Data Catalogue's *ServiceOntario wait times and call volumes: contact centres* as CSV. Which
standard a line counts for is data: `lines` of a standard in the cluster files. A line that no standard names is rejected.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from sqlalchemy import Select, tuple_
from sqlmodel import col, select

from services.catalogue.models import MeasuredResult, ServiceStandard
from services.kit.database import Db
from services.kit.imports import FileRefused, Outcomes, Parsed, Rejected, csv_records
from services.kit.language import Words

LINE, MONTH, YEAR = "Queue Group/Line of Business", "Month", "Year"
CALLS, WAIT = "Calls Handled", "Average Wait Time (minutes)"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LONGEST_WAIT_MINUTES = 24 * 60
MOST_CALLS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class LineMonth:
    """What one line did in one month. `month` is its first day; `wait_minutes` the average over all calls."""

    line: str
    month: date
    calls: int
    wait_minutes: float


class ContactCentres:
    """Takes monthly figures of telephone lines."""

    service = "catalogue"
    batch_size = 500

    def read(self, path: Path) -> Iterator[Parsed[LineMonth] | Rejected]:
        """A line's month per row, each month once. Raises FileRefused."""
        seen: dict[tuple[str, date], int] = {}
        for row in csv_records(path, (LINE, MONTH, YEAR, CALLS, WAIT)):
            item = row if isinstance(row, Rejected) else line_month(row)
            if isinstance(item, Parsed):
                first = seen.setdefault((item.record.line, item.record.month), item.line)
                yield item if first == item.line else _repeated(item, first)
            else:
                yield item

    async def write(self, db: Db, batch: Sequence[Parsed[LineMonth]]) -> Outcomes:
        """Measured results of the lines' standards, with the target that holds now. Raises FileRefused where no line
        counts for anything."""
        standards = {line: standard for standard in await db.all(_in_force()) for line in standard.lines}
        if not standards:
            raise FileRefused(
                "the catalogue holds no standard that counts a telephone line; start it once, so that it reads its files",
                "aucune norme du catalogue ne compte de ligne téléphonique; démarrez-le une fois pour qu’il lise ses fichiers",
            )
        rejected = [_unknown(item) for item in batch if item.record.line not in standards]
        known = [item.record for item in batch if item.record.line in standards]
        held = await _held(db, [(standards[r.line].code, r.month, r.line) for r in known])
        added = changed = 0
        for record in known:
            standard = standards[record.line]
            old = held.get((standard.code, record.month, record.line))
            if old is None:
                db.add(_result(record, standard))
                added += 1
            elif (old.value, old.volume) != (record.wait_minutes, record.calls):
                old.value, old.volume = record.wait_minutes, record.calls
                old.target, old.published_at, old.published_by = standard.target, datetime.now(UTC), None
                changed += 1
        return Outcomes(added, changed, len(known) - added - changed, rejected)


importer = ContactCentres()


def line_month(row: Parsed[dict[str, str]]) -> Parsed[LineMonth] | Rejected:
    """A row as what it says, or why it says nothing."""
    record, line = row.record, row.line
    name = " ".join(record[LINE].split())
    raw = ",".join(record.values())
    if not 1 <= len(name) <= 200:
        reason = Words("the line has no name, or one over 200 letters", "la ligne est sans nom, ou dépasse 200 lettres")
        return Rejected(line, "MALFORMED_LINE_NAME", reason, raw)
    year = record[YEAR]
    if record[MONTH] not in MONTHS or not re.fullmatch(r"(19|20)[0-9]{2}", year):
        reason = Words(f"{record[MONTH]} {year} is no month", f"{record[MONTH]} {year} n’est pas un mois")
        return Rejected(line, "MALFORMED_MONTH", reason, raw)
    if not re.fullmatch(r"[0-9]{1,10}", record[CALLS]) or int(record[CALLS]) > MOST_CALLS:
        reason = Words("the number of calls is no whole number", "le nombre d’appels n’est pas un nombre entier")
        return Rejected(line, "MALFORMED_CALLS", reason, raw)
    wait = record[WAIT]
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,20})?", wait) or float(wait) > LONGEST_WAIT_MINUTES:
        reason = Words("the wait is no number of minutes", "l’attente n’est pas un nombre de minutes")
        return Rejected(line, "MALFORMED_WAIT", reason, raw)
    month = date(int(year), MONTHS.index(record[MONTH]) + 1, 1)
    return Parsed(line, LineMonth(name, month, int(record[CALLS]), float(wait)))


def _in_force() -> Select[tuple[ServiceStandard]]:
    return select(ServiceStandard).where(col(ServiceStandard.retired_at).is_(None))


async def _held(db: Db, keys: Sequence[tuple[str, date, str]]) -> dict[tuple[str, date, str], MeasuredResult]:
    columns = tuple_(col(MeasuredResult.standard_code), col(MeasuredResult.month), col(MeasuredResult.line))
    rows = await db.all(select(MeasuredResult).where(columns.in_(keys)))
    return {(row.standard_code, row.month, row.line): row for row in rows}


def _result(record: LineMonth, standard: ServiceStandard) -> MeasuredResult:
    return MeasuredResult(
        standard_code=standard.code,
        month=record.month,
        line=record.line,
        value=record.wait_minutes,
        volume=record.calls,
        target=standard.target,
        published_at=datetime.now(UTC),
    )


def _unknown(item: Parsed[LineMonth]) -> Rejected:
    name = item.record.line
    reason = Words(
        f"no service standard counts the line “{name}”; add it to the standard’s lines in its cluster’s file",
        f"aucune norme de service ne compte la ligne « {name} »; ajoutez-la à une norme dans le fichier du groupe",
    )
    return Rejected(item.line, "UNKNOWN_LINE", reason, name)


def _repeated(item: Parsed[LineMonth], first: int) -> Rejected:
    reason = Words(
        f"this month of the line stands at line {first} already; keep one of the two",
        f"ce mois du service téléphonique figure déjà à la ligne {first}; gardez l’un des deux",
    )
    return Rejected(item.line, "REPEATED_MONTH", reason, item.record.line)
