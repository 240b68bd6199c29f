"""Turns the chosen tree into requests: every jump begins one, after those that gather what it is told.

Requests that would go to the same subgraph after the same others are one. What the planner needs for itself is asked under
a response key that cannot collide with the client's.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from gateway.engine.normalise import TYPENAME, Selections
from gateway.engine.plan import MARK, Context, Entities, Input, Narrowed, PathPart, merged_inputs
from gateway.engine.supergraph import Supergraph
from gateway.engine.tree import Jump, Narrow, Place, Resolve, Told, Tree
from gateway.engine.walk import Walker


@dataclass(slots=True)
class Asked:
    """A selection set to print: fields by response key and fragments by object type, on a type of a subgraph."""

    place: Place
    fields: dict[str, "AskedField"] = field(default_factory=dict)
    fragments: dict[str, "Asked"] = field(default_factory=dict)

    def narrowed(self, type_name: str, place: Place) -> "Asked":
        return self.fragments.setdefault(type_name, Asked(place))

    def absorb(self, other: "Asked") -> None:
        """Ask for all that another selection set asks for, too."""
        for key, entry in other.fields.items():
            mine = self.fields.setdefault(key, entry)
            if mine is not entry and mine.below is not None and entry.below is not None:
                mine.below.absorb(entry.below)
        for type_name, inner in other.fragments.items():
            held = self.fragments.setdefault(type_name, inner)
            if held is not inner:
                held.absorb(inner)


@dataclass(slots=True)
class AskedField:
    """A field to print."""

    name: str
    arguments: str
    variables: frozenset[str]
    below: Asked | None = None
    directives: str = ""


@dataclass(slots=True)
class Wanted:
    """Entities that a draft looks up, with the selection to ask of them."""

    path: tuple[PathPart, ...]
    typename: str
    inputs: tuple[Input, ...]
    required: tuple[str, ...]
    asked: Asked
    told: tuple[Context, ...] = ()

    def frozen(self) -> Entities:
        return Entities(self.path, self.typename, self.inputs, self.required)


@dataclass(slots=True, eq=False)
class Draft:
    """A request in the making. A root draft has `asked`; an entity draft has `wanted`. `defers` are the deferred fragments that
    it is for, none when the first part of the answer needs it."""

    id: int
    graph: str
    after: set[int]
    defers: frozenset[int]
    asked: Asked | None = None
    path: tuple[PathPart, ...] = ()
    wanted: list[Wanted] = field(default_factory=list)
    _alike: dict[tuple[tuple[PathPart, ...], str, tuple[str, ...]], list[Wanted]] = field(default_factory=dict)

    def want(self, more: Wanted) -> Wanted:
        """Look entities up, together with the same ones if they are told the same; returns what holds the selection.

        What waits for one request only can be told more than it needs: either all of it arrives or nothing does. Otherwise
        one value's absence would keep others from being looked up that do not depend on it.
        """
        others = self._alike.setdefault((more.path, more.typename, more.required), [])
        for held in others:
            both = merged_inputs(held.inputs, more.inputs)
            alike = both is not None and held.told == more.told and len(both) == len(held.inputs) == len(more.inputs)
            if both is not None and (len(self.after) == 1 or alike):
                held.inputs = both
                held.told = tuple(dict.fromkeys((*held.told, *more.told)))
                held.asked.absorb(more.asked)
                return held
        others.append(more)
        self.wanted.append(more)
        return more


class Keys:
    """Which response key stands for what at each response path, the client's first."""

    def __init__(self, operation: Selections) -> None:
        self._taken: dict[tuple[str, ...], dict[str, tuple[str, str]]] = {}
        self._learn((), operation)

    def _learn(self, path: tuple[str, ...], selections: Selections) -> None:
        taken = self._taken.setdefault(path, {})
        for selected in selections:
            if selected.key is not None:
                taken.setdefault(selected.key, (selected.name, selected.arguments))
                if selected.children is not None:
                    self._learn((*path, selected.key), selected.children)

    def of(self, path: tuple[str, ...], name: str, arguments: str) -> str:
        """The response key under which the planner asks for a field: one that already means it, or a free one."""
        taken = self._taken.setdefault(path, {})
        for key, meaning in taken.items():
            if meaning == (name, arguments):
                return key
        key, number = name, 0
        while key in taken:
            number += 1
            key = f"_{name}_{number}"
        taken[key] = (name, arguments)
        return key


