"""Runs a plan whose answer goes out in parts: the first as soon as all that is not deferred is there, then each deferred
fragment, where its object stands, once all of its fields are.

No I/O. What a part says is the same in every form of answer; the forms are the gateway's (`incremental.py`). Source: GraphQL
draft, incremental delivery (2025), with graphql-js 17 where it leaves a choice: a fragment is announced once the one around it
has been delivered; fields that several share come with the first; a null that bubbles up to a fragment's object ends it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLObjectType

from gateway.engine.execution import Execution
from gateway.engine.normalise import TYPENAME
from gateway.engine.places import Json
from gateway.engine.plan import Fetch, Plan
from gateway.engine.projection import Projection
from gateway.engine.selection import Fields, Later, Selection, Shown, Usage

Place = tuple[str | int, ...]


@dataclass(slots=True, eq=False)
class Fragment:
    """A deferred fragment at one object of the answer. `id` tells it apart once it has been announced."""

    usage: Usage
    path: Place
    within: "Fragment | None"
    id: str = ""
    ended: bool = False
    groups: "list[Group]" = field(default_factory=list)
    inside: "list[Fragment]" = field(default_factory=list)

    @property
    def label(self) -> str | None:
        return self.usage.label

    @property
    def lost(self) -> "Group | None":
        """What of it could not be delivered, because a null bubbled up."""
        return next((group for group in self.groups if group.shaped and group.data is None), None)


@dataclass(slots=True, eq=False)
class Group:
    """Fields of one object that come together, for all the fragments that they belong to; `known` are all that are used there."""

    later: Later
    path: Place
    held: Json
    fragments: list[Fragment]
    known: dict[Usage, Fragment]
    shaped: bool = False
    told: bool = False
    data: Json | None = None
    errors: list[Json] = field(default_factory=list)

    def bearer(self) -> Fragment:
        """The announced fragment whose object is nearest: so the path from there is shortest."""
        return max((f for f in self.fragments if f.id and not f.ended), key=lambda f: len(f.path))


@dataclass(slots=True)
class Part:
    """What goes out at once. `data` and `errors` are the first part's; `groups` come with the fragment that bears them;
    `completed` are fragments with what was lost of them, if anything."""

    first: bool = False
    data: Json | None = None
    errors: list[Json] = field(default_factory=list)
    pending: list[Fragment] = field(default_factory=list)
    groups: list[tuple[Fragment, Group]] = field(default_factory=list)
    completed: list[tuple[Fragment, Group | None]] = field(default_factory=list)
    last: bool = False


class Delivery(Execution):
    """One run of a plan with deferred fragments. Ask for a `part()` after each answer, until it is the last."""

    def __init__(self, plan: Plan, projection: Projection, variables: Mapping[str, Any] | None = None) -> None:
        super().__init__(plan, variables)
        self._plan, self._projection = plan, projection
        self._untold: list[tuple[int, Json]] = []  # errors, each with the id of its fetch
        self._waiting_for: dict[frozenset[int], list[Group]] = {}
        self._announced: list[Fragment] = []  # and not ended
        self._count = 0
        self.begun = False
        self.over = False

    def receive(self, fetch: Fetch, answer: Any) -> None:
        """As an execution; remembers whose errors are whose."""
        super().receive(fetch, answer)
        self._keep(fetch)

    def fail(self, fetch: Fetch, error: Json) -> None:
        """As an execution; remembers whose errors are whose."""
        super().fail(fetch, error)
        self._keep(fetch)

    def _keep(self, fetch: Fetch) -> None:
        self._untold += ((fetch.id, error) for error in self.errors)
        self.errors = []

    def part(self) -> Part | None:
        """What can go out now, None when nothing can."""
        if self.over:
            return None
        found = Part()
        if not self.begun:
            if not self._arrived(frozenset()):
                return None
            self._begin(found)
        else:
            while self._shape() | self._end(found):
                pass
            if not found.completed:
                return None
        found.last = self.over = not self._announced
        if self.over and found.groups:
            found.groups[-1][1].errors += (error for _, error in self._untold)
        return found

    def _begin(self, found: Part) -> None:
        self.begun = found.first = True
        root, name = self._projection.selection, self._projection.root.name
        found.errors = self._taken(frozenset(), (), root.fields(name), name, self.data)
        found.data = self._projection.project(self.data, found.errors)
        if found.data is not None:
            self._enter(found.data, self.data, root.fields(name), (), {})
            self._announce([f for groups in self._waiting_for.values() for g in groups for f in g.fragments], found)

    def _shape(self) -> bool:
        """Shape what has arrived of the fragments that were announced. Returns whether there was any."""
        progress = False
        for numbers in [n for n in self._waiting_for if self._arrived(n)]:
            for group in self._waiting_for[numbers]:
                if not group.shaped and any(f.id and not f.ended for f in group.fragments):
                    progress = group.shaped = True
                    fields = group.later.fields(group.later.type_name)
                    group.errors = self._taken(numbers, group.path, fields, group.later.type_name, group.held)
                    group.data = self._projection.part(group.held, group.later, group.path, group.errors)
                    if group.data is not None:
                        self._enter(group.data, group.held, fields, group.path, group.known)
            left = [group for group in self._waiting_for.pop(numbers) if not group.shaped]
            if left:
                self._waiting_for[numbers] = [*left, *self._waiting_for.get(numbers, ())]
        return progress

    def _end(self, found: Part) -> bool:
        """End the announced fragments of which all has been shaped. Returns whether there was any."""
        progress = False
        for fragment in list(self._announced):
            lost = fragment.lost
            if lost is None and not all(group.shaped for group in fragment.groups):
                continue
            progress = True
            if lost is None:
                for group in fragment.groups:
                    if not group.told:
                        group.told = True
                        found.groups.append((group.bearer(), group))
            fragment.ended = True
            self._announced.remove(fragment)
            found.completed.append((fragment, lost))
            if lost is None:
                self._announce(fragment.inside, found)
        return progress

    def _announce(self, fragments: list[Fragment], found: Part) -> None:
        """Announce fragments that nothing is around any more; instead of one of which nothing is left to come, those in it."""
        for fragment in fragments:
            if fragment.id or fragment.ended:
                continue
            if fragment.within is not None and not fragment.within.ended:
                self._announce([fragment.within], found)
            elif any(not group.told for group in fragment.groups):
                fragment.id, self._count = str(self._count), self._count + 1
                self._announced.append(fragment)
                found.pending.append(fragment)
            else:
                fragment.ended = True
                self._announce(fragment.inside, found)

    # -- where something is deferred

    def _enter(self, shown: Json, held: Json, fields: Fields, path: Place, known: dict[Usage, Fragment]) -> None:
        """Note what is to come of an object, and of those below it, as far as it is shown."""
        if fields.begun:
            known = dict(known)
            for usage in fields.begun:
                within = known[usage.within] if usage.within is not None else None
                fragment = known[usage] = Fragment(usage, path, within)
                if within is not None:
                    within.inside.append(fragment)
        for later in fields.later:
            group = Group(later, path, held, [known[usage] for usage in later.ordered], known)
            for fragment in group.fragments:
                fragment.groups.append(group)
            self._waiting_for.setdefault(later.numbers, []).append(group)
        for field_ in fields.now:
            if field_.leads and field_.below is not None:
                below = shown[field_.key], held.get(field_.held)
                self._below(*below, field_.below, (*path, field_.key), known)

    def _below(self, shown: Any, held: Any, selection: Selection, path: Place, known: dict[Usage, Fragment]) -> None:
        if isinstance(shown, list):
            for index, item in enumerate(shown):
                self._below(item, held[index], selection, (*path, index), known)
        elif shown is not None:
            self._enter(shown, held, selection.fields(_type_of(held, selection)), path, known)

    # -- what has arrived

    def _arrived(self, numbers: frozenset[int]) -> bool:
        needed = self._plan.needed(numbers)
        return needed.isdisjoint(self._sent) and needed.isdisjoint(fetch.id for fetch in self._waiting)

    def _taken(self, numbers: frozenset[int], path: Place, fields: Fields, type_name: str, held: Json) -> list[Json]:
        """The errors of what is shown here, which are told then."""
        if not self._untold:
            return []
        needed, left, found = self._plan.needed(numbers), [], []
        for fetch_id, error in self._untold:
            at = tuple(error.get("path") or ())
            if fetch_id in needed and (
                at == path[: len(at)] or (at[: len(path)] == path and _shows(fields, held, at[len(path) :]))
            ):
                found.append(error)
            else:
                left.append((fetch_id, error))
        self._untold = left
        return found


def _type_of(held: Json, selection: Selection) -> str:
    static = selection.static
    told = None if isinstance(static, GraphQLObjectType) else held.get(TYPENAME)
    return told if isinstance(told, str) else str(static.name)


def _shows(fields: Fields, held: Any, path: Place) -> bool:
    """Whether a place below an object is shown by these fields or by none: then it is of what only the plan needs."""
    below: Shown | None = None
    for step in path:
        if isinstance(step, int):
            held = held[step] if isinstance(held, list) and step < len(held) else None
        elif isinstance(held, dict):
            if below is not None:
                if below.below is None:
                    return True
                fields = below.below.fields(_type_of(held, below.below))
            below = next((shown for shown in fields.now if shown.key == step), None)
            if below is None:
                return step not in fields.keys
            held = held.get(below.held)
        if held is None:
            return True
    return True
