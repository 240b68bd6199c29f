"""The supergraph: what each subgraph can resolve, read once from the composed SDL; and the API schema that clients see.

Source: Apollo Federation 2, join spec v0.1 to v0.5, context spec v0.1.
"""

import hashlib
import re
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

from graphql import (
    DefinitionNode,
    DirectiveNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
    SchemaDefinitionNode,
    SelectionSetNode,
    TypeDefinitionNode,
    TypeNode,
    UnionTypeDefinitionNode,
    parse,
    parse_type,
    validate_schema,
    value_from_ast_untyped,
)
from graphql.language import print_ast

from gateway.engine.api_schema import WHOLE, Contract, api_schema, named_type
from gateway.engine.features import UnknownFeature, settled
from gateway.engine.federation_1 import modern

PERCENT = re.compile(r"percent\(([0-9]+(?:\.[0-9]+)?)\)")


class SupergraphRefused(Exception):
    """The supergraph cannot be served; the text says what is malformed or not supported, by name."""


@dataclass(frozen=True, slots=True)
class Subgraph:
    """A service behind the door: its name as its owner writes it, and the address composed into the supergraph."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Key:
    """A key by which a subgraph finds an entity, as text; one that is not resolvable only says what it can give."""

    fields: str
    resolvable: bool


@dataclass(frozen=True, slots=True)
class ContextArgument:
    """An argument that a subgraph is told by the gateway: `selection` on the nearest value above of a type that sets the
    context; `type` is the argument's, as text."""

    name: str
    type: str
    context: str
    selection: str


@dataclass(frozen=True, slots=True)
class FieldIn:
    """A field as one subgraph has it. An external one is there only under a @provides. `label` is that of a progressive
    @override: while it holds, only the subgraph that `takes` the field over has it, and while not, only the other."""

    type: TypeNode
    external: bool = False
    requires: str | None = None
    provides: str | None = None
    label: str = ""
    takes: bool = False
    contextual: tuple[ContextArgument, ...] = ()

    @property
    def type_name(self) -> str:
        return named_type(self.type)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the supergraph and the subgraphs that have it, by graph name."""

    name: str
    type: TypeNode
    graphs: Mapping[str, FieldIn]

    @property
    def type_name(self) -> str:
        return named_type(self.type)

    def under(self, labels: frozenset[str]) -> "Field":
        """The field while exactly these labels of progressive @overrides hold."""
        if not any(held.label for held in self.graphs.values()):
            return self
        kept = {g: h for g, h in self.graphs.items() if not h.label or (h.label in labels) is h.takes}
        return replace(self, graphs=MappingProxyType(kept))


@dataclass(slots=True)
class Type:
    """An object, interface or union: its fields, its keys by graph, and where it implements or contains what."""

    name: str
    kind: str  # object | interface | union
    graphs: dict[str, list[Key]] = field(default_factory=dict)
    interface_object_in: set[str] = field(default_factory=set)
    fields: dict[str, Field] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)  # object type → graphs in which it belongs to this type
    interfaces: set[str] = field(default_factory=set)

    @property
    def abstract(self) -> bool:
        return self.kind != "object"

    def abstract_in(self, graph: str) -> bool:
        """Whether a value of this type can be of several types in a subgraph; an @interfaceObject is one type there."""
        return self.abstract and graph not in self.interface_object_in

    def members_in(self, graph: str) -> list[str]:
        """The object types that a subgraph can return for this type, in name order."""
        return sorted(member for member, graphs in self.members.items() if graph in graphs)


class Supergraph:
    """What the planner and the projection know. `id` is the SHA-256 of the SDL; nothing here changes after loading.

    `labels` are those of progressive @overrides, `contract` says which part of it clients see.
    """

    def __init__(self, sdl: str, document: DocumentNode, contract: Contract) -> None:
        self.id = identity(sdl)
        self.document, self.contract = document, contract
        self.graphs: dict[str, Subgraph] = {}  # by the supergraph's enum value
        self.types: dict[str, Type] = {}
        self.leaves: set[str] = {"String", "Int", "Float", "Boolean", "ID"}
        self.roots: dict[str, str] = {}
        self.labels: set[str] = set()
        self.contexts: dict[str, set[str]] = {}  # by name, the object types whose values set it
        self.planners: dict[frozenset[str], object] = {}  # by the labels that hold; here, to end with their supergraph
        _Reader(self).read(document)

    @property
    def subgraphs(self) -> Mapping[str, Subgraph]:
        """The subgraphs by their owners' names."""
        return MappingProxyType({subgraph.name: subgraph for subgraph in self.graphs.values()})

    @cached_property
    def api_schema(self) -> GraphQLSchema:
        """The schema that clients see: without machinery, what is @inaccessible, and what its contract leaves out."""
        return api_schema(self.document, self.contract)

    def under(self, labels: frozenset[str]) -> "Supergraph":
        """The supergraph as it is while exactly these labels of progressive @overrides hold."""
        view = copy(self)
        view.types = {
            name: replace(found, fields={n: f.under(labels) for n, f in found.fields.items()})
            for name, found in self.types.items()
        }
        return view

    def rolled_out(self, share: float) -> frozenset[str]:
        """The labels `percent(n)` that hold for a request whose place is `share`, from 0 to below 100."""
        return frozenset(
            label for label in self.labels if (held := PERCENT.fullmatch(label)) and share < float(held[1])
        )

    def possible(self, name: str) -> frozenset[str]:
        """The object types that a value of a type can have anywhere; an object type's only one is itself."""
        found = self.types[name]
        return frozenset(found.members) if found.abstract else frozenset({name})

    def sets(self, context: str, name: str) -> bool | None:
        """Whether values of a type set a context; None where some do and some do not."""
        setting = self.possible(name) & self.contexts[context]
        return None if setting and setting != self.possible(name) else bool(setting)

    def composite(self, name: str) -> bool:
        """Whether a type has fields or members."""
        return name in self.types


