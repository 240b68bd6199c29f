"""An operation as the planner sees it: fragments flattened, conditions decided, fields merged.

Conditions (@skip, @include) are decided before planning: a plan belongs to an operation *and* to the values of the few
Boolean variables that its conditions name. So no plan holds a branch, and what a client excluded is never fetched for it.
An interface field stays one field unless an implementer cannot give it everywhere; then it becomes a field per object type.
Key, requires and provides field sets go through the same code.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphql import (
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
)
from graphql.language import print_ast

from gateway.engine.access import Denials
from gateway.engine.supergraph import Supergraph

if TYPE_CHECKING:
    from gateway.engine.defer import Defers

TYPENAME = "__typename"
MISNAMED = re.compile("_{2,}typename")  # what could be taken for what tells types


MOST_FIELDS = 20_000  # of one operation, where a field of an interface is one for each object type


class TooManyWays(Exception):
    """An operation takes more planning than is done for one."""


@dataclass(slots=True)
class Selected:
    """A field to resolve on values of type `on`, under a response key; `key` is None for what only the planner needs.

    `directives` are those that all subgraphs know, as text; they go along with the field.
    `occurs` are the numbers of the deferred fragments that it stands in, 0 for none; `defers` those it belongs to in the end.
    """

    on: str
    name: str
    key: str | None
    arguments: str
    variables: frozenset[str]
    children: "Selections | None" = None
    directives: str = ""
    occurs: frozenset[int] = frozenset({0})
    defers: frozenset[int] = frozenset()


@dataclass(slots=True)
class Selections:
    """The fields to resolve on a value whose static type is `type`, in first-seen order."""

    type: str
    fields: dict[tuple[str, str | None, str, str], Selected] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Selected]:
        return iter(self.fields.values())


def held_as(key: str, name: str) -> str:
    """The response key under which subgraphs are asked for a field: the client's, unless it says `__typename` of another
    field, since that one must stay what tells types: then with one underscore more."""
    return f"_{key}" if key.endswith(TYPENAME) and name != TYPENAME and MISNAMED.fullmatch(key) else key


def asked_as(held: Any) -> Any:
    """The client's response key, or index, of one under which subgraphs were asked; anything else as it is."""
    if isinstance(held, str) and held.endswith(TYPENAME) and held != TYPENAME and MISNAMED.fullmatch(held):
        return held[1:]
    return held


def condition_variables(document: DocumentNode) -> tuple[str, ...]:
    """The variables that decide about fields or fragments anywhere in a document, in name order."""
    found: set[str] = set()

    def look(selection_set: SelectionSetNode | None) -> None:
        for node in selection_set.selections if selection_set else ():
            for directive in node.directives or ():
                if directive.name.value in ("skip", "include", "defer"):
                    for argument in directive.arguments or ():
                        if argument.name.value == "if" and isinstance(argument.value, VariableNode):
                            found.add(argument.value.name.value)
            if not isinstance(node, FragmentSpreadNode):
                look(node.selection_set)  # type: ignore[attr-defined]

    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
            look(definition.selection_set)
    return tuple(sorted(found))


def wanted(directives: tuple[DirectiveNode, ...] | None, conditions: Mapping[str, bool]) -> bool:
    """Whether @skip and @include let a selection through."""
    for directive in directives or ():
        if directive.name.value in ("skip", "include") and directive.arguments:
            value = directive.arguments[0].value
            holds = conditions[value.name.value] if isinstance(value, VariableNode) else bool(value.value)  # type: ignore[attr-defined]
            if holds is (directive.name.value == "skip"):
                return False
    return True


