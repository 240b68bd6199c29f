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
class Printer:
    """Prints selection sets; notes the variables they use and the renames that their answers need."""

    supergraph: Supergraph
    variables: set[str] = field(default_factory=set)
    renames: list[Rename] = field(default_factory=list)

    def selections(self, asked: Asked, path: tuple[str, ...] = ()) -> str:
        """`{ ... }` for a selection set whose answer lies at a response key path."""
        here = self.supergraph.types[asked.place.type]
        parts = []
        if here.abstract_in(asked.place.graph):
            parts.append(TYPENAME)
        meanings: dict[str, tuple[str, ...]] = {}
        for key, entry in asked.fields.items():
            if not (key == TYPENAME and parts):
                parts.append(self._field(key, entry, asked, path, meanings))
        for type_name, inner in asked.fragments.items():
            fields = [self._field(k, e, inner, path, meanings) for k, e in inner.fields.items()]
            nested = [f"... on {t} {self.selections(i, path)}" for t, i in inner.fragments.items()]
            if fields or nested:
                parts.append(f"... on {type_name} {{ {' '.join(fields + nested)} }}")
        return f"{{ {' '.join(parts or [TYPENAME])} }}"

    def _field(
        self, key: str, entry: AskedField, asked: Asked, path: tuple[str, ...], meanings: dict[str, tuple[str, ...]]
    ) -> str:
        self.variables |= entry.variables
        meaning = (entry.name, entry.arguments, self._shape(asked, entry))
        alias, number = key, 0
        while meanings.setdefault(alias, meaning) != meaning:
            number += 1
            alias = f"{key}__{number}"
        if alias != key:
            self.renames.append(Rename(path, alias, key))
        text = entry.name if alias == entry.name else f"{alias}: {entry.name}"
        if entry.arguments:
            text += f"({entry.arguments})"
        if entry.below is not None:
            text += f" {self.selections(entry.below, (*path, alias))}"
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
