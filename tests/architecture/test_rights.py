"""The table of rights is whole: a row for everything that needs one, none for what is gone. `tests/rights` tries its cells."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import graphql
import pytest

from clusters.rights import ALLOWED, FORBIDDEN, UNAUTHENTICATED, Row, rights, roles
from gateway.engine.api_schema import named_type
from services.kit.personal import NAME
from services.kit.properties import only
from tests.architecture.test_layout import SERVICES
from tests.architecture.test_personal_data import is_external, mark, service_of, types

ROOTS = ("Query", "Mutation", "Subscription")
GUARDS = {"authenticated", "requiresScopes", "policy", NAME}


@cache
def required(service: str) -> frozenset[str]:
    """What needs a row: root fields, and types and fields that are guarded or about people."""
    return frozenset(coordinate for coordinate, needs_row in things(service) if needs_row)


def things(service: str) -> Iterator[tuple[str, bool]]:
    """Everything that a row can stand for, properties of inputs included, and whether it must."""
    for node in types(service):
        name = node.name.value
        if name not in ROOTS:
            yield name, is_guarded(node)
        for field in node.fields or ():
            if not field.name.value.startswith("_") and not is_external(field):
                coordinate = field.name.value if name in ROOTS else f"{name}.{field.name.value}"
                yield coordinate, name in ROOTS or is_guarded(field)
    for model in service_of(service).inputs:
        for name, given in model.model_fields.items():
            yield f"{model.__name__}.{given.alias}", only(model, name) is not None


def is_guarded(node: graphql.ObjectTypeDefinitionNode | graphql.FieldDefinitionNode) -> bool:
    return any(directive.name.value in GUARDS for directive in node.directives or ())


def policies(node: graphql.FieldDefinitionNode) -> set[str]:
    """The names in a field's `@policy`."""
    asked = (d for d in node.directives or () if d.name.value == "policy")
    told = (graphql.value_from_ast_untyped(a.value) for d in asked for a in d.arguments or ())
    return {name for alternatives in told for alternative in alternatives for name in alternative}


def rows(service: str) -> dict[str, Row]:
    return {row.name: row for row in rights().values() if row.service == service}


class TestTheTable:
    @pytest.mark.parametrize("service", SERVICES)
    def test_has_a_row_for_every_operation_and_every_guarded_or_personal_field(self, service: str) -> None:
        missing = sorted(required(service) - rows(service).keys())
        assert missing == [], (
            f"say in clusters/rights.toml who may: a table [{service}.{missing[0]}] (quoted if it holds a dot) with public = "
            "{en, fr}, with own and foreign (or any) as { allowed = [roles], absent = [roles] }, or within = [rows]; then try it "
            f"in tests/rights/{service}.py and run `onedoor compose`"
        )

    @pytest.mark.parametrize("service", SERVICES)
    def test_has_no_row_for_what_is_not_there(self, service: str) -> None:
        gone = sorted(rows(service).keys() - {coordinate for coordinate, _ in things(service)})
        assert gone == [], "take these rows out of clusters/rights.toml"

    def test_speaks_of_services_that_there_are(self) -> None:
        assert {row.service for row in rights().values()} == set(SERVICES)

    @pytest.mark.parametrize("service", SERVICES)
    def test_names_the_category_that_the_schema_marks(self, service: str) -> None:
        marked = {}
        for node in types(service):
            name = node.name.value
            marked[name] = mark(node)
            for field in node.fields or ():
                marked[field.name.value if name in ROOTS else f"{name}.{field.name.value}"] = mark(field)
        kinds = {name: (m["category"], bool(m.get("public"))) for name, m in marked.items() if m}
        said = {name: (row.personal, row.public is not None) for name, row in rows(service).items() if row.personal}
        assert said == kinds

    @pytest.mark.parametrize("service", SERVICES)
    def test_names_the_policy_that_the_schema_asks_for(self, service: str) -> None:
        asked = {}
        for node in types(service):
            for field in node.fields or ():
                name = field.name.value if node.name.value in ROOTS else f"{node.name.value}.{field.name.value}"
                if found := policies(field):
                    asked[name] = found
        assert {name: {row.policy} for name, row in rows(service).items() if row.policy} == asked

    @pytest.mark.parametrize("service", SERVICES)
    def test_what_is_within_others_is_reached_through_them_alone(self, service: str) -> None:
        """Every field that gives a type about people stands in a row, or its own type does, that the type's row names."""
        table = rows(service)
        for node in types(service):
            for field in node.fields or ():
                row = table.get(named_type(field.type))
                if row is None or not row.within or is_external(field):
                    continue
                for ways in ways_to(service, node, field):
                    assert ways & set(row.within), f"{row}: also reached through {sorted(ways)}"


def ways_to(service: str, node: Any, field: Any) -> Iterator[set[str]]:
    """The rows of which one says who may come by a field. A page and its edges are no way of their own."""
    if not node.name.value.endswith(("Edge", "Connection")):
        root = {field.name.value} if node.name.value == "Query" else set()
        yield {f"{node.name.value}.{field.name.value}", node.name.value} | root
        return
    for other in types(service):
        for leading in other.fields or ():
            if named_type(leading.type) == node.name.value:
                yield from ways_to(service, other, leading)


class TestTheReadingOfARow:
    def test_everybody_has_what_is_public_and_who_is_not_named_is_refused(self) -> None:
        public, guarded = rights()["business_registration.nameCheck"], rights()["business_registration.application"]
        assert {public.outcome("any", role) for role in roles()} == {ALLOWED}
        assert guarded.outcome("own", "nobody") == UNAUTHENTICATED
        assert guarded.outcome("own", "auditor") == FORBIDDEN

    def test_no_row_but_a_public_one_is_open_to_all_or_closed_to_all(self) -> None:
        """But for people's own accounts, which they have whatever their role."""
        for row in rights().values():
            found = {row.outcome(relation, role) for relation in row.outcomes for role in roles()}
            closed = UNAUTHENTICATED in found and (FORBIDDEN in found or row.service == "accounts")
            assert row.public or row.within or closed, row
            assert row.public or row.within or ALLOWED in found, row

    def test_another_ministrys_staff_get_less_than_the_own_where_the_row_says_so_and_else_as_much(self) -> None:
        divided = {str(row): row for row in rights().values() if row.other_ministry}
        assert len(divided) > 1
        for name, row in divided.items():
            usual = "foreign" if "foreign" in row.outcomes else "any"
            less = [role for role in roles() if row.of_another_ministry(role) != row.outcome(usual, role)]
            assert less == [role for role in roles() if row.outcome(usual, role) == ALLOWED] != [], name
        assert rights()["business_registration.application"].of_another_ministry("inspector") == ALLOWED
