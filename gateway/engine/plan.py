"""A plan: which requests to send to which subgraph, after which others, and where their answers belong.

Plans are data: nothing here sends or computes. They print as text, always the same for the same operation, and tests
compare that text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import orjson
from graphql import parse

from gateway.engine.defer import Deferred
from gateway.engine.reading import Reader
from gateway.engine.sharing import Point, points, separate

MARK = "\0"  # stands for the $ of a variable of the planner's own, until its document is written; in no GraphQL text


@dataclass(frozen=True, slots=True)
class Narrowed:
    """In a path: only values of these object types go on."""

    types: frozenset[str]


PathPart = str | Narrowed  # a response key (lists are entered by themselves), or a condition


@dataclass(frozen=True, slots=True)
class Input:
    """A field of a representation: its name there, the response key where its value lies, and what is read below.

    `types` restricts it to values of some object types, as a fragment in a @requires does.
    """

    name: str
    key: str
    below: "tuple[Input, ...] | None" = None
    types: frozenset[str] | None = None

    def with_(self, other: "Input") -> "Input | None":
        """Both as one, or None where one name would mean two values."""
        if self == other:
            return self
        if self.key != other.key or self.below is None or other.below is None:
            return None
        below = merged_inputs(self.below, other.below)
        return None if below is None else replace(self, below=below)


def merged_inputs(first: tuple[Input, ...], second: tuple[Input, ...]) -> tuple[Input, ...] | None:
    """Two sets of inputs as one, in first-seen order; None where one name would mean two values."""
    found = {(given.name, given.types): given for given in first}
    for given in second:
        held = found.setdefault((given.name, given.types), given)
        both = held.with_(given)
        if both is None:
            return None
        found[given.name, given.types] = both
    return tuple(found.values())


@dataclass(frozen=True)
class Entities:
    """Values to look up: all at `path`, told to the subgraph as `typename`, by `inputs`.

    `required` are the response keys of the key fields: a value without one of them cannot be looked up.
    """

    path: tuple[PathPart, ...]
    typename: str
    inputs: tuple[Input, ...]
    required: tuple[str, ...]

    @cached_property
    def flat(self) -> Mapping[str, str] | None:
        """The names in a representation by the response keys of their values, if there is no more to the inputs."""
        if any(given.below is not None or given.types is not None for given in self.inputs):
            return None
        found = {given.key: given.name for given in self.inputs}
        return found if len(found) == len(self.inputs) else None

    @cached_property
    def lone(self) -> tuple[bytes, str, bytes] | None:
        """If the key is one field and all there is to tell: the response key of its value, and the JSON before and after it."""
        if self.flat is None or len(self.inputs) > 1 or self.required != (*self.flat,):
            return None
        ((key, name),) = self.flat.items()
        return b'{"%b":' % name.encode(), key, b',"__typename":"%b"}' % self.typename.encode()


@dataclass(frozen=True, slots=True)
class Context:
    """A variable that carries what a value above the looked up ones holds: where that lies, and what is read of it.

    Of the `inputs` of a value the first that holds for its type is what counts, and so on below it.
    """

    variable: str
    type: str
    path: tuple[PathPart, ...]
    inputs: tuple[Input, ...]


@dataclass(frozen=True, slots=True)
class Lookup:
    """One `_entities` field of a request: its response key, its variable, and the values it looks up.

    One that is `told` contexts stands once for each distinct value of these; `field` is its text, with a mark before each
    name that is another one then.
    """

    alias: str
    variable: str
    entities: tuple[Entities, ...]
    told: tuple[Context, ...] = ()
    field: str = ""


@dataclass(frozen=True, slots=True)
class Rename:
    """Below the response key path `path` of an answer, what came as `alias` is called `key` on values of `types`."""

    path: tuple[str, ...]
    alias: str
    key: str


@dataclass(frozen=True)
class Fetch:
    """One request. `after` are the ids of the fetches whose answers it reads; `path` is where a root answer belongs,
    `roots` its first response keys. When one of the mutations `vital` gives null, the whole answer is null and no later
    one runs. `defers` are the deferred fragments that it is for, none when the first part of the answer needs it. `recipients`
    are the subgraphs that are told more of its answer than keys."""

    id: int
    subgraph: str
    kind: Literal["query", "mutation", "subscription"]
    document: str
    variables: tuple[str, ...]
    after: tuple[int, ...]
    lookups: tuple[Lookup, ...] = ()
    path: tuple[PathPart, ...] = ()
    roots: tuple[str, ...] = ()
    vital: tuple[str, ...] = ()
    renames: tuple[Rename, ...] = ()
    defers: tuple[Deferred, ...] = ()
    recipients: tuple[str, ...] = ()

    @cached_property
    def opening(self) -> bytes:
        """The part of the request's JSON that is always the same."""
        return b'{"query":' + orjson.dumps(self.document)

    def repeated(self, times: Mapping[str, int]) -> bytes:
        """The `opening` with lookups standing several times, by their aliases: the second with `__1` after its names."""
        declared, fields = "", ""
        for lookup in self.lookups:
            for number in range(1, times.get(lookup.alias, 1)):
                for context in lookup.told:
                    declared += f"${context.variable}__{number}: {context.type}, "
                declared += f"${lookup.variable}__{number}: [_Any!]!, "
                fields += f" {lookup.alias}__{number}: " + re.sub(f"{MARK}(\\w+)", rf"$\1__{number}", lookup.field)
        document = self.document.replace("(", f"({declared}", 1)
        return b'{"query":' + orjson.dumps(f"{document[:-2]}{fields} }}")


