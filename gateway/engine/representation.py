"""What a subgraph is told of a value that it shall look up: its key, what @requires asks, and what contexts hold."""

from typing import Any

from gateway.engine.normalise import TYPENAME
from gateway.engine.places import Json, is_one_of
from gateway.engine.plan import Context, Entities, Input


class Absent(Exception):
    """An input did not arrive."""


def representation(value: Json, entities: Entities, *, whole: bool) -> Json | None:
    """What a subgraph is told of a value; None when a part of its key is missing, since it cannot be looked up then.

    Raises Absent when an input did not arrive, if the value is to be told `whole`.
    """
    for key in entities.required:
        if value.get(key) is None:
            return None
    if entities.flat is not None and entities.flat.keys() <= value.keys():
        told = {key: value[held] for held, key in entities.flat.items()}
    else:
        told = _told(value, entities.inputs, whole)
    told[TYPENAME] = entities.typename
    return told


def context_of(value: Json, context: Context, whole: bool) -> Any:
    """What a value gives for a context. Raises Absent where it did not arrive, or is null and must not be."""
    found = _first(value, context.inputs, whole)
    if found is None and context.type.endswith("!"):
        raise Absent
    return found


def _first(held: Any, inputs: tuple[Input, ...], whole: bool) -> Any:
    if isinstance(held, list):
        return [_first(item, inputs, whole) for item in held]
    for given in inputs if isinstance(held, dict) else ():
        if given.types is None or is_one_of(held, given.types):
            if given.key not in held and whole:
                raise Absent
            found = held.get(given.key)
            return found if given.below is None else _first(found, given.below, whole)
    return None


def _told(value: Json, inputs: tuple[Input, ...], whole: bool) -> Json:
    told: Json = {}
    for given in inputs:
        if given.types is not None and not is_one_of(value, given.types):
            continue
        if given.key not in value:
            if given.name != TYPENAME:
                if whole:
                    raise Absent
                told[given.name] = None
            continue
        held = value[given.key]
        told[given.name] = held if given.below is None else _below(held, given.below, whole)
    return told


def _below(held: Any, inputs: tuple[Input, ...], whole: bool) -> Any:
    if isinstance(held, list):
        return [_below(item, inputs, whole) for item in held]
    return _told(held, inputs, whole) if isinstance(held, dict) else None
