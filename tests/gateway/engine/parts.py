"""A subgraph of a test: its SDL as a server would have it, and what its federation directives say."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    SelectionSetNode,
    UnionTypeDefinitionNode,
    build_ast_schema,
    parse,
    value_from_ast_untyped,
)

from gateway.engine.supergraph import selection

Json = dict[str, Any]
SIGNED_IN = "signed-in"  # what @authenticated asks for, among the names of scopes and policies
_KINDS: Mapping[str, Any] = {
    "object_type": ObjectTypeDefinitionNode,
    "interface_type": InterfaceTypeDefinitionNode,
    "union_type": UnionTypeDefinitionNode,
    "enum_type": EnumTypeDefinitionNode,
    "input_object_type": InputObjectTypeDefinitionNode,
}


class Part:
    """A subgraph: its schema as a server would have it, and what its directives say."""

    def __init__(self, name: str, sdl: str) -> None:
        self.name = name
        definitions = _joined(parse(sdl, no_location=True))
        self.keys: dict[str, list[tuple[SelectionSetNode, bool]]] = {}
        self.interface_objects: set[str] = set()
        self.external: set[tuple[str, str]] = set()
        self.requires: dict[tuple[str, str], SelectionSetNode] = {}
        self.provides: dict[tuple[str, str], SelectionSetNode] = {}
        self.overrides: dict[tuple[str, str], tuple[str, str | None]] = {}
        self.stated: dict[tuple[str, str | None], list[list[list[str]]]] = {}  # who may see what, by type and field
        self.contexts: dict[str, set[str]] = {}  # by name, the types that set it
        self.contextual: dict[tuple[str, str], dict[str, tuple[str, SelectionSetNode]]] = {}  # by field, its arguments
        for node in definitions.values():
            self._read(node)
        self.schema = _served(definitions, self.keys)

    def _read(self, node: Any) -> None:
        name = node.name.value
        for arguments in _uses(node, "key"):
            self.keys.setdefault(name, []).append(
                (selection(str(arguments["fields"])), bool(arguments.get("resolvable", True)))
            )
        for arguments in _uses(node, "context"):
            self.contexts.setdefault(str(arguments["name"]), set()).add(name)
        if _uses(node, "interfaceObject"):
            self.interface_objects.add(name)
        self._state((name, None), node)
        for item in getattr(node, "fields", None) or ():
            if not isinstance(item, FieldDefinitionNode):
                continue
            place = (name, item.name.value)
            self._state(place, item)
            if _uses(item, "external") or _uses(node, "external"):
                self.external.add(place)
            for found, into in (("requires", self.requires), ("provides", self.provides)):
                for arguments in _uses(item, found):
                    into[place] = selection(str(arguments["fields"]))
            for argument in item.arguments or ():
                for arguments in _uses(argument, "fromContext"):
                    context, text = re.findall(r"^\s*\$(\w+)\s*(.*)$", str(arguments["field"]), re.S)[0]
                    told = (context, selection(text[1:].rstrip()[:-1] if text.startswith("{") else text))
                    self.contextual.setdefault(place, {})[argument.name.value] = told
            for arguments in _uses(item, "override"):
                self.overrides[place] = (str(arguments["from"]), arguments.get("label"))

    def _state(self, place: tuple[str, str | None], node: Any) -> None:
        found = [[[SIGNED_IN]] for _ in _uses(node, "authenticated")]
        found += [arguments["scopes"] for arguments in _uses(node, "requiresScopes")]
        found += [arguments["policies"] for arguments in _uses(node, "policy")]
        if found:
            self.stated[place] = found

    @property
    def field_sets(self) -> Iterator[SelectionSetNode]:
        """Everything that a key, a @requires or a context reads."""
        yield from self.requires.values()
        yield from (fields for told in self.contextual.values() for _, fields in told.values())
        for keys in self.keys.values():
            yield from (fields for fields, _ in keys)

    def field(self, type_name: str, name: str) -> GraphQLField | None:
        """The field that this subgraph has on an object type, or on an interface that is one object here."""
        type_ = self.schema.type_map.get(type_name)
        return type_.fields.get(name) if isinstance(type_, GraphQLObjectType) else None


def _uses(node: Any, directive: str) -> list[Json]:
    return [
        {a.name.value: value_from_ast_untyped(a.value) for a in d.arguments or ()}
        for d in node.directives or ()
        if isinstance(d, DirectiveNode) and d.name.value.removeprefix("federation__") == directive
    ]


def _joined(document: DocumentNode) -> dict[str, Any]:
    """The definitions of types by name, extensions joined to them."""
    found: dict[str, Any] = {}
    for node in document.definitions:
        kind = node.kind.replace("_extension", "").replace("_definition", "")
        if kind in _KINDS:
            name = node.name.value  # type: ignore[attr-defined] # a type has a name
            held = found.get(name)
            parts = {
                key: tuple(getattr(held, key, None) or ()) + tuple(getattr(node, key, None) or ())
                for key in ("directives", "fields", "interfaces", "types", "values")
                if hasattr(node, key)
            }
            found[name] = _KINDS[kind](name=node.name, **parts)  # type: ignore[attr-defined]
        elif node.kind == "scalar_type_definition":
            found[node.name.value] = node  # type: ignore[attr-defined]
    return found


def _served(definitions: Mapping[str, Any], keys: Mapping[str, list[tuple[SelectionSetNode, bool]]]) -> GraphQLSchema:
    """The schema as a subgraph's server has it: without federation's directives, with `_entities`."""
    nodes = [_bare(node) for node in definitions.values()]
    entities = sorted(
        name
        for name, found in keys.items()
        if any(resolvable for _, resolvable in found) and isinstance(definitions[name], ObjectTypeDefinitionNode)
    )
    text = "scalar _Any\n" + ("extend type Query" if "Query" in definitions else "type Query")
    text += " { _service: String" + (" _entities(representations: [_Any!]!): [_Entity]! }" if entities else " }")
    if entities:
        text += f"\nunion _Entity = {' | '.join(entities)}"
    extra = parse(text, no_location=True).definitions
    return build_ast_schema(DocumentNode(definitions=(*_extended(nodes, extra),)), assume_valid=True)


def _extended(nodes: list[Any], extra: Sequence[Any]) -> Iterator[Any]:
    more = [node for node in extra if node.kind == "object_type_extension"]
    for node in nodes:
        if more and node.name.value == "Query":
            yield ObjectTypeDefinitionNode(
                name=node.name, fields=(*(node.fields or ()), *more[0].fields), interfaces=node.interfaces
            )
        else:
            yield node
    yield from (node for node in extra if node.kind != "object_type_extension")


def _bare(node: Any) -> Any:
    """A definition without directives."""
    if isinstance(node, FieldDefinitionNode):
        return FieldDefinitionNode(
            name=node.name, type=node.type, arguments=tuple(_bare(a) for a in node.arguments or ())
        )
    kept = {key: getattr(node, key, None) for key in node.keys if key not in ("loc", "directives", "description")}
    if getattr(node, "fields", None):
        kept["fields"] = tuple(_bare(item) for item in node.fields)
    if getattr(node, "values", None) and isinstance(node, EnumTypeDefinitionNode):
        kept["values"] = tuple(_bare(item) for item in node.values or ())
    return type(node)(**kept)
