"""`onedoor compose`: writes what the parts promise one another into `contracts/`, from the code that keeps the promise; and the
table of rights, and what operations tell about people, as pages of `docs/`.

Each subgraph's SDL, the supergraph composed from them, the JSON Schema of each event and the AsyncAPI document are
artifacts: text computed from code. Writing them and checking them for drift are the same computation with two endings.
"""

import difflib
import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from graphql import parse

from clusters import node, planning, privacy, privacy_page, rights_page
from gateway.documents import hash_of
from gateway.engine.api_schema import named_type
from gateway.engine.supergraph import load_supergraph
from gateway.hints import Hints
from services.catalogue.cluster_file import SubgraphEntry
from services.catalogue.cluster_folder import read_folder
from services.kit.language import spoken

if TYPE_CHECKING:
    from services.kit.service import Service

ROOT = Path(__file__).parent.parent
CONTRACTS = ROOT / "contracts"
MENDS = "onedoor compose"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A generated file: its path and the text that the code says it should hold."""

    path: Path
    text: str

    def drift(self) -> str:
        """What differs between the file and the code, as a unified diff; empty when they agree."""
        held = self.path.read_text() if self.path.exists() else ""
        name = self.path.relative_to(CONTRACTS.parent).as_posix()
        lines = difflib.unified_diff(
            held.splitlines(),
            self.text.splitlines(),
            f"{name} (committed)",
            f"{name} (from code)",
            lineterm="",
        )
        return "\n".join(lines)


class CompositionRefused(Exception):
    """The subgraphs do not compose. `problems` holds one text each, naming service, type and field."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def load(name: str) -> "Service":
    """The service object of a subgraph. Raises ModuleNotFoundError for a subgraph without code here."""
    service: Service = import_module(f"services.{name}.service").service
    return service


