"""The cluster files: who delivers what, in the province's own words. The files are the truth; this module reads and judges them.

One TOML file per ministry cluster. A bad file is refused with its name, the place in it and what would mend it.
"""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Channel = Literal["internet", "telephone", "counter", "kiosk", "mail"]
Unit = Literal["BUSINESS_DAYS", "MINUTES"]
CODE = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
NOT_CLUSTERS = frozenset({"access.toml", "purposes.toml"})


class ClusterFilesRefused(Exception):
    """A cluster file cannot be used. Each problem names file, place and remedy."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Entry(BaseModel):
    """A table of a cluster file: nothing unknown in it."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Both(Entry):
    """A text in both languages; neither half may be missing."""

    en: str = Field(min_length=1)
    fr: str = Field(min_length=1)


class Ministry(Entry):
    """A ministry; it may stand in two clusters, with the same code and name."""

    code: str = Field(pattern=CODE)
    name: Both


class Standard(Entry):
    """A service standard: `percent` of cases within `target` units."""

    code: str = Field(pattern=CODE)
    name: Both
    target: int = Field(gt=0, le=1000)
    unit: Unit
    percent: int = Field(gt=0, le=100)


class GovernmentService(Entry):
    """A service that a ministry gives: how it works, what it asks of people, how long it takes, what it costs."""

    code: str = Field(pattern=CODE)
    ministry: str
    channels: tuple[Channel, ...] = Field(min_length=1)
    fee_cents: int | None = Field(default=None, ge=0)
    name: Both
    description: Both
    how_it_works: Both
    expected_of_you: Both
    takes: Both
    standards: tuple[Standard, ...] = ()


class Subgraph(Entry):
    """A service of the federation: its name, its local address, the ministry that owns it."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    url: str = Field(pattern=r"^https?://")
    ministry: str


class Cluster(Entry):
    """One ministry cluster."""

    code: str = Field(pattern=CODE)
    name: Both
    vision: Both
    ministries: tuple[Ministry, ...] = Field(min_length=1)
    services: tuple[GovernmentService, ...] = ()
    subgraphs: tuple[Subgraph, ...] = ()


def read(folder: Path) -> tuple[Cluster, ...]:
    """Every cluster of a folder, by file name. Raises ClusterFilesRefused with every problem found."""
    problems: list[str] = []
    clusters: list[Cluster] = []
    files = [file for file in sorted(folder.glob("*.toml")) if file.name not in NOT_CLUSTERS]
    if not files:
        raise ClusterFilesRefused([f"{folder}: no cluster file here. Set CLUSTERS_DIR to the folder that holds them."])
    for file in files:
        try:
            clusters.append(Cluster.model_validate(tomllib.loads(file.read_text(encoding="utf-8"))))
        except tomllib.TOMLDecodeError as error:
            problems.append(f"{file.name}: {error}. Mend the TOML there.")
        except UnicodeDecodeError:
            problems.append(f"{file.name}: not UTF-8. Save the file as UTF-8.")
        except ValidationError as error:
            problems += [_problem(file, dict(e)) for e in error.errors(include_url=False)]
    problems += _contradictions(clusters)
    if problems:
        raise ClusterFilesRefused(problems)
    return tuple(clusters)


def subgraphs(folder: Path) -> tuple[Subgraph, ...]:
    """The services of the federation that the clusters deliver, by name."""
    found = (subgraph for cluster in read(folder) for subgraph in cluster.subgraphs)
    return tuple(sorted(found, key=lambda s: s.name))


def _problem(file: Path, error: dict[str, object]) -> str:
    """One line: file, line where the entry's last name stands first, place, what is wrong."""
    place = [str(part) for part in error["loc"]]  # type: ignore[attr-defined] # a tuple
    named = next((part for part in reversed(place) if not part.isdigit()), "")
    lines = file.read_text(encoding="utf-8").splitlines()
    line = next((n for n, text in enumerate(lines, 1) if named and named in text), 1)
    remedy = "Add it." if error["type"] == "missing" else "Correct it."
    return f"{file.name}, line {line}: {'.'.join(place)}: {error['msg']}. {remedy}"


def _contradictions(clusters: list[Cluster]) -> list[str]:
    """What no single file shows: codes used twice, ministries that differ or are missing."""
    problems: list[str] = []
    ministries: dict[str, Both] = {}
    seen: dict[str, str] = {}
    for cluster in clusters:
        for ministry in cluster.ministries:
            if ministries.setdefault(ministry.code, ministry.name) != ministry.name:
                problems.append(
                    f"{cluster.code}.toml: ministry {ministry.code} has another name elsewhere. Make them equal."
                )
        own = {ministry.code for ministry in cluster.ministries}
        for service in cluster.services:
            if service.ministry not in own:
                problems.append(
                    f"{cluster.code}.toml: service {service.code}: ministry {service.ministry} is not in it. Add it."
                )
        for kind, codes in (
            ("cluster", [cluster.code]),
            ("service", [s.code for s in cluster.services]),
            ("standard", [st.code for s in cluster.services for st in s.standards]),
            ("subgraph", [s.name for s in cluster.subgraphs]),
        ):
            for code in codes:
                if seen.setdefault(f"{kind} {code}", cluster.code) != cluster.code or codes.count(code) > 1:
                    problems.append(f"{cluster.code}.toml: {kind} {code} is there twice. Rename one.")
    return problems
