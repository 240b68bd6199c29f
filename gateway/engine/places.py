"""Where objects stand in the data of an answer. A path's lists are entered wherever they are; parts that narrow leave out the
objects of other types."""

from collections.abc import Iterator
from typing import Any

from gateway.engine.normalise import TYPENAME
from gateway.engine.plan import Narrowed, PathPart

Json = dict[str, Any]
Here = dict[tuple[PathPart, ...], list[Json]]  # the objects at paths
Place = list[Any]  # keys and indexes; whatever a subgraph says there


def reached(here: Here, path: tuple[PathPart, ...]) -> list[Json]:
    """The distinct objects at a path, in first-seen order; lists are entered wherever they are. The objects at some paths
    are known, those of the root at least; those on the way become known too."""
    known = here.get(path)
    if known is None:
        known = here[path] = _beyond(reached(here, path[:-1]), path[-1])
    return known


def _beyond(values: list[Json], part: PathPart) -> list[Json]:
    """Where a part of a path leads from some objects."""
    if isinstance(part, Narrowed):
        return [value for value in values if is_one_of(value, part.types)]
    found: dict[int, Json] = {}
    for value in values:
        held = value.get(part)
        if held.__class__ is dict:
            found[id(held)] = held
        elif held.__class__ is list:
            _enter(held, found)
    return list(found.values())


def chains(data: Json, path: tuple[PathPart, ...]) -> Iterator[list[Json]]:
    """The objects at a path, each with those on the way there: the root, then one for each part of the path."""

    def enter(value: Any, chain: list[Json]) -> Iterator[list[Json]]:
        if isinstance(value, list):
            for item in value:
                yield from enter(item, chain)
        elif isinstance(value, dict):
            yield from onward([*chain, value])

    def onward(chain: list[Json]) -> Iterator[list[Json]]:
        if len(chain) > len(path):
            yield chain
            return
        part = path[len(chain) - 1]
        if isinstance(part, Narrowed):
            if is_one_of(chain[-1], part.types):
                yield from onward([*chain, chain[-1]])
        else:
            yield from enter(chain[-1].get(part), chain)

    return onward([data])


def placed(data: Any, path: tuple[PathPart, ...]) -> Iterator[tuple[Json, Place]]:
    """The objects at a path, with the concrete path of each; lists are entered wherever they are."""

    def enter(value: Any, depth: int, here: Place) -> Iterator[tuple[Json, Place]]:
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from enter(item, depth, [*here, index])
        elif isinstance(value, dict):
            if depth == len(path):
                yield value, here
                return
            part = path[depth]
            if isinstance(part, Narrowed):
                if is_one_of(value, part.types):
                    yield from enter(value, depth + 1, here)
            else:
                yield from enter(value.get(part), depth + 1, [*here, part])

    return enter(data, 0, [])


def _enter(values: list[Any], found: dict[int, Json]) -> None:
    for value in values:
        if value.__class__ is dict:
            found[id(value)] = value
        elif value.__class__ is list:
            _enter(value, found)


def is_one_of(value: Json, types: frozenset[str]) -> bool:
    """Whether an object says that it is of one of some types."""
    told = value.get(TYPENAME)
    return told.__class__ is str and told in types