def compose(parts: Sequence[tuple[SubgraphEntry, str]]) -> str:
    """The supergraph SDL of subgraphs and their SDL, the same text whatever their order.

    Raises CompositionRefused, also for what is about people and would be kept, and node.NodeMissing when the machine
    cannot run the composition step.
    Source: Apollo Federation 2.9 composition, by @theguild/federation-composition.
    """
    folder = CONTRACTS / "compose"
    runtime = node.find()
    runtime.install(folder)
    request = [
        {"name": s.name, "url": str(s.url), "typeDefs": sdl} for s, sdl in sorted(parts, key=lambda p: p[0].name)
    ]
    done = subprocess.run(  # noqa: S603 - fixed command, no shell
        [*runtime.node, str(folder / "compose.mjs")],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CompositionRefused([f"the composition step crashed: {done.stderr.strip()}"])
    answer = json.loads(done.stdout)
    if "errors" in answer:
        raise CompositionRefused([_explain(e["code"], e["message"], parts) for e in answer["errors"]])
    text: str = answer["supergraph"]
    if kept := list(Hints(parse(text)).contradictions()):
        raise CompositionRefused([_kept_about_people(coordinate) for coordinate in kept])
    return text.rstrip() + "\n"


def _kept_about_people(coordinate: str) -> str:
    never = "@cacheControl(maxAge: 0)"
    return spoken(
        f"PERSONAL_DATA_CACHED ({coordinate}): it is @personalData and would be kept by @cacheControl, its own or that of "
        f"what holds it. Say {never} on it, or take the other hint away.",
        f"PERSONAL_DATA_CACHED ({coordinate})\u00a0: ce champ porte @personalData et serait gardé par un @cacheControl, le "
        f"sien ou celui de ce qui le contient. Mettez-y {never}, ou retirez l’autre indication.",
    )


def _explain(code: str, message: str, parts: Sequence[tuple[SubgraphEntry, str]]) -> str:
    """One line: code, the services and the coordinates that the composer's message speaks of, then its own words."""
    named = [(s, sdl) for s, sdl in parts if re.search(rf"\b{re.escape(s.name)}\b", message)]
    coordinates = set(re.findall(r"\b[A-Z]\w*\.\w+", message))
    coordinates |= {f"{kind}.{name}" for name, kind in re.findall(r'field "(\w+)" on type "(\w+)"', message)}
    for kind in re.findall(r'Unknown type "?(\w+)', message):
        coordinates |= {found for _, sdl in named for found in _uses(sdl, kind)}
    names = ", ".join(sorted(s.name for s, _ in named))
    where = "; ".join(filter(None, [names, ", ".join(sorted(coordinates))])) or "all services"
    return f"{code} ({where}): {message}"


def _uses(sdl: str, kind: str) -> Iterator[str]:
    """The coordinates of the fields of an SDL whose type is named so, and of those with such an argument."""
    for definition in parse(sdl).definitions:
        for field in getattr(definition, "fields", None) or ():
            given = [field, *(getattr(field, "arguments", None) or ())]
            if any(named_type(one.type) == kind for one in given):
                yield f"{definition.name.value}.{field.name.value}"  # type: ignore[attr-defined] # a type, which has fields


def artifacts() -> Iterator[Artifact]:
    """Every generated file, from the code of the services that the cluster files name."""
    parts, services = [], []
    for subgraph in (s for cluster in read_folder(ROOT / "clusters") for s in cluster.subgraphs):
        service = load(subgraph.name)
        services.append(service)
        sdl = service.sdl().rstrip() + "\n"
        parts.append((subgraph, sdl))
        yield Artifact(CONTRACTS / "subgraphs" / f"{subgraph.name}.graphql", sdl)
    supergraph = compose(parts)
    yield Artifact(CONTRACTS / "supergraph.graphql", supergraph)
    yield Artifact(CONTRACTS / "trusted-documents.json", _pretty(trusted_documents()))
    yield from event_artifacts(services)
    yield Artifact(ROOT / "docs" / "rights.md", rights_page.page())
    yield Artifact(ROOT / "docs" / "privacy.md", privacy_page.page(privacy_reports(supergraph)))


def privacy_reports(supergraph: str) -> list[privacy.Report]:
    """What each operation of the clients tells about people. Raises CompositionRefused where one carries no purpose that covers
    it."""
    held = load_supergraph(supergraph)
    reports, problems = [], []
    for path in sorted(CONTRACTS.glob("operations/*.graphql")):
        text = path.read_text(encoding="utf-8")
        try:
            reports.append(privacy.report(planning.planned(held, text, path.stem), text))
        except (planning.OperationRefused, privacy.UnknownPurpose) as problem:
            problems.append(f"{path.name}: {problem}")
    problems += [problem for report in reports for problem in report.problems()]
    if problems:
        raise CompositionRefused(problems)
    return reports


def trusted_documents() -> dict[str, object]:
    """The clients' operations as a gateway looks them up: by SHA-256 the text, as GraphQL clients write persisted documents, with
    the purposes of one that carries some."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(CONTRACTS.glob("operations/*.graphql"))]
    return {
        hash_of(text): {"text": text, "purposes": carried} if (carried := privacy.purposes_in(text)) else text
        for text in texts
    }


def event_artifacts(services: Sequence["Service"]) -> Iterator[Artifact]:
    """The JSON Schema of each event that a service or the gateway emits, and the AsyncAPI document over all of them."""
    from services.kit.contracts import OF_THE_GATEWAY, asyncapi, event_schemas

    for event_type, schema in sorted(event_schemas(services, OF_THE_GATEWAY).items()):
        yield Artifact(CONTRACTS / "events" / f"{event_type}.json", _pretty(schema))
    yield Artifact(CONTRACTS / "asyncapi.json", _pretty(asyncapi(services, OF_THE_GATEWAY)))


def stale(wanted: Sequence[Artifact]) -> list[Path]:
    """Generated files that the code no longer promises."""
    kept = {a.path for a in wanted}
    generated = [*CONTRACTS.glob("subgraphs/*.graphql"), *CONTRACTS.glob("events/*.json")]
    return sorted(p for p in generated if p not in kept)


def write() -> list[Path]:
    """Bring `contracts/` up to the code. Returns the files that changed."""
    wanted = list(artifacts())
    changed = [a.path for a in wanted if a.drift()]
    for artifact in wanted:
        artifact.path.parent.mkdir(parents=True, exist_ok=True)
        artifact.path.write_text(artifact.text)
    for path in (gone := stale(wanted)):
        path.unlink()
    return changed + gone


def drifts() -> list[str]:
    """What differs between `contracts/` and the code, one text per file; empty when nothing does."""
    wanted = list(artifacts())
    gone = [f"{p.relative_to(ROOT)}: no service promises this any more" for p in stale(wanted)]
    return [d for a in wanted if (d := a.drift())] + gone


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
