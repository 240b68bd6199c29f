"""Reads `personal_data.toml`: the categories of data about people, and the fields that only sound like it."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from services.kit.language import Words

FILE = Path(__file__).parent / "personal_data.toml"


@dataclass(frozen=True, slots=True)
class PersonalData:
    """Everything that the file says: names by category, reasons by field (`service.Type.field`, `service.*`)."""

    categories: Mapping[str, Words]
    exceptions: Mapping[str, Words]

    def excepts(self, service: str, type_name: str, field: str) -> str | None:
        """The exception under which a field stands, or None."""
        names = (f"{service}.{type_name}.{field}", f"{service}.{type_name}.*", f"{service}.*")
        return next((name for name in names if name in self.exceptions), None)


@cache
def personal_data() -> PersonalData:
    """What the file says."""
    data = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return PersonalData(
        {entry["code"]: Words(entry["en"], entry["fr"]) for entry in data["categories"]},
        {entry["field"]: Words(entry["en"], entry["fr"]) for entry in data["exceptions"]},
    )