class Normaliser:
    """Normalises the selection sets of one document, or of field sets when there is none."""

    def __init__(
        self,
        supergraph: Supergraph,
        document: DocumentNode | None = None,
        conditions: Mapping[str, bool] | None = None,
        defers: "Defers | None" = None,
        *,
        types: bool = False,
        denials: Denials | None = None,
        apart: bool = False,
    ) -> None:
        """Without `defers` nothing is deferred, whatever the document says. What `denials` name is left out. With `apart`, each
        field of an interface is asked of each object type: what is below may be found by way of one of them only."""
        self._supergraph, self._apart = supergraph, apart
        self._conditions = conditions or {}
        self._defers, self._within = defers, 0
        self._internal = document is None
        self._left = MOST_FIELDS
        self._denials = denials
        self.denied: set[tuple[str, str]] = set()  # what was left out: types and fields
        self._types = types  # whether the planner's own __typename is one to ask for
        definitions = document.definitions if document else ()
        self._fragments = {d.name.value: d for d in definitions if isinstance(d, FragmentDefinitionNode)}

    def selections(self, node: SelectionSetNode, type_name: str) -> Selections:
        """The fields to resolve on a value of a type. Raises TooManyWays."""
        into = Selections(type_name)
        self._collect(node, into, self._supergraph.possible(type_name), whole=True)
        if not into.fields and not self._internal:  # the value's existence is still asked for
            self._add(into, self._selected(type_name, TYPENAME, TYPENAME))
        return into

    def _collect(self, node: SelectionSetNode, into: Selections, possible: frozenset[str], whole: bool) -> None:
        """`possible` are the object types that the enclosing fragments leave; `whole` when they leave all."""
        for item in node.selections:
            if not wanted(item.directives, self._conditions):
                continue
            if isinstance(item, FieldNode):
                self._field(item, into, possible, whole)
                continue
            if isinstance(item, FragmentSpreadNode):
                fragment = self._fragments[item.name.value]
                condition, inner = fragment.type_condition.name.value, fragment.selection_set
            else:
                assert isinstance(item, InlineFragmentNode)  # noqa: S101 - nothing else is left
                condition = item.type_condition.name.value if item.type_condition else into.type
                inner = item.selection_set
            left = possible & self._supergraph.possible(condition)
            if left:
                around = self._within
                if self._defers is not None:
                    self._within = self._defers.of(item, around)
                self._collect(inner, into, left, whole and left == possible)
                self._within = around

    def _field(self, node: FieldNode, into: Selections, possible: frozenset[str], whole: bool) -> None:
        name = node.name.value
        if name in ("__schema", "__type"):
            return
        key = None if self._internal else held_as((node.alias or node.name).value, name)
        if name == TYPENAME:
            # Of an object type the projection knows the name; of an abstract one the subgraph must tell.
            if self._supergraph.types[into.type].abstract and not self._internal:
                self._add(into, self._selected(into.type, TYPENAME, TYPENAME))
            elif self._types:
                self._add(into, Selected(into.type, TYPENAME, None, "", frozenset()))
            return
        shared = whole and into.type not in possible and not self._expands(into.type, name)
        if self._denials is not None:
            depends, denial = self._denials.among(possible, name)
            if depends or denial is not None:
                possible = self._allowed(into, possible, name, whole=whole and not depends)
            shared = shared and not depends
            if not possible:
                return
        if shared and self._supergraph.contexts and node.selection_set is not None:
            below = self.selections(node.selection_set, self._supergraph.types[into.type].fields[name].type_name)
            shared = not any(self._supergraph.sets(c, into.type) is None for c in self._contexts(below))
        for owner in [into.type] if shared or into.type in possible else sorted(possible):
            declared = self._supergraph.types[owner].fields.get(name)
            if declared is None:
                continue
            selected = self._selected(owner, name, key, node.arguments)
            if node.directives:
                _directed(selected, node.directives)
            if node.selection_set is not None:
                selected.children = self.selections(node.selection_set, declared.type_name)
            self._add(into, selected)

    def _allowed(self, into: Selections, possible: frozenset[str], name: str, *, whole: bool) -> frozenset[str]:
        """The possible types on which a field is not denied. Where this is not the same for all, or what is not asked may be null
        on one and not on another, the answer depends on which of them a value is of, and that is asked for."""
        assert self._denials is not None  # noqa: S101 - looked at before
        allowed = frozenset(owner for owner in possible if self._denials.of(owner, name) is None)
        self.denied |= {(owner, name) for owner in possible - allowed}
        declared = self._supergraph.types[into.type]
        if declared.abstract and not (whole and name in declared.fields):
            self._add(into, self._selected(into.type, TYPENAME, TYPENAME))
        return allowed

    def _contexts(self, selections: Selections) -> set[str]:
        """The contexts that fields of a selection set, or below, may be told."""
        found = set()
        for selected in selections:
            declared = self._supergraph.types[selected.on].fields.get(selected.name)
            for held in declared.graphs.values() if declared else ():
                found |= {told.context for told in held.contextual}
            if selected.children is not None:
                found |= self._contexts(selected.children)
        return found

    def _selected(
        self, on: str, name: str, key: str | None, arguments: tuple[ArgumentNode, ...] | None = None
    ) -> Selected:
        selected = Selected(on, name, key, *arguments_of(arguments))
        if self._within:
            selected.occurs = frozenset({self._within})
        return selected

    def _add(self, into: Selections, selected: Selected) -> None:
        """What is asked of all values is not asked of those of one type again: two subgraphs could tell it differently."""
        meaning = (selected.key, selected.name, selected.arguments)
        identity = (selected.on, *meaning)
        known = into.fields.get(identity)
        if known is not None:
            known.occurs |= selected.occurs
            if known.children is not None and selected.children is not None:
                self._merge(known.children, selected.children)
            return
        if selected.children is None:
            of_all = into.fields.get((into.type, *meaning))
            if of_all is not None and of_all.directives == selected.directives:
                of_all.occurs |= selected.occurs
                return
            if selected.on == into.type:
                for member in self._supergraph.possible(into.type) - {into.type}:
                    of_one = into.fields.get((member, *meaning))
                    if of_one is not None and of_one.directives == selected.directives:
                        selected.occurs |= of_one.occurs
                        del into.fields[(member, *meaning)]
                        self._add(
                            into, self._selected(into.type, TYPENAME, TYPENAME)
                        )  # since it stands first on that type
        into.fields[identity] = selected
        self._left -= 1
        if self._left < 0:
            raise TooManyWays

    def _merge(self, into: Selections, more: Selections) -> None:
        for selected in more:
            self._add(into, selected)

    def _expands(self, interface: str, name: str) -> bool:
        """Whether a field of an interface must be asked per object type: an implementer lacks it, has it external,
        overridden or requiring in some subgraph that has the interface, unless an @interfaceObject supplies it."""
        declared = self._supergraph.types[interface]
        owner = declared.fields.get(name)
        if owner is None:
            return True
        given = {graph for graph, held in owner.graphs.items() if not held.external}
        if given & declared.interface_object_in:
            return False
        return self._apart or any(
            graph not in given or not answers(self._supergraph, interface, graph, name)
            for graph in declared.graphs
            if declared.abstract_in(graph) and declared.members_in(graph)
        )


