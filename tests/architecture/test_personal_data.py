"""Data about people: each field that is, or sounds, like it is marked with a reviewed category, or excepted for a reason."""

import re
from collections.abc import Iterator
from importlib import import_module

import graphql
import pytest
from pydantic.alias_generators import to_snake

from clusters.personal_data import personal_data
from gateway.engine.api_schema import named_type
from services.kit.personal import NAME
from services.kit.service import Service
from tests.architecture.test_layout import SERVICES

# Words of a field's name that speak of people, and of where and how they are found.
SOUNDS = re.compile(
    r"name|partner|owner|applicant|holder|subject|person|citizen|inspector|reviewer|registered_?by|birth|gender|sex|age|"
    r"address|street|postal|city|latitude|longitude|phone|mobile|fax|mail|contact|sin|number|account|income|health|language",
    re.IGNORECASE,
)
WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
NOT_ABOUT_PEOPLE = {"Text", "PageInfo", "Refused"}  # the kit's own


def service_of(name: str) -> Service:
    found: Service = import_module(f"services.{name}.service").service
    return found


def types(name: str) -> Iterator[graphql.ObjectTypeDefinitionNode]:
    for definition in graphql.parse(service_of(name).sdl()).definitions:
        if isinstance(definition, graphql.ObjectTypeDefinitionNode) and not definition.name.value.startswith("_"):
            yield definition


def mark(node: graphql.ObjectTypeDefinitionNode | graphql.FieldDefinitionNode) -> dict[str, object] | None:
    """The arguments of a node's `@personalData`, or None."""
    for directive in node.directives or ():
        if directive.name.value == NAME:
            return {a.name.value: graphql.value_from_ast_untyped(a.value) for a in directive.arguments or ()}
    return None


def sounds_personal(name: str) -> bool:
    return any(SOUNDS.fullmatch(word) for word in WORDS.findall(name))


def unmarked(name: str) -> Iterator[str]:
    """Fields that sound like a person's and are marked neither themselves nor with their whole type.

    What has fields of its own is judged by those; what another service owns, there.
    """
    schema = service_of(name).schema
    for node in types(name):
        type_name = node.name.value
        if type_name in NOT_ABOUT_PEOPLE or mark(node) is not None:
            continue
        entity = service_of(name).entities.get(type_name)
        keys = entity.keys if entity is not None and entity.foreign else ()
        for field in node.fields or ():
            kind = named_type(field.type)
            has_fields = kind != "Text" and graphql.is_composite_type(schema.type_map[kind])
            owned = to_snake(field.name.value) not in keys and not is_external(field)
            if owned and not has_fields and sounds_personal(field.name.value) and mark(field) is None:
                yield f"{name}.{type_name}.{field.name.value}"


def is_external(field: graphql.FieldDefinitionNode) -> bool:
    return any(d.name.value == "external" for d in field.directives or ())


def categories(name: str) -> set[object]:
    """Of all marks of a service."""
    types_marked = [mark(node) for node in types(name)]
    fields_marked = [mark(field) for node in types(name) for field in node.fields or ()]
    return {found["category"] for found in (*types_marked, *fields_marked) if found}


class TestEveryField:
    @pytest.mark.parametrize("name", SERVICES)
    def test_that_sounds_like_a_persons_is_marked_or_excepted(self, name: str) -> None:
        open_ones = [f for f in unmarked(name) if personal_data().excepts(*f.split(".")) is None]
        assert open_ones == [], "mark each with personal(…) in its service, or except it in clusters/personal_data.toml"

    def test_that_is_excepted_is_there_and_sounds_like_it(self) -> None:
        used = {personal_data().excepts(*field.split(".")) for name in SERVICES for field in unmarked(name)}
        assert personal_data().exceptions.keys() - used == set()


class TestCategories:
    @pytest.mark.parametrize("name", SERVICES)
    def test_of_marks_are_reviewed_ones(self, name: str) -> None:
        assert categories(name) <= personal_data().categories.keys()

    def test_each_is_used(self) -> None:
        assert set().union(*map(categories, SERVICES)) == personal_data().categories.keys()
