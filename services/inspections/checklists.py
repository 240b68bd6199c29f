"""Checklists from their files into the database. A published version never changes; a higher version retires it."""

from pathlib import Path
from typing import Any

import strawberry
from pydantic import Field
from sqlmodel import col, select

from services.inspections.data_files import BadData, Both, Part, read
from services.inspections.models import Checklist
from services.inspections.severity import Severity
from services.inspections.subgraph import service
from services.kit.columns import now
from services.kit.database import Db

FOLDER = Path(__file__).parent / "data" / "checklists"


class ItemData(Part):
    """An item of a checklist's file; `law` is a key of the file's laws."""

    code: str = Field(pattern=r"^[A-Z]{2}-\d{2}$")
    law: str
    section: str = Field(min_length=1)
    severity: Severity
    question: Both


class ChecklistData(Part):
    """A checklist's file."""

    code: str = Field(pattern=r"^[a-z][a-z-]{2,39}$")
    version: int = Field(ge=1)
    title: Both
    sector: Both
    laws: dict[str, Both]
    items: list[ItemData] = Field(min_length=1)

    @property
    def id(self) -> str:
        """What inspections refer to."""
        return f"{self.code}@{self.version}"

    def rows(self) -> list[dict[str, Any]]:
        """The items as they are stored, each with its law's name."""
        return [
            {**item.model_dump(mode="json", exclude={"law"}), "law": self.laws[item.law].model_dump()}
            for item in self.items
        ]


def read_checklist(path: Path) -> ChecklistData:
    """A checklist from its file. Raises BadData, naming the place."""
    found = read(path, ChecklistData)
    codes = [item.code for item in found.items]
    if twice := {code for code in codes if codes.count(code) > 1}:
        raise BadData(f"{path}: items: {', '.join(sorted(twice))} is there twice; give each item a code of its own")
    if strange := {item.law for item in found.items} - found.laws.keys():
        raise BadData(f"{path}: items: no law is called {', '.join(sorted(strange))}; name it under [laws]")
    return found


async def publish(db: Db, data: ChecklistData) -> Checklist:
    """Store a version, retire the lower ones. Raises BadData when the version is there with other content."""
    held = await db.one(Checklist, data.id)
    title, sector = data.title.as_text(), data.sector.as_text()
    if held is None:
        held = Checklist(
            id=strawberry.ID(data.id),
            code=data.code,
            version=data.version,
            title=title,
            sector=sector,
            data=data.rows(),
        )
        db.add(held)
    elif (held.title, held.sector, held.data) != (title, sector, data.rows()):
        raise BadData(f"{data.id} is published and differs from its file; give the changed file a higher version")
    for other in await db.where(Checklist, code=data.code):
        if other.version < data.version and other.retired_at is None:
            other.retired_at = now()
            db.add(other)
    return held


@service.seed
async def publish_files(db: Db) -> None:
    """The checklists that ship with this service."""
    for path in sorted(FOLDER.glob("*.toml")):
        await publish(db, read_checklist(path))


async def current(db: Db, code: str) -> Checklist | None:
    """The version of a checklist that new inspections get, or None."""
    in_force = select(Checklist).where(col(Checklist.code) == code, col(Checklist.retired_at).is_(None))
    return await db.first(in_force.order_by(col(Checklist.version).desc()))


@service.query()
async def checklists(db: Db) -> list[Checklist]:
    """The checklists in force, by code. What is checked is public, as the law is."""
    return await db.all(select(Checklist).where(col(Checklist.retired_at).is_(None)).order_by(col(Checklist.code)))