def answers(supergraph: Supergraph, interface: str, graph: str, name: str) -> bool:
    """Whether every object type that a subgraph has for an interface gives a field there without further ado."""
    for member in supergraph.types[interface].members_in(graph):
        declared = supergraph.types[member].fields.get(name)
        held = declared.graphs.get(graph) if declared else None
        if held is None or held.external or held.requires is not None or held.contextual:
            return False
    return True


def arguments_of(nodes: tuple[ArgumentNode, ...] | None) -> tuple[str, frozenset[str]]:
    """A field's arguments as text, in name order, and the variables in them."""
    if not nodes:
        return "", frozenset()
    found: set[str] = set()

    def look(value: ValueNode) -> None:
        if isinstance(value, VariableNode):
            found.add(value.name.value)
        elif isinstance(value, ListValueNode):
            for item in value.values:
                look(item)
        elif isinstance(value, ObjectValueNode):
            for entry in value.fields:
                look(entry.value)

    for node in nodes:
        look(node.value)
    ordered = sorted(nodes, key=lambda n: n.name.value)
    return ", ".join(f"{n.name.value}: {print_ast(n.value)}" for n in ordered), frozenset(found)


def _directed(selected: Selected, directives: tuple[DirectiveNode, ...]) -> None:
    """Note the directives of a field that are for subgraphs, and the variables in them."""
    parts = []
    for directive in directives:
        if directive.name.value not in ("skip", "include"):
            text, variables = arguments_of(directive.arguments)
            parts.append(f" @{directive.name.value}({text})" if text else f" @{directive.name.value}")
            selected.variables |= variables
    selected.directives = "".join(parts)
