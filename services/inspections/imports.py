"""Importer `dinesafe`: Toronto's published food premises inspections → premises, visits and infractions.

A row of the file is one infraction of a visit, or a visit without any. Taken rows are remembered by id and content hash, so
that the same file again changes nothing, and a corrected row changes what it says. Rows that a later file leaves out stay.
`Establishment Status` is not taken: it never varies within an establishment of this source, so it says nothing of a visit.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import SQLModel, col, select

from services.inspections.premises import ImportedRow, Infraction, Premises, PremisesVisit
from services.inspections.severity import Severity
from services.kit import business_days
from services.kit.database import Db
from services.kit.imports import Outcomes, Parsed, Rejected, csv_records
from services.kit.language import Words
from services.kit.text import Text

SOURCE = "dinesafe"
PREMISES_ID, VISIT_ID, NAME, KIND = "Establishment ID", "Inspection ID", "Establishment Name", "Establishment Type"
ADDRESS, LATITUDE, LONGITUDE, DAY = "Establishment Address", "Latitude", "Longitude", "Inspection Date"
DETAILS, SEVERITY, ACTION = "Infraction Details", "Severity", "Action"
OUTCOME, FINED = "Outcome", "Amount Fined"
COLUMNS = (
    *(PREMISES_ID, VISIT_ID, NAME, KIND, ADDRESS, LATITUDE, LONGITUDE, DAY),
    *(DETAILS, SEVERITY, ACTION, OUTCOME, FINED),
)
SEVERITIES: Mapping[str, Severity | None] = {
    "M - Minor": Severity.MINOR,
    "S - Significant": Severity.SIGNIFICANT,
    "C - Crucial": Severity.CRUCIAL,
    "NA - Not Applicable": None,
}
LONGEST = {NAME: 200, KIND: 100, ADDRESS: 300, DETAILS: 1000, ACTION: 100, OUTCOME: 100}
NEEDED = (NAME, KIND, ADDRESS)
ONTARIO_LATITUDES, ONTARIO_LONGITUDES = (41.6, 56.9), (-95.2, -74.3)
OLDEST = date(1980, 1, 1)
MOST_FINED_CENTS = 1_000_000_00
LAW = re.compile(
    r"\b(?:O\.? ?Reg\.?\s+(\d+/\d+)|Muni?cipal Code(?: Chapter)? (\d+))\s*Sec\.?\s*([\w.()]+)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class VisitRow:
    """What one row says: a visit of premises, and at most one infraction found there."""

    premises_id: str
    visit_id: str
    name: str
    kind: str
    address: str
    latitude: float | None
    longitude: float | None
    on: date
    details: str
    severity: Severity | None
    action: str | None
    outcome: str | None
    fined_cents: int | None
    content_hash: str

    @property
    def id(self) -> str:
        """The row's identity: one visit finds one thing once."""
        return f"{self.visit_id}-{_digest(self.details)[:16]}" if self.details else self.visit_id


class DineSafe:
    """Takes the files of visits and infractions, in any order."""

    service = "inspections"
    batch_size = 2000

    def read(self, path: Path) -> Iterator[Parsed[VisitRow] | Rejected]:
        """A row each. Raises FileRefused."""
        for item in csv_records(path, COLUMNS):
            yield item if isinstance(item, Rejected) else visit_row(item)

    async def write(self, db: Db, batch: Sequence[Parsed[VisitRow]]) -> Outcomes:
        """Premises, visits and infractions of the rows that are new or say something new."""
        held = await _held(db, {item.record.id for item in batch})
        added = changed = 0
        taken: dict[str, VisitRow] = {}
        for item in batch:
            row = item.record
            known = held.get(row.id)
            if known == row.content_hash:
                continue
            added, changed = (added + 1, changed) if known is None else (added, changed + 1)
            held[row.id] = row.content_hash
            taken[row.id] = row
        # In one order, so that two imports at once wait for each other and never for ever.
        await _store(db, [taken[key] for key in sorted(taken)])
        return Outcomes(added, changed, len(batch) - added - changed)


importer = DineSafe()


def visit_row(row: Parsed[dict[str, str]]) -> Parsed[VisitRow] | Rejected:
    """A row as what it says, or why it says nothing."""
    given = row.record
    try:
        ids = [_number_id(given, column) for column in (PREMISES_ID, VISIT_ID)]
        texts = {column: _text(given, column) for column in LONGEST}
        severity = _severity(texts[DETAILS], given[SEVERITY])
        record = VisitRow(
            premises_id=f"{SOURCE}-{ids[0]}",
            visit_id=f"{SOURCE}-{ids[1]}",
            name=texts[NAME],
            kind=texts[KIND],
            address=texts[ADDRESS],
            latitude=_degrees(given[LATITUDE], *ONTARIO_LATITUDES),
            longitude=_degrees(given[LONGITUDE], *ONTARIO_LONGITUDES),
            on=_day(given[DAY]),
            details=texts[DETAILS],
            severity=severity,
            action=_code(texts[ACTION]),
            outcome=_code(texts[OUTCOME]),
            fined_cents=_cents(given[FINED]),
            content_hash=_digest("\x1f".join(given[column] for column in COLUMNS)),
        )
    except _Unfit as unfit:
        return Rejected(row.line, unfit.code, unfit.words, ",".join(given.values()))
    return Parsed(row.line, record)


class _Unfit(Exception):
    """Why a row is not taken."""

    def __init__(self, code: str, en: str, fr: str) -> None:
        super().__init__(code)
        self.code, self.words = code, Words(en, fr)