@dataclass(frozen=True)
class Plan:
    """The fetches of an operation, each after those it reads from, and its deferred fragments."""

    fetches: tuple[Fetch, ...]
    defers: tuple[Deferred, ...] = ()

    @cached_property
    def points(self) -> Mapping[tuple[int, str], Point]:
        """Where equal values of an answer can be one, by the fetch's id and the lookup's alias or nothing."""
        return points(self.fetches)

    @cached_property
    def readers(self) -> Mapping[int, Reader]:
        """How the answers are read in which equal values can be one, by the fetch's id. Only of those whose keys are told
        beforehand."""
        found: dict[int, dict[str, Point]] = {}
        for (number, alias), point in self.points.items():
            found.setdefault(number, {})[alias] = point
        plain = {f.id: f for f in self.fetches if not f.renames and not any(lookup.told for lookup in f.lookups)}
        return {
            number: Reader(parse(plain[number].document, no_location=True), tops)
            for number, tops in found.items()
            if number in plain
        }

    @cached_property
    def separate(self) -> frozenset[tuple[int, str]]:
        """The parts of answers that each waiting value gets a copy of, by the fetch's id and the lookup's alias or nothing."""
        return separate(self.fetches)

    @cached_property
    def _needed(self) -> dict[frozenset[int], frozenset[int]]:
        return {}

    def needed(self, numbers: frozenset[int]) -> frozenset[int]:
        """The ids of the fetches that the fields of some deferred fragments need, those that they have in common; for none, of
        the first part of the answer."""
        found = self._needed.get(numbers)
        if found is None:
            around = [self._around(number) for number in numbers]
            ids = (f.id for f in self.fetches if not f.defers or (around and _for_all(f, around)))
            found = self._needed[numbers] = frozenset(ids)
        return found

    def _around(self, number: int) -> set[int]:
        found = set()
        while number:
            found.add(number)
            number = self.defers[number - 1].within if number <= len(self.defers) else 0
        return found

    def __str__(self) -> str:
        return "\n".join(map(_text, self.fetches)) or "Nothing to fetch"

    def described(self) -> list[dict[str, Any]]:
        """The fetches as JSON values."""
        return [described(fetch) for fetch in self.fetches]

    def waves(self) -> list[list[Fetch]]:
        """The fetches by the earliest moment at which they can be sent: those of a wave go out together."""
        waves: list[list[Fetch]] = []
        place: dict[int, int] = {}
        for fetch in self.fetches:
            place[fetch.id] = max((place[before] + 1 for before in fetch.after), default=0)
            while len(waves) <= place[fetch.id]:
                waves.append([])
            waves[place[fetch.id]].append(fetch)
        return waves


def _for_all(fetch: Fetch, around: list[set[int]]) -> bool:
    """Whether a fetch is for each of some fragments, or for one around it."""
    numbers = {deferred.number for deferred in fetch.defers}
    return all(numbers & those for those in around)


def _text(fetch: Fetch) -> str:
    after = f" after {', '.join(map(str, fetch.after))}" if fetch.after else ""
    at = f" at {_path(fetch.path)}" if fetch.path else ""
    deferred = f" deferred {', '.join(map(str, fetch.defers))}" if fetch.defers else ""
    lines = [f"{fetch.id}: {fetch.subgraph}{after}{at}{deferred}", f"  {fetch.document}"]
    for lookup in fetch.lookups:
        for entities in lookup.entities:
            inputs = _inputs(entities.inputs)
            lines.append(f"  ${lookup.variable} += {entities.typename} {{ {inputs} }} at {_path(entities.path)}")
        lines += [f"  ${c.variable} = {{ {_inputs(c.inputs)} }} at {_path(c.path)}" for c in lookup.told]
    lines += [f"  rename {'.'.join((*r.path, r.alias))} to {r.key}" for r in fetch.renames]
    return "\n".join(lines)


def described(fetch: Fetch) -> dict[str, Any]:
    """A fetch as JSON values, for programs that show or keep a plan."""
    return {
        "id": fetch.id,
        "subgraph": fetch.subgraph,
        "kind": fetch.kind,
        "after": list(fetch.after),
        "deferred": [str(deferred) for deferred in fetch.defers],
        "at": _path(fetch.path),
        "document": fetch.document,
        "variables": list(fetch.variables),
        "entities": [
            {
                "variable": lookup.variable,
                "type": entities.typename,
                "fields": _inputs(entities.inputs),
                "at": _path(entities.path),
            }
            for lookup in fetch.lookups
            for entities in lookup.entities
        ],
        "contexts": [
            {"variable": context.variable, "fields": _inputs(context.inputs), "at": _path(context.path)}
            for lookup in fetch.lookups
            for context in lookup.told
        ],
        "renames": [{"at": ".".join(r.path), "from": r.alias, "to": r.key} for r in fetch.renames],
    }


def _path(path: tuple[PathPart, ...]) -> str:
    return (
        ".".join(part if isinstance(part, str) else f"[{'|'.join(sorted(part.types))}]" for part in path) or "the root"
    )


def _inputs(inputs: tuple[Input, ...]) -> str:
    return " ".join(map(_input, inputs))


def _input(given: Input) -> str:
    name = given.name if given.name == given.key else f"{given.name}: {given.key}"
    text = name if given.below is None else f"{name} {{ {_inputs(given.below)} }}"
    return text if given.types is None else f"... on {'|'.join(sorted(given.types))} {{ {text} }}"
