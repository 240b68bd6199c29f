"""What is shown of each object of an answer, and what later: an operation's fields collected by runtime type.

Follows the operation on the API schema. Sources: GraphQL specification, October 2021, 6.3.2; for what is deferred the draft of
2025, where a field is delivered once, with the first fragment that it belongs to; or, where each part repeats its own, that of
2022 (deferSpec=20220824), where a part holds all of its fragment.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
    is_abstract_type,
)

from gateway.engine.access import Denial, Denials
from gateway.engine.defer import NOW, Defers, directive_of
from gateway.engine.normalise import TYPENAME, held_as, wanted
from gateway.engine.shaping import Shaper

Json = dict[str, Any]


class Usage:
    """A deferred fragment where it is used: its number in the plan, its label, the one around it, and its node's identity."""

    __slots__ = ("label", "node", "number", "within")

    def __init__(self, number: int, label: str | None, within: "Usage | None", node: int) -> None:
        self.number, self.label, self.within, self.node = number, label, within, node

    def around(self) -> "Iterator[Usage]":
        """The fragments around this one, from near to far."""
        usage = self.within
        while usage is not None:
            yield usage
            usage = usage.within


Owners = frozenset[Usage]  # the deferred fragments that a field belongs to; none when it is shown at once
Nodes = list[tuple[SelectionSetNode, Usage | None]]


class Shown:
    """A field to show: its response key and that of the merged data, its type, and what is shown below.

    `asked` are the deferred fragments that it stands in, None for none; `leads` when something is deferred below it; `denied`
    says why its value is not shown, if it is not.
    """

    __slots__ = ("asked", "below", "denied", "held", "key", "leads", "name", "nodes", "type")

    def __init__(self, key: str, name: str, type_: GraphQLOutputType) -> None:
        self.key, self.held, self.name, self.type = key, held_as(key, name), name, type_
        self.nodes: Nodes = []
        self.asked: set[Usage | None] = set()
        self.below: Selection | None = None
        self.leads = False
        self.denied: Denial | None = None


@dataclass(frozen=True, slots=True)
class Fields:
    """What is shown of an object: at once, and later for deferred fragments. `begun` are the fragments that begin at it,
    `keys` all its response keys."""

    now: tuple[Shown, ...]
    later: "tuple[Later, ...]" = ()
    begun: tuple[Usage, ...] = ()
    keys: frozenset[str] = frozenset()


class Selection:
    """What is shown of a value, by its runtime type. `owners` are the deferred fragments that it is all shown for."""

    __slots__ = ("_by_type", "_collector", "_nodes", "owners", "static")

    def __init__(self, collector: "Collector", static: Any, nodes: Nodes, owners: Owners) -> None:
        self._collector, self.static, self._nodes, self.owners = collector, static, nodes, owners
        self._by_type: dict[str, Fields] = {}

    def admits(self, type_name: str) -> bool:
        """Whether a value here may be of a runtime type: an object type that clients may see, of the static type."""
        return self._collector.admitted(self.static, type_name)

    def of(self, type_name: str) -> tuple[Shown, ...]:
        """What is shown at once."""
        return self.fields(type_name).now

    def fields(self, type_name: str) -> Fields:
        found = self._by_type.get(type_name)
        if found is None:
            found = self._by_type[type_name] = self._collector.collected(type_name, self._nodes, self.owners)
        return found

    @property
    def needs_type(self) -> bool:
        """Whether what is shown at once depends on which of several types a value is of."""
        possible = self._collector.possible(self.static.name)
        return self._collector.needs_type([node for node, _ in self._nodes], self.static, possible)


class Later(Selection):
    """What is shown of an object of a known type once some deferred fragments have come, for all of them together."""

    __slots__ = ("numbers", "ordered", "shaper", "type_name")

    def __init__(self, collector: "Collector", type_name: str, fields: Fields, owners: Owners) -> None:
        super().__init__(collector, collector.schema.type_map[type_name], [], owners)
        self._by_type[type_name] = fields
        self.type_name = type_name
        self.ordered = sorted(owners, key=lambda usage: usage.number)
        self.numbers = frozenset(usage.number for usage in owners)
        self.shaper: Shaper | None = None

    def shape(self, value: Json) -> Json:
        """What is shown of an object. Raises Unusual."""
        if self.shaper is None:
            self.shaper = Shaper(self, self.type_name)
        return self.shaper.shape(value)


