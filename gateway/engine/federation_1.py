"""A supergraph of Federation 1 (join v0.1), said in the words of join v0.2.

There a type has one owner, whose fields need no graph; keys and what is provided are in a subgraph without being said to be.
What it does not tell is which types a subgraph lacks that are no entities: those count as known everywhere. Source: join spec
v0.1, with its @join__owner.
"""

from collections.abc import Iterator
from typing import TypeVar

from graphql import (
    DefinitionNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    InlineFragmentNode,
    InterfaceTypeDefinitionNode,
    Node,
    ObjectTypeDefinitionNode,
    SelectionSetNode,
    UnionTypeDefinitionNode,
    parse,
    value_from_ast_untyped,
)

from gateway.engine.api_schema import named_type

Owned = ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode
Kind = TypeVar("Kind", bound=Node)
Place = tuple[str, str, str]  # graph, type, field


def modern(document: DocumentNode) -> DocumentNode:
    """The document in the words of join v0.2, if anything in it has an owner; otherwise as it is."""
    types = {n.name.value: n for n in document.definitions if isinstance(n, Owned)}
    owners = {name: str(given["graph"]) for name, node in types.items() for given in _uses(node, "join__owner")}
    if not owners:
        return document
    reader = _Reader(types, owners)
    return DocumentNode(definitions=tuple(map(reader.definition, document.definitions)))


class _Reader:
    def __init__(self, types: dict[str, Owned], owners: dict[str, str]) -> None:
        self._types, self._owners = types, owners
        self._keys: set[Place] = set()
        self._provided: set[Place] = set()
        for name, node in types.items():
            for given in _uses(node, "join__type"):
                if given.get("key"):
                    self._keys.update(self._places(str(given["graph"]), name, _selection(given["key"])))
            for field in node.fields or ():
                for given in _uses(field, "join__field"):
                    if given.get("provides"):
                        below = _selection(given["provides"])
                        self._provided.update(self._places(str(given["graph"]), named_type(field.type), below))

    def _places(self, graph: str, type_name: str, fields: SelectionSetNode) -> Iterator[Place]:
        """Every field of an entity that a field set names in a graph."""
        for item in fields.selections:
            if isinstance(item, InlineFragmentNode):
                condition = item.type_condition.name.value if item.type_condition else type_name
                yield from self._places(graph, condition, item.selection_set)
            elif isinstance(item, FieldNode) and type_name in self._types:
                found = [f for f in self._types[type_name].fields or () if f.name.value == item.name.value]
                if type_name in self._owners:
                    yield graph, type_name, item.name.value
                if item.selection_set is not None and found:
                    yield from self._places(graph, named_type(found[0].type), item.selection_set)

    def definition(self, node: DefinitionNode) -> DefinitionNode:
        """A definition, its fields and members with all the graphs that have them."""
        if isinstance(node, Owned) and node.name.value in self._owners:
            return _with(node, fields=tuple(self._field(node.name.value, field) for field in node.fields or ()))
        if isinstance(node, UnionTypeDefinitionNode):
            told = [
                f'@join__unionMember(graph: {given["graph"]}, member: "{member.name.value}")'
                for member in node.types or ()
                if member.name.value in self._owners
                for given in _uses(self._types[member.name.value], "join__type")
            ]
            return _with(node, directives=(*(node.directives or ()), *map(_directive, dict.fromkeys(told))))
        return node

    def _field(self, owner: str, node: Node) -> Node:
        graphs = [str(given["graph"]) for given in _uses(node, "join__field") if given.get("graph")]
        told = [] if graphs else [f"@join__field(graph: {self._owners[owner]})"]
        graphs = graphs or [self._owners[owner]]
        for places, more in ((self._keys, ""), (self._provided - self._keys, ", external: true")):
            for graph, type_name, name in sorted(places):
                if (type_name, name) == (owner, node.name.value) and graph not in graphs:  # type: ignore[attr-defined]
                    told.append(f"@join__field(graph: {graph}{more})")
        return _with(node, directives=(*(node.directives or ()), *map(_directive, told)))  # type: ignore[attr-defined]


def _uses(node: Node, name: str) -> list[dict[str, object]]:
    return [
        {a.name.value: value_from_ast_untyped(a.value) for a in d.arguments or ()}
        for d in getattr(node, "directives", None) or ()
        if d.name.value == name
    ]


def _selection(text: object) -> SelectionSetNode:
    (operation,) = parse("{" + str(text) + "}", no_location=True).definitions
    return operation.selection_set  # type: ignore[attr-defined, no-any-return] # parsed from a selection


def _directive(text: str) -> DirectiveNode:
    (scalar,) = parse(f"scalar X {text}", no_location=True).definitions
    return scalar.directives[0]  # type: ignore[attr-defined, no-any-return] # parsed with one


def _with(node: Kind, **changes: object) -> Kind:
    kept = {key: getattr(node, key, None) for key in node.keys if key != "loc"}
    return type(node)(**{**kept, **changes})  # type: ignore[arg-type] # the node's own keys
