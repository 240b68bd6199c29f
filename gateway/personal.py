"""What an operation tells about people: the fields of its requests that their owners mark `@personalData`, and who gets them.

Facts of a public register (`public: true`) do not count. What the requests select counts, not what the client sees: the owner
hands it out either way. A field of an interface or a union counts for each type that may stand there.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    InlineFragmentNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    OperationDefinitionNode,
    SelectionSetNode,
    UnionTypeDefinitionNode,
    parse,
    value_from_ast_untyped,
)

from gateway.engine.api_schema import named_type
from gateway.engine.passing import passed
from gateway.engine.plan import Fetch, Input

NAME, ENTITIES, TYPENAME = "personalData", "_entities", "__typename"
UNSAID = "unsaid"  # the category of what is marked with none, or not known at all: no purpose covers it
REMEMBERED = 1_000  # requests to subgraphs


class Told(NamedTuple):
    """A field about people, `Type.field`, and in which way it is."""

    field: str
    category: str


class Exposed(NamedTuple):
    """The categories of the data about people in an operation's answers, and the services that get any of these through
    @requires."""

    categories: frozenset[str] = frozenset()
    recipients: frozenset[str] = frozenset()


class Personal:
    """The fields about people of one supergraph."""

    def __init__(self, document: DocumentNode) -> None:
        self._types: dict[str, str] = {}
        self._marks: dict[str, str] = {}  # by field, "" where it is public
        self._returned: dict[str, str] = {}
        self._members: dict[str, list[str]] = {}
        for node in document.definitions:
            if isinstance(node, UnionTypeDefinitionNode):
                self._members[node.name.value] = [member.name.value for member in node.types or ()]
            elif isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
                self._read(node)
        self.told = lru_cache(maxsize=REMEMBERED)(self._told)

    def narrowed(self, fetches: Sequence[Fetch]) -> tuple[Fetch, ...]:
        """The requests of a plan, with those recipients only who are told something about people."""
        kept: dict[int, set[str]] = {}
        for before, to, told in self.passings(fetches):
            if any(each.category for each in told):
                kept.setdefault(before.id, set()).add(to)
        return tuple(replace(f, recipients=tuple(sorted(kept.get(f.id, ())))) if f.recipients else f for f in fetches)

    def passings(self, fetches: Sequence[Fetch]) -> Iterator[tuple[Fetch, str, tuple[Told, ...]]]:
        """Of which request which other subgraph is told which fields through @requires; a field that is not about people has no
        category."""
        by_id = {fetch.id: fetch for fetch in fetches}
        for fetch in fetches:
            for before in (by_id[number] for number in fetch.after):
                if fetch.subgraph in before.recipients:
                    given = [(k, i) for k, i in passed(fetch) if re.search(rf"\b{re.escape(i.key)}\b", before.document)]
                    told = dict.fromkeys(leaf for kind, of_it in given for leaf in self._leaves(kind, of_it))
                    yield before, fetch.subgraph, tuple(told)

    def _leaves(self, typename: str, given: Input) -> Iterator[Told]:
        """What an input tells, as fields of their types."""
        field = f"{typename}.{given.name}"
        if given.below is None:
            yield Told(field, self._category(field) if field in self._returned or given.name == TYPENAME else UNSAID)
        for below in given.below or ():
            for kind in sorted(below.types) if below.types else [self._returned.get(field, "")]:
                yield from self._leaves(kind, below)

    def _category(self, field: str) -> str:
        """In which way a field, `Type.field`, is about people; empty where it is not, or is a fact of a public register."""
        return self._marks.get(field, self._types.get(field.partition(".")[0], ""))

    def exposed(self, fetches: Iterable[Fetch]) -> Exposed:
        """What the requests of a plan tell about people."""
        categories, recipients = set[str](), set[str]()
        for fetch in fetches:
            if told := self.told(fetch.document):
                categories.update(each.category for each in told)
                recipients.update(fetch.recipients)
        return Exposed(frozenset(categories), frozenset(recipients))

    def _told(self, request: str) -> tuple[Told, ...]:
        """The fields about people that a request to a subgraph selects, each once, in its order."""
        if not self._types and not any(self._marks.values()):
            return ()
        (node,) = parse(request, no_location=True).definitions
        assert isinstance(node, OperationDefinitionNode)  # noqa: S101 - requests to subgraphs have no fragments of a name
        return tuple(dict.fromkeys(self._selected(node.selection_set, node.operation.value.title())))

    def _selected(self, selections: SelectionSetNode, owner: str) -> Iterator[Told]:
        for item in selections.selections:
            if isinstance(item, InlineFragmentNode):
                on = item.type_condition.name.value if item.type_condition else owner
                yield from self._selected(item.selection_set, on)
            elif isinstance(item, FieldNode):
                yield from self._of_field(item, owner)

    def _of_field(self, item: FieldNode, owner: str) -> Iterator[Told]:
        name = item.name.value
        if name == ENTITIES and item.selection_set:
            yield from self._selected(item.selection_set, owner)  # whose fragments say of which types
            return
        holders = (owner, *self._members.get(owner, ()))
        fields = [f for f in (f"{holder}.{name}" for holder in holders) if name == TYPENAME or f in self._returned]
        if not fields:
            yield Told(f"{owner}.{name}", UNSAID)
        for field in fields:
            if category := self._category(field):
                yield Told(field, category)
        if item.selection_set and fields:
            yield from self._selected(item.selection_set, self._returned[fields[0]])

    def _read(self, node: ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode) -> None:
        name = node.name.value
        if mark := _mark(node.directives):
            self._types[name] = mark
        for interface in node.interfaces or ():
            self._members.setdefault(interface.name.value, []).append(name)
        for field in node.fields or ():
            place = f"{name}.{field.name.value}"
            self._returned[place] = named_type(field.type)
            own = _mark(field.directives)
            if own is not None:
                self._marks[place] = own


def _mark(directives: Iterable[DirectiveNode] | None) -> str | None:
    """The category that @personalData names, empty for what is public; None where there is no such directive."""
    for directive in directives or ():
        if directive.name.value == NAME:
            said = {a.name.value: value_from_ast_untyped(a.value) for a in directive.arguments or ()}
            return "" if said.get("public") else str(said.get("category") or UNSAID)
    return None