def identity(sdl: str) -> str:
    """The id of the supergraph that a text holds: its SHA-256."""
    return hashlib.sha256(sdl.encode()).hexdigest()


def load_supergraph(sdl: str, contract: Contract = WHOLE) -> Supergraph:
    """Read a supergraph. Raises SupergraphRefused naming what is malformed or not supported, or what a contract would
    leave without the things it needs."""
    try:
        document = modern(settled(parse(sdl, no_location=True)))
        supergraph = Supergraph(sdl, document, contract)
        problems = validate_schema(supergraph.api_schema)  # now, so that a bad one is refused now
        if problems:
            raise SupergraphRefused(f"What clients would see is no valid schema: {problems[0].message}")
    except UnknownFeature as error:
        raise SupergraphRefused(str(error)) from error
    except GraphQLError as error:
        raise SupergraphRefused(f"The supergraph is not valid GraphQL: {error.message}") from error
    except (TypeError, KeyError) as error:
        raise SupergraphRefused(f"The supergraph cannot be read: {error}") from error
    return supergraph


class _Reader:
    """Fills a supergraph from its document."""

    def __init__(self, supergraph: Supergraph) -> None:
        self.into = supergraph

    def read(self, document: DocumentNode) -> None:
        definitions = document.definitions
        for node in definitions:
            if isinstance(node, SchemaDefinitionNode):
                self.into.roots = {o.operation.value: o.type.name.value for o in node.operation_types or ()}
            if isinstance(node, EnumTypeDefinitionNode) and node.name.value == "join__Graph":
                self._graphs(node)
        if not self.into.graphs:
            raise SupergraphRefused("This is no supergraph: the enum join__Graph is missing. Compose it first.")
        for node in definitions:
            if isinstance(node, TypeDefinitionNode) and not node.name.value.startswith(("join__", "link__", "core__")):
                self._type(node)
        self._contexts(definitions)
        for found in self.into.types.values():
            for interface in found.interfaces:
                if interface not in self.into.types:
                    raise SupergraphRefused(f"{found.name} implements {interface}, which is not defined.")

    def _contexts(self, definitions: tuple[DefinitionNode, ...]) -> None:
        """Who sets which context; one that nobody sets, or only what is done, is refused."""
        for node in definitions:
            for directive in _named(getattr(node, "directives", None), "context"):
                name, owner = str(_arguments(directive)["name"]), node.name.value  # type: ignore[attr-defined] # a type
                if owner in (self.into.roots.get("mutation"), self.into.roots.get("subscription")):
                    raise SupergraphRefused(f"{owner} sets the context {name}, which only what is read can do.")
                self.into.contexts.setdefault(name, set()).update(self.into.possible(owner))
        for found in self.into.types.values():
            for declared in found.fields.values():
                for told in (told for held in declared.graphs.values() for told in held.contextual):
                    if told.context not in self.into.contexts:
                        coordinate = f"{found.name}.{declared.name}({told.name}:)"
                        raise SupergraphRefused(f"{coordinate} reads the context {told.context}, which nothing sets.")

    def _graphs(self, node: EnumTypeDefinitionNode) -> None:
        for value in node.values or ():
            for directive in _named(value.directives, "join__graph"):
                arguments = _arguments(directive)
                self.into.graphs[value.name.value] = Subgraph(str(arguments["name"]), str(arguments.get("url") or ""))

    def _type(self, node: TypeDefinitionNode) -> None:
        name = node.name.value
        if isinstance(node, ScalarTypeDefinitionNode | EnumTypeDefinitionNode):
            self.into.leaves.add(name)
        elif isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode | UnionTypeDefinitionNode):
            kinds = {ObjectTypeDefinitionNode: "object", InterfaceTypeDefinitionNode: "interface"}
            found = self.into.types.setdefault(name, Type(name, "union"))
            found.kind = kinds.get(type(node), "union")
            self._places(found, node)
            if isinstance(node, UnionTypeDefinitionNode):
                self._union(found, node)
            else:
                self._implements(found, node)
                for item in node.fields or ():
                    found.fields[item.name.value] = self._field(found, item)
                silent = (i.name.value for i in node.fields or () if not _named(i.directives, "join__field"))
                _mark_external(found, frozenset(silent))
        elif not isinstance(node, InputObjectTypeDefinitionNode):
            raise SupergraphRefused(f"{name} is of a kind that this gateway does not know.")

    def _places(self, found: Type, node: TypeDefinitionNode) -> None:
        """The graphs that have the type, with its keys there."""
        for directive in _named(node.directives, "join__type"):
            arguments = _arguments(directive)
            graph = str(arguments["graph"])
            keys = found.graphs.setdefault(graph, [])
            if arguments.get("key"):
                keys.append(Key(_field_set(arguments["key"]), bool(arguments.get("resolvable", True))))
            if arguments.get("isInterfaceObject"):
                found.interface_object_in.add(graph)
        if not found.graphs:  # defined everywhere alike
            found.graphs = {graph: [] for graph in self.into.graphs}
        # In one order, however the text has them: the same supergraph always gives the same plans.
        found.graphs = {graph: sorted(found.graphs[graph], key=_order) for graph in sorted(found.graphs)}

    def _union(self, found: Type, node: UnionTypeDefinitionNode) -> None:
        for directive in _named(node.directives, "join__unionMember"):
            arguments = _arguments(directive)
            found.members.setdefault(str(arguments["member"]), set()).add(str(arguments["graph"]))
        for member in node.types or ():
            found.members.setdefault(member.name.value, set(found.graphs))

    def _implements(self, found: Type, node: ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode) -> None:
        by_interface: dict[str, set[str]] = {}
        for directive in _named(node.directives, "join__implements"):
            arguments = _arguments(directive)
            by_interface.setdefault(str(arguments["interface"]), set()).add(str(arguments["graph"]))
        for interface in node.interfaces or ():
            name = interface.name.value
            graphs = by_interface.get(name, set() if by_interface else set(found.graphs))
            found.interfaces.add(name)
            if found.kind == "object":
                owner = self.into.types.setdefault(name, Type(name, "interface"))
                owner.members.setdefault(found.name, set()).update(graphs)

    def _field(self, found: Type, node: FieldDefinitionNode) -> Field:
        joined = _named(node.directives, "join__field")
        graphs: dict[str, FieldIn] = {}
        for directive in joined:
            arguments = _arguments(directive)
            if arguments.get("graph"):
                requires, provides = arguments.get("requires"), arguments.get("provides")
                label = str(arguments.get("overrideLabel") or "")
                graphs[str(arguments["graph"])] = FieldIn(
                    type=parse_type(str(arguments["type"])) if arguments.get("type") else node.type,
                    external=bool(arguments.get("external") or (arguments.get("usedOverridden") and not label)),
                    requires=_field_set(requires) if requires else None,
                    provides=_field_set(provides) if provides else None,
                    label=label,
                    takes=bool(arguments.get("override")),
                    contextual=tuple(map(_context_argument, arguments.get("contextArguments") or ())),  # type: ignore[call-overload]
                )
        self._give_up(joined, graphs)
        if not joined:
            graphs = {graph: FieldIn(node.type) for graph in found.graphs}
        self.into.labels |= {held.label for held in graphs.values() if held.label}
        return Field(node.name.value, node.type, MappingProxyType(dict(sorted(graphs.items()))))

    def _give_up(self, joined: list[DirectiveNode], graphs: dict[str, FieldIn]) -> None:
        """Who is overridden gives a field up under the label, if any, of the one who takes it: also where a composer says
        so of the latter only."""
        for arguments in map(_arguments, joined):
            for graph, subgraph in self.into.graphs.items():
                if subgraph.name == arguments.get("override") and graph in graphs and graph != arguments.get("graph"):
                    label = str(arguments.get("overrideLabel") or "")
                    held = graphs[graph]
                    graphs[graph] = replace(held, label=label) if label else replace(held, external=True)


