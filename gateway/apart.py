"""Large answers: handled on a thread, in small pieces, so that the requests of others are answered meanwhile.

A thread alone would not do: a parser holds the interpreter for as long as its one call takes.
"""

import asyncio
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import msgspec
import orjson

LARGE_BYTES = 1_000_000
PIECE_BYTES = 262_144  # parsed in about a millisecond
LEVELS = 8  # below them a text is parsed whole, however large

P = ParamSpec("P")
T = TypeVar("T")
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Apart:
    """Does one request's work in the order it is asked for, one piece at a time, since it is all on the same data."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def __call__(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Do it on a thread; return what it returns or raise what it raises."""
        async with self._turn:
            return await asyncio.to_thread(work, *arguments, **named)


def loads(body: bytes) -> Any:
    """What a JSON text holds, as orjson.loads has it, but taken apart in the upper levels. Raises ValueError if it is none."""
    try:
        return _taken_apart(body, LEVELS)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _taken_apart(body: bytes | memoryview, levels: int) -> Any:
    if len(body) <= PIECE_BYTES or not levels:
        return orjson.loads(body)
    opening = bytes(body[:64]).lstrip()[:1]
    if opening == b"{":
        return {name: _taken_apart(memoryview(value), levels - 1) for name, value in _OBJECT.decode(body).items()}
    if opening != b"[":
        return orjson.loads(body)
    values = _LIST.decode(body)
    count = max(len(values) * PIECE_BYTES // len(body), 1)  # values of average size in a piece
    found: list[Any] = []
    for start in range(0, len(values), count):
        text = b"[%b]" % b",".join(values[start : start + count])
        if len(text) <= 2 * PIECE_BYTES:
            found += orjson.loads(text)
        else:
            found += [_taken_apart(memoryview(value), levels - 1) for value in values[start : start + count]]
    return found
