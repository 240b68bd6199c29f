"""What an operation costs before it is run: an upper bound of the values that services have to make, each by its weight.

A list costs its length times one value and what is asked of it. A mutation costs 10 more; fields of fragments that exclude one
another add up. Source: the static estimate of Apollo's demand control. No I/O.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    InlineFragmentNode,
    InputValueDefinitionNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
    value_from_ast_untyped,
)

from gateway import faults as own
from gateway.engine.normalise import wanted
from gateway.errors import Refused
from gateway.weights import ListSize, Weights

MUTATION = 10.0
Values = Mapping[str, Any]
Price = float | Callable[[Values], float]  # a number, or a function of the coerced variables where they decide


def price(
    weights: Weights,
    document: DocumentNode,
    node: OperationDefinitionNode,
    conditions: Mapping[str, bool],
    list_size: int,
) -> Price:
    """What a valid operation costs under given conditions; `list_size` is assumed for a list that nothing is said about.

    Raises Refused, now or when the price is computed, where exactly one slicing argument is required and not given.
    """
    root = weights.schema.get_root_type(node.operation)
    assert root is not None  # noqa: S101 - the document is valid
    base = MUTATION if node.operation.value == "mutation" else 0.0
    pricing = _Pricing(weights, document, conditions, float(list_size))
    return _sum([base, pricing.selections(node.selection_set, root.name)])


@dataclass(frozen=True, slots=True)
class _Sized:
    """The lists directly below a field whose length that field knows."""

    fields: frozenset[str]
    length: Price


class _Pricing:
    def __init__(
        self, weights: Weights, document: DocumentNode, conditions: Mapping[str, bool], list_size: float
    ) -> None:
        self._weights, self._conditions, self._list_size = weights, conditions, list_size
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self._known: dict[tuple[str, _Sized | None], Price] = {}  # of fragments: so it stays linear in the text

    def selections(self, node: SelectionSetNode, type_name: str, above: _Sized | None = None) -> Price:
        prices: list[Price] = []
        for item in node.selections:
            if not wanted(item.directives, self._conditions):
                continue
            if isinstance(item, FieldNode):
                prices.append(self._field(item, type_name, above))
            elif isinstance(item, FragmentSpreadNode):
                prices.append(self._spread(item.name.value, above))
            else:
                assert isinstance(item, InlineFragmentNode)  # noqa: S101 - nothing else is left
                condition = item.type_condition.name.value if item.type_condition else type_name
                prices.append(self.selections(item.selection_set, condition, above))
        return _sum(prices)

    def _spread(self, name: str, above: _Sized | None) -> Price:
        found = self._known.get((name, above))
        if found is None:
            fragment = self._fragments[name]
            found = self.selections(fragment.selection_set, fragment.type_condition.name.value, above)
            self._known[name, above] = found
        return found

    def _field(self, node: FieldNode, owner: str, above: _Sized | None) -> Price:
        name, holder = node.name.value, self._weights.schema.type_map[owner]
        declared = holder.fields.get(name) if isinstance(holder, GraphQLObjectType | GraphQLInterfaceType) else None
        if declared is None:  # __typename and introspection: no service is asked
            return 0.0
        given = {argument.name.value: argument for argument in node.arguments or ()}
        type_name = get_named_type(declared.type).name
        size = self._weights.size_of(owner, name)
        length = None if size is None else self._length(f"{owner}.{name}", size, given, declared)
        each: list[Price] = [self._weights.of_field(owner, name, type_name)]
        if node.selection_set is not None:
            sized = None if size is None or length is None or not size.sized else _Sized(size.sized, length)
            each.append(self.selections(node.selection_set, type_name, sized))
        count: Price = 1.0
        if is_list_type(get_nullable_type(declared.type)):
            if above is not None and name in above.fields:
                length = above.length
            count = self._list_size if length is None else length
        arguments = [
            self._input(f"{owner}.{name}({key}:)", get_named_type(declared.args[key].type).name, argument.value)
            for key, argument in given.items()
        ]
        return _sum([_product(count, _sum(each)), *arguments])

    def _length(
        self, coordinate: str, size: ListSize, given: Mapping[str, ArgumentNode], declared: GraphQLField
    ) -> Price | None:
        """How many values a list has: the largest slicing argument that is given, else the assumed size, else None."""

        def sliced(values: Values) -> float | None:
            found = []
            for path in size.slicing:
                value = _value(given.get(path[0]) or declared.args[path[0]].ast_node, values)
                for key in path[1:]:
                    value = value.get(key) if isinstance(value, dict) else None
                if isinstance(value, int):
                    found.append(max(value, 0))
            if size.one_required and size.slicing and len(found) != 1:
                names = ", ".join(".".join(path) for path in size.slicing)
                raise Refused(
                    own.ONE_SLICING_ARGUMENT, in_graphql=True, field=coordinate, names=names, found=len(found)
                )
            longest = max(found, default=size.assumed)
            return None if longest is None else float(longest)

        if not any(_open(given[path[0]].value) for path in size.slicing if path[0] in given):
            return sliced({})

        def of(values: Values) -> float:
            length = sliced(values)
            return self._list_size if length is None else length

        return of

    def _input(self, coordinate: str, type_name: str, value: ValueNode) -> Price:
        """What an argument's value costs."""
        weights, declared = self._weights, self._weights.schema.type_map[type_name]
        if isinstance(value, NullValueNode):
            return 0.0
        if isinstance(value, VariableNode):
            if not isinstance(declared, GraphQLInputObjectType) and not weights.of_input(coordinate, type_name):
                return 0.0
            variable = value.name.value
            return lambda values: _given(weights, coordinate, type_name, values.get(variable))
        if isinstance(value, ListValueNode):
            return _sum([self._input(coordinate, type_name, item) for item in value.values])
        found: list[Price] = [weights.of_input(coordinate, type_name)]
        if isinstance(value, ObjectValueNode) and isinstance(declared, GraphQLInputObjectType):
            for entry in value.fields:
                key = entry.name.value
                inner = get_named_type(declared.fields[key].type).name
                found.append(self._input(f"{type_name}.{key}", inner, entry.value))
        return _sum(found)