def _context_argument(given: Mapping[str, str]) -> ContextArgument:
    selected = given["selection"].strip()
    text = _field_set(selected[1:-1] if selected.startswith("{") else selected)
    return ContextArgument(given["name"], given["type"], given["context"], text)


def _mark_external(found: Type, silent: frozenset[str]) -> None:
    """What an @interfaceObject requires is external to it, also where a composer says nothing about the field."""
    for graph in found.interface_object_in:
        for requiring in list(found.fields.values()):
            held = requiring.graphs.get(graph)
            for item in selection(held.requires).selections if held and held.requires else ():
                name = item.name.value if isinstance(item, FieldNode) and item.selection_set is None else ""
                if name in silent:
                    graphs = {
                        **found.fields[name].graphs,
                        graph: replace(found.fields[name].graphs[graph], external=True),
                    }
                    found.fields[name] = replace(found.fields[name], graphs=MappingProxyType(graphs))


def _order(key: Key) -> tuple[int, str]:
    """Keys that are cheaper to tell come first."""
    return len(key.fields.split()), key.fields


def selection(text: str) -> SelectionSetNode:
    """A field set (`"id owner { id }"`) as a selection set."""
    (operation,) = parse("{" + text + "}", no_location=True).definitions
    return operation.selection_set  # type: ignore[attr-defined, no-any-return] # parsed from a selection


def _field_set(text: object) -> str:
    """A field set on one line, however it was written. Raises GraphQLError."""
    return " ".join(print_ast(selection(str(text))).split())[2:-2]


def _named(directives: tuple[DirectiveNode, ...] | None, name: str) -> list[DirectiveNode]:
    return [directive for directive in directives or () if directive.name.value == name]


def _arguments(directive: DirectiveNode) -> dict[str, object]:
    return {a.name.value: value_from_ast_untyped(a.value) for a in directive.arguments or ()}
