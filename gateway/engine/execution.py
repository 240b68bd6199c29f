"""Runs a plan without any I/O: says which requests can be sent, takes their answers, merges them into one tree of data.

A fetch is ready as soon as those it reads from have answered; one that failed stops nothing that does not depend on it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, NamedTuple

import orjson

from gateway.engine.normalise import TYPENAME, asked_as
from gateway.engine.plan import Context, Entities, Fetch, Input, Lookup, Narrowed, PathPart, Plan
from gateway.engine.reading import Read, dumps
from gateway.engine.sharing import Known

Json = dict[str, Any]
Here = dict[tuple[PathPart, ...], list[Json]]  # the objects at paths
MOST_LOCATED = 100  # places that one failed request is reported at


class Request(NamedTuple):
    """A request to send: the body is JSON, ready for the wire; `loads` reads the JSON of its answer."""

    fetch: Fetch
    body: bytes
    loads: Callable[[bytes], Any] = orjson.loads


@dataclass(slots=True)
class _Sent:
    """What a sent lookup asked for under a response key: the values that wait for each representation."""

    lookup: Lookup
    alias: str
    targets: list[list[Json]]


class Execution:
    """One run of a plan. `data` is complete and `errors` are located when `done`."""

    def __init__(self, plan: Plan, variables: Mapping[str, Any] | None = None) -> None:
        self.data: Json = {}
        self.errors: list[Json] = []
        self._variables = variables or {}
        self._points, self._separate, self._readers = plan.points, plan.separate, plan.readers
        self._waiting = list(plan.fetches)
        self._answered: set[int] = set()
        # Those that failed, answered with errors or lack what did not arrive, each with one of its errors.
        self._faulty: dict[int, Json] = {}
        self._sent: dict[int, list[_Sent]] = {}

    @property
    def done(self) -> bool:
        """Whether nothing is left to send or to wait for."""
        return not self._waiting and not self._sent

    def ready(self) -> list[Request]:
        """The requests that can be sent now. A lookup without anything to look up is answered by itself."""
        found: list[Request] = []
        here: Here = {(): [self.data]}
        progress = True
        while progress:
            progress = False
            for fetch in [f for f in self._waiting if self._answered.issuperset(f.after)]:
                self._waiting.remove(fetch)
                request = self._request(fetch, here)
                if request is None:
                    self._answered.add(fetch.id)
                    progress = True
                else:
                    found.append(request)
        return found

    def receive(self, fetch: Fetch, answer: Any) -> None:
        """Merge a subgraph's answer: a JSON object as GraphQL over HTTP has it."""
        sent = self._sent.pop(fetch.id)
        self._answered.add(fetch.id)
        data = answer.get("data")
        errors = answer.get("errors") or []
        if fetch.renames and isinstance(data, dict):
            for rename in fetch.renames:
                _rename(data, rename.path, rename.alias, rename.key)
        if isinstance(data, dict):
            for part in sent:
                if part.alias != part.lookup.alias:
                    _rename_as(part.lookup.alias, fetch, data.get(part.alias))
                self._merge_entities(fetch, part, data.get(part.alias), shared=type(answer) is Read)
            if not fetch.lookups:
                point = self._points.get((fetch.id, ""))
                if point is not None and type(answer) is not Read:
                    point.share(data, defaultdict(dict))
                self._merge(fetch, "", _reached({(): [self.data]}, fetch.path), data)
        for error in errors:
            self._locate(fetch, sent, error if isinstance(error, dict) else {})
        if errors:
            self._faulty[fetch.id] = self.errors[-1]
        self._stop_if_lost(fetch)

    def fail(self, fetch: Fetch, error: Json) -> None:
        """Note that a request had no usable answer: `error` has message and extensions, and is told at every place that
        waited for it, up to a hundred."""
        sent = self._sent.pop(fetch.id)
        self._answered.add(fetch.id)
        self._faulty[fetch.id] = error
        for path in self._all_places(fetch, sent):
            path = [asked_as(part) for part in path]
            self.errors.append({**error, "path": path} if path else dict(error))
        self._stop_if_lost(fetch)

    def _stop_if_lost(self, fetch: Fetch) -> None:
        """After a mutation whose null takes the whole answer with it, nothing more is done."""
        if any(self.data.get(key) is None for key in fetch.vital):
            self._waiting.clear()

    # -- sending

    def _request(self, fetch: Fetch, here: Here) -> Request | None:
        parts = [
            b'"%b":%b' % (name.encode(), orjson.dumps(self._variables[name]))
            for name in fetch.variables
            if name in self._variables
        ]
        sent: list[_Sent] = []
        waited = False
        opening = fetch.opening
        for lookup in fetch.lookups:
            whole = any(before in self._faulty for before in fetch.after)
            if lookup.told:
                sent += self._told(fetch, lookup, parts, whole=whole)
                opening = fetch.repeated(Counter(part.lookup.alias for part in sent))
            else:
                told, targets = self._representations(fetch, lookup, here, whole=whole)
                parts.append(b'"%b":[%b]' % (lookup.variable.encode(), b",".join(told)))
                sent.append(_Sent(lookup, lookup.alias, targets))
            waited = waited or bool(sent[-1].targets)
        if sent and not waited:
            return None
        if fetch.path and not fetch.lookups and not _reached(here, fetch.path):
            return None
        self._sent[fetch.id] = sent
        variables = b',"variables":{%b}' % b",".join(parts) if parts else b""
        return Request(fetch, b"%b%b}" % (opening, variables), self._readers.get(fetch.id, orjson.loads))

    def _told(self, fetch: Fetch, lookup: Lookup, parts: list[bytes], *, whole: bool) -> list[_Sent]:
        """A lookup that is told contexts, once for each distinct value of these; its variables are added to `parts`."""
        (entities,) = lookup.entities
        groups: dict[tuple[bytes, ...], dict[bytes, list[Json]]] = {}
        seen: set[int] = set()
        lost: list[Json] = []
        for above in _chains(self.data, entities.path):
            value = above[-1]
            if id(value) in seen:
                continue
            try:
                representation = _representation(value, entities, whole=whole)
                if representation is None:
                    continue
                seen.add(id(value))
                told = tuple(dumps(_context(above[len(c.path)], c, whole)) for c in lookup.told)
            except _Absent:
                seen.add(id(value))
                lost.append(value)
            else:
                groups.setdefault(told, {}).setdefault(dumps(representation), []).append(value)
        self._lose(fetch, lookup, lost)
        if not groups:
            parts.append(b'"%b":[]' % lookup.variable.encode())
            return [_Sent(lookup, lookup.alias, [])]
        sent = []
        for number, (told, known) in enumerate(groups.items()):
            after = f"__{number}" if number else ""
            for context, text in zip(lookup.told, told, strict=True):
                parts.append(b'"%b":%b' % (f"{context.variable}{after}".encode(), text))
            parts.append(b'"%b":[%b]' % (f"{lookup.variable}{after}".encode(), b",".join(known)))
            sent.append(_Sent(lookup, f"{lookup.alias}{after}", list(known.values())))
        return sent

    def _representations(
        self, fetch: Fetch, lookup: Lookup, here: Here, *, whole: bool
    ) -> tuple[list[bytes], list[list[Json]]]:
        """What a lookup tells, as JSON, each distinct value once, and who waits for each answer. `whole`: something that it
        reads from failed, so a value that lacks an input is left out; nothing is computed from what did not arrive."""
        known: dict[bytes, list[Json]] = {}
        lost: list[Json] = []
        for entities in lookup.entities:
            for value in _reached(here, entities.path):
                try:
                    representation = _representation(value, entities, whole=whole)
                except _Absent:
                    lost.append(value)
                    continue
                if representation is not None:
                    known.setdefault(dumps(representation), []).append(value)
        self._lose(fetch, lookup, lost)
        return list(known), list(known.values())

    def _lose(self, fetch: Fetch, lookup: Lookup, values: list[Json]) -> None:
        """Say of values that cannot be looked up, since an input did not arrive, what became of it; not where it was said."""
        if values:
            cause = next(self._faulty[before] for before in fetch.after if before in self._faulty)
            self._faulty.setdefault(fetch.id, cause)
            said = {tuple(error.get("path", ())) for error in self.errors}
            for place in islice(self._waiting_at(lookup, values), MOST_LOCATED):
                place = [asked_as(part) for part in place]
                if not any(tuple(place[:end]) in said for end in range(len(place) + 1)):
                    self.errors.append({**cause, "path": place})

    # -- receiving

    def _merge_entities(self, fetch: Fetch, part: _Sent, results: Any, *, shared: bool) -> None:
        if not isinstance(results, list):
            return
        point = None if shared else self._points.get((fetch.id, part.lookup.alias))
        known: Known = defaultdict(dict)
        for result, waiting in zip(results, part.targets, strict=False):
            if isinstance(result, dict):
                if point is not None:
                    point.share(result, known)
                self._merge(fetch, part.lookup.alias, waiting, result)

    def _merge(self, fetch: Fetch, alias: str, waiting: list[Json], result: Json) -> None:
        """Merge a part of an answer into those who wait for it, a copy each where they part later."""
        if (fetch.id, alias) in self._separate:
            for value in waiting[1:]:
                merge(value, deepcopy(result))
            waiting = waiting[:1]
        for value in waiting:
            merge(value, result)

    def _locate(self, fetch: Fetch, sent: list[_Sent], error: Json) -> None:
        """Report a subgraph's error where the client sees its field."""
        told: Json = {"message": str(error.get("message", "The service reported an error without words."))}
        extensions = error.get("extensions")
        kept = (
            {k: v for k, v in extensions.items() if k not in ("stacktrace", "exception")}
            if isinstance(extensions, dict)
            else {}
        )
        told["extensions"] = {"code": "SUBGRAPH_ERROR", **kept, "service": fetch.subgraph}
        path = error.get("path")
        path = _renamed(fetch, path) if isinstance(path, list) else []
        if not path:
            places = self._all_places(fetch, sent)[:1]
        elif not fetch.lookups:
            places = [[*place, *path] for _, place in _values(self.data, fetch.path)]
        else:
            places = self._entity_places(sent, path)
        for place in places[:MOST_LOCATED] or [[]]:
            place = [asked_as(part) for part in place]
            self.errors.append({**told, "path": place} if place else dict(told))

    def _entity_places(self, sent: list[_Sent], path: list[Any]) -> list[list[str | int]]:
        for part in sent:
            if part.alias == path[0]:
                if len(path) > 1 and isinstance(path[1], int) and path[1] < len(part.targets):
                    return [[*place, *path[2:]] for place in self._waiting_at(part.lookup, part.targets[path[1]])]
                return list(self._waiting_at(part.lookup, chain.from_iterable(part.targets)))
        return []

    def _waiting_at(self, lookup: Lookup, values: Iterable[Json]) -> Iterator[list[str | int]]:
        """The places of values that wait for a lookup; one value may stand at several."""
        wanted = {id(value) for value in values}
        for path in {entities.path: None for entities in lookup.entities}:
            yield from (place for value, place in _values(self.data, path) if id(value) in wanted)

    def _all_places(self, fetch: Fetch, sent: list[_Sent]) -> list[list[str | int]]:
        """Every place that waits for a fetch, up to a bound."""
        found: Iterator[list[str | int]]
        if fetch.lookups:
            found = chain.from_iterable(
                self._waiting_at(part.lookup, chain.from_iterable(part.targets)) for part in sent
            )
        elif fetch.path:
            found = (place for _, place in _values(self.data, fetch.path))
        else:
            found = iter([[key] for key in fetch.roots])
        return list(islice(found, MOST_LOCATED))


