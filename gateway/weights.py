"""What the owners of data say their fields cost: the weights and list sizes in a supergraph. Read once when it is loaded.

Source: Apollo Federation's cost spec v0.1, after IBM's GraphQL Cost Directives: @cost(weight:) on fields, types, arguments and
input fields; @listSize(assumedSize:, slicingArguments:, sizedFields:, requireOneSlicingArgument:) on fields.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    GraphQLInputObjectType,
    GraphQLSchema,
    InputObjectTypeDefinitionNode,
    InputValueDefinitionNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
    is_abstract_type,
    is_composite_type,
    value_from_ast_untyped,
)


@dataclass(frozen=True, slots=True)
class ListSize:
    """How long a list is, by its owner's word. A slicing argument may be a path into an input object, as in `page.first`."""

    assumed: int | None
    slicing: tuple[tuple[str, ...], ...]
    sized: frozenset[str]
    one_required: bool


class Weights:
    """The weights and list sizes of a supergraph, by coordinate: `Type`, `Type.field` or `Type.field(argument:)`.

    A field asked of an interface costs what its dearest implementer says, unless the interface itself says something.
    """

    def __init__(self, document: DocumentNode, schema: GraphQLSchema) -> None:
        self.schema = schema
        self._costs: dict[str, float] = {}
        self._sizes: dict[str, ListSize] = {}
        for coordinate, directives in _annotated(document):
            for directive in directives:
                if directive.name.value == "cost":
                    self._costs[coordinate] = float(_arguments(directive)["weight"])  # IBM has texts, Apollo integers
                elif directive.name.value == "listSize":
                    self._sizes[coordinate] = _list_size(_arguments(directive))

    def of_field(self, owner: str, name: str, type_name: str) -> float:
        """What one value of a field costs by itself: an object, interface or union 1, a leaf nothing."""
        said = [self._costs[c] for c in self._coordinates(owner, name) if c in self._costs]
        if said:
            return said[0] if f"{owner}.{name}" in self._costs else max(said)
        said = [self._costs[t] for t in (type_name, *self._members(type_name)) if t in self._costs]
        if said:
            return said[0] if type_name in self._costs else max(said)
        return 1.0 if is_composite_type(self.schema.type_map[type_name]) else 0.0

    def of_input(self, coordinate: str, type_name: str) -> float:
        """What one value of an argument or input field costs by itself: an input object 1, a leaf nothing."""
        default = 1.0 if isinstance(self.schema.type_map[type_name], GraphQLInputObjectType) else 0.0
        return self._costs.get(coordinate, self._costs.get(type_name, default))

    def size_of(self, owner: str, name: str) -> ListSize | None:
        """What is said about the length of a field's list, or of the lists below it."""
        return next((self._sizes[c] for c in self._coordinates(owner, name) if c in self._sizes), None)

    def _coordinates(self, owner: str, name: str) -> list[str]:
        return [f"{type_name}.{name}" for type_name in (owner, *self._members(owner))]

    def _members(self, type_name: str) -> list[str]:
        declared = self.schema.type_map[type_name]
        return sorted(t.name for t in self.schema.get_possible_types(declared)) if is_abstract_type(declared) else []


def _annotated(document: DocumentNode) -> Iterator[tuple[str, tuple[DirectiveNode, ...]]]:
    """Every coordinate that may carry a weight, with its directives."""
    for node in document.definitions:
        if isinstance(node, ScalarTypeDefinitionNode | EnumTypeDefinitionNode):
            yield node.name.value, node.directives or ()
        elif isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode | InputObjectTypeDefinitionNode):
            name = node.name.value
            yield name, node.directives or ()
            fields: tuple[FieldDefinitionNode | InputValueDefinitionNode, ...] = node.fields or ()
            for field in fields:
                yield f"{name}.{field.name.value}", field.directives or ()
                for argument in (field.arguments or ()) if isinstance(field, FieldDefinitionNode) else ():
                    yield f"{name}.{field.name.value}({argument.name.value}:)", argument.directives or ()


def _list_size(arguments: Mapping[str, Any]) -> ListSize:
    return ListSize(
        assumed=arguments.get("assumedSize"),
        slicing=tuple(tuple(str(path).split(".")) for path in arguments.get("slicingArguments") or ()),
        sized=frozenset(map(str, arguments.get("sizedFields") or ())),
        one_required=bool(arguments.get("requireOneSlicingArgument", True)),
    )


def _arguments(directive: DirectiveNode) -> dict[str, Any]:
    return {a.name.value: value_from_ast_untyped(a.value) for a in directive.arguments or ()}
