"""Shapes the merged data as the client asked: its keys in its order, types guarded, nulls bubbled, errors located.

Follows the operation on the API schema, never the plan: what the planner fetched for itself does not show, and a value of
a type or enum that clients may not see becomes null. Source: GraphQL specification, October 2021, sections 6.3 and 6.4.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    OperationDefinitionNode,
)

from gateway.engine.access import Denial, Denials
from gateway.engine.defer import Defers
from gateway.engine.normalise import TYPENAME
from gateway.engine.selection import Collector, Later, Selection, Shown
from gateway.engine.shaping import Shaper, Unusual

Json = dict[str, Any]
MOST_TOLD = 100
Path = tuple[Any, Any] | None  # linked: (the path before, a key or an index)


class _Bubble(Exception):
    """A null in a place that cannot be null."""


class Projection:
    """How the answer to one operation looks, for given values of its conditions. Reusable."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        node: OperationDefinitionNode,
        conditions: Mapping[str, bool] | None = None,
        defers: Defers | None = None,
        *,
        repeats: bool = False,
        denials: Denials | None = None,
    ) -> None:
        """With `defers`, in parts; what `denials` name is null, with an error. `repeats`: each part is all of its fragment,
        whatever others have shown already."""
        root = schema.get_root_type(node.operation)
        assert root is not None  # noqa: S101 - the operation is valid
        self._schema, self.root = schema, root
        collector = Collector(schema, document, conditions or {}, defers, repeats=repeats, denials=denials)
        self.selection = Selection(collector, root, [(node.selection_set, None)], frozenset())
        self._writes, self._shapers = defers is None, dict[bool, Shaper]()
        fields = self.selection.fields(root.name)
        everything = chain(fields.now, *(later.of(root.name) for later in fields.later))
        self.introspects = any(shown.name in ("__schema", "__type") for shown in everything)
        denied = (shown.denied for shown in fields.now if shown.denied is not None)
        self.denied = next(denied, None)  # why the first root field that is not shown is not

    def project(self, data: Json, errors: list[Json], *, repeats: bool = True) -> Json | None:
        """The client's data, to be written by orjson; None when a null bubbled up to the top. Adds an error where a null has no
        other reason; what is told of a field that only the planner asked for is told of the value that it belongs to.

        `repeats`: a value may have several places, where shaping it once saves time."""
        if not errors:
            shaper = self._shapers.get(repeats)
            if shaper is None:
                shaper = Shaper(self.selection, self.root.name, remembers=repeats, writes=self._writes)
                self._shapers[repeats] = shaper
            try:
                return shaper.shape(data)
            except Unusual:
                pass
        answer = self.carefully(data, errors)
        for error in errors:
            _place(error, answer)
        return answer

    def carefully(self, data: Json, errors: list[Json]) -> Json | None:
        """What `project` gives, found value by value with the path of each."""
        return self._carefully(data, self.root.name, self.selection, None, errors)

    def part(self, value: Json, later: Later, place: Sequence[str | int], errors: list[Json]) -> Json | None:
        """What is shown later of a value at a place; None when a null bubbled up to it."""
        try:
            answer: Json | None = later.shape(value)
        except Unusual:
            path: Path = None
            for step in place:
                path = (path, step)
            answer = self._carefully(value, later.type_name, later, path, errors)
        for error in errors:
            _place(error, answer, len(place))
        return answer

    def _carefully(
        self, value: Json, type_name: str, selection: Selection, path: Path, errors: list[Json]
    ) -> Json | None:
        try:
            return self._object(value, type_name, selection, path, errors)
        except _Bubble:
            return None

    # -- values

    def _object(self, value: Json, type_name: str, selection: Selection, path: Path, errors: list[Json]) -> Json:
        answer: Json = {}
        fields = selection.of(type_name)
        for shown in fields:
            if shown.denied is not None and isinstance(shown.type, GraphQLNonNull):
                _deny((path, shown.key), errors, shown.denied)  # nothing else of this object will be shown
                raise _Bubble
        for shown in fields:
            if shown.denied is not None:
                answer[shown.key] = None
                _deny((path, shown.key), errors, shown.denied)
                continue
            if shown.name == TYPENAME:
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
            if below.needs_type:
                message = f"Cannot return null for non-nullable field {type_.name}.{TYPENAME}."
                _explain(path, errors, "UNEXPECTED_NULL", message)
                return None
            return self._object(value, type_.name, below, path, errors)
        if not isinstance(told, str) or not below.admits(told):
            return None
        return self._object(value, told, below, path, errors)


def _place(error: Json, answer: Json | None, depth: int = 0) -> None:
    """End an error's path where the client's answer, which begins after `depth` steps of it, has no such field."""
    here: Any = answer
    path = error.get("path", ())
    for index, part in enumerate(path[depth:], depth):
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


def _deny(path: Path, errors: list[Json], denial: Denial) -> None:
    """Say that the caller may not see what is at a place, unless a hundred errors have been told."""
    if len(errors) < MOST_TOLD:
        extensions = {"code": denial.code, "missing": denial.missing}
        errors.append({"message": "The caller may not see this.", "path": _steps(path), "extensions": extensions})


def _steps(path: Path) -> list[str | int]:
    full: list[str | int] = []
    here: Any = path
    while here is not None:
        here, part = here
        full.insert(0, part)
    return full


def _explain(path: Path, errors: list[Json], code: str, message: str) -> None:
    """Say why there is null, unless an error at, above or below this place says it already, or a hundred have been told."""
    if len(errors) >= MOST_TOLD:
        return
    full = _steps(path)
    for error in errors:
        other = error.get("path")
        if other is None or other[: len(full)] == full or full[: len(other)] == other:
            return
    errors.append({"message": message, "path": full, "extensions": {"code": code}})