def merge(into: Json, more: Mapping[str, Any]) -> None:
    """Merge an object into another: null never overwrites, lists merge by index, objects by key."""
    for key, value in more.items():
        held = into.get(key)
        if held is None:
            into[key] = value
        elif isinstance(held, dict) and isinstance(value, dict):
            if held is not value:
                merge(held, value)
        elif isinstance(held, list) and isinstance(value, list):
            if held is not value:
                _merge_lists(held, value)
        elif value is not None:
            into[key] = value


def _merge_lists(into: list[Any], more: list[Any]) -> None:
    if len(into) != len(more):
        return  # two subgraphs disagree about a list: the first one's stands
    for index, value in enumerate(more):
        held = into[index]
        if isinstance(held, dict) and isinstance(value, dict):
            merge(held, value)
        elif isinstance(held, list) and isinstance(value, list):
            _merge_lists(held, value)
        elif held is None:
            into[index] = value


def _reached(here: Here, path: tuple[PathPart, ...]) -> list[Json]:
    """The distinct objects at a path, in first-seen order; lists are entered wherever they are. The objects at some paths
    are known, those of the root at least; those on the way become known too."""
    known = here.get(path)
    if known is None:
        known = here[path] = _beyond(_reached(here, path[:-1]), path[-1])
    return known