def _number_id(given: Mapping[str, str], column: str) -> str:
    if not re.fullmatch(r"[0-9]{1,12}", given[column]):
        raise _Unfit(
            "MALFORMED_ID",
            f"{column} is no whole number of at most 12 digits",
            f"{column} n’est pas un nombre entier d’au plus 12 chiffres",
        )
    return given[column]


def _text(given: Mapping[str, str], column: str) -> str:
    text = " ".join(given[column].split())
    if len(text) > LONGEST[column] or (column in NEEDED and not text):
        raise _Unfit(
            "MALFORMED_TEXT",
            f"{column} is empty or longer than {LONGEST[column]} characters",
            f"{column} est vide ou dépasse {LONGEST[column]} caractères",
        )
    return text


def _severity(details: str, given: str) -> Severity | None:
    if bool(details) != bool(given):
        raise _Unfit(
            "INCOMPLETE_INFRACTION",
            "an infraction needs both its details and its severity",
            "une infraction demande à la fois ses détails et sa gravité",
        )
    if given and given not in SEVERITIES:
        known = ", ".join(SEVERITIES)
        raise _Unfit(
            "UNKNOWN_SEVERITY",
            f"{given[:40]!r} is no severity of this source ({known})",
            f"« {given[:40]} » n’est pas une gravité de cette source ({known})",
        )
    return SEVERITIES[given] if given else None


def _degrees(given: str, least: float, most: float) -> float | None:
    if not given:
        return None
    if not re.fullmatch(r"-?[0-9]{1,3}(\.[0-9]{1,15})?", given) or not least <= float(given) <= most:
        raise _Unfit(
            "MALFORMED_COORDINATES",
            f"{given[:40]!r} is no degree from {least} to {most}",
            f"« {given[:40]} » n’est pas un degré de {least} à {most}",
        )
    return float(given)


def _day(given: str) -> date:
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", given):
            raise ValueError
        day = date.fromisoformat(given)
        if not OLDEST <= day <= business_days.today():
            raise ValueError
    except ValueError:
        raise _Unfit(
            "MALFORMED_DATE",
            f"{given[:40]!r} is no past day as YYYY-MM-DD",
            f"« {given[:40]} » n’est pas un jour passé de forme AAAA-MM-JJ",
        ) from None
    return day


def _cents(given: str) -> int | None:
    if not given:
        return None
    found = re.fullmatch(r"([0-9]{1,9})(?:\.([0-9]{1,2}))?", given)
    cents = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0")) if found else MOST_FINED_CENTS + 1
    if cents > MOST_FINED_CENTS:
        raise _Unfit(
            "MALFORMED_AMOUNT",
            f"{given[:40]!r} is no amount in dollars",
            f"« {given[:40]} » n’est pas un montant en dollars",
        )
    return cents


def _code(words: str) -> str | None:
    """`Conviction - Fined` → CONVICTION_FINED: the source writes English only, a code needs no translation."""
    return re.sub(r"[^A-Z0-9]+", "_", words.upper()).strip("_") or None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def _held(db: Db, ids: set[str]) -> dict[str, str]:
    rows = await db.all(select(ImportedRow).where(col(ImportedRow.id).in_(ids)))
    return {row.id: row.content_hash for row in rows}


async def _store(db: Db, rows: Sequence[VisitRow]) -> None:
    if not rows:
        return
    latest = {row.premises_id: row for row in sorted(rows, key=lambda row: (row.on, row.visit_id))}
    described = tuple_(col(Premises.described_on), col(Premises.described_by))
    await _upsert(db, Premises, [_premises(latest[key]) for key in sorted(latest)], newer_than=described)
    visits = {row.visit_id: {"id": row.visit_id, "premises_id": row.premises_id, "on": row.on} for row in rows}
    await _upsert(db, PremisesVisit, list(visits.values()))
    await _upsert(db, Infraction, [_infraction(row) for row in rows if row.details])
    await _upsert(db, ImportedRow, [{"id": row.id, "content_hash": row.content_hash} for row in rows])


async def _upsert(db: Db, model: type[SQLModel], rows: Sequence[dict[str, Any]], newer_than: Any = None) -> None:
    if not rows:
        return
    statement = insert(model)
    excluded = statement.excluded
    newer = None if newer_than is None else tuple_(excluded.described_on, excluded.described_by) >= newer_than
    replaced = {name: excluded[name] for name in rows[0] if name != "id"}
    await db.execute(statement.on_conflict_do_update(index_elements=["id"], set_=replaced, where=newer), list(rows))


def _premises(row: VisitRow) -> dict[str, Any]:
    return {
        "id": row.premises_id,
        "source": SOURCE,
        "name": row.name,
        "kind": row.kind,
        "address": row.address,
        "latitude": row.latitude,
        "longitude": row.longitude,
        "described_on": row.on,
        "described_by": row.visit_id,
    }


def _infraction(row: VisitRow) -> dict[str, Any]:
    law, section = _law(row.details)
    return {
        "id": row.id,
        "visit_id": row.visit_id,
        "details": Text(en=row.details, fr=None),
        "law": law,
        "section": section,
        "severity": row.severity,
        "action": row.action,
        "outcome": row.outcome,
        "fined_cents": row.fined_cents,
    }


def _law(details: str) -> tuple[str | None, str | None]:
    """The law and section that the details end in, if any, in one spelling: `O. REG  562/90 SEC. 59(C)` → 59(c)."""
    if (named := LAW.search(details)) is None:
        return None, None
    law = f"O. Reg. {named[1]}" if named[1] else f"Toronto Municipal Code, c. {named[2]}"
    return law, re.sub(r"\(\w+\)", lambda part: part[0].lower(), named[3]).rstrip(".")