class Collector:
    """Collects the fields of one operation, for given values of its conditions."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        conditions: Mapping[str, bool],
        defers: Defers | None,
        *,
        repeats: bool,
        denials: Denials | None = None,
    ) -> None:
        self.schema, self._conditions, self._denials = schema, conditions, denials
        self._defers, self._repeats = defers, repeats
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self._leading: dict[int, bool] = {}

    def admitted(self, static: Any, type_name: str) -> bool:
        """Whether a value of a static type may be of a runtime type: an object type that clients may see."""
        runtime = self.schema.type_map.get(type_name)
        if not isinstance(runtime, GraphQLObjectType):
            return False
        return runtime is static or (is_abstract_type(static) and self.schema.is_sub_type(static, runtime))

    def collected(self, type_name: str, nodes: Nodes, owners: Owners) -> Fields:
        """The fields to show of a runtime type, in the operation's order, those of one response key merged."""
        found = _Found(self._repeats)
        for node, usage in nodes:
            self._collect(node, usage, self.schema.type_map[type_name], found)
        now: list[Shown] = []
        later: dict[Owners, list[Shown]] = {}
        for shown in found.all():
            if self._denials is not None:
                _, shown.denied = self._denials.among(self.possible(type_name), shown.name)
            belongs = _least(shown.asked)
            if shown.nodes:
                shown.below = Selection(self, _named(shown.type), shown.nodes, belongs)
                shown.leads = self._leads(shown)
            (now if belongs == owners else later.setdefault(belongs, [])).append(shown)
        if not later and not found.begun:
            return Fields(tuple(now))
        keys = frozenset(shown.key for shown in found.all())
        parts = (Later(self, type_name, Fields(tuple(shown), keys=keys), o) for o, shown in later.items())
        return Fields(tuple(now), tuple(parts), tuple(found.begun), keys)

    def _leads(self, shown: Shown) -> bool:
        """Whether something may be deferred below a field."""
        if self._defers is None:
            return False
        return len({usage for _, usage in shown.nodes}) > 1 or any(self._holds_defer(node) for node, _ in shown.nodes)

    def _holds_defer(self, node: SelectionSetNode) -> bool:
        found = self._leading.get(id(node))
        if found is None:
            found = self._leading[id(node)] = any(self._leads_on(item) for item in node.selections)
        return found

    def _leads_on(self, item: SelectionNode) -> bool:
        if isinstance(item, FieldNode):
            return item.selection_set is not None and self._holds_defer(item.selection_set)
        assert isinstance(item, FragmentSpreadNode | InlineFragmentNode)  # noqa: S101 - nothing else is left
        inner = self._fragments[item.name.value] if isinstance(item, FragmentSpreadNode) else item
        return directive_of(item) is not None or self._holds_defer(inner.selection_set)

    def _collect(self, node: SelectionSetNode, usage: Usage | None, runtime: Any, found: "_Found") -> None:
        for item in node.selections:
            if not wanted(item.directives, self._conditions):
                continue
            if isinstance(item, FieldNode):
                self._show(item, usage, runtime, found)
                continue
            inner = self._fragments[item.name.value] if isinstance(item, FragmentSpreadNode) else item
            assert isinstance(inner, FragmentDefinitionNode | InlineFragmentNode)  # noqa: S101 - nothing else is left
            if inner.type_condition is not None and not self._applies(inner.type_condition.name.value, runtime):
                continue
            assert isinstance(item, FragmentSpreadNode | InlineFragmentNode)  # noqa: S101 - nothing else is left
            around = usage if self._defers is None else self._usage(item, usage, found)
            if isinstance(inner, InlineFragmentNode) or found.first(inner.name.value, around):
                self._collect(inner.selection_set, around, runtime, found)

    def _usage(
        self, item: FragmentSpreadNode | InlineFragmentNode, within: Usage | None, found: "_Found"
    ) -> Usage | None:
        """The deferred fragment that a fragment's fields stand in."""
        assert self._defers is not None  # noqa: S101 - looked at before
        around = within.number if within is not None else NOW
        number = self._defers.of(item, around)
        if number == around:
            return within
        usage = Usage(number, self._defers.all[number - 1].label, within, id(item))
        found.begun.append(usage)
        return usage

    def _show(self, node: FieldNode, usage: Usage | None, runtime: Any, found: "_Found") -> None:
        name, key = node.name.value, (node.alias or node.name).value
        definition = self.schema.get_field(runtime, name)
        if definition is None:
            return
        shown = found.shown(usage).setdefault(key, Shown(key, name, definition.type))
        shown.asked.add(usage)
        if node.selection_set is not None:
            shown.nodes.append((node.selection_set, usage))

    def _applies(self, condition: str, runtime: Any) -> bool:
        """Whether a fragment applies. Of a value whose type is not known, only to what holds for all possible types."""
        return condition == runtime.name or self.possible(runtime.name) <= self.possible(condition)

    def possible(self, name: str) -> frozenset[str]:
        """The object types that a value of a type can be of."""
        type_ = self.schema.type_map[name]
        if isinstance(type_, GraphQLInterfaceType | GraphQLUnionType):
            schema: Any = self.schema  # which gives a tuple, whatever it says
            return frozenset(found.name for found in schema.get_possible_types(type_))
        return frozenset({name})

    def needs_type(
        self,
        nodes: list[SelectionSetNode],
        static: Any,
        possible: frozenset[str],
        seen: set[str] | None = None,
        *,
        narrowed: bool = False,
    ) -> bool:
        """Whether what is shown at once of a value depends on which of the possible types it is of: a field of some only, or one
        that the static type does not have. `seen` are the keys that are shown of all of them."""
        seen = set() if seen is None else seen
        for item in (item for node in nodes for item in node.selections if wanted(item.directives, self._conditions)):
            if isinstance(item, FieldNode):
                key, name = (item.alias or item.name).value, item.name.value
                again = key in seen and item.selection_set is None
                narrow = narrowed or self.schema.get_field(static, name) is None
                if name == TYPENAME or (narrow and not again) or self._depends(possible, name):
                    return True
                seen.add(key)
                continue
            assert isinstance(item, FragmentSpreadNode | InlineFragmentNode)  # noqa: S101 - nothing else is left
            if self._defers is not None and directive_of(item) is not None:
                continue
            inner = self._fragments[item.name.value] if isinstance(item, FragmentSpreadNode) else item
            left = possible & self.possible(inner.type_condition.name.value) if inner.type_condition else possible
            narrow = narrowed or left != possible
            if left and self.needs_type([inner.selection_set], static, left, seen, narrowed=narrow):
                return True
        return False

    def _depends(self, possible: frozenset[str], name: str) -> bool:
        """Whether a field is denied on values of some of the possible types only."""
        return self._denials is not None and self._denials.among(possible, name)[0]


