"""What schemas ask for and what roles hold, as rules: read from each service's schema, from `clusters/access.toml` and from the
table of rights, and compared. `tests/rights` tries the same on running services, with real tokens and rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import graphql

from clusters.access import access
from clusters.rights import FORBIDDEN, Row, rights
from tests.architecture.test_layout import SERVICES
from tests.architecture.test_personal_data import service_of

ROOTS = ("Query", "Mutation", "Subscription")
ELSEWHERE: Mapping[str, str] = {
    "business:read-all": "asked for beside the row: it widens `business:read` from one's own files to all",
    "referral:edit": "reserved for the directory's editors; nothing can be edited there yet but by import",
    "audit:read": "reserved for auditors; there is no audit to read by an operation yet",
    "operations:read": "asked for by what watches the running system, which is no operation of a service",
}


@dataclass(frozen=True)
class Guarded:
    """A root field, or a type or field that asks for scopes; `field` is empty for a whole type."""

    service: str
    type_name: str
    field: str
    scopes: frozenset[str]

    def __str__(self) -> str:
        named = (self.field,) if self.type_name in ROOTS else (self.type_name, self.field)
        return ".".join(filter(None, (self.service, *named)))


@cache
def guards(name: str) -> tuple[Guarded, ...]:
    """Every root field of a service; and of its other types, those that ask for a scope, as whole or by field."""
    found = []
    for definition in graphql.parse(service_of(name).sdl()).definitions:
        if not isinstance(definition, graphql.ObjectTypeDefinitionNode):
            continue
        type_name = definition.name.value
        if whole := asked(definition):
            found.append(Guarded(name, type_name, "", whole))
        for field in definition.fields or ():
            if field.name.value.startswith("_"):
                continue
            if (scopes := asked(field)) or type_name in ROOTS:
                found.append(Guarded(name, type_name, field.name.value, scopes))
    return tuple(found)


def asked(node: graphql.ObjectTypeDefinitionNode | graphql.FieldDefinitionNode) -> frozenset[str]:
    """The scopes that a `@requiresScopes` asks for; all of them (the kit prints no alternatives)."""
    for directive in node.directives or ():
        if directive.name.value == "requiresScopes":
            (alternatives,) = (graphql.value_from_ast_untyped(a.value) for a in directive.arguments or ())
            (only,) = alternatives
            return frozenset(only)
    return frozenset()


ALL = [guarded for name in SERVICES for guarded in guards(name)]
OPERATIONS = [g for g in ALL if g.type_name in ROOTS]


class TestEveryOperation:
    def test_there_are_operations(self) -> None:
        assert len(OPERATIONS) > 20

    def test_each_asks_for_a_scope_or_is_public_for_a_reason(self) -> None:
        assert {str(g) for g in OPERATIONS if not g.scopes} == {str(g) for g in OPERATIONS if rights()[str(g)].public}

    def test_no_mutation_is_public(self) -> None:
        assert [str(g) for g in OPERATIONS if g.type_name == "Mutation" and not g.scopes] == []

    def test_no_public_operation_leads_straight_to_a_protected_type(self) -> None:
        for guarded in (g for g in OPERATIONS if not g.scopes):
            schema = service_of(guarded.service).schema
            returned = graphql.get_named_type(schema.type_map[guarded.type_name].fields[guarded.field].type)  # type: ignore[attr-defined]
            assert str(returned) not in {g.type_name for g in guards(guarded.service) if not g.field}


class TestEveryScope:
    def test_is_one_that_the_roles_are_made_of(self) -> None:
        assert {scope for g in ALL for scope in g.scopes} <= access().scopes.keys()

    def test_is_asked_for_or_has_its_place_elsewhere(self) -> None:
        used = {scope for g in ALL for scope in g.scopes}
        assert access().scopes.keys() - used <= ELSEWHERE.keys()

    def test_opens_what_asks_for_it_to_the_roles_that_the_table_names(self) -> None:
        for guarded in (g for g in ALL if g.scopes):
            holders = {role for role, held in access().roles.items() if guarded.scopes <= set(held)}
            assert holders == named(rights()[str(guarded)]), str(guarded)


class TestTheRulesThemselves:
    def test_scopes_are_read_from_a_schema(self) -> None:
        (definition,) = graphql.parse('type A @requiresScopes(scopes: [["b", "c"]]) { d: Int }').definitions
        assert isinstance(definition, graphql.ObjectTypeDefinitionNode)
        assert asked(definition) == {"b", "c"}


def named(row: Row) -> set[str]:
    """The roles that get anything but the general refusal, whosever the object is."""
    return {role for role in access().roles for relation in row.outcomes if row.outcome(relation, role) != FORBIDDEN}
