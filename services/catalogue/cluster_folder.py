"""Reads the folder of cluster files whole, and says of a bad one: which file, which line, what to do.

All problems are reported at once, since whoever mends a file wants to mend it once. Each is told in both languages: the
reader of a service's log may be either.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from services.catalogue.cluster_file import ClusterEntry, MinistryEntry, entries
from services.kit.inputs import explain
from services.kit.language import Words
from services.kit.service import StartRefused

LARGEST_FILE = 1 << 20
MOST_PROBLEMS = 50  # of one file; whoever mends so many starts with those
NOT_CLUSTERS = frozenset(
    {"access.toml", "personal_data.toml", "purposes.toml", "rights.toml"}
)  # of all clusters together
Where = tuple[Any, ...]

_REMEDIES: Mapping[str, Words] = {
    "missing": Words("add this key", "ajoutez cette clé"),
    "string_too_short": Words("it is empty; write a text here", "ce texte est vide; écrivez-le"),
    "string_type": Words("write a text between quotation marks", "écrivez un texte entre guillemets droits"),
    "int_type": Words(
        "write a whole number without quotation marks, such as 80", "écrivez un nombre entier sans guillemets, comme 80"
    ),
    "float_type": Words("write a number without quotation marks", "écrivez un nombre sans guillemets"),
    "float_parsing": Words("write a number without quotation marks", "écrivez un nombre sans guillemets"),
    "finite_number": Words("write a number that is one", "écrivez un nombre véritable"),
    "tuple_type": Words(
        "write a list between [ ], or one [[table]] for each entry",
        "écrivez une liste entre [ ], ou une [[table]] par élément",
    ),
    "model_type": Words(
        'write a table; for a text: {{ en = "…", fr = "…" }}',
        'écrivez une table; pour un texte : {{ en = "…", fr = "…" }}',
    ),
    "date_type": Words("write a day, such as 2026-01-31", "écrivez un jour, comme 2026-01-31"),
    "date_parsing": Words("write a day, such as 2026-01-31", "écrivez un jour, comme 2026-01-31"),
    "date_from_datetime_inexact": Words(
        "write the day alone, such as 2026-01-31", "écrivez le jour seul, comme 2026-01-31"
    ),
    "extra_forbidden": Words("remove this key, or correct its spelling", "retirez cette clé ou corrigez-la"),
    "string_pattern_mismatch": Words(
        "use lower-case letters and digits, joined by single hyphens (underscores in a subgraph's name)",
        "utilisez des minuscules et des chiffres, joints par des traits d’union (de soulignement pour un sous-graphe)",
    ),
    "enum": Words("use one of: {expected}", "utilisez l’une de ces valeurs : {expected_fr}"),
    "fees_out_of_order": Words(
        "put the fees in order of their date, each date once",
        "mettez les frais par ordre de date, chaque date une fois",
    ),
    **dict.fromkeys(
        ("url_parsing", "url_scheme", "url_type"),
        Words(
            "write an address such as http://127.0.0.1:8101/graphql",
            "écrivez une adresse comme http://127.0.0.1:8101/graphql",
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in a file, and the remedy, in both languages. `line` counts from 1; 0 is the file as a whole."""

    file: str
    line: int
    words: Words

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.words.en} / {self.words.fr}"


