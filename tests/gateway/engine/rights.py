"""The judge of who may see what: of each field of a value, by what the subgraphs' owners say.

A caller is the set of names that it holds: scopes, policies, and SIGNED_IN. A field is denied where one of the things that are
asked of it is not held: by itself, by its type, by the type that it returns; by an interface of its type, unless an implementer
says the same name; and by whatever it requires or is told.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from graphql import (
    DocumentNode,
    FieldNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
)

from gateway.engine.access import Access, Denial, Denials, Requirement
from tests.gateway.engine.parts import SIGNED_IN

if TYPE_CHECKING:
    from tests.gateway.engine.world import World

Place = tuple[str, str | None]  # a type and a field of it, or the type as a whole
Stated = Mapping[Place, list[list[list[str]]]]  # what is asked for there: all of these, each in one of several ways


class Rights:
    """What one caller may see of a world."""

    def __init__(self, world: "World", stated: Stated, granted: frozenset[str]) -> None:
        self._world, self._stated, self._granted = world, stated, granted
        self.refused = False  # whether anything was denied so far
        self._known: dict[tuple[str, str], bool] = {}

    def denies(self, type_name: str, field: str) -> bool:
        """Whether a field of an object type is denied."""
        place = (type_name, field)
        if place not in self._known:
            needed = self._reached(place, set())
            self._known[place] = not all(self._meets(asked) for found in needed for asked in self._asked(*found))
        self.refused |= self._known[place]
        return self._known[place]

    def denials(self, access: Access, document: DocumentNode, operation: OperationDefinitionNode) -> Denials | None:
        """The same, as the gateway is told it: what an operation asks of this caller in vain."""
        asked = access.asked(document, operation)
        return access.denials({r: Denial("DENIED", str(r)) for r in asked if not self._meets(_names(r))})

    def _meets(self, asked: list[list[str]]) -> bool:
        return any(set(names) <= self._granted for names in asked)

    def _asked(self, type_name: str, field: str) -> Iterator[list[list[str]]]:
        supergraph = self._world.supergraph
        returned = get_named_type(self._world.definitions(type_name, field)[0].type).name
        for place in ((type_name, None), (type_name, field)):
            yield from self._stated.get(place, ())
        above = [(name, part) for name in supergraph.types[type_name].interfaces for part in (None, field)]
        for name, part in (*above, (returned, None)):
            found = supergraph.types.get(name)
            members = set(found.members) if found is not None and found.abstract else set()
            below = str([self._stated.get((member, p)) for member in members for p in {None, part}])
            for asked in self._stated.get((name, part), ()):
                if not any(repr(text) in below for names in asked for text in names):
                    yield asked

    def _reached(self, place: tuple[str, str], seen: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """A field with all that it needs for its value."""
        if place not in seen:
            seen.add(place)
            for needed in self._needs(*place):
                self._reached(needed, seen)
        return seen

    def _needs(self, type_name: str, field: str) -> Iterator[tuple[str, str]]:
        interfaces = self._world.supergraph.types[type_name].interfaces
        for part in self._world.parts.values():
            for owner in (type_name, *(interfaces & part.interface_objects)):
                if (owner, field) in part.requires:
                    yield from self._places([type_name], part.requires[owner, field])
                for context, fields in part.contextual.get((owner, field), {}).values():
                    for other in self._world.parts.values():
                        setting = [c for t in other.contexts.get(context, ()) for c in self._world.concrete(t)]
                        yield from self._places(setting, fields)

    def _places(self, types: list[str], fields: SelectionSetNode) -> Iterator[tuple[str, str]]:
        for item in fields.selections:
            if isinstance(item, InlineFragmentNode):
                assert item.type_condition is not None
                inside = self._world.concrete(item.type_condition.name.value)
                yield from self._places([name for name in types if name in inside], item.selection_set)
            elif isinstance(item, FieldNode) and item.name.value != "__typename":
                for name in types:
                    if item.name.value in self._world.supergraph.types[name].fields:
                        yield name, item.name.value
                        if item.selection_set is not None:
                            returned = get_named_type(self._world.definitions(name, item.name.value)[0].type).name
                            yield from self._places(self._world.concrete(returned), item.selection_set)


def _names(requirement: Requirement) -> list[list[str]]:
    return [[SIGNED_IN]] if requirement.kind == "authenticated" else [list(names) for names in requirement.any_of]
