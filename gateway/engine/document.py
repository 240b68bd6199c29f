"""Prints what a draft asks as a GraphQL document for its subgraph.

Where sibling fragments ask for different fields, or fields of different types, under one response key, GraphQL cannot merge
them: one of them goes under an alias and is renamed when the answer comes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphql.language import print_ast

from gateway.engine.fetches import Asked, AskedField
from gateway.engine.normalise import TYPENAME
from gateway.engine.plan import Rename
from gateway.engine.supergraph import Supergraph


@dataclass(slots=True)
class _Meanings:
    """What each response key of one response position stands for, in whichever fragment it is asked."""

    of: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    below: "dict[str, _Meanings]" = field(default_factory=dict)


@dataclass(slots=True)
class Printer:
    """Prints selection sets; notes the variables they use and the renames that their answers need."""

    supergraph: Supergraph
    variables: set[str] = field(default_factory=set)
    renames: list[Rename] = field(default_factory=list)

    def selections(self, asked: Asked) -> str:
        """`{ ... }` for the selection set of a root type."""
        return self._selections(asked, (), _Meanings())

    def fragments(self, asked: Mapping[str, Asked], alias: str) -> str:
        """`{ ... }` for entities of several types, looked up by the field `alias`."""
        meanings = _Meanings()
        parts = [f"... on {name} {self._selections(inner, (alias,), meanings)}" for name, inner in asked.items()]
        return f"{{ {' '.join(parts)} }}"

    def _selections(self, asked: Asked, path: tuple[str, ...], meanings: _Meanings, *, shown: str = "") -> str:
        """`shown` is the type as which clients see what this subgraph may know as one of a single type."""
        here = self.supergraph.types[asked.place.type]
        parts = []
        if here.abstract_in(asked.place.graph) or (
            shown and not here.abstract and self.supergraph.types[shown].abstract
        ):
            parts.append(TYPENAME)
        for key, entry in asked.fields.items():
            if key != TYPENAME or TYPENAME not in parts:
                parts.append(self._field(key, entry, asked, path, meanings))
        for type_name, inner in asked.fragments.items():
            if inner.fields or inner.fragments:
                parts.append(f"... on {type_name} {self._selections(inner, path, meanings)}")
        return f"{{ {' '.join(parts or [TYPENAME])} }}"

    def _field(self, key: str, entry: AskedField, asked: Asked, path: tuple[str, ...], meanings: _Meanings) -> str:
        self.variables |= entry.variables
        meaning = (entry.name, entry.arguments, self._shape(asked, entry))
        alias, number = key, 0
        while meanings.of.setdefault(alias, meaning) != meaning:
            number += 1
            alias = f"{key}__{number}"
        if alias != key:
            self.renames.append(Rename(path, alias, key))
        text = entry.name if alias == entry.name else f"{alias}: {entry.name}"
        if entry.arguments:
            text += f"({entry.arguments})"
        text += entry.directives
        if entry.below is not None:
            below = meanings.below.setdefault(alias, _Meanings())
            shown = self.supergraph.types[asked.place.type].fields[entry.name].type_name
            text += f" {self._selections(entry.below, (*path, alias), below, shown=shown)}"
        return text

    def _shape(self, asked: Asked, entry: AskedField) -> str:
        """What must agree for two fields to share a response key: lists, non-nulls and the leaf type in this subgraph."""
        if entry.name == TYPENAME:
            return "String!"
        held = self.supergraph.types[asked.place.type].fields[entry.name].graphs[asked.place.graph]
        text = print_ast(held.type)
        return text if entry.below is None else text.replace(held.type_name, "")


def operation(
    kind: str, name: str, selections: str, declared: Mapping[str, str], used: set[str], extra: list[str]
) -> str:
    """A whole document. `declared` are the client's variable definitions by name, `used` those that this request needs."""
    definitions = extra + [declared[variable] for variable in sorted(used)]
    head = f"{kind} {name}".strip()
    return f"{head}({', '.join(definitions)}) {selections}" if definitions else f"{head} {selections}"
