"""Walks the graph of what subgraphs can resolve: for each field, every way to reach it.

A place is a type in a subgraph, with the fields that a @provides grants there. From a place one step resolves a field,
narrows an abstract type, or jumps to another subgraph by a key. A jump is usable only if its key (and what a @requires
asks for) can itself be found from here; the tree that finds it hangs on the jump.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from gateway.engine.choose import choose
from gateway.engine.normalise import TYPENAME, Normaliser, Selected, Selections, TooManyWays, answers
from gateway.engine.supergraph import ContextArgument, FieldIn, Key, Supergraph, selection
from gateway.engine.tree import Jump, Narrow, Place, Resolve, Told, Tree
from gateway.engine.way import Path

FIELD_COST, JUMP_COST = 1, 1000
MOST_REMEMBERED = 50_000
DEEPEST = 64  # what is solved within one another, so that Python's own stack holds


# What planning one operation may take, all that it requires included: half a second, where a step takes 4 to 12 µs. A field
# looked for at a place is one step; to look for it from there, to gather a key, and to weigh a way to a leaf take so many more.
MOST_STEPS = 40_000
LOOKING, GATHERING, WEIGHING = 2, 4, 2


class NoResolvablePath(Exception):
    """No subgraph can resolve a field where the operation asks for it; the text names its coordinate."""


Busy = frozenset[tuple[str, str, str]]  # what is being solved further up: (what, type, graph or field)


class Walker:
    """Finds ways in one supergraph. Keeps what it found about field sets, which are the same for every operation."""

    def __init__(self, supergraph: Supergraph) -> None:
        self._supergraph = supergraph
        self._sets: dict[tuple[str, str], Selections] = {}
        self._found: dict[tuple[Place, str, tuple[str, ...], Busy, bool], Tree | None] = {}
        self.left = MOST_STEPS
        self._reached: dict[tuple[Place, str, str, Busy], list[Path]] = {}

    # -- one selection set

    def leaves(
        self, paths: list[Path], selections: Selections, busy: Busy = frozenset(), *, staying: bool = False
    ) -> list[list[Path]]:
        """For each leaf below a selection set, every cheapest way to it; `staying`, only where the first fields need no
        further jump. Raises NoResolvablePath and TooManyWays."""
        found: list[list[Path]] = []
        members = self._members(paths, selections.type)
        for selected in selections:
            if selected.on != selections.type and members is not None and selected.on not in members:
                continue  # no value here can be of this type
            ways = self._deferred(paths, selected, busy) if selected.defers else []
            ways = ways or self.ways(paths, selected, busy, staying=staying)
            if not ways:
                found += self.leaves(paths, self._by_type(selected), busy, staying=staying)
            elif selected.children is None:
                cheapest = min(way.cost for way in ways)
                found.append([way for way in ways if way.cost == cheapest])
                self._spend(WEIGHING * len(found[-1]))
            else:
                found.extend(self.leaves(ways, selected.children, busy))
        if not found:  # no value can be of any type that is asked for, but that there is a value is still asked
            exists = Selected(selections.type, TYPENAME, None, "", frozenset())
            ways = self.ways(paths, exists, busy, staying=staying)
            found = [ways] if ways else []
        return found

    def _by_type(self, selected: Selected) -> Selections:
        """An interface's field as a field of each of its object types, where an @interfaceObject that has it is out of reach.

        Raises NoResolvablePath for any other field.
        """
        if not self._supergraph.types[selected.on].abstract or selected.name == TYPENAME:
            raise NoResolvablePath(f"{selected.on}.{selected.name}")
        found = Selections(selected.on)
        for member in sorted(self._supergraph.possible(selected.on)):
            if selected.name in self._supergraph.types[member].fields:
                found.fields[member, selected.key, selected.name, selected.arguments] = replace(selected, on=member)
        return found

    def _members(self, paths: list[Path], type_name: str) -> set[str] | None:
        """The object types that a value can have whichever subgraph is asked; None where all are possible.

        Where several subgraphs compete for one field, only the members that all of them know can be counted on.
        """
        declared = self._supergraph.types[type_name]
        if not declared.abstract:
            return None
        shared: set[str] | None = None
        for path in paths:
            place = path.place
            if place is None or isinstance(path.step, Jump):
                continue
            here = self._supergraph.types[place.type]
            if place.graph in here.interface_object_in:
                return None
            known = set(here.members_in(place.graph)) if here.abstract else {place.type}
            shared = known if shared is None else shared & known
        return shared

    def ways(
        self, paths: list[Path], selected: Selected, busy: Busy = frozenset(), *, staying: bool = False
    ) -> list[Path]:
        """Every way to resolve a field from one of several places: the cheapest per place where it leads. Raises TooManyWays."""
        best: dict[tuple[Place | None, str, object], Path] = {}
        there = {(path.place, path.known): path.cost for path in reversed(paths)}
        for path in paths:
            path = self._narrowed(path, selected)
            for way in self.direct(path, selected, busy) if staying else self._from(path, selected, busy, there):
                identity = (way.place, way.known, way if way.place is None else None)
                if identity not in best or way.cost < best[identity].cost:
                    best[identity] = way
        return list(best.values())

    def _deferred(self, paths: list[Path], selected: Selected, busy: Busy) -> list[Path]:
        """The ways to a deferred field by requests of its own, so that nothing else waits for it; none where there are none."""
        known = {id(way) for path in paths for way in path.back()}
        ways = [way.marked(selected.defers, known) for way in self.ways(paths, selected, busy)]
        if all(path.defers == selected.defers for path in paths):
            return ways
        entered = [way for path in paths if (way := self._anew(self._narrowed(path, selected), busy)) is not None]
        apart = [way.marked(selected.defers, known) for way in self.ways(entered, selected, busy, staying=True)]
        return apart + [way for way in ways if way.defers == selected.defers]

    def _anew(self, path: Path, busy: Busy) -> Path | None:
        """The way into the place once more, by a request of its own: a root type anew, an entity by its key."""
        place = path.place
        assert place is not None  # noqa: S101 - a leaf has no fields
        if _begins(path) and path.before is not None:
            return path.before.to(place, Jump(place, path.known), JUMP_COST)
        declared = self._supergraph.types[place.type]
        if declared.abstract or place.graph in declared.interface_object_in:
            return None
        there, mark = Place(place.type, place.graph), ("jump", place.type, place.graph)
        if mark in busy:
            return None
        keys = [key for key in declared.graphs.get(place.graph, ()) if key.resolvable]
        ways = [self._by_key(path, [path], there, key, busy | {mark}) for key in keys]
        return min(filter(None, ways), key=lambda way: way.cost, default=None)

    def _from(
        self, path: Path, selected: Selected, busy: Busy, there: Mapping[tuple[Place | None, str], int]
    ) -> list[Path]:
        """The ways to resolve a field here or after jumps; a leaf as near as it goes. Jumps to where one is already `there`
        for no more are of no use."""
        found = self.direct(path, selected, busy)
        if found and selected.children is None:
            return found
        self._spend(LOOKING)
        assert path.place is not None  # noqa: S101 - a leaf has no fields
        enough: float = math.inf
        for further in self._reach(path.place, path.known, selected.on, busy, begins=_begins(path)):
            if path.cost + further.cost + FIELD_COST > enough:
                break
            if there.get((further.place, further.known), math.inf) > path.cost + further.cost:
                found += self.direct(path.along(further), selected, busy)
            if found and selected.children is None:
                enough = float(min(way.cost for way in found))
        return found

    def _reach(self, place: Place, known: str, on: str, busy: Busy, *, begins: bool = False) -> list[Path]:
        """The other places where a value can be found by jumps, cheapest first, values of `on` where it is narrowed.

        One after the other is settled, as Dijkstra does; a key may be gathered from all those settled before. So every
        place is found once, however many ways of gathering keys lead there.
        """
        if begins:  # every subgraph has its own beginning
            return []
        identity = (place, known, on, busy)
        if identity not in self._reached:
            if len(self._reached) > MOST_REMEMBERED:
                self._reached.clear()
            self._reached[identity] = []
            self._reached[identity] = self._settle(Path(place, None, None, 0, 0, known), on, busy)
        return self._reached[identity]

    def _settle(self, root: Path, on: str, busy: Busy) -> list[Path]:
        assert root.place is not None  # noqa: S101 - a leaf has no keys
        settled: list[Path] = []
        done = {(root.place.type, root.place.graph, root.known)}
        waiting: dict[tuple[str, str, str], Path] = {}
        here: Path | None = root
        while here is not None:
            settled.append(here)
            if here.known == root.known:
                further = self._jumps(here, settled, busy, done)
            else:  # narrowed on the way: what is known of a narrower type has its own keys
                assert here.place is not None  # noqa: S101 - a jump leads somewhere
                further = [here.along(w) for w in self._reach(here.place, here.known, on, busy)]
            for way in further:
                assert way.place is not None  # noqa: S101 - a jump leads somewhere
                spot = (way.place.type, way.place.graph, way.known)
                if spot not in done and (spot not in waiting or way.cost < waiting[spot].cost):
                    waiting[spot] = way
            here = None
            if waiting:
                nearest = min(waiting, key=lambda s: waiting[s].cost)
                done.add(nearest)
                here = self._narrowed_on(waiting.pop(nearest), on)
        return sorted(settled[1:], key=lambda way: way.cost)

    def _spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise TooManyWays

    # -- one step

    def _narrowed(self, path: Path, selected: Selected) -> Path:
        return self._narrowed_on(path, selected.on)

    def _narrowed_on(self, path: Path, on: str) -> Path:
        """The way on for values of one object type only, where the place can hold several and this is one of them."""
        place = path.place
        assert place is not None  # noqa: S101 - a leaf has no fields
        here = self._supergraph.types[place.type]
        if not here.abstract_in(place.graph) or on not in here.members_in(place.graph):
            return path
        return path.to(Place(on, place.graph, place.provided), Narrow(on), 0)

    def direct(self, path: Path, selected: Selected, busy: Busy = frozenset()) -> list[Path]:
        """The way that resolves a field right here, if there is one. Raises TooManyWays."""
        self._spend(1)
        place = path.place
        assert place is not None  # noqa: S101 - a leaf has no fields
        here = self._supergraph.types[place.type]
        if here.abstract_in(place.graph) and selected.on != place.type:
            path = self._narrowed(path, selected)
            if path.place is None or path.place == place:
                return []
            place = path.place
            here = self._supergraph.types[place.type]
        elif selected.on not in (place.type, path.known) and place.type not in self._supergraph.possible(selected.on):
            return []
        resolve = Resolve(
            place.type, selected.name, selected.arguments, selected.variables, selected.key, (), selected.directives
        )
        if selected.name == TYPENAME:
            told = place.graph not in here.interface_object_in
            return [path.to(None, resolve, FIELD_COST)] if told else []
        declared = here.fields.get(selected.name)
        held = declared.graphs.get(place.graph) if declared else None
        if held is None:
            return []
        provided = self._provided(place, selected.name)
        if provided is None and held.external:
            return []
        if (
            provided is None
            and here.abstract_in(place.graph)
            and not answers(self._supergraph, place.type, place.graph, selected.name)
        ):
            return []
        if held.contextual or (held.requires is not None and provided is None):
            requires = held.requires if provided is None else None
            return self._entering(path, held, requires, resolve, busy, apart=bool(selected.defers))
        return [path.to(self._beyond(place, held, provided), resolve, FIELD_COST)]

    def _beyond(self, place: Place, held: FieldIn, provided: Selections | None) -> Place | None:
        """Where a field leads, with what its own @provides and an outer one grant there."""
        if not self._supergraph.composite(held.type_name):
            return None
        granted = [held.provides] if held.provides is not None else []
        if provided is not None:
            granted.append(_text(provided))
        return Place(held.type_name, place.graph, " ".join(filter(None, granted)))

    def _provided(self, place: Place, name: str) -> Selections | None:
        """The selections below a field that a @provides grants here, None when it grants nothing of this name."""
        if not place.provided:
            return None
        for granted in self.field_set(place.type, place.provided):
            if granted.name == name and (
                granted.on == place.type or place.type in self._supergraph.possible(granted.on)
            ):
                return granted.children or Selections(place.type)
        return None

    def _entering(
        self, path: Path, held: FieldIn, requires: str | None, resolve: Resolve, busy: Busy, *, apart: bool
    ) -> list[Path]:
        """Enter the subgraph anew with the key, what the field requires and what its arguments are told, all gathered
        before."""
        place = path.place
        assert place is not None  # noqa: S101 - asked for a field
        mark = ("requires", place.type, resolve.name)
        if mark in busy:
            return []
        told = self._told(path, held, busy | {mark})
        if told is None:
            return []
        resolve = replace(resolve, told=told)
        above = tuple(dict.fromkeys(what for _, what in told))
        # What is deferred leaves the way to it as it is: the value's existence is told before.
        if requires is None and not apart and (entered := self._told_earlier(path, above)) is not None:
            return [entered.to(self._beyond(place, held, None), resolve, FIELD_COST)]
        origin = path
        if isinstance(path.step, Jump) and path.before is not None:  # came here by a jump: bring the fields with it
            origin = path.before
        assert origin.place is not None  # noqa: S101 - a jump starts somewhere
        cost = JUMP_COST + sum(what.finding.cost for what in above if what.finding is not None)
        for key in self._supergraph.types[place.type].graphs.get(place.graph, ()):
            inputs = (key.fields,) if requires is None else (key.fields, requires)
            finding = self._find(origin.place, path.known, inputs, busy | {mark})
            if key.resolvable and finding is not None:
                bare = Place(place.type, place.graph)
                jump = Jump(bare, path.known, inputs, finding, above)
                entered = origin.to(bare, jump, cost + finding.cost, path.known)
                return [entered.to(self._beyond(bare, held, None), resolve, FIELD_COST)]
        return []

    def _told(self, path: Path, held: FieldIn, busy: Busy) -> tuple[tuple[str, Told], ...] | None:
        """What a field's arguments are told by the gateway; None where some of it cannot be found."""
        found = []
        for argument in held.contextual:
            told = self._from_above(path, argument, busy)
            if told is None:
                return None
            found.append((argument.name, told))
        return tuple(found)

    def _from_above(self, path: Path, argument: ContextArgument, busy: Busy) -> Told | None:
        """What the nearest value above that sets a context gives for it."""
        up, here = 0, path
        while here.before is not None:
            if isinstance(here.step, Resolve):
                up += 1
                above = here.before
                sets = self._supergraph.sets(argument.context, above.known)
                if sets is not False:
                    finding = self._gather_above(above, argument.selection, busy) if sets else None
                    known = above.known
                    return Told(up, known, argument.selection, argument.type, finding) if finding is not None else None
            here = here.before
        return None

    def _gather_above(self, above: Path, text: str, busy: Busy) -> Tree | None:
        """The tree that gathers a context's value, from the place where what sets it was first reached."""
        selections = self.told_set(above.known, text)
        mark = ("context", above.known, text)
        if mark in busy:
            return None
        after: list[Path] = []
        while not isinstance(above.step, Resolve) and above.before is not None and above.before.place:
            after.insert(0, above)
            above = above.before
        begun = len(above.steps())
        sources = [replace(above, fixed=True)]
        if _begins(above):  # of a root type, other subgraphs are entered from here
            sources, begun = [Path(above.place, None, None, 0, 0, above.known)], 0
        for way in after:
            assert way.step is not None  # noqa: S101 - what has something before it came by a step
            sources.append(sources[-1].to(way.place, way.step, way.own, way.known))
        try:
            leaves = self.leaves(sources, selections, busy | {mark})
        except NoResolvablePath:
            return None
        return choose(sources[0].place, leaves, begun)

    def _told_earlier(self, path: Path, told: tuple[Told, ...]) -> Path | None:
        """The same way, its last entry told already what lies above what it enters for; None where it cannot be."""
        if path.before is None or path.fixed or not told or any(what.up < 1 for what in told):
            return None
        if isinstance(path.step, Jump):
            if not path.step.inputs:
                return None
            jump = replace(path.step, told=tuple(dict.fromkeys((*path.step.told, *told))))
            cost = path.own + sum(w.finding.cost for w in told if w not in path.step.told and w.finding is not None)
            return path.before.to(path.place, jump, cost, path.known)
        up = 1 if isinstance(path.step, Resolve) else 0
        before = self._told_earlier(path.before, tuple(replace(what, up=what.up - up) for what in told))
        assert path.step is not None  # noqa: S101 - what has something before it came by a step
        return None if before is None else before.to(path.place, path.step, path.own, path.known)

    def _jumps(self, path: Path, settled: list[Path], busy: Busy, done: set[tuple[str, str, str]]) -> list[Path]:
        """Every other place that the value here can be found at by a key: one found here, or gathered from all places
        settled so far."""
        place = path.place
        assert place is not None  # noqa: S101 - a leaf has no keys
        if place.type in self._supergraph.roots.values():
            places = (Place(place.type, graph) for graph in self._supergraph.types[place.type].graphs)
            return [path.to(there, Jump(there, place.type), JUMP_COST) for there in places]
        found = []
        for target in self._targets(place, path.known):
            declared = self._supergraph.types[target]
            for graph, keys in declared.graphs.items():
                mark = ("jump", target, graph)
                if (target, graph, path.known) in done or mark in busy or len(busy) > DEEPEST:
                    continue
                if target not in (place.type, path.known) and graph not in declared.interface_object_in:
                    continue
                there = Place(target, graph)
                ways = [self._by_key(path, settled, there, key, busy | {mark}) for key in keys if key.resolvable]
                found += sorted(filter(None, ways), key=lambda way: way.cost)[:1]
        return found

    def _by_key(self, path: Path, settled: list[Path], there: Place, key: Key, busy: Busy) -> Path | None:
        """The way to a place by one of its keys, if that can be found. Raises TooManyWays."""
        self._spend(GATHERING)
        assert path.place is not None  # noqa: S101 - a leaf has no keys
        inputs = (key.fields,)
        origin, finding = path, self._find(path.place, path.known, inputs, busy, staying=True)
        if finding is None and len(settled) > 1:
            origin = settled[0]
            sources = [way for way in settled if way.known == path.known]
            finding = self._gather(sources, inputs, busy, staying=True)
        if finding is None:
            return None
        return origin.to(there, Jump(there, path.known, inputs, finding), JUMP_COST + finding.cost, path.known)

    def _targets(self, place: Place, known: str) -> list[str]:
        """The types as which the value here may be an entity elsewhere: its own, and interfaces that are objects there."""
        names = [known] if known != place.type else [place.type]
        own = self._supergraph.types[names[0]]
        return names + sorted(i for i in own.interfaces if self._supergraph.types[i].interface_object_in)

    # -- field sets

    def field_set(self, type_name: str, text: str) -> Selections:
        """A field set of a key, a @requires or a @provides, normalised on a type."""
        found = self._sets.get((type_name, text))
        if found is None:
            found = self._sets[type_name, text] = Normaliser(self._supergraph).selections(selection(text), type_name)
        return found

    def told_set(self, type_name: str, text: str) -> Selections:
        """What a context gives, normalised on a type that sets it."""
        found = self._sets.get((type_name, f"${text}"))
        if found is None:
            normaliser = Normaliser(self._supergraph, types=True)
            found = self._sets[type_name, f"${text}"] = normaliser.selections(selection(text), type_name)
        return found

    def _find(
        self, place: Place, known: str, inputs: tuple[str, ...], busy: Busy, *, staying: bool = False
    ) -> Tree | None:
        """The tree that gathers field sets from a place, or None when some of it cannot be found."""
        identity = (place, known, inputs, busy, staying)
        if identity not in self._found:
            self._found[identity] = None
            if len(self._found) > MOST_REMEMBERED:
                self._found.clear()
            self._found[identity] = self._gather([Path(place, None, None, 0, 0, known)], inputs, busy, staying=staying)
        return self._found[identity]

    def _gather(self, sources: list[Path], inputs: tuple[str, ...], busy: Busy, *, staying: bool) -> Tree | None:
        """The tree that gathers field sets from several ways that begin at one place, the first of them."""
        found: list[list[Path]] = []
        for text in inputs:
            try:
                found += self.leaves(sources, self.field_set(sources[0].known, text), busy, staying=staying)
            except NoResolvablePath:
                return None
        return choose(sources[0].place, found)


def _begins(path: Path) -> bool:
    """Whether this is where an operation enters a subgraph."""
    return path.before is not None and path.before.place is None


def _text(selections: Selections) -> str:
    """A field set as text again."""
    return " ".join(
        (f"... on {s.on} {{ {s.name}{_below(s)} }}" if s.on != selections.type else f"{s.name}{_below(s)}")
        for s in selections
    )


def _below(selected: Selected) -> str:
    return f" {{ {_text(selected.children)} }}" if selected.children and selected.children.fields else ""
