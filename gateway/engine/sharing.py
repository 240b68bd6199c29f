"""Lets one object stand for all equal ones that an answer holds at a place where entities are looked up.

Answers repeat entities: a hundred visits to nine premises. Equal values at one place of one answer have the same future, since
whatever is looked up and merged there depends on the values alone; so they are represented, merged and shaped once each.
A place that other requests reach only for some types is left alone: values of two types may look alike and part later. So is
one that several requests give parts of by way of a value above it: what looks alike in the first may part with the second. And
so are values that are told something from above (@fromContext), and those on the way to them.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import orjson
from graphql import FieldNode, InlineFragmentNode, SelectionSetNode, parse

if TYPE_CHECKING:
    from gateway.engine.plan import Fetch, PathPart

Json = dict[str, Any]
Known = defaultdict["Point", dict[bytes, Json]]


class Point:
    """A response key on the way to entities, or where they lie (`shared`). Part of a plan: it keeps nothing of an answer."""

    __slots__ = ("below", "shared")

    def __init__(self) -> None:
        self.below: dict[str, Point] = {}
        self.shared = False

    def share(self, value: Json, known: Known) -> None:
        """Replace equal values below an object, in place. `known` are those of this one answer so far."""
        for key, point in self.below.items():
            held = value.get(key)
            if held.__class__ is dict:
                value[key] = point._only(held, known)
            elif held.__class__ is list:
                point._items(held, known)

    def _only(self, value: Json, known: Known) -> Json:
        if self.shared:
            only = known[self].setdefault(orjson.dumps(value), value)
            if only is not value:
                return only
        if self.below:
            self.share(value, known)
        return value

    def _items(self, values: list[object], known: Known) -> None:
        for index, value in enumerate(values):
            if value.__class__ is dict:
                values[index] = self._only(value, known)
            elif value.__class__ is list:
                self._items(value, known)


def points(fetches: "Sequence[Fetch]") -> dict[tuple[int, str], Point]:
    """Where values can be shared in what a fetch gives: by the fetch's id, and the lookup's alias or nothing."""
    targets = [path for _, _, path in _given(fetches) if path]
    split = [_keys(path) for path in targets if any(not isinstance(part, str) for part in path[:-1])]
    whole = [path for path in targets if not any(_keys(path) == other[: len(path)] for other in split)]
    whole = [path for path in whole if _given_once(fetches, _keys(path))]
    between = list(_between(fetches))
    whole = [path for path in whole if not any(len(q) < len(path) and path == p[: len(path)] for q, p in between)]
    found: dict[tuple[int, str], Point] = {}
    for number, alias, origin in _given(fetches):
        top = Point()
        for path in whole:
            if path[: len(origin)] == origin and len(path) > len(origin) and all(isinstance(p, str) for p in path):
                _lead(top, [part for part in path[len(origin) :] if isinstance(part, str)])
        if top.below:
            found[number, alias] = top
    return found


def separate(fetches: "Sequence[Fetch]") -> frozenset[tuple[int, str]]:
    """The parts of answers that bring values which are told something from above: who waits for one gets a copy, since what
    is merged into the values later depends on where they stand."""
    between = list(_between(fetches))
    return frozenset(
        (number, alias)
        for number, alias, origin in _given(fetches)
        for q, p in between
        if len(q) <= len(_keys(origin)) < len(p) and _keys(origin) == p[: len(_keys(origin))]
    )


def _between(fetches: "Sequence[Fetch]") -> "Iterator[tuple[tuple[str, ...], tuple[str, ...]]]":
    """Where a context is set, and where the values lie that are told it."""
    for fetch in fetches:
        for lookup in fetch.lookups:
            for context in lookup.told:
                yield _keys(context.path), _keys(lookup.entities[0].path)


def _given(fetches: "Sequence[Fetch]") -> "Iterator[tuple[int, str, tuple[PathPart, ...]]]":
    """Every part of an answer: its fetch, the lookup's alias or nothing, and the path at which it is merged."""
    for fetch in fetches:
        if not fetch.lookups:
            yield fetch.id, "", fetch.path
        for lookup in fetch.lookups:
            yield from (
                (fetch.id, lookup.alias, path) for path in {entities.path: None for entities in lookup.entities}
            )


def _given_once(fetches: "Sequence[Fetch]", path: tuple[str, ...]) -> bool:
    """Whether only one part of an answer gives what lies at a path by way of a value above it."""
    documents: dict[int, SelectionSetNode] = {}
    times = 0
    for number, alias, origin in _given(fetches):
        above = _keys(origin)
        if len(above) < len(path) and path[: len(above)] == above:
            if number not in documents:
                document = next(fetch.document for fetch in fetches if fetch.id == number)
                documents[number] = parse(document, no_location=True).definitions[0].selection_set  # type: ignore[attr-defined]
            chain = path[len(above) :]
            times += _selects(documents[number], (alias, *chain) if alias else chain)
    return times <= 1


def _selects(node: SelectionSetNode | None, chain: tuple[str, ...]) -> bool:
    """Whether a selection set asks for a chain of response keys, also under the alias that is renamed to one."""
    for item in node.selections if node else ():
        if isinstance(item, InlineFragmentNode):
            if _selects(item.selection_set, chain):
                return True
        elif isinstance(item, FieldNode):
            key = (item.alias or item.name).value
            asked = key == chain[0] or key.startswith(f"{chain[0]}__")
            if asked and (len(chain) == 1 or _selects(item.selection_set, chain[1:])):
                return True
    return False


def _keys(path: "tuple[PathPart, ...]") -> tuple[str, ...]:
    return tuple(part for part in path if isinstance(part, str))


def _lead(point: Point, keys: list[str]) -> None:
    for key in keys:
        point = point.below.setdefault(key, Point())
    point.shared = True
