"""The projection's fast form: for each selection and runtime type a function, written out for just its fields.

It holds where nothing is unusual. Whatever is (a null that must not be, a value of an unexpected kind, a type or an enum value
that clients may not see) raises Unusual, and the projection then goes the careful way, which knows paths and errors. What the
two give is the same. A value that several places share is shaped once, and from its second place on written once.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
from graphql import GraphQLEnumType, GraphQLList, GraphQLNonNull, GraphQLObjectType

from gateway.engine.normalise import TYPENAME
from gateway.engine.reading import dumps

if TYPE_CHECKING:
    from gateway.engine.selection import Selection, Shown

Json = dict[str, Any]
Complete = Callable[[Any], Any]


class Unusual(Exception):
    """A value needs the careful way."""


class Shaper:
    """Shapes the data of one operation. Functions are made when a selection first meets a runtime type.

    Two answers may be shaped at once, a large one on a thread: what is remembered goes by the identity of values that live
    until their own answer is done, and every end forgets all.
    """

    def __init__(self, root: "Selection", type_name: str, *, writes: bool = False) -> None:
        """`writes`: what is shown a second time becomes JSON, for orjson to put where it belongs."""
        self._writes = writes
        self._shaped: list[dict[int, Any]] = []  # for each selection: what values became, by identity
        self._root = self._object(root, type_name)

    def shape(self, data: Json) -> Json:
        """The client's data. Raises Unusual."""
        try:
            shaped: Json = self._root(data)
            return shaped
        finally:
            for known in self._shaped:
                known.clear()

    def _object(self, selection: "Selection", type_name: str) -> Complete:
        """The function that shapes an object of one runtime type: a dict display of its fields, in the client's order."""
        names: dict[str, Any] = {"Unusual": Unusual}
        checks, entries = [], []
        for number, shown in enumerate(selection.of(type_name)):
            if shown.name == TYPENAME:
                entries.append(f"{shown.key!r}: {type_name!r}")
                continue
            value = f"get({shown.held!r})"
            if shown.name in ("__schema", "__type"):
                entries.append(f"{shown.key!r}: {value}")
                continue
            needed, type_ = _nullable(shown.type)
            complete = self._completion(type_, shown)
            if complete is not None:
                names[f"complete_{number}"] = complete
                value = f"complete_{number}({value})"
            if needed:
                checks.append(f"    if (value_{number} := {value}) is None: raise Unusual\n")
                value = f"value_{number}"
            entries.append(f"{shown.key!r}: {value}")
        source = f"def shape(held):\n    get = held.get\n{''.join(checks)}    return {{{', '.join(entries)}}}\n"
        exec(compile(source, f"<{type_name}>", "exec"), names)  # noqa: S102 - of names in GraphQL's grammar only
        shape: Complete = names["shape"]
        return shape

    def _completion(self, type_: Any, shown: "Shown") -> Complete | None:
        """The function that shapes a value of a nullable type; None where any value stands as it is. Null stays null."""
        if isinstance(type_, GraphQLList):
            return self._list(type_.of_type, shown)
        if shown.below is not None:
            return self._composite(shown.below, type_)
        return _enum(frozenset(type_.values)) if isinstance(type_, GraphQLEnumType) else None

    def _list(self, type_: Any, shown: "Shown") -> Complete:
        needed, of_type = _nullable(type_)
        inner = self._completion(of_type, shown)

        def complete(value: Any) -> Any:
            if value is None:
                return None
            if value.__class__ is not list:
                raise Unusual
            shaped = value if inner is None else [inner(item) for item in value]
            if needed and None in shaped:
                raise Unusual
            return shaped

        return complete

    def _composite(self, selection: "Selection", type_: Any) -> Complete:
        only = type_.name if isinstance(type_, GraphQLObjectType) else None
        by_type: dict[str, Complete] = {}
        known: dict[int, Any] = {}
        writes = self._writes
        self._shaped.append(known)

        def complete(value: Any) -> Any:
            shaped = known.get(id(value))
            if shaped is not None:
                if writes and shaped.__class__ is dict:
                    shaped = known[id(value)] = orjson.Fragment(dumps(shaped))
                return shaped
            if value is None:
                return None
            if value.__class__ is not dict:
                raise Unusual
            type_name = only or value.get(TYPENAME)
            if type_name.__class__ is not str:
                raise Unusual
            shape = by_type.get(type_name)
            if shape is None:
                if not selection.admits(type_name):
                    raise Unusual
                shape = by_type[type_name] = self._object(selection, type_name)
            shaped = known[id(value)] = shape(value)
            return shaped

        return complete


def _nullable(type_: Any) -> tuple[bool, Any]:
    """Whether a type is non-null, and the nullable type in it."""
    return (True, type_.of_type) if isinstance(type_, GraphQLNonNull) else (False, type_)


def _enum(values: frozenset[str]) -> Complete:
    def complete(value: Any) -> Any:
        if value is not None and (value.__class__ is not str or value not in values):
            raise Unusual
        return value

    return complete