class ClusterFilesRefused(StartRefused):
    """The cluster files cannot be used as they are; nothing was changed."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class _Read:
    file: str
    text: str
    cluster: ClusterEntry

    def problem(self, where: Where, en: str, fr: str) -> Problem:
        return Problem(self.file, line_of(self.text, where), Words(en, fr))


def read_folder(folder: Path) -> tuple[ClusterEntry, ...]:
    """The clusters of a folder, by file name. Raises ClusterFilesRefused with every problem of every file."""
    problems: list[Problem] = []
    read: list[_Read] = []
    for path in sorted(folder.glob("*.toml")):
        if path.name in NOT_CLUSTERS:
            continue
        try:
            read.append(_read(path))
        except ClusterFilesRefused as refused:
            problems += refused.problems
    if not read and not problems:
        words = Words(
            "no cluster file here; set CLUSTERS_DIR to the folder that holds them",
            "aucun fichier de groupe ici; indiquez leur dossier dans CLUSTERS_DIR",
        )
        problems.append(Problem(str(folder), 0, words))
    problems += islice(_between(read), MOST_PROBLEMS)
    if problems:
        raise ClusterFilesRefused(problems)
    return tuple(r.cluster for r in read)


def _read(path: Path) -> _Read:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
        if len(raw) > LARGEST_FILE:
            raise _refused(path, 0, "the file is larger than 1 MiB; split it", "le fichier dépasse 1 Mio; divisez-le")
        text = raw.decode("utf-8-sig")
        data = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _refused(path, line, "not UTF-8; save it as UTF-8", "pas en UTF-8; enregistrez-le en UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        what = str(error).partition(" (at ")[0]
        en = f"not TOML ({what}); correct the line"
        raise _refused(path, line, en, f"ce n’est pas du TOML (« {what} »); corrigez la ligne") from None
    except (RecursionError, ValueError):  # tomllib's own limits: nesting, and the digits of a number
        en = "a value is nested too deeply or has too many digits; write it as other files do"
        fr = "une valeur est trop imbriquée ou compte trop de chiffres; écrivez-la comme dans les autres fichiers"
        raise _refused(path, 0, en, fr) from None
    except OSError as error:
        en = f"cannot be read ({error.strerror}); check its permissions"
        raise _refused(path, 0, en, f"illisible ({error.strerror}); vérifiez ses permissions") from None
    try:
        return _Read(path.name, text, ClusterEntry.model_validate(data))
    except ValidationError as error:
        found_errors = error.errors(include_url=False, include_input=False)[:MOST_PROBLEMS]
        raise ClusterFilesRefused([_explained(path.name, text, e) for e in found_errors]) from None


def _refused(path: Path, line: int, en: str, fr: str) -> ClusterFilesRefused:
    return ClusterFilesRefused([Problem(path.name, line, Words(en, fr))])


def _explained(file: str, text: str, error: Any) -> Problem:
    where, kind, context = tuple(error["loc"]), error["type"], error.get("ctx") or {}
    if "expected" in context:
        context["expected_fr"] = str(context["expected"]).replace(" or ", " ou ")
    remedy = _REMEDIES.get(kind)
    words = remedy.filled(**context) if remedy else Words(*explain(kind, context))
    name = ".".join(map(str, where))
    return Problem(file, line_of(text, where), Words(f"{name}: {words.en}", f"{name} : {words.fr}"))


def _between(read: Sequence[_Read]) -> Iterator[Problem]:
    """Problems that show only when all files are seen together."""
    seen: dict[tuple[str, str], tuple[_Read, Where]] = {}
    named: dict[str, MinistryEntry] = {}
    for one in read:
        own: set[str] = set()
        for i, ministry in enumerate(one.cluster.ministries):
            if named.setdefault(ministry.code, ministry) != ministry:
                en = f"{ministry.code} is named otherwise in another place; write it alike in both"
                fr = f"{ministry.code} porte un autre nom ailleurs; écrivez-le pareillement"
                yield one.problem(("ministries", i, "name"), en, fr)
            if ministry.code in own:
                en = f"{ministry.code} stands twice in this file; remove one"
                yield one.problem(("ministries", i, "code"), en, f"{ministry.code} figure deux fois; retirez-en un")
            own.add(ministry.code)
        for kind, code, where in entries(one.cluster):
            first, there = seen.setdefault((kind, code), (one, where))
            if first is not one or there != where:
                place = f"{first.file}:{line_of(first.text, there)}"
                en = f"the {kind} {code} is already at {place}; choose another code or remove one"
                fr = f"{code} figure déjà à {place}; choisissez un autre code ou retirez-en un"
                yield one.problem(where, en, fr)
        for i, service in enumerate(one.cluster.services):
            if service.ministry not in own:
                yield _stranger(one, ("services", i, "ministry"), service.ministry)
        for i, subgraph in enumerate(one.cluster.subgraphs):
            if subgraph.owner not in own:
                yield _stranger(one, ("subgraphs", i, "owner"), subgraph.owner)


def _stranger(one: _Read, where: Where, code: str) -> Problem:
    en = f"{code} is no ministry of this cluster; add it under [[ministries]] or correct the code"
    return one.problem(where, en, f"{code} n’est pas un ministère de ce groupe; ajoutez-le ou corrigez le code")


def line_of(text: str, where: Where) -> int:
    """The line of a TOML text where a path of keys and indices stands; for what is missing, the table it belongs to.

    Reads headers and keys at the start of lines only, which is how the files are written; the TOML itself is judged by
    tomllib.
    """
    names = [part for part in where if isinstance(part, str)]
    indices = [part for part in where if isinstance(part, int)]
    best, depth = 1, 0
    seen: dict[str, int] = {}  # index of the latest entry of each array of tables
    table: list[str] | None = []  # the path of the table we are in; None where the wanted path does not lead
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[{1,2})\s*([\w.]+)\s*\]{1,2}\s*(#|$)", line):
            name = header[2]
            seen = {n: i for n, i in seen.items() if not n.startswith(f"{name}.")}
            seen[name] = seen.get(name, -1) + 1
            keys = name.split(".")
            at = [seen.get(".".join(keys[: n + 1]), 0) for n in range(len(keys))]
            single = header[1] == "["  # counts no entries
            table = keys if names[: len(keys)] == keys and (single or at == indices[: len(keys)]) else None
            if table and len(table) > depth:
                best, depth = number, len(table)
        elif table is not None and (key := re.match(r"\s*(\w+)\s*=", line)):
            path = [*table, key[1]]
            if names[: len(path)] == path and len(path) > depth:
                best, depth = number, len(path)
    return best
