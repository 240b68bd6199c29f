"""Runs a plan without any I/O: says which requests can be sent, takes their answers, merges them into one tree of data.

A fetch is ready as soon as those it reads from have answered; one that failed stops nothing that does not depend on it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import msgspec
import orjson

from gateway.engine.normalise import asked_as
from gateway.engine.places import Here, Json, Place, chains, placed, reached
from gateway.engine.plan import Fetch, Lookup, Plan
from gateway.engine.reading import Brief, Read, dumps
from gateway.engine.representation import Absent, context_of, representation
from gateway.engine.sharing import Known

_NONE = b"", "", b""  # a response key that nothing has
MOST_LOCATED = 100  # places that one failed request is reported at


class Request(msgspec.Struct, frozen=True):
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
    """One run of a plan. `data` is complete and `errors` are located when `done`; `repeats` says whether one value may have
    several places in it."""

    def __init__(self, plan: Plan, variables: Mapping[str, Any] | None = None) -> None:
        self.data: Json = {}
        self.errors: list[Json] = []
        self.repeats = False
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
        if not self._waiting:
            return found
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
            shared = isinstance(answer, Read)
            self.repeats = self.repeats or (shared and type(answer) is not Brief)
            for part in sent:
                if part.alias != part.lookup.alias:
                    _rename_as(part.lookup.alias, fetch, data.get(part.alias))
                self._merge_entities(fetch, part, data.get(part.alias), shared=shared)
            if not fetch.lookups:
                point = self._points.get((fetch.id, ""))
                if point is not None and not shared:
                    self.repeats = True
                    point.share(data, defaultdict(dict))
                places = reached({(): [self.data]}, fetch.path) if fetch.path else [self.data]
                self._merge(places, data, parting=(fetch.id, "") in self._separate)
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
        if fetch.vital and any(self.data.get(key) is None for key in fetch.vital):
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
        if fetch.path and not fetch.lookups and not reached(here, fetch.path):
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
        for above in chains(self.data, entities.path):
            value = above[-1]
            if id(value) in seen:
                continue
            try:
                entity = representation(value, entities, whole=whole)
                if entity is None:
                    continue
                seen.add(id(value))
                told = tuple(dumps(context_of(above[len(c.path)], c, whole)) for c in lookup.told)
            except Absent:
                seen.add(id(value))
                lost.append(value)
            else:
                groups.setdefault(told, {}).setdefault(dumps(entity), []).append(value)
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
            before, key, after = entities.lone or _NONE
            for value in reached(here, entities.path):
                held = value.get(key)
                if held.__class__ is str:
                    known.setdefault(b"%b%b%b" % (before, dumps(held), after), []).append(value)
                    continue
                try:
                    entity = representation(value, entities, whole=whole)
                except Absent:
                    lost.append(value)
                    continue
                if entity is not None:
                    known.setdefault(dumps(entity), []).append(value)
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
        place = fetch.id, part.lookup.alias
        point, parting = None if shared else self._points.get(place), place in self._separate
        known: Known = defaultdict(dict)
        for result, waiting in zip(results, part.targets, strict=False):
            if isinstance(result, dict):
                if point is not None:
                    self.repeats = True
                    point.share(result, known)
                self._merge(waiting, result, parting=parting)

    def _merge(self, waiting: list[Json], result: Json, *, parting: bool) -> None:
        """Merge a part of an answer into those who wait for it, a copy each where they part later."""
        if len(waiting) > 1:
            self.repeats = True
            if parting:
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
            places = [[*place, *path] for _, place in placed(self.data, fetch.path)]
        else:
            places = self._entity_places(sent, path)
        for place in places[:MOST_LOCATED] or [[]]:
            place = [asked_as(part) for part in place]
            self.errors.append({**told, "path": place} if place else dict(told))

    def _entity_places(self, sent: list[_Sent], path: list[Any]) -> list[Place]:
        for part in sent:
            if part.alias == path[0]:
                if len(path) > 1 and isinstance(path[1], int) and path[1] < len(part.targets):
                    return [[*place, *path[2:]] for place in self._waiting_at(part.lookup, part.targets[path[1]])]
                return list(self._waiting_at(part.lookup, chain.from_iterable(part.targets)))
        return []

    def _waiting_at(self, lookup: Lookup, values: Iterable[Json]) -> Iterator[Place]:
        """The places of values that wait for a lookup; one value may stand at several."""
        wanted = {id(value) for value in values}
        for path in {entities.path: None for entities in lookup.entities}:
            yield from (place for value, place in placed(self.data, path) if id(value) in wanted)

    def _all_places(self, fetch: Fetch, sent: list[_Sent]) -> list[Place]:
        """Every place that waits for a fetch, up to a bound."""
        found: Iterator[Place]
        if fetch.lookups:
            found = chain.from_iterable(
                self._waiting_at(part.lookup, chain.from_iterable(part.targets)) for part in sent
            )
        elif fetch.path:
            found = (place for _, place in placed(self.data, fetch.path))
        else:
            found = iter([[key] for key in fetch.roots])
        return list(islice(found, MOST_LOCATED))


def merge(into: Json, more: Mapping[str, Any]) -> None:
    """Merge an object into another: null never overwrites, lists merge by index, objects by key."""
    if into.keys().isdisjoint(more):
        into.update(more)
        return
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
