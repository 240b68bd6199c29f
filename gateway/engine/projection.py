"""Shapes the merged data as the client asked: its keys in its order, types guarded, nulls bubbled, errors located.

Follows the operation on the API schema, never the plan: what the planner fetched for itself does not show, and a value of
a type or enum that clients may not see becomes null. Source: GraphQL specification, October 2021, sections 6.3 and 6.4.
"""

from collections.abc import Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    is_abstract_type,
)

from gateway.engine.normalise import TYPENAME, held_as, wanted
from gateway.engine.shaping import Shaper, Unusual

Json = dict[str, Any]
MOST_TOLD = 100
Path = tuple[Any, Any] | None  # linked: (the path before, a key or an index)


class _Bubble(Exception):
    """A null in a place that cannot be null."""


class Shown:
    """A field to show: its response key and that of the merged data, its type, and what is shown below."""

    __slots__ = ("below", "held", "key", "name", "nodes", "type")

    def __init__(self, key: str, name: str, type_: GraphQLOutputType) -> None:
        self.key, self.held, self.name, self.type = key, held_as(key, name), name, type_
        self.nodes: list[SelectionSetNode] = []
        self.below: Selection | None = None


class Selection:
    """What is shown of a value, by its runtime type."""

    __slots__ = ("_by_type", "_nodes", "_projection", "static")

    def __init__(self, projection: "Projection", static: Any, nodes: list[SelectionSetNode]) -> None:
        self._projection, self.static, self._nodes = projection, static, nodes
        self._by_type: dict[str, tuple[Shown, ...]] = {}

    def admits(self, type_name: str) -> bool:
        """Whether a value here may be of a runtime type: an object type that clients may see, of the static type."""
        return self._projection.admitted(self.static, type_name)

    def of(self, type_name: str) -> tuple[Shown, ...]:
        found = self._by_type.get(type_name)
        if found is None:
            found = self._by_type[type_name] = self._projection.collected(type_name, self._nodes)
        return found


