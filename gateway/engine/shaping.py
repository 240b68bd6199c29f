"""The projection's fast form: for each selection and runtime type a function, written out for just its fields.

It holds where nothing is unusual. Whatever is (what is denied, a null that must not be, a value of an unexpected kind, a type or
an enum value that clients may not see) raises Unusual, and the projection then goes the careful way, which knows paths and
errors. What the two give is the same. A value that several places share is shaped once, and written once from its second place
on; where no value has several places, nothing is remembered, since that takes as long as the shaping itself.
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
MOST_INLINE = 5  # objects written out in one another; Python's compiler wants expressions to end


class Unusual(Exception):
    """A value needs the careful way."""


class Shaper:
    """Shapes the data of one operation. Functions are made when a selection first meets a runtime type.

    Two answers may be shaped at once, a large one on a thread: what is remembered goes by the identity of values that live
    until their own answer is done, and every end forgets all.
    """

    def __init__(self, root: "Selection", type_name: str, *, remembers: bool = True, writes: bool = False) -> None:
        """`remembers`: values may have several places. `writes`: what is shown a second time becomes JSON, for orjson to put
        where it belongs."""
        self._remembers, self._writes = remembers, writes
        self._shaped: list[dict[int, Any]] = []  # for each selection: what values became, by identity
        self._root = self._object(root, type_name, needed=True)

    def shape(self, data: Json) -> Json:
        """The client's data. Raises Unusual."""
        try:
            shaped: Json = self._root(data)
            return shaped
        finally:
            for known in self._shaped:
                known.clear()

    def _object(self, selection: "Selection", type_name: str, *, needed: bool) -> Complete:
        """The function that shapes an object of one runtime type; a value of another kind only if that is null and not
        `needed`."""
        source = _Source()
        shown = self._display(selection, type_name, "held", source, MOST_INLINE)
        return source.function(f"{shown} if held.__class__ is dict else {_otherwise(needed)}(held)")

    def _display(self, selection: "Selection", type_name: str, held: str, source: "_Source", inline: int) -> str:
        """A dict display of an object's fields, in the client's order. `held` is the name of the object."""
        entries = []
        for shown in selection.of(type_name):
            value = f"{held}.get({shown.held!r})"
            if shown.name == TYPENAME:
                value = repr(type_name)
            elif shown.denied is not None:
                value = "needed(None)"
            elif shown.name not in ("__schema", "__type"):
                value = self._value(shown.type, shown, value, source, inline)
            entries.append(f"{shown.key!r}: {value}")
        return f"{{{', '.join(entries)}}}"

    def _value(self, type_: Any, shown: "Shown", value: str, source: "_Source", inline: int) -> str:
        """The expression that shapes a value of a type. So many objects may still be written out in one another."""
        needed = isinstance(type_, GraphQLNonNull)
        type_, otherwise = type_.of_type if needed else type_, _otherwise(needed)
        if isinstance(type_, GraphQLList):
            held = source.variable()
            items = self._items(type_.of_type, shown, held, source)
            return f"({items} if ({held} := {value}).__class__ is list else {otherwise}({held}))"
        if shown.below is not None:
            if inline and isinstance(type_, GraphQLObjectType) and self._is_plain(type_, shown.below):
                held = source.variable()
                below = self._display(shown.below, type_.name, held, source, inline - 1)
                return f"({below} if ({held} := {value}).__class__ is dict else {otherwise}({held}))"
            return f"{source.name(self._composite(shown.below, type_, needed=needed))}({value})"
        if isinstance(type_, GraphQLEnumType):
            held, values = source.variable(), source.name(frozenset(type_.values))
            known = f"({held} := {value}).__class__ is str and {held} in {values}"
            return f"({held} if {known} else {otherwise}({held}))"
        if needed:
            held = source.variable()
            return f"({held} if ({held} := {value}) is not None else needed({held}))"
        return value

    def _items(self, type_: Any, shown: "Shown", held: str, source: "_Source") -> str:
        """The expression that shapes the items of a list. They have a function of their own: a name that is given within a
        comprehension is no local one."""
        needed = isinstance(type_, GraphQLNonNull)
        of_type = type_.of_type if needed else type_
        if shown.below is not None and not isinstance(of_type, GraphQLList):
            complete = self._composite(shown.below, of_type, needed=needed)
        elif isinstance(of_type, GraphQLList | GraphQLEnumType):
            within = _Source()
            complete = within.function(self._value(type_, shown, "held", within, 0))
        else:
            return f"full({held})" if needed else held
        return f"[{source.name(complete)}(item) for item in {held}]"

    def _is_plain(self, type_: GraphQLObjectType, selection: "Selection") -> bool:
        """Whether a value is shaped by its static type alone."""
        return not self._remembers and selection.admits(type_.name)

    def _composite(self, selection: "Selection", type_: Any, *, needed: bool) -> Complete:
        only = type_.name if isinstance(type_, GraphQLObjectType) else None
        if isinstance(type_, GraphQLObjectType) and self._is_plain(type_, selection):
            return self._object(selection, type_.name, needed=needed)
        otherwise = _needed if needed else _null
        by_type: dict[str, Complete] = {}
        known: dict[int, Any] = {}
        writes, remembers = self._writes, self._remembers
        self._shaped.append(known)

        def complete(value: Any) -> Any:
            shaped = known.get(id(value))
            if shaped is not None:
                if writes and shaped.__class__ is dict:
                    shaped = known[id(value)] = orjson.Fragment(dumps(shaped))
                return shaped
            if value.__class__ is not dict:
                return otherwise(value)
            type_name = only or value.get(TYPENAME)
            if type_name.__class__ is not str:
                raise Unusual
            shape = by_type.get(type_name)
            if shape is None:
                if not selection.admits(type_name):
                    raise Unusual
                shape = by_type[type_name] = self._object(selection, type_name, needed=True)
            shaped = shape(value)
            if remembers:
                known[id(value)] = shaped
            return shaped

        return complete


class _Source:
    """The text of one function, while it is written, and what its names stand for."""

    def __init__(self) -> None:
        self._names: dict[str, Any] = {"needed": _needed, "null": _null, "full": _full}
        self._variables = 0

    def variable(self) -> str:
        """A local name that nothing has yet."""
        self._variables += 1
        return f"held_{self._variables}"

    def name(self, thing: Any) -> str:
        """A name for a thing."""
        name = f"thing_{len(self._names)}"
        self._names[name] = thing
        return name

    def function(self, expression: str) -> Complete:
        """The function of `held` that gives the value of an expression."""
        source = f"def shape(held): return {expression}"
        exec(compile(source, "<shape>", "exec"), self._names)  # noqa: S102 - of names in GraphQL's grammar only
        shape: Complete = self._names["shape"]
        return shape


def _otherwise(needed: bool) -> str:
    return "needed" if needed else "null"


def _null(value: Any) -> None:
    """What becomes of a value that is not of the kind that its type has."""
    if value is not None:
        raise Unusual


def _needed(_: Any) -> None:
    """What becomes of one that must not be null."""
    raise Unusual


def _full(values: list[Any]) -> list[Any]:
    """A list of which no item may be null."""
    if None in values:
        raise Unusual
    return values
