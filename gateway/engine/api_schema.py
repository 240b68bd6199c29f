"""The API schema: the supergraph without its machinery and without everything that is @inaccessible."""

from dataclasses import dataclass

from graphql import (
    DefinitionNode,
    DirectiveDefinitionNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
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
    parse,
)

MACHINERY = ("join__", "link__", "core__")
SHOWN_DIRECTIVES = frozenset({"deprecated", "specifiedBy", "oneOf"})
SPECIFIED = SHOWN_DIRECTIVES | {"skip", "include", "defer", "stream"}
IN_OPERATIONS = frozenset(
    {"QUERY", "MUTATION", "SUBSCRIPTION", "FIELD", "FRAGMENT_DEFINITION", "FRAGMENT_SPREAD", "INLINE_FRAGMENT"}
    | {"VARIABLE_DEFINITION"}
)

DEFER = parse(
    """"Lets the fragment come later than the rest, in a part of its own, for clients that take answers in parts."
    directive @defer(if: Boolean! = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT""",
    no_location=True,
)


@dataclass(frozen=True, slots=True)
class Contract:
    """Which part of the supergraph clients see, by @tag: with `include`, only fields that carry one of these tags or whose
    type does; in no case what carries one of `exclude`. Types that no field reaches any more are left out."""

    include: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()

    @property
    def whole(self) -> bool:
        return not self.include and not self.exclude


WHOLE = Contract()


def api_schema(document: DocumentNode, contract: Contract = WHOLE) -> GraphQLSchema:
    """Build the schema that clients validate against. Raises GraphQLError or TypeError for a malformed supergraph."""
    kept, known, definitions = _Kept(contract), -1, document.definitions
    while len(kept.hidden) != known:  # what refers to something hidden may come before it, or be hidden with it
        known = len(kept.hidden)
        definitions = kept.definitions(definitions)
    if not contract.whole:
        definitions = _reached(definitions)
    bare = (_bare(node) for node in definitions)
    shown = (*(node for node in bare if isinstance(node, DefinitionNode)), *DEFER.definitions)
    return build_ast_schema(DocumentNode(definitions=shown), assume_valid_sdl=True)


def named_type(node: TypeNode) -> str:
    """The name inside lists and non-nulls."""
    while isinstance(node, ListTypeNode | NonNullTypeNode):
        node = node.type
    assert isinstance(node, NamedTypeNode)  # noqa: S101 - nothing else is left
    return node.name.value


def _tags(node: Node | None) -> set[str]:
    found = set()
    for directive in getattr(node, "directives", None) or ():
        if directive.name.value == "tag":
            found |= {a.value.value for a in directive.arguments}
    return found


class _Kept:
    """Takes away what clients may not see, and what nothing is left of."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self.hidden: set[str] = set()

    def definitions(self, nodes: tuple[DefinitionNode, ...]) -> tuple[DefinitionNode, ...]:
        """The definitions that stay, each with what stays of it; `hidden` has the names of the others."""
        found = []
        for node in nodes:
            if isinstance(node, SchemaDefinitionNode):
                found.append(_with(node, operation_types=self._roots(node)))
            elif isinstance(node, DirectiveDefinitionNode):
                places = tuple(place for place in node.locations if place.value in IN_OPERATIONS)
                if places and node.name.value not in SPECIFIED:
                    found.append(_with(node, locations=places, arguments=self._visible(node.arguments)))
            elif isinstance(node, TypeDefinitionNode) and not node.name.value.startswith(MACHINERY):
                left = None if self._hides(node) else self._type(node)
                if left is None:
                    self.hidden.add(node.name.value)
                else:
                    found.append(left)
        return tuple(n for n in found if isinstance(n, DefinitionNode))

    def _hides(self, node: Node, owner: Node | None = None) -> bool:
        tags = _tags(node)
        if tags & self._contract.exclude or any(d.name.value == "inaccessible" for d in node.directives or ()):  # type: ignore[attr-defined]
            return True
        include = self._contract.include
        return bool(include) and isinstance(node, FieldDefinitionNode) and not (tags | _tags(owner)) & include

    def _roots(self, node: SchemaDefinitionNode) -> tuple[Node, ...]:
        return tuple(o for o in node.operation_types or () if o.type.name.value not in self.hidden)

    def _type(self, node: Node) -> Node | None:
        """What stays of a type; None when nothing does."""
        if isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
            fields = tuple(
                _with(f, arguments=self._visible(f.arguments))  # type: ignore[attr-defined]
                for f in self._visible(node.fields, owner=node)
            )
            interfaces = tuple(i for i in node.interfaces or () if i.name.value not in self.hidden)
            return _with(node, fields=fields, interfaces=interfaces) if fields else None
        if isinstance(node, InputObjectTypeDefinitionNode):
            inputs = self._visible(node.fields)
            return _with(node, fields=inputs) if inputs else None
        if isinstance(node, EnumTypeDefinitionNode):
            values = tuple(v for v in node.values or () if not self._hides(v))
            return _with(node, values=values) if values else None
        if isinstance(node, UnionTypeDefinitionNode):
            members = tuple(t for t in node.types or () if t.name.value not in self.hidden)
            return _with(node, types=members) if members else None
        return node

    def _visible(self, nodes: tuple[Node, ...] | None, owner: Node | None = None) -> tuple[Node, ...]:
        return tuple(n for n in nodes or () if not self._hides(n, owner) and named_type(n.type) not in self.hidden)  # type: ignore[attr-defined]


def _reached(definitions: tuple[DefinitionNode, ...]) -> tuple[DefinitionNode, ...]:
    """The definitions that clients can come to from a root type; object types by their interfaces and unions, too."""
    types = {n.name.value: n for n in definitions if isinstance(n, TypeDefinitionNode)}
    below: dict[str, set[str]] = {}
    waiting: set[str] = set()
    for node in definitions:
        if isinstance(node, SchemaDefinitionNode):
            waiting |= {o.type.name.value for o in node.operation_types}
            continue
        if isinstance(node, DirectiveDefinitionNode):
            waiting |= {named_type(argument.type) for argument in node.arguments or ()}
            continue
        name = node.name.value  # type: ignore[attr-defined] # a type
        named = below.setdefault(name, set())
        for item in getattr(node, "fields", None) or ():
            named.add(named_type(item.type))
            named |= {named_type(a.type) for a in getattr(item, "arguments", None) or ()}
        named |= {t.name.value for t in getattr(node, "types", None) or ()}
        for interface in getattr(node, "interfaces", None) or ():
            named.add(interface.name.value)
            below.setdefault(interface.name.value, set()).add(name)
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        waiting |= below.get(name, set()) - seen
    return tuple(n for n in definitions if not isinstance(n, TypeDefinitionNode) or n.name.value in seen & types.keys())


def _bare(node: Node) -> Node:
    """A definition with only those directives that clients are shown."""
    changes: dict[str, object] = {}
    for key in ("fields", "arguments", "values"):
        if key in node.keys and getattr(node, key, None):
            changes[key] = tuple(_bare(item) for item in getattr(node, key))
    if "directives" in node.keys:
        directives = getattr(node, "directives", None) or ()
        changes["directives"] = tuple(d for d in directives if d.name.value in SHOWN_DIRECTIVES)
    return _with(node, **changes)


def _with(node: Node, **changes: object) -> Node:
    kept = {key: getattr(node, key, None) for key in node.keys if key != "loc"}
    return type(node)(**{**kept, **changes})  # type: ignore[arg-type] # the node's own keys