class Projection:
    """How the answer to one operation looks, for given values of its conditions. Reusable."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        node: OperationDefinitionNode,
        conditions: Mapping[str, bool] | None = None,
    ) -> None:
        self._schema = schema
        self._conditions = conditions or {}
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        root = schema.get_root_type(node.operation)
        assert root is not None  # noqa: S101 - the operation is valid
        self._root = root
        self._selection = Selection(self, root, [node.selection_set])
        self._shaper = Shaper(self._selection, root.name)
        self.introspects = any(shown.name in ("__schema", "__type") for shown in self._selection.of(root.name))

    def project(self, data: Json, errors: list[Json]) -> Json | None:
        """The client's data; None when a null bubbled up to the top. Adds an error where a null has no other reason; what is
        told of a field that only the planner asked for is told of the value that it belongs to."""
        try:
            answer: Json | None = self._shaper.shape(data)
        except Unusual:
            answer = self.carefully(data, errors)
        for error in errors:
            _place(error, answer)
        return answer

    def carefully(self, data: Json, errors: list[Json]) -> Json | None:
        """What `project` gives, found value by value with the path of each."""
        try:
            return self._object(data, self._root.name, self._selection, None, errors)
        except _Bubble:
            return None

    def admitted(self, static: Any, type_name: str) -> bool:
        """Whether a value of a static type may be of a runtime type: an object type that clients may see."""
        runtime = self._schema.type_map.get(type_name)
        if not isinstance(runtime, GraphQLObjectType):
            return False
        return runtime is static or (is_abstract_type(static) and self._schema.is_sub_type(static, runtime))

    def collected(self, type_name: str, nodes: list[SelectionSetNode]) -> tuple[Shown, ...]:
        """The fields to show of a runtime type, in the operation's order, those of one response key merged."""
        found: dict[str, Shown] = {}
        for node in nodes:
            self._collect(node, self._schema.type_map[type_name], found, set())
        for shown in found.values():
            if shown.nodes:
                shown.below = Selection(self, _named(shown.type), shown.nodes)
        return tuple(found.values())

    def _collect(self, node: SelectionSetNode, runtime: Any, found: dict[str, Shown], seen: set[str]) -> None:
        for item in node.selections:
            if not wanted(item.directives, self._conditions):
                continue
            if isinstance(item, FieldNode):
                self._show(item, runtime, found)
            elif isinstance(item, InlineFragmentNode):
                if item.type_condition is None or self._applies(item.type_condition.name.value, runtime):
                    self._collect(item.selection_set, runtime, found, seen)
            else:
                assert isinstance(item, FragmentSpreadNode)  # noqa: S101 - nothing else is left
                fragment = self._fragments[item.name.value]
                if item.name.value not in seen and self._applies(fragment.type_condition.name.value, runtime):
                    seen.add(item.name.value)
                    self._collect(fragment.selection_set, runtime, found, seen)

    def _show(self, node: FieldNode, runtime: Any, found: dict[str, Shown]) -> None:
        name, key = node.name.value, (node.alias or node.name).value
        definition = self._schema.get_field(runtime, name)
        if definition is None:
            return
        shown = found.setdefault(key, Shown(key, name, definition.type))
        if node.selection_set is not None:
            shown.nodes.append(node.selection_set)

    def _applies(self, condition: str, runtime: Any) -> bool:
        """Whether a fragment applies. Of a value whose type is not known, only to what holds for all possible types."""
        if condition == runtime.name:
            return True
        type_ = self._schema.type_map[condition]
        admitted = {condition}
        if isinstance(type_, GraphQLInterfaceType | GraphQLUnionType):
            admitted = {t.name for t in self._schema.get_possible_types(type_)}
        if is_abstract_type(runtime):
            return {t.name for t in self._schema.get_possible_types(runtime)} <= admitted
        return runtime.name in admitted

    # -- values

    def _object(self, value: Json, type_name: str, selection: Selection, path: Path, errors: list[Json]) -> Json:
        answer: Json = {}
        for shown in selection.of(type_name):
            if shown.name == TYPENAME:
                if is_abstract_type(self._schema.type_map[type_name]):  # no subgraph said which
                    _explain((path, shown.key), errors, type_name, TYPENAME)
                    raise _Bubble
                answer[shown.key] = type_name
                continue
            if shown.name in ("__schema", "__type") and path is None:
                answer[shown.key] = value.get(shown.key)
                continue
            here = (path, shown.key)
            answer[shown.key] = self._value(value.get(shown.held), shown.type, shown, here, errors, type_name)
        return answer

    def _value(
        self, value: Any, type_: GraphQLOutputType, shown: Shown, path: Path, errors: list[Json], owner: str
    ) -> Any:
        if isinstance(type_, GraphQLNonNull):
            done = self._nullable(value, type_.of_type, shown, path, errors, owner)
            if done is None:
                _explain(
                    path, errors, "UNEXPECTED_NULL", f"Cannot return null for non-nullable field {owner}.{shown.name}."
                )
                raise _Bubble
            return done
        return self._nullable(value, type_, shown, path, errors, owner, catch=True)

    def _nullable(
        self, value: Any, type_: Any, shown: Shown, path: Path, errors: list[Json], owner: str, catch: bool = False
    ) -> Any:
        if value is None:
            return None
        try:
            if isinstance(type_, GraphQLList):
                if not isinstance(value, list):
                    return _unfit(path, errors, owner, shown.name)
                inner = type_.of_type
                return [self._value(item, inner, shown, (path, i), errors, owner) for i, item in enumerate(value)]
            if shown.below is not None:
                done = self._composite(value, type_, shown.below, path, errors)
                return _unfit(path, errors, owner, shown.name) if done is None else done
        except _Bubble:
            if catch:
                return None
            raise
        if isinstance(type_, GraphQLEnumType) and not (isinstance(value, str) and value in type_.values):
            return _unfit(path, errors, owner, shown.name)
        return value

    def _composite(self, value: Any, type_: Any, below: Selection, path: Path, errors: list[Json]) -> Any:
        if not isinstance(value, dict):
            return None
        if isinstance(type_, GraphQLObjectType):
            return self._object(value, type_.name, below, path, errors)
        told = value.get(TYPENAME)
        if told is None:  # an interface object: only what holds for every type is known
            return self._object(value, type_.name, below, path, errors)
        if not isinstance(told, str) or not self.admitted(type_, told):
            return None
        return self._object(value, told, below, path, errors)


def _named(type_: Any) -> Any:
    while isinstance(type_, GraphQLNonNull | GraphQLList):
        type_ = type_.of_type
    return type_


def _place(error: Json, answer: Json | None) -> None:
    """End an error's path where the client's answer has no such field."""
    here: Any = answer
    path = error.get("path", ())
    for index, part in enumerate(path):
        if not isinstance(here, dict | list):
            return  # what is below a null cannot be told
        try:
            here = here[part]
        except (LookupError, TypeError):
            if index:
                error["path"] = path[:index]
            else:
                del error["path"]
            return


def _unfit(path: Path, errors: list[Json], owner: str, name: str) -> None:
    """Say that a value is none that its field admits: of another kind, or of a type or enum value that clients may not see."""
    _explain(path, errors, "UNEXPECTED_VALUE", f"{owner}.{name} does not admit the value that its service gave.")


def _explain(path: Path, errors: list[Json], code: str, message: str) -> None:
    """Say why there is null, unless an error at, above or below this place says it already, or a hundred have been told."""
    full: list[str | int] = []
    here: Any = path
    while here is not None:
        here, part = here
        full.insert(0, part)
    if len(errors) >= MOST_TOLD:
        return
    for error in errors:
        other = error.get("path")
        if other is None or other[: len(full)] == full or full[: len(other)] == other:
            return
    errors.append({"message": message, "path": full, "extensions": {"code": code}})
