"""The API schema: the supergraph without its machinery and without everything that is @inaccessible."""

from graphql import (
    DefinitionNode,
    DirectiveDefinitionNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    GraphQLSchema,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    ListTypeNode,
    NamedTypeNode,
    Node,
    NonNullTypeNode,
    ObjectTypeDefinitionNode,
    SchemaDefinitionNode,
    TypeDefinitionNode,
    TypeNode,
    UnionTypeDefinitionNode,
    build_ast_schema,
)

MACHINERY = ("join__", "link__", "core__")
SHOWN_DIRECTIVES = frozenset({"deprecated", "specifiedBy", "oneOf"})


def api_schema(document: DocumentNode) -> GraphQLSchema:
    """Build the schema that clients validate against. Raises GraphQLError or TypeError for a malformed supergraph."""
    hidden = {n.name.value for n in document.definitions if isinstance(n, TypeDefinitionNode) and _hidden(n)}
    kept = (_definition(node, hidden) for node in document.definitions)
    definitions = tuple(n for n in kept if isinstance(n, DefinitionNode))
    return build_ast_schema(DocumentNode(definitions=definitions), assume_valid_sdl=True)


def named_type(node: TypeNode) -> str:
    """The name inside lists and non-nulls."""
    while isinstance(node, ListTypeNode | NonNullTypeNode):
        node = node.type
    assert isinstance(node, NamedTypeNode)  # noqa: S101 - nothing else is left
    return node.name.value


def _hidden(node: Node) -> bool:
    directives = getattr(node, "directives", None) or ()
    return any(d.name.value == "inaccessible" for d in directives)


def _definition(node: Node, hidden: set[str]) -> Node | None:
    """The definition as clients see it, or None."""
    if isinstance(node, DirectiveDefinitionNode):
        return None
    if isinstance(node, SchemaDefinitionNode):
        return _with(node, directives=())
    if not isinstance(node, TypeDefinitionNode) or node.name.value in hidden or node.name.value.startswith(MACHINERY):
        return None
    changes: dict[str, object] = {"directives": _shown(node)}
    if isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
        fields = (f for f in node.fields or () if not _hidden(f) and named_type(f.type) not in hidden)
        changes["fields"] = tuple(
            _with(f, directives=_shown(f), arguments=_visible(f.arguments, hidden)) for f in fields
        )
        changes["interfaces"] = tuple(i for i in node.interfaces or () if i.name.value not in hidden)
    elif isinstance(node, InputObjectTypeDefinitionNode):
        changes["fields"] = _visible(node.fields, hidden)
    elif isinstance(node, EnumTypeDefinitionNode):
        changes["values"] = tuple(_with(v, directives=_shown(v)) for v in node.values or () if not _hidden(v))
    elif isinstance(node, UnionTypeDefinitionNode):
        changes["types"] = tuple(t for t in node.types or () if t.name.value not in hidden)
    return _with(node, **changes)


def _visible(nodes: tuple[Node, ...] | None, hidden: set[str]) -> tuple[Node, ...]:
    shown = (n for n in nodes or () if not _hidden(n) and named_type(n.type) not in hidden)  # type: ignore[attr-defined]
    return tuple(_with(n, directives=_shown(n)) for n in shown)


def _shown(node: Node) -> tuple[Node, ...]:
    directives = getattr(node, "directives", None) or ()
    return tuple(d for d in directives if d.name.value in SHOWN_DIRECTIVES)


def _with(node: Node, **changes: object) -> Node:
    kept = {key: getattr(node, key, None) for key in node.keys if key != "loc"}
    return type(node)(**{**kept, **changes})  # type: ignore[arg-type] # the node's own keys
