"""Reads a subgraph's answer so that what it repeats is parsed once: equal values at a point of `sharing` become one object.

Most of a large answer is the same few entities again and again. Their texts are compared as they came, before anything is made of
them. Whatever is unusual (lists of another depth, a scalar where an object should be) is read plainly and shared afterwards.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict, Union

import msgspec
import orjson
from graphql import DocumentNode, FieldNode, InlineFragmentNode, OperationDefinitionNode, SelectionSetNode

from gateway.engine.sharing import Known, Point

Json = dict[str, Any]
SMALL_BYTES = 2_048  # below, there is too little to share
_RAW_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


class Read(dict[str, Any]):
    """An answer in which equal values are shared already."""


class Brief(Read):
    """One in which there is too little to share."""


class Reader:
    """Reads the answers to one request. It keeps nothing of them."""

    __slots__ = ("_decode", "_decoders", "_points")

    def __init__(self, document: DocumentNode, points: Mapping[str, Point]) -> None:
        """`points`: where values can be shared, by the lookup's alias or nothing. The document is one operation."""
        (operation,) = document.definitions
        assert isinstance(operation, OperationDefinitionNode)  # noqa: S101 - as requests to subgraphs are
        self._points = points
        self._decoders: dict[Point, Callable[[bytes], Any]] = {}
        data: Any
        if "" in points:
            data = self._typed([operation.selection_set], points[""])
        else:
            fields = _fields([operation.selection_set])
            data = _dict(
                {
                    key: list[self._typed(nodes, points[key]) | None] if key in points else Any  # type: ignore[misc]
                    for key, nodes in fields.items()
                }
            )
        answer = _dict({"data": data | None, "errors": Any, "extensions": Any})
        self._decode = msgspec.json.Decoder(answer).decode

    def __call__(self, body: bytes) -> Any:
        """What a JSON text holds. Raises ValueError if it is none."""
        if len(body) < SMALL_BYTES:
            found = orjson.loads(body)
            return Brief(found) if found.__class__ is dict else found
        try:
            answer = self._decode(body)
            data = answer.get("data")
            if data:
                for alias, point in self._points.items():
                    known: Known = defaultdict(dict)
                    for value in data.get(alias) or () if alias else (data,):
                        if value is not None:
                            self._fill(value, point, known)
            return Read(answer)
        except (msgspec.MsgspecError, ValueError):
            return orjson.loads(body)

    def _fill(self, value: Json, point: Point, known: Known) -> None:
        """Put values in the places of texts, below an object."""
        for key, below in point.below.items():
            held = value.get(key)
            if held is None:
                continue
            if below.shared:
                value[key] = self._only(bytes(held), below, known)
            elif held.__class__ is dict:
                self._fill(held, below, known)
            else:
                for item in held:
                    if item is not None:
                        self._fill(item, below, known)

    def _only(self, text: bytes, point: Point, known: Known) -> Any:
        """The value of a text, one for all that are equal."""
        values = known[point]
        found = values.get(text)
        if found is not None:
            return found
        if text[:1] == b"[":
            return [self._only(bytes(item), point, known) for item in _RAW_ITEMS.decode(text)]
        if text == b"null":
            return None
        value = values[text] = self._decoders[point](text)
        if point.below:
            self._fill(value, point, known)
        return value

    def _typed(self, nodes: Iterable[SelectionSetNode], point: Point) -> Any:
        """The type of an object: texts where values are shared, anything where no point lies."""
        types: dict[str, Any] = {}
        for key, below_nodes in _fields(nodes).items():
            below = point.below.get(key)
            if below is None:
                types[key] = Any
                continue
            inner = self._typed(below_nodes, below)
            if below.shared:
                self._decoders[below] = msgspec.json.Decoder(inner).decode
                types[key] = msgspec.Raw
            else:
                types[key] = Union[list[Union[inner, None]], inner, None]  # type: ignore[valid-type] # noqa: UP007 - made as the program runs
        return _dict(types)


def dumps(value: object) -> bytes:
    """JSON in UTF-8. Integers beyond 64 bits, which only some parsers keep, are told as the nearest number."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_narrowed(value))


def _narrowed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _narrowed(held) for key, held in value.items()}
    if isinstance(value, list):
        return [_narrowed(item) for item in value]
    return float(value) if type(value) is int and not -(1 << 63) <= value < 1 << 64 else value


def _fields(nodes: Iterable[SelectionSetNode]) -> dict[str, list[SelectionSetNode]]:
    """Response keys and what is selected below each, whatever the type."""
    found: dict[str, list[SelectionSetNode]] = {}
    for node in nodes:
        for item in node.selections:
            if isinstance(item, FieldNode):
                below = found.setdefault((item.alias or item.name).value, [])
                if item.selection_set:
                    below.append(item.selection_set)
            elif isinstance(item, InlineFragmentNode):
                for key, further in _fields([item.selection_set]).items():
                    found.setdefault(key, []).extend(further)
    return found


def _dict(types: dict[str, Any]) -> Any:
    return TypedDict("_dict", types, total=False)  # type: ignore[operator]
