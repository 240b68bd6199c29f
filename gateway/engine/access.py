"""Who may see what: the requirements that a supergraph states by @authenticated, @requiresScopes and @policy.

They come down to one question: what does a field of an object type ask of the caller? All of these:

- what its own directives say, those of its type, and those of the type that it returns;
- what an interface of its type says of itself or of the field, where that does not follow from what the object types say: who is
  kept from a field of an interface is kept from it on every value, whatever fragment names it. (Composers write what the object
  types ask for all together on the interface; that asks nothing more of one of them.)
- what the fields ask that it @requires or is told of from a context: nothing is computed for a caller out of what the caller may
  not see. What tells entities apart, a @key, is between the services.

A field that a caller may not see is not fetched; the caller gets null there, with an error, as if its resolver had said no.
Sources: Apollo Federation 2.9, directives; for what is stricter here than in their first form GHSA-mx7m-j9xf-62hw (interfaces)
and GHSA-m8jr-fxqx-8xx6 (requirements).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    TypeDefinitionNode,
    value_from_ast_untyped,
)

from gateway.engine.supergraph import Supergraph, SupergraphRefused, selection

KINDS = ("authenticated", "requiresScopes", "policy")  # in the order in which they are told
MOST_TERMS = 1_000  # of what all object types of an interface ask together
Place = tuple[str, str]  # an object type and a field of it


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing that is asked of a caller: to have signed in, or all scopes or policies of one of the alternatives `any_of`."""

    kind: str
    any_of: tuple[tuple[str, ...], ...] = ((),)

    def __str__(self) -> str:
        return " | ".join(" ".join(names) for names in self.any_of) or f"@{self.kind}"


class Denial(NamedTuple):
    """Why a requirement is not met: a code, and the right that is missing."""

    code: str
    missing: str = ""


Requirements = tuple[Requirement, ...]


class Denials:
    """What one caller may not see: of each field, why."""

    def __init__(self, guarded: Mapping[Place, Requirements], denied: Mapping[Requirement, Denial]) -> None:
        self._guarded, self._denied = guarded, denied

    def of(self, type_name: str, field: str) -> Denial | None:
        """Why a field of an object type is not shown; None where it is."""
        for requirement in self._guarded.get((type_name, field), ()):
            if requirement in self._denied:
                return self._denied[requirement]
        return None

    def among(self, types: Iterable[str], field: str) -> tuple[bool, Denial | None]:
        """Whether it depends on which of some object types a value is of if a field is shown; if not, why it is not."""
        found = [self.of(name, field) for name in sorted(types)]
        shown = found.count(None)
        return 0 < shown < len(found), None if shown or not found else found[0]