def _beyond(values: list[Json], part: PathPart) -> list[Json]:
    """Where a part of a path leads from some objects."""
    if isinstance(part, Narrowed):
        return [value for value in values if _is_one_of(value, part.types)]
    found: dict[int, Json] = {}
    for value in values:
        held = value.get(part)
        if held.__class__ is dict:
            found[id(held)] = held
        elif held.__class__ is list:
            _enter(held, found)
    return list(found.values())


def _chains(data: Json, path: tuple[PathPart, ...]) -> Iterator[list[Json]]:
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
            if _is_one_of(chain[-1], part.types):
                yield from onward([*chain, chain[-1]])
        else:
            yield from enter(chain[-1].get(part), chain)

    return onward([data])


def _context(value: Json, context: Context, whole: bool) -> Any:
    """What a value gives for a context. Raises _Absent where it did not arrive, or is null and must not be."""
    found = _first(value, context.inputs, whole)
    if found is None and context.type.endswith("!"):
        raise _Absent
    return found


def _first(held: Any, inputs: tuple[Input, ...], whole: bool) -> Any:
    if isinstance(held, list):
        return [_first(item, inputs, whole) for item in held]
    for given in inputs if isinstance(held, dict) else ():
        if given.types is None or _is_one_of(held, given.types):
            if given.key not in held and whole:
                raise _Absent
            found = held.get(given.key)
            return found if given.below is None else _first(found, given.below, whole)
    return None


