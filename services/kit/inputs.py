"""Inputs of mutations: pydantic models that say what is acceptable; hostile text is refused before any rule sees it."""

import dataclasses
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import strawberry
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from strawberry.types.unset import UNSET

from services.kit import properties
from services.kit.refusals import InvalidInput

rule = Field  # pydantic's, under another name than SQLModel's: what a field of an input must satisfy
M = TypeVar("M", bound="Input")

# Line breaks and tabs are text; other control characters, unpaired surrogates and invisible overrides of the writing
# direction are not: PostgreSQL faults on NUL, and a reversed name shows something other than what is stored.
_ALLOWED_CONTROLS = frozenset("\n\r\t")
_DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def hostile_character(text: str) -> str | None:
    """The first character of a text that may not be stored, as U+XXXX; None when all may."""
    if text.isascii() and text.isprintable():
        return None
    for character in text:
        category = unicodedata.category(character)
        if (category in ("Cc", "Cs") and character not in _ALLOWED_CONTROLS) or character in _DIRECTION:
            return f"U+{ord(character):04X}"
    return None


def find_hostile(value: Any, path: str = "") -> tuple[str, str] | None:
    """Where in plain data (texts, lists, objects) the first hostile character stands: its path and the character."""
    if isinstance(value, str):
        return (path, character) if (character := hostile_character(value)) is not None else None
    if isinstance(value, dict):
        inside = ((f"{path}.{to_camel(key)}" if path else to_camel(key), item) for key, item in value.items())
    elif isinstance(value, list):
        inside = ((f"{path}.{index}", item) for index, item in enumerate(value))
    else:
        return None
    return next((found for where, item in inside if (found := find_hostile(item, where))), None)


class Input(BaseModel):
    """An input of a mutation. Field names are camelCase on the wire; no text in it holds a hostile character.

    A creating input carries `idempotency_key: strawberry.ID`, which the kit handles by itself.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", str_strip_whitespace=True
    )


@cache
def graphql_input(model: type[Input]) -> Any:
    """The GraphQL input type of a model, without its constraints: those the model judges, and a refusal says why."""
    hints = get_type_hints(model, include_extras=False)
    namespace: dict[str, Any] = {"__annotations__": {}}
    for name, field in model.model_fields.items():
        namespace["__annotations__"][name] = _as_graphql(hints[name])
        said = properties.only(model, name)
        words = filter(None, (field.description, said.words if said else None))
        options: dict[str, Any] = {"description": " ".join(words) or None}
        if not field.is_required():
            namespace["__annotations__"][name] = _as_graphql(hints[name]) | None
            namespace[name] = strawberry.field(default=UNSET, **options)
        else:
            namespace[name] = strawberry.field(**options)
    return strawberry.input(type(model.__name__, (), namespace), name=model.__name__, description=model.__doc__)


def within(model: type[Input]) -> Iterator[type[Input]]:
    """An input and the inputs that its properties are made of."""
    yield model
    for annotation in get_type_hints(model).values():
        for kind in (annotation, *get_args(annotation)):
            if isinstance(kind, type) and issubclass(kind, Input):
                yield from within(kind)


def _as_graphql(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, Input):
        return graphql_input(annotation)
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return Union[tuple(_as_graphql(a) for a in arguments)]  # noqa: UP007 - built from a tuple
    if origin is list:
        return list[_as_graphql(arguments[0])]  # type: ignore[misc]
    return annotation


def values(given: Any) -> Any:
    """A GraphQL input value as plain data; what was not given is absent."""
    if dataclasses.is_dataclass(given) and not isinstance(given, type):
        pairs = ((f.name, getattr(given, f.name)) for f in dataclasses.fields(given))
        return {name: values(value) for name, value in pairs if value is not UNSET}
    if isinstance(given, list):
        return [values(item) for item in given]
    return given


def validated(model: type[M], given: Any) -> M:
    """The model made of a GraphQL input value. Raises InvalidInput naming the client's field."""
    data = values(given)
    if (found := find_hostile(data)) is not None:
        english, french = explain("hostile_character", {"character": found[1]})
        raise InvalidInput(at=found[0], field=found[0], detail_en=english, detail_fr=french)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise refusal(error) from None


def refusal(error: ValidationError) -> InvalidInput:
    """The refusal that tells a client of the first problem that pydantic found."""
    first = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(to_camel(str(part)) for part in first["loc"]) or "input"
    english, french = explain(first["type"], first.get("ctx") or {})
    return InvalidInput(at=path, field=path, detail_en=english, detail_fr=french)


_EXPLANATIONS: Mapping[str, tuple[str, str]] = {
    "missing": ("a value is needed", "une valeur est requise"),
    "string_too_short": ("at least {min_length} characters are needed", "il faut au moins {min_length} caractères"),
    "string_too_long": ("at most {max_length} characters fit", "{max_length} caractères au maximum"),
    "string_pattern_mismatch": ("it does not have the expected form", "la forme n’est pas celle attendue"),
    "greater_than": ("it must be more than {gt}", "la valeur doit dépasser {gt}"),
    "greater_than_equal": ("it must be at least {ge}", "la valeur doit être d’au moins {ge}"),
    "less_than": ("it must be less than {lt}", "la valeur doit être inférieure à {lt}"),
    "less_than_equal": ("it must be at most {le}", "la valeur doit être d’au plus {le}"),
    "too_short": ("at least {min_length} entries are needed", "il faut au moins {min_length} éléments"),
    "too_long": ("at most {max_length} entries fit", "{max_length} éléments au maximum"),
    "hostile_character": ("the character {character} is not allowed", "le caractère {character} n’est pas permis"),
    "extra_forbidden": ("this field is unknown", "ce champ est inconnu"),
    "value_error": ("{error}", "{error}"),
}


def explain(kind: str, context: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong, in English and French, from the kind of a pydantic error."""
    if kind in _EXPLANATIONS:
        english, french = _EXPLANATIONS[kind]
        return english.format(**context), french.format(**context)
    return "the value cannot be read", "la valeur est illisible"