class Access:
    """What each field of a supergraph asks of the caller. `policies` are the names that its requirements mention."""

    def __init__(self, supergraph: Supergraph) -> None:
        """Raises SupergraphRefused for a directive that does not say what it asks for."""
        self._supergraph = supergraph
        self._types: dict[str, frozenset[Requirement]] = {}
        self._fields: dict[Place, frozenset[Requirement]] = {}
        for node in supergraph.document.definitions:
            if isinstance(node, TypeDefinitionNode):
                self._read(node)
        self.guarded: Mapping[Place, Requirements] = self._settled() if self._types or self._fields else {}
        self.policies = frozenset(
            name
            for requirement in {r for found in self.guarded.values() for r in found}
            if requirement.kind == "policy"
            for names in requirement.any_of
            for name in names
        )

    def asked(self, document: DocumentNode, node: OperationDefinitionNode) -> Requirements:
        """All that the fields of an operation, and of the fragments beside it, may ask of the caller, in one order."""
        if not self.guarded:
            return ()
        found: set[Requirement] = set()
        self._look(node.selection_set, self._supergraph.roots[node.operation.value], found)
        for definition in document.definitions:
            if isinstance(definition, FragmentDefinitionNode):
                self._look(definition.selection_set, definition.type_condition.name.value, found)
        return tuple(sorted(found, key=_order))

    def denials(self, denied: Mapping[Requirement, Denial]) -> Denials | None:
        """What is not shown while some requirements are not met; None when everything is."""
        return Denials(self.guarded, denied) if denied else None

    def _look(self, selections: SelectionSetNode, type_name: str, found: set[Requirement]) -> None:
        if not self._supergraph.composite(type_name):
            return  # one of introspection's types
        for item in selections.selections:
            if isinstance(item, InlineFragmentNode):
                self._look(
                    item.selection_set, item.type_condition.name.value if item.type_condition else type_name, found
                )
            elif isinstance(item, FieldNode) and not item.name.value.startswith("__"):
                for owner in self._supergraph.possible(type_name):
                    found.update(self.guarded.get((owner, item.name.value), ()))
                if item.selection_set is not None:
                    declared = self._supergraph.types[type_name].fields[item.name.value]
                    self._look(item.selection_set, declared.type_name, found)

    # -- what the schema says

    def _read(self, node: TypeDefinitionNode) -> None:
        name = node.name.value
        if whole := _stated(node.directives, name):
            self._types[name] = whole
        for item in getattr(node, "fields", None) or ():
            if own := _stated(item.directives, f"{name}.{item.name.value}"):
                self._fields[name, item.name.value] = own

    def _settled(self) -> dict[Place, Requirements]:
        """What each field asks, with what follows from other fields, until nothing more does."""
        objects = {n: t for n, t in self._supergraph.types.items() if not t.abstract}
        asked = {(n, f): self._of_field(n, f) for n, found in objects.items() for f in found.fields}
        needs = {place: found for place in asked if (found := set(self._needed(*place)))}
        grown = True
        while grown:
            grown = False
            for place, others in needs.items():
                more = asked[place].union(*(asked[other] for other in others))
                grown |= more != asked[place]
                asked[place] = more
        return {place: tuple(sorted(found, key=_order)) for place, found in asked.items() if found}

    def _of_field(self, name: str, field: str) -> frozenset[Requirement]:
        found = self._types.get(name, frozenset()) | self._fields.get((name, field), frozenset())
        returned = self._supergraph.types[name].fields[field].type_name
        found |= self._added(returned)
        for interface in self._supergraph.types[name].interfaces:
            found |= self._added(interface) | self._added(interface, field)
        return found

    def _added(self, name: str, field: str | None = None) -> frozenset[Requirement]:
        """What a type, or a field of it, asks by itself: of an interface, what does not follow from its object types."""
        said = self._types.get(name, frozenset()) if field is None else self._fields.get((name, field), frozenset())
        declared = self._supergraph.types.get(name)
        if not said or declared is None or not declared.abstract:
            return said
        below: set[Requirement] = set()
        for member in declared.members:
            below |= self._types.get(member, frozenset())
            below |= self._fields.get((member, field), frozenset()) if field is not None else frozenset()
        return frozenset(requirement for requirement in said if not _follows(requirement, below))

    def _needed(self, name: str, field: str) -> Iterator[Place]:
        """The fields that one needs for its value, in whichever subgraph."""
        found = self._supergraph.types[name]
        declared = [found.fields[field]]
        for interface in found.interfaces:
            above = self._supergraph.types[interface]
            if above.interface_object_in and field in above.fields:
                declared.append(above.fields[field])
        for held in (held for each in declared for held in each.graphs.values()):
            if held.requires is not None:
                yield from self._places(selection(held.requires), frozenset({name}))
            for told in held.contextual:
                yield from self._places(selection(told.selection), frozenset(self._supergraph.contexts[told.context]))

    def _places(self, selections: SelectionSetNode, types: frozenset[str]) -> Iterator[Place]:
        for item in selections.selections:
            if isinstance(item, InlineFragmentNode):
                inside = self._supergraph.possible(item.type_condition.name.value) if item.type_condition else types
                yield from self._places(item.selection_set, types & inside)
            elif isinstance(item, FieldNode) and not item.name.value.startswith("__"):
                for owner in types:
                    declared = self._supergraph.types[owner].fields.get(item.name.value)
                    if declared is not None:
                        yield owner, item.name.value
                        if item.selection_set is not None:
                            yield from self._places(item.selection_set, self._supergraph.possible(declared.type_name))
            else:
                assert not isinstance(item, FragmentSpreadNode)  # noqa: S101 - a field set has none


def _stated(directives: Iterable[DirectiveNode] | None, where: str) -> frozenset[Requirement]:
    """What directives ask for. An alternative of several is one requirement, a single one is as many as it has parts."""
    found: set[Requirement] = set()
    for directive in directives or ():
        kind = directive.name.value
        if kind == "authenticated":
            found.add(Requirement(kind))
        elif kind in KINDS:
            any_of = _alternatives(directive, where)
            if len(any_of) == 1:
                found |= {Requirement(kind, ((name,),)) for name in any_of[0]}
            else:
                found.add(Requirement(kind, any_of))
    return frozenset(found)


def _alternatives(directive: DirectiveNode, where: str) -> tuple[tuple[str, ...], ...]:
    given = [value_from_ast_untyped(a.value) for a in directive.arguments or ()]
    match given:
        case [list(alternatives)] if all(isinstance(names, list) and _texts(names) for names in alternatives):
            return tuple(sorted({tuple(sorted(set(names))) for names in alternatives}))
    raise SupergraphRefused(
        f"@{directive.name.value} of {where} does not say what it asks for, as lists of lists of names."
    )


def _texts(names: list[Any]) -> bool:
    return all(isinstance(name, str) for name in names)


def _follows(requirement: Requirement, others: set[Requirement]) -> bool:
    """Whether whoever meets all the others meets a requirement, too. Where that is too much to find out, not."""
    if requirement.kind == "authenticated":
        return requirement in others
    terms = 1
    same = [other.any_of for other in others if other.kind == requirement.kind]
    for any_of in same:
        terms *= len(any_of)
    if terms > MOST_TERMS:
        return False
    wanted = [set(names) for names in requirement.any_of]
    met = (set().union(*chosen) for chosen in product(*same))
    return all(any(names <= given for names in wanted) for given in met)


def _order(requirement: Requirement) -> tuple[int, tuple[tuple[str, ...], ...]]:
    return KINDS.index(requirement.kind), requirement.any_of
