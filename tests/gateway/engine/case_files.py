"""The named cases: each a text file with subgraphs, operations, and for each its plan and its answer.

    == subgraph NAME            Federation 2; `== old subgraph NAME` for Federation 1
    == operation                what the client asks; then, as far as they apply, == variables, == labels, == granted
    == plan                     as text
    == answer                   {"data": ..., "errors": [paths]}

`python -m tests.gateway.engine.case_files` composes what is new and fills in plans and answers that are not there yet: read them
before they are committed.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphql import parse, validate

from tests.gateway.engine.splitter import LINK
from tests.gateway.engine.world import World

Json = dict[str, Any]
FOLDER = Path(__file__).parent / "cases"


@dataclass
class Asked:
    """An operation of a case, with what is expected."""

    text: str
    variables: Json = field(default_factory=dict)
    labels: frozenset[str] = frozenset()
    granted: frozenset[str] = frozenset()
    plan: str = ""
    answer: str = ""


@dataclass
class Case:
    """A file of cases. `away` are rows that a subgraph does not know, as `subgraph Type number`."""

    name: str
    title: str
    subgraphs: dict[str, str] = field(default_factory=dict)
    operations: list[Asked] = field(default_factory=list)
    away: tuple[str, ...] = ()

    @property
    def composed(self) -> Path:
        return FOLDER / f"{self.name}.graphql"

    @property
    def supergraph(self) -> str:
        return self.composed.read_text(encoding="utf-8")

    def world(self, asked: "Asked | None" = None) -> World:
        """What an operation is asked of."""
        asked = asked or Asked("")
        return World(
            self.subgraphs,
            self.supergraph,
            labels=asked.labels,
            granted=asked.granted,
            away=frozenset(self.away),
            plain=True,
        )


def names() -> list[str]:
    """All cases by name."""
    return sorted(file.stem for file in FOLDER.glob("*.txt"))


def read(name: str) -> Case:
    """A case by name."""
    title, *sections = ("\n" + (FOLDER / f"{name}.txt").read_text(encoding="utf-8")).split("\n== ")
    case = Case(name, title.strip())
    for section in sections:
        head, _, body = section.partition("\n")
        body = body.strip()
        match head.split():
            case ["subgraph", subgraph]:
                case.subgraphs[subgraph] = LINK + "\n" + body + "\n"
            case ["old", "subgraph", subgraph]:
                case.subgraphs[subgraph] = body + "\n"
            case ["away"]:
                case.away = tuple(body.splitlines())
            case ["operation"]:
                case.operations.append(Asked(body))
            case ["variables"]:
                case.operations[-1].variables = json.loads(body)
            case ["labels"]:
                case.operations[-1].labels = frozenset(body.split())
            case ["granted"]:
                case.operations[-1].granted = frozenset(body.split())
            case ["plan"]:
                case.operations[-1].plan = body
            case ["answer"]:
                case.operations[-1].answer = body
            case _:
                raise ValueError(f"{name}: {head}")
    return case


def answered(world: World, asked: Asked) -> tuple[str, str]:
    """The plan and the answer of an operation."""
    data, errors, plan = world.federated(parse(asked.text), asked.variables)
    told: Json = {"data": data}
    if errors:
        told["errors"] = [error.get("path") or error["message"] for error in errors]
    return plan or "no plan", json.dumps(told, ensure_ascii=False)


def write(case: Case) -> None:
    """Write a case with all that is known of it."""
    parts = [case.title]
    for name, sdl in case.subgraphs.items():
        old = "" if sdl.startswith(LINK) else "old "
        parts.append(f"== {old}subgraph {name}\n{sdl.removeprefix(LINK).strip()}")
    if case.away:
        parts.append("== away\n" + "\n".join(case.away))
    for asked in case.operations:
        parts.append(f"== operation\n{asked.text}")
        if asked.variables:
            parts.append(f"== variables\n{json.dumps(asked.variables)}")
        if asked.labels:
            parts.append(f"== labels\n{' '.join(sorted(asked.labels))}")
        if asked.granted:
            parts.append(f"== granted\n{' '.join(sorted(asked.granted))}")
        parts.append(f"== plan\n{asked.plan}")
        parts.append(f"== answer\n{asked.answer}")
    (FOLDER / f"{case.name}.txt").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def main() -> None:
    """Compose and fill in."""
    from tests.gateway.engine.composer import Composer

    with Composer() as composer:
        for name in names():
            case = read(name)
            sdl, problems = composer.compose(case.subgraphs)
            if sdl is None:
                sys.exit(f"{name} does not compose: {problems}")
            case.composed.write_text(sdl, encoding="utf-8")
            for asked in case.operations:
                if not asked.plan:
                    world = case.world(asked)
                    invalid = validate(world.supergraph.api_schema, parse(asked.text))
                    assert not invalid, invalid
                    difference = None if case.away else world.difference(asked.text, asked.variables)
                    asked.plan, asked.answer = answered(world, asked)
                    print(f"{name}: {asked.text}\n{asked.plan}\n{asked.answer}\n{difference or ''}")
            write(case)


if __name__ == "__main__":
    main()