def _given(weights: Weights, coordinate: str, type_name: str, value: Any) -> float:
    """What a variable's coerced value costs as an argument."""
    if value is None:
        return 0.0
    if isinstance(value, list):
        return sum(_given(weights, coordinate, type_name, item) for item in value)
    found, declared = weights.of_input(coordinate, type_name), weights.schema.type_map[type_name]
    if isinstance(value, dict) and isinstance(declared, GraphQLInputObjectType):
        for key, inner in value.items():
            found += _given(weights, f"{type_name}.{key}", get_named_type(declared.fields[key].type).name, inner)
    return found


def _value(node: ArgumentNode | InputValueDefinitionNode | None, values: Values) -> Any:
    """An argument's value as given, or by default."""
    if isinstance(node, ArgumentNode):
        return value_from_ast_untyped(node.value, dict(values))
    value = node.default_value if node else None
    return None if value is None else value_from_ast_untyped(value)


def _open(value: ValueNode) -> bool:
    """Whether variables decide a value."""
    if isinstance(value, ObjectValueNode):
        return any(_open(entry.value) for entry in value.fields)
    return isinstance(value, VariableNode)


def _sum(prices: list[Price]) -> Price:
    fixed = sum((p for p in prices if isinstance(p, float)), 0.0)
    undecided = [p for p in prices if not isinstance(p, float)]
    if not undecided:
        return fixed
    return lambda values: fixed + sum(p(values) for p in undecided)


def _product(count: Price, each: Price) -> Price:
    if isinstance(count, float) and isinstance(each, float):
        return count * each
    return lambda values: _at(count, values) * _at(each, values)


def _at(price: Price, values: Values) -> float:
    return price if isinstance(price, float) else price(values)
