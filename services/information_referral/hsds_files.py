"""Importer `hsds`: full HSDS 3.x objects (services, organizations, taxonomies, terms) → the directory.

Takes a JSON array, a page (`contents`), one object, or JSON Lines. An organization's `services` count as records of their
own. What makes rows of an object is in `hsds_objects.py`.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from services.information_referral.hsds_objects import SOURCE, Unfit, record_of
from services.information_referral.records import Record, store
from services.kit.database import Db
from services.kit.imports import FileRefused, Outcomes, Parsed, Rejected, rejected_text
from services.kit.language import Words

LARGEST_FILE = 256 * 2**20


class HsdsFiles:
    """Takes full HSDS objects."""

    service = "information_referral"
    batch_size = 200

    def read(self, path: Path) -> Iterator[Parsed[Record] | Rejected]:
        """A record per object; `line` counts objects, except in JSON Lines. Raises FileRefused."""
        for line, given in objects(path):
            if isinstance(given, Rejected):
                yield given
                continue
            for one in _with_its_services(given):
                yield _parsed(line, one)

    async def write(self, db: Db, batch: Sequence[Parsed[Record]]) -> Outcomes:
        """Store a batch; a second time finds everything unchanged."""
        return await store(db, SOURCE, [item.record for item in batch])


importer = HsdsFiles()


def objects(path: Path) -> Iterator[tuple[int, Any]]:
    """The objects of a file with their places. Raises FileRefused."""
    if path.stat().st_size > LARGEST_FILE:
        raise FileRefused(f"{path} is larger than 256 MiB; split it", f"{path} dépasse 256 Mio; divisez-le")
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        first = file.readline()
        file.seek(0)
        try:
            whole = json.loads(first)
            by_line = bool(first.strip()) and isinstance(whole, dict) and bool(file.read(1))
        except (ValueError, RecursionError):
            by_line, whole = False, None
        file.seek(0)
        if by_line and len(first) < path.stat().st_size - 3:
            yield from _lines(file)
            return
        try:
            whole = json.load(file)
        except (ValueError, RecursionError) as error:
            raise FileRefused(f"{path} is not JSON: {error}", f"{path} n’est pas du JSON : {error}") from None
    if isinstance(whole, dict):
        whole = whole.get("contents", [whole])
    if not isinstance(whole, list):
        raise FileRefused(f"{path} holds no list of services", f"{path} ne contient aucune liste de services")
    yield from enumerate(whole, 1)


def _lines(file: Any) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, Rejected(number, "NOT_JSON", Words(f"not JSON: {error}", f"pas du JSON : {error}"), line)


def _parsed(line: int, given: Any) -> Parsed[Record] | Rejected:
    raw = json.dumps(given, ensure_ascii=False)[:2000]
    if (hostile := rejected_text(line, given, raw)) is not None:
        return hostile
    try:
        return Parsed(line, record_of(given))
    except Unfit as unfit:
        return Rejected(line, "NOT_HSDS", unfit.words, raw)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        reason = Words(f"not a full HSDS object: {error!r}", f"ce n’est pas un objet HSDS complet : {error!r}")
        return Rejected(line, "NOT_HSDS", reason, raw)


def _with_its_services(given: Any) -> Iterator[Any]:
    """An object, and as objects of their own the services that an organization holds."""
    services = given.get("services") if isinstance(given, dict) else None
    if not isinstance(services, list):
        yield given
        return
    organization = {name: value for name, value in given.items() if name != "services"}
    yield organization
    yield from ({**one, "organization": organization} if isinstance(one, dict) else one for one in services)