class _Found:
    """What was collected of an object so far: fields by response key, of all fragments together unless each repeats its own."""

    def __init__(self, repeats: bool) -> None:
        self._repeats = repeats
        self._shown: dict[Usage | None, dict[str, Shown]] = {}
        self._spread: dict[str, set[int | None]] = {}
        self.begun: list[Usage] = []

    def shown(self, usage: Usage | None) -> dict[str, Shown]:
        """The fields that those of a fragment are merged into."""
        return self._shown.setdefault(usage if self._repeats else None, {})

    def all(self) -> Iterator[Shown]:
        """The fields in first-seen order."""
        return chain.from_iterable(fields.values() for fields in self._shown.values())

    def first(self, name: str, usage: Usage | None) -> bool:
        """Whether the fields of a named fragment have not been collected yet."""
        known = self._spread.setdefault(name, set())
        node = None if usage is None else usage.node
        if node in known or (None in known and not self._repeats):
            return False
        known.add(node)
        return True


def _least(asked: set[Usage | None]) -> Owners:
    """The fragments that a field belongs to: none if it is asked for at once, else the outermost of those it stands in."""
    if None in asked:
        return frozenset()
    return frozenset(usage for usage in asked if usage is not None and not asked.intersection(usage.around()))


def _named(type_: Any) -> Any:
    while isinstance(type_, GraphQLNonNull | GraphQLList):
        type_ = type_.of_type
    return type_
