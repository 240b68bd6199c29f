"""What the owners of data say of how long answers may be kept, and which of their fields are about people.

`@cacheControl(maxAge:, scope:, inheritMaxAge:)` on fields and types, `@personalData` on either; both reach the supergraph by
@composeDirective. Source: Apollo Server, "Server-side caching": an operation may be kept as long as its least lasting field;
root fields and fields of composite types last 0 s unless told otherwise, leaves as long as what holds them; one PRIVATE field
makes the whole answer its caller's. Stricter here: a field that only some may see (@authenticated, @requiresScopes, @policy)
is PRIVATE whatever it says, and nothing that is about people is kept or shared at all, but for facts of a public register
(`@personalData(public: true)`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldDefinitionNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    OperationDefinitionNode,
    SelectionSetNode,
    UnionTypeDefinitionNode,
    value_from_ast_untyped,
)

from gateway.engine.api_schema import named_type
from gateway.engine.normalise import wanted

GUARDED = frozenset({"authenticated", "requiresScopes", "policy"})


@dataclass(frozen=True, slots=True)
class Policy:
    """How long an answer may be kept, and whether for its caller only."""

    max_age_s: int
    private: bool


@dataclass(frozen=True, slots=True)
class _Said:
    """What a field's or a type's directives say. The shortest of several ages holds."""

    max_age_s: int | None = None
    private: bool = False
    inherits: bool = False
    personal: bool = False


class _Personal(Exception):
    """Something about people is selected."""


class Hints:
    """The hints of one supergraph."""

    def __init__(self, document: DocumentNode) -> None:
        self._types: dict[str, _Said] = {}
        self._fields: dict[str, dict[str, tuple[str, _Said]]] = {}
        self._members: dict[str, set[str]] = {}
        self._roots = {"Query", "Mutation", "Subscription"}
        for node in document.definitions:
            if isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode | UnionTypeDefinitionNode):
                self._read(node)
        self.keeps = any(said.max_age_s for _, said in self._all())

    def policy(
        self, document: DocumentNode, node: OperationDefinitionNode, conditions: Mapping[str, bool]
    ) -> Policy | None:
        """How long an operation's answer may be kept; None when not at all."""
        if not self.keeps or node.operation.value != "query":
            return None
        fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        try:
            found = list(self._ages(node.selection_set, "Query", 0, fragments, conditions))
        except (_Personal, KeyError):
            return None
        if not found or not (shortest := min(age for age, _ in found)):
            return None
        return Policy(shortest, any(private for _, private in found))

    def contradictions(self) -> Iterator[str]:
        """Fields about people that could be kept: a field that says so itself, or a leaf of something that does."""
        kept = {name for name, said in self._types.items() if said.max_age_s}
        grown = True
        while grown:
            before = len(kept)
            for owner, fields in self._fields.items():
                for type_name, said in fields.values():
                    if type_name in self._types and (said.max_age_s or (said.inherits and owner in kept)):
                        kept |= {type_name, *self._members.get(type_name, ())}
            grown = len(kept) > before
        for owner, fields in sorted(self._fields.items()):
            for name, (type_name, said) in sorted(fields.items()):
                about = said.personal or self._said(owner).personal or self._said(type_name).personal
                leaf = type_name not in self._types
                inherited = owner in kept and said.max_age_s is None and (leaf or said.inherits)
                if about and (said.max_age_s or inherited):
                    yield f"{owner}.{name}"

    def _read(self, node: ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode | UnionTypeDefinitionNode) -> None:
        name = node.name.value
        self._types[name] = _said(node.directives)
        if isinstance(node, UnionTypeDefinitionNode):
            self._members[name] = {member.name.value for member in node.types or ()}
            return
        for interface in node.interfaces or ():
            self._members.setdefault(interface.name.value, set()).add(name)
        fields: tuple[FieldDefinitionNode, ...] = node.fields or ()
        self._fields[name] = {f.name.value: (named_type(f.type), _said(f.directives)) for f in fields}

    def _all(self) -> Iterator[tuple[str, _Said]]:
        yield from self._types.items()
        for fields in self._fields.values():
            yield from fields.values()

    def _said(self, type_name: str) -> _Said:
        return self._types.get(type_name, _Said())

    def _ages(
        self,
        selections: SelectionSetNode,
        owner: str,
        around: int,
        fragments: Mapping[str, FragmentDefinitionNode],
        conditions: Mapping[str, bool],
    ) -> Iterator[tuple[int, bool]]:
        """Of each selected field, for each type that can have it: how long it lasts, and whether it is its caller's alone.

        Raises _Personal, and KeyError for a field or type that is not known.
        """
        for item in selections.selections:
            if not wanted(item.directives, conditions):
                continue
            if isinstance(item, FragmentSpreadNode):
                inner = fragments[item.name.value]
                yield from self._ages(
                    inner.selection_set, inner.type_condition.name.value, around, fragments, conditions
                )
            elif isinstance(item, InlineFragmentNode):
                on = item.type_condition.name.value if item.type_condition else owner
                yield from self._ages(item.selection_set, on, around, fragments, conditions)
            elif isinstance(item, FieldNode) and not item.name.value.startswith("__"):
                yield from self._field(item, owner, around, fragments, conditions)

    def _field(
        self,
        item: FieldNode,
        owner: str,
        around: int,
        fragments: Mapping[str, FragmentDefinitionNode],
        conditions: Mapping[str, bool],
    ) -> Iterator[tuple[int, bool]]:
        name = item.name.value
        owners = [o for o in (owner, *self._members.get(owner, ())) if name in self._fields.get(o, {})]
        if not owners:
            raise KeyError(name)
        ages = []
        for type_name in owners:
            returned, said = self._fields[type_name][name]
            holder, held = self._said(type_name), self._said(returned)
            if said.personal or holder.personal or held.personal:
                raise _Personal
            leaf, root = returned not in self._types, type_name in self._roots
            ages.append(self._age(said, held, around, leaf=leaf, root=root))
            yield ages[-1], said.private or holder.private or held.private
        if item.selection_set:  # once, by the widest type: its members are looked at below
            yield from self._ages(
                item.selection_set, self._fields[owners[0]][name][0], min(ages), fragments, conditions
            )

    @staticmethod
    def _age(said: _Said, held: _Said, around: int, *, leaf: bool, root: bool) -> int:
        if said.max_age_s is not None:
            return said.max_age_s
        if held.max_age_s is not None:
            return held.max_age_s
        return around if not root and (leaf or said.inherits) else 0


def _said(directives: tuple[DirectiveNode, ...] | None) -> _Said:
    ages: list[int] = []
    private = inherits = personal = False
    for directive in directives or ():
        name = directive.name.value
        arguments = {a.name.value: value_from_ast_untyped(a.value) for a in directive.arguments or ()}
        if name == "cacheControl":
            if arguments.get("maxAge") is not None:
                ages.append(max(int(arguments["maxAge"]), 0))
            private |= arguments.get("scope") == "PRIVATE"
            inherits |= bool(arguments.get("inheritMaxAge"))
        personal |= name == "personalData" and not arguments.get("public")
        private |= name in GUARDED
    return _Said(min(ages, default=None), private, inherits, personal)
