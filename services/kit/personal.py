"""Which fields are about people: `@personalData(category:, public:)`, carried into the supergraph by @composeDirective.

The gateway neither keeps nor shares an answer that holds one; the table of rights has a row for each (`clusters/rights.toml`).
Categories are those of `clusters/personal_data.toml`. `public` are facts of a public register: named after people at times, and
open to everybody by law all the same.
"""

from collections.abc import Callable, Iterable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

import strawberry
from graphql import GraphQLField, GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema, get_named_type, is_abstract_type
from strawberry.federation.schema_directive import schema_directive
from strawberry.schema_directive import Location
from strawberry.types.unset import UNSET

if TYPE_CHECKING:
    from services.kit.operation import Operation

NAME = "personalData"


@schema_directive(
    locations=[Location.FIELD_DEFINITION, Location.OBJECT],
    name=NAME,
    compose=True,
    import_url="https://onedoor.example/specs/personalData/v1.0",
)
class PersonalData:
    """About a person, and in which way."""

    category: str
    public: bool | None = UNSET


def personal(category: str, *, public: bool = False) -> Any:
    """Marks a field where its type is written: `partners: Annotated[list[str], personal("identity")]`."""
    return strawberry.field(directives=[PersonalData(category=category, public=public or UNSET)])


def personal_directive(category: str | None) -> list[object]:
    """`@personalData` of a category, or nothing."""
    return [PersonalData(category=category)] if category else []


def watch(schema: GraphQLSchema) -> None:
    """Have each field that gives data about people say so to its operation (`Operation.shown`), whose answer leaves only if they
    are noted. Facts of a public register need no note."""
    types = [kind for kind in schema.type_map.values() if isinstance(kind, GraphQLObjectType)]
    categories = {_definition(kind).origin: category for kind in types if (category := _category(kind))}
    personal_types = {kind.name for kind in types if _category(kind)}
    for kind in types:
        for given in kind.fields.values():
            named = get_named_type(given.type)
            possible = schema.get_possible_types(named) if is_abstract_type(named) else [named]
            below = categories if any(each.name in personal_types for each in possible) else {}
            category = _category(given)
            if category or below:
                given.resolve = _watched(given, category, below)


def _watched(given: GraphQLField, category: str | None, below: "dict[type, str]") -> Callable[..., Any]:
    """A field's resolver, which says the category of the field itself and those of the objects that it gives."""
    resolve = given.resolve
    assert resolve is not None  # noqa: S101 - Strawberry gives every field one

    def say(operation: "Operation", value: Any) -> Any:
        if value is not None:
            if category:
                operation.shown.add(category)
            for one in value if isinstance(value, list) else (value,):
                if (found := below.get(type(one))) is not None:
                    operation.shown.add(found)
        return value

    async def when_done(operation: "Operation", value: Any) -> Any:
        return say(operation, await value)

    def watched(source: Any, info: "GraphQLResolveInfo[Operation]", **arguments: Any) -> Any:
        value = resolve(source, info, **arguments)
        return when_done(info.context, value) if isawaitable(value) else say(info.context, value)

    return watched


def _category(marked: GraphQLObjectType | GraphQLField) -> str | None:
    """The category that a type or field is marked with, unless it is public."""
    definition = _definition(marked)
    directives: Iterable[object] = getattr(definition, "directives", None) or ()
    return next((d.category for d in directives if isinstance(d, PersonalData) and d.public is not True), None)


def _definition(marked: GraphQLObjectType | GraphQLField) -> Any:
    return marked.extensions.get("strawberry-definition")