class Level(NamedTuple):
    """Where a value was first reached: what is gathered of it for others is asked there."""

    draft: Draft
    asked: Asked
    path: tuple[PathPart, ...]


class Builder:
    """Builds the drafts of one operation."""

    def __init__(self, supergraph: Supergraph, walker: Walker, operation: Selections) -> None:
        self._supergraph, self._walker = supergraph, walker
        self._keys = Keys(operation)
        self._contexts: dict[tuple[tuple[PathPart, ...], str, str, str], Context] = {}
        self.drafts: list[Draft] = []

    def build(self, tree: Tree, after: frozenset[int] = frozenset()) -> set[int]:
        """The drafts of a tree whose first steps enter root types. Returns the ids of all that it made."""
        before = len(self.drafts)
        for step, below in tree.children.items():
            assert isinstance(step, Jump)  # noqa: S101 - an operation begins by entering a subgraph
            draft = self._root(step.place, (), after, step.defers)
            assert draft.asked is not None  # noqa: S101 - a root draft
            self._visit(below, draft, draft.asked, (), (Level(draft, draft.asked, ()),))
        return {draft.id for draft in self.drafts[before:]}

    def _root(self, place: Place, path: tuple[PathPart, ...], after: frozenset[int], defers: frozenset[int]) -> Draft:
        wanted = (place.graph, path, after, defers)
        for draft in self.drafts:
            if draft.asked is not None and (draft.graph, draft.path, frozenset(draft.after), draft.defers) == wanted:
                return draft
        draft = Draft(len(self.drafts) + 1, place.graph, set(after), defers, Asked(place), path)
        self.drafts.append(draft)
        return draft

    def _visit(
        self,
        tree: Tree,
        draft: Draft,
        asked: Asked,
        path: tuple[PathPart, ...],
        levels: tuple[Level, ...],
        defers: frozenset[int] = frozenset(),
    ) -> set[int]:
        """Place a tree's steps; `levels` are the values on the way here, `defers` the deferred fragments that further requests
        are for. Returns the ids of the drafts that resolve its leaves."""
        touched: set[int] = set()
        for step, below in tree.children.items():
            if isinstance(step, Narrow):
                assert below.place is not None  # noqa: S101 - narrowing leads to a place
                inner = asked.narrowed(step.type, below.place)
                touched |= self._visit(below, draft, inner, (*path, Narrowed(frozenset({step.type}))), levels, defers)
            elif isinstance(step, Resolve):
                touched |= self._resolve(step, below, draft, asked, path, levels, defers)
            else:
                touched |= self._jump(step, below, draft, asked, path, levels, step.defers or defers)
        return touched

    def _resolve(
        self,
        step: Resolve,
        below: Tree,
        draft: Draft,
        asked: Asked,
        path: tuple[PathPart, ...],
        levels: tuple[Level, ...],
        defers: frozenset[int],
    ) -> set[int]:
        key = step.key if step.key is not None else self._keys.of(_names(path), step.name, step.arguments)
        told = (f"{name}: {MARK}{self._context(what, levels).variable}" for name, what in step.told)
        arguments = ", ".join(filter(None, (step.arguments, *told)))
        if below.place is None:
            asked.fields.setdefault(key, AskedField(step.name, arguments, step.variables, None, step.directives))
            return {draft.id}
        entry = asked.fields.setdefault(
            key, AskedField(step.name, arguments, step.variables, Asked(below.place), step.directives)
        )
        assert entry.below is not None  # noqa: S101 - a composite field has selections
        inner = (*path, key)
        return self._visit(below, draft, entry.below, inner, (*levels, Level(draft, entry.below, inner)), defers)

    def _jump(
        self,
        step: Jump,
        below: Tree,
        draft: Draft,
        asked: Asked,
        path: tuple[PathPart, ...],
        levels: tuple[Level, ...],
        defers: frozenset[int],
    ) -> set[int]:
        if step.finding is None:
            further = self._root(step.place, path, frozenset({draft.id}), defers)
            assert further.asked is not None  # noqa: S101 - a root draft
            return self._visit(below, further, further.asked, path, levels, defers)
        after = {draft.id} | self._visit(step.finding, draft, asked, path, levels, defers)
        for what in step.told:
            assert what.finding is not None  # noqa: S101 - without it there is no way
            above = levels[: len(levels) - what.up]
            after |= self._visit(what.finding, *above[-1], above, defers)
        draft_after = self._entity(step.place.graph, after, defers)
        parts = [self._inputs(self._walker.field_set(step.known, s), _names(path), entity=True) for s in step.inputs]
        inputs: tuple[Input, ...] | None = ()
        for part in parts:
            inputs = merged_inputs(inputs, part) if inputs is not None else None
        assert inputs is not None  # noqa: S101 - composition refuses a @requires that contradicts the key
        required = tuple(dict.fromkeys(given.key for given in parts[0]))
        told = tuple(dict.fromkeys(self._context(what, levels) for what in step.told))
        wanted = draft_after.want(Wanted(path, step.place.type, inputs, required, Asked(step.place), told))
        return self._visit(below, draft_after, wanted.asked, path, levels, defers)

    def _context(self, told: Told, levels: tuple[Level, ...]) -> Context:
        """The variable that carries a value from above."""
        path = levels[-1 - told.up].path
        identity = (path, told.known, told.selection, told.type)
        if identity not in self._contexts:
            inputs = self._inputs(self._walker.told_set(told.known, told.selection), _names(path))
            variable = f"told{len(self._contexts)}"  # until its document is written
            self._contexts[identity] = Context(variable, told.type, path, _only(inputs))
        return self._contexts[identity]

    def _entity(self, graph: str, after: set[int], defers: frozenset[int]) -> Draft:
        for draft in self.drafts:
            if draft.asked is None and (draft.graph, draft.after, draft.defers) == (graph, after, defers):
                return draft
        draft = Draft(len(self.drafts) + 1, graph, after, defers)
        self.drafts.append(draft)
        return draft

    def _inputs(self, selections: Selections, path: tuple[str, ...], entity: bool = False) -> tuple[Input, ...]:
        """How a field set is read from the merged data at a response path."""
        found = []
        abstract = self._supergraph.types[selections.type].abstract
        if abstract and not entity:  # an entity's type name is told by its lookup
            found.append(Input(TYPENAME, TYPENAME))
        for selected in selections:
            key = self._keys.of(path, selected.name, selected.arguments)
            below = None if selected.children is None else self._inputs(selected.children, (*path, key))
            types = frozenset({selected.on}) if abstract and selected.on != selections.type else None
            found.append(Input(selected.name, key, below, types))
        return tuple(found)


def _only(inputs: tuple[Input, ...]) -> tuple[Input, ...]:
    """Inputs of which one gives a context's value: a __typename only where nothing else is asked for."""
    kept = tuple(given for given in inputs if given.name != TYPENAME) or inputs[:1]
    return tuple(given if given.below is None else replace(given, below=_only(given.below)) for given in kept)


def free(prefix: str, taken: Collection[str]) -> str:
    """The prefix, or a longer one, with which no taken name begins."""
    while any(name.startswith(prefix) for name in taken):
        prefix = f"_{prefix}"
    return prefix


def _names(path: tuple[PathPart, ...]) -> tuple[str, ...]:
    return tuple(part for part in path if isinstance(part, str))


def ancestors(drafts: Mapping[int, Draft], draft: Draft) -> set[int]:
    """The ids of everything that a draft waits for, directly or not."""
    found: set[int] = set()
    waiting = list(draft.after)
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting += drafts[here].after
    return found
