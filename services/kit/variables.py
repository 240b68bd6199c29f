"""Variables that do not fit their operation: which, where inside it, and what would fit, in both languages.

The GraphQL library says so too, in English only and in the words of its authors; this is asked once it has said no.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    VariableDefinitionNode,
    is_required_input_field,
    type_from_ast,
)
from graphql.pyutils import Undefined

from services.kit import faults
from services.kit.language import Language, Words

LONGEST_PATH = 100  # characters: names of unknown fields are the caller's own
_MISSING = Words("a value is needed", "une valeur est requise")
_UNKNOWN = Words("this field is unknown; leave it out", "ce champ est inconnu; retirez-le")
_OBJECT = Words("send an object with named fields", "envoyez un objet aux champs nommés")
_ONE_OF = Words("give exactly one of {names}", "donnez un seul de ces champs : {names}")
_ONE_OF_TYPE = Words("give exactly one of the fields of {name}", "donnez un seul des champs de {name}")
_ENUM = Words("send one of {names}", "envoyez l’une de ces valeurs : {names}")
_OTHER = Words("send a value of type {name}", "envoyez une valeur de type {name}")
_FORMS = {
    "Int": Words(
        "send a whole number from -2147483648 to 2147483647", "envoyez un nombre entier de -2147483648 à 2147483647"
    ),
    "Float": Words("send a number", "envoyez un nombre"),
    "String": Words("send a text", "envoyez un texte"),
    "ID": Words("send a text", "envoyez un texte"),
    "Boolean": Words("send true or false", "envoyez true ou false"),
    "Date": Words("send a date such as 2026-11-25", "envoyez une date comme 2026-11-25"),
    "DateTime": Words(
        "send a date and time such as 2026-11-25T14:30:00-05:00",
        "envoyez une date et une heure comme 2026-11-25T14:30:00-05:00",
    ),
}


@dataclass(frozen=True, slots=True)
class Misfit:
    """One value that does not fit. `path` begins with the variable's name, as in `input.address.city`."""

    path: str
    remedy: Words
    line: int
    column: int

    def as_error(self, correlation_id: str, language: Language) -> dict[str, Any]:
        """The GraphQL error that tells of it: BAD_USER_INPUT, located, naming the field."""
        details = {f"detail_{half}": f"{self.path}: {getattr(self.remedy, half)}" for half in ("en", "fr")}
        error = faults.as_error(faults.BAD_USER_INPUT, correlation_id, details, language=language, field=self.path)
        error["locations"] = [{"line": self.line, "column": self.column}]
        return error


def misfits(
    schema: GraphQLSchema,
    definitions: Collection[VariableDefinitionNode],
    given: dict[str, Any],
    most: int,
    *,
    suggest: bool = True,
) -> list[Misfit]:
    """The first `most` values that their variables' types refuse; empty where only a default value is at fault.

    With `suggest`, the values of an enum and the fields of which one is to be chosen are named.
    """
    found: list[Misfit] = []
    for definition in definitions:
        name = definition.variable.name.value
        value = given.get(name, Undefined)
        if value is Undefined and definition.default_value is not None:
            continue
        expected: Any = type_from_ast(schema, definition.type)
        place = definition.loc.start_token if definition.loc else None
        for path, remedy in _within(value, expected, name, suggest):
            line, column = (place.line, place.column) if place else (1, 1)
            found.append(Misfit(path[:LONGEST_PATH], remedy, line, column))
            if len(found) == most:
                return found
    return found


def _within(value: Any, expected: GraphQLInputType, path: str, suggest: bool) -> Iterator[tuple[str, Words]]:
    """What does not fit in a value, each with its path. Source: GraphQL specification, section 3, input coercion."""
    if isinstance(expected, GraphQLNonNull):
        if value is None or value is Undefined:
            yield path, _MISSING
        expected = expected.of_type
    if value is None or value is Undefined:
        return
    if isinstance(expected, GraphQLList):
        items = enumerate(value) if isinstance(value, list) else ()
        for index, item in items:
            yield from _within(item, expected.of_type, f"{path}.{index}", suggest)
        if not isinstance(value, list):  # one value stands for a list of one
            yield from _within(value, expected.of_type, path, suggest)
    elif isinstance(expected, GraphQLInputObjectType):
        yield from _within_object(value, expected, path, suggest)
    elif not _fits(value, expected):
        yield path, _form(expected, suggest)


def _within_object(
    value: Any, expected: GraphQLInputObjectType, path: str, suggest: bool
) -> Iterator[tuple[str, Words]]:
    if not isinstance(value, dict):
        yield path, _OBJECT
        return
    for name, field in expected.fields.items():
        if name in value or is_required_input_field(field):
            yield from _within(value.get(name, Undefined), field.type, f"{path}.{name}", suggest)
    yield from ((f"{path}.{name}", _UNKNOWN) for name in value if name not in expected.fields)
    if expected.is_one_of and (len(value) != 1 or None in value.values()):
        yield (
            path,
            _ONE_OF.filled(names=", ".join(expected.fields)) if suggest else _ONE_OF_TYPE.filled(name=expected.name),
        )


def _fits(value: Any, expected: GraphQLLeafType) -> bool:
    try:
        return expected.coerce_input_value(value) is not Undefined
    except Exception:  # a scalar says no in its own way
        return False


def _form(expected: GraphQLLeafType, suggest: bool) -> Words:
    if isinstance(expected, GraphQLEnumType) and suggest:
        return _ENUM.filled(names=", ".join(expected.values))
    return _FORMS.get(expected.name) or _OTHER.filled(name=expected.name)