def _enter(values: list[Any], found: dict[int, Json]) -> None:
    for value in values:
        if value.__class__ is dict:
            found[id(value)] = value
        elif value.__class__ is list:
            _enter(value, found)


def _is_one_of(value: Json, types: frozenset[str]) -> bool:
    told = value.get(TYPENAME)
    return told.__class__ is str and told in types


def _values(data: Any, path: tuple[PathPart, ...]) -> Iterator[tuple[Json, list[str | int]]]:
    """The objects at a path, with the concrete path of each; lists are entered wherever they are."""

    def enter(value: Any, depth: int, here: list[str | int]) -> Iterator[tuple[Json, list[str | int]]]:
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from enter(item, depth, [*here, index])
        elif isinstance(value, dict):
            if depth == len(path):
                yield value, here
                return
            part = path[depth]
            if isinstance(part, Narrowed):
                if _is_one_of(value, part.types):
                    yield from enter(value, depth + 1, here)
            else:
                yield from enter(value.get(part), depth + 1, [*here, part])

    return enter(data, 0, [])


class _Absent(Exception):
    """An input did not arrive."""


def _representation(value: Json, entities: Entities, *, whole: bool) -> Json | None:
    """What a subgraph is told of a value; None when a part of its key is missing, since it cannot be looked up then.

    Raises _Absent when an input did not arrive, if the value is to be told `whole`.
    """
    for key in entities.required:
        if value.get(key) is None:
            return None
    if entities.flat is not None and entities.flat.keys() <= value.keys():
        told = {key: value[held] for held, key in entities.flat.items()}
    else:
        told = _told(value, entities.inputs, whole)
    told[TYPENAME] = entities.typename
    return told


def _told(value: Json, inputs: tuple[Input, ...], whole: bool) -> Json:
    told: Json = {}
    for given in inputs:
        if given.types is not None and not _is_one_of(value, given.types):
            continue
        if given.key not in value:
            if given.name != TYPENAME:
                if whole:
                    raise _Absent
                told[given.name] = None
            continue
        held = value[given.key]
        told[given.name] = held if given.below is None else _below(held, given.below, whole)
    return told


def _below(held: Any, inputs: tuple[Input, ...], whole: bool) -> Any:
    if isinstance(held, list):
        return [_below(item, inputs, whole) for item in held]
    return _told(held, inputs, whole) if isinstance(held, dict) else None


def _rename_as(alias: str, fetch: Fetch, value: Any) -> None:
    """Do the renames of a lookup to one of its repetitions."""
    for rename in fetch.renames:
        if rename.path[0] == alias:
            _rename(value, rename.path[1:], rename.alias, rename.key)


def _renamed(fetch: Fetch, path: list[Any]) -> list[Any]:
    """A subgraph's path by the keys that its renamed fields have in the data."""
    if not fetch.renames:
        return path
    keys = {(*rename.path, rename.alias): rename.key for rename in fetch.renames}
    chain: tuple[str, ...] = ()
    found = []
    for part in path:
        chain = (*chain, part) if isinstance(part, str) else chain
        found.append(keys.get(chain, part) if isinstance(part, str) else part)
    return found


def _rename(value: Any, path: tuple[str, ...], alias: str, key: str) -> None:
    if isinstance(value, list):
        for item in value:
            _rename(item, path, alias, key)
    elif isinstance(value, dict):
        if path:
            _rename(value.get(path[0]), path[1:], alias, key)
        elif alias in value:
            merge(value, {key: value.pop(alias)})
