"""Who may do what, as rules: every operation of every service against every role of `clusters/access.toml`.

What an operation asks for is read from its service's schema, what a role holds from `access.toml`; each pair is then tried
on the running schema, through the service's real view, with a token of a demo user. Denied by default: an operation
without a scope must stand on the list of public ones below, with the reason.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import graphql
import orjson
import pytest
from sqlmodel import SQLModel

from clusters.access import access
from services.kit.entities import Entity
from services.kit.service import Service
from services.kit.testing import tokens
from services.kit.testing.client import Client
from services.kit.testing.database import rolled_back, url_of
from tests.architecture.test_layout import SERVICES

ROOTS = ("Query", "Mutation", "Subscription")
DENIED = {"UNAUTHENTICATED", "FORBIDDEN"}

PUBLIC: Mapping[str, str] = {
    "business_registration.nameCheck": "whether a name is free is asked before anybody signs in",
    "business_registration.business": "the register's facts are public; a business's address and programs are not",
    "inspections.checklists": "what an inspector looks at is published, so that a business can prepare",
    "inspections.premises": "results of food inspections are published, as the city does",
    "inspections.inspectedPremises": "results of food inspections are published, as the city does",
    "information_referral.service": "where help is: public by purpose",
    "information_referral.organization": "where help is: public by purpose",
    "information_referral.location": "where help is: public by purpose",
    "information_referral.findServices": "where help is: public by purpose; nothing about the asker is kept",
    "catalogue.clusters": "who delivers what is public",
    "catalogue.cluster": "who delivers what is public",
    "catalogue.ministry": "who delivers what is public",
    "catalogue.governmentService": "what is promised and what was achieved is published",
}
ELSEWHERE: Mapping[str, str] = {
    "business:read-all": "asked for beside the row: it widens `business:read` from one's own files to all",
    "referral:edit": "reserved for the directory's editors; nothing can be edited there yet but by import",
    "operations:read": "asked for by what watches the running system, which is no operation of a service",
}


@dataclass(frozen=True)
class Guarded:
    """A field that can be asked for: `place` is its type, or the service for a root field."""

    service: str
    type_name: str
    field: str
    scopes: frozenset[str]

    def __str__(self) -> str:
        where = self.service if self.type_name in ROOTS else f"{self.service}.{self.type_name}"
        return f"{where}.{self.field}" if self.field else where


@cache
def service_of(name: str) -> Service:
    found: Service = import_module(f"services.{name}.service").service
    return found


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
KEYED = [g for g in ALL if g.type_name not in ROOTS and g.type_name in service_of(g.service).entities]


class TestEveryOperation:
    def test_there_are_operations(self) -> None:
        assert len(OPERATIONS) > 20

    def test_each_asks_for_a_scope_or_is_public_for_a_reason(self) -> None:
        assert {str(g) for g in OPERATIONS if not g.scopes} == PUBLIC.keys()

    def test_no_mutation_is_public(self) -> None:
        assert [str(g) for g in OPERATIONS if g.type_name == "Mutation" and not g.scopes] == []

    def test_each_scope_is_one_that_the_roles_are_made_of(self) -> None:
        assert {scope for g in ALL for scope in g.scopes} <= access().scopes.keys()

    def test_each_is_open_to_some_role_and_closed_to_another(self) -> None:
        for guarded in (g for g in ALL if g.scopes):
            openings = {guarded.scopes <= set(scopes) for scopes in access().roles.values()}
            assert openings == {True, False}, str(guarded)

    def test_each_scope_is_asked_for_or_has_its_place_elsewhere(self) -> None:
        used = {scope for g in ALL for scope in g.scopes}
        assert access().scopes.keys() - used <= ELSEWHERE.keys()

    def test_no_public_operation_leads_straight_to_a_protected_type(self) -> None:
        for guarded in (g for g in OPERATIONS if not g.scopes):
            schema = service_of(guarded.service).schema
            returned = graphql.get_named_type(schema.type_map[guarded.type_name].fields[guarded.field].type)  # type: ignore[attr-defined]
            assert str(returned) not in {g.type_name for g in guards(guarded.service) if not g.field}


class TestEveryRole:
    @pytest.mark.parametrize("guarded", OPERATIONS, ids=str)
    async def test_an_operation_is_open_to_the_roles_that_hold_its_scope_alone(
        self, guarded: Guarded, client: Client
    ) -> None:
        assert await answered(client, operation(guarded)) == allowed(guarded)

    @pytest.mark.parametrize("guarded", KEYED, ids=str)
    async def test_a_protected_part_of_an_entity_is_open_to_the_roles_that_hold_its_scope_alone(
        self, guarded: Guarded, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        entity = service_of(guarded.service).entities[guarded.type_name]
        if guarded.field and not entity.foreign:  # an entity's own field is asked of one that is there
            monkeypatch.setattr(Entity, "find", lambda self, *_: blank(self))
        reference = {"__typename": entity.name, **dict.fromkeys(entity_keys(entity), "x")}
        assert await answered(client, reaching(guarded), [reference]) == allowed(guarded)

    def test_every_protected_type_is_tried(self) -> None:
        """A protected type that no entity is would be reached by none of the above."""
        assert {str(g) for g in ALL if g.type_name not in ROOTS} == {str(g) for g in KEYED}


class TestTheRulesThemselves:
    def test_a_table_of_rights_has_every_role_and_the_stranger(self) -> None:
        guarded = Guarded("x", "Mutation", "y", frozenset({"catalogue:edit"}))
        assert {role for role, may in allowed(guarded).items() if may} == {"ministry_administrator"}
        assert "nobody" in allowed(guarded)

    def test_scopes_are_read_from_a_schema(self) -> None:
        (definition,) = graphql.parse('type A @requiresScopes(scopes: [["b", "c"]]) { d: Int }').definitions
        assert isinstance(definition, graphql.ObjectTypeDefinitionNode)
        assert asked(definition) == {"b", "c"}


def allowed(guarded: Guarded) -> dict[str, bool]:
    """What the files say: role → whether it may; `nobody` is not signed in."""
    return {"nobody": not guarded.scopes, **{r: guarded.scopes <= set(held) for r, held in access().roles.items()}}


async def answered(client: Client, text: str, references: list[dict[str, Any]] | None = None) -> dict[str, bool]:
    """What the service does: role → whether it lets it."""
    seen = {}
    users = {user.role: user for user in access().users.values()}
    for role in ("nobody", *access().roles):
        headers = {"content-type": "application/json"}
        if role != "nobody":
            held, user = access().roles[role], users[role]
            token = tokens.token(*held, username=user.name, audience=client.audience, realm_access={"roles": [role]})
            headers["authorization"] = f"Bearer {token}"
        body = {"query": text, "variables": {"r": references} if references else {}}
        answer = await client.post(orjson.dumps(body), headers)
        assert answer.status == 200, answer.body
        told = orjson.dumps(answer.body).decode()
        codes = {code for code in DENIED if code in told}
        assert "INTERNAL_FAULT" not in told or references, told
        assert codes <= {"UNAUTHENTICATED" if role == "nobody" else "FORBIDDEN"}, (role, told)
        seen[role] = not codes
    return seen


def operation(guarded: Guarded) -> str:
    """The smallest operation that asks for a root field."""
    schema = service_of(guarded.service).schema
    return f"{guarded.type_name.lower()} {{ {selected(schema, guarded)} }}"


def reaching(guarded: Guarded) -> str:
    """The smallest operation that asks for a part of an entity, or for the entity."""
    part = selected(service_of(guarded.service).schema, guarded) if guarded.field else "__typename"
    return f"query ($r: [_Any!]!) {{ _entities(representations: $r) {{ ... on {guarded.type_name} {{ {part} }} }} }}"


def selected(schema: graphql.GraphQLSchema, guarded: Guarded) -> str:
    field = schema.type_map[guarded.type_name].fields[guarded.field]  # type: ignore[attr-defined]
    given = ", ".join(f"{n}: {literal(a.type)}" for n, a in field.args.items() if graphql.is_required_argument(a))
    inside = "" if graphql.is_leaf_type(graphql.get_named_type(field.type)) else " { __typename }"
    return guarded.field + (f"({given})" if given else "") + inside


def literal(given: Any) -> str:
    """Some value of an input type."""
    kind = graphql.get_nullable_type(given)
    if graphql.is_list_type(kind):
        return "[]"
    if graphql.is_enum_type(kind):
        return str(next(iter(kind.values)))
    if graphql.is_input_object_type(kind):
        fields = (f"{n}: {literal(f.type)}" for n, f in kind.fields.items() if graphql.is_required_input_field(f))
        return "{" + ", ".join(fields) + "}"
    known = {"Int": "1", "Float": "1", "Boolean": "true", "Date": '"2026-01-01"', "DateTime": '"2026-01-01T00:00:00Z"'}
    return known.get(kind.name, '"x"')


def entity_keys(entity: Entity) -> Iterator[str]:
    from pydantic.alias_generators import to_camel

    return (to_camel(key) for key in entity.keys)


async def blank(entity: Entity) -> Any:
    """An instance that knows nothing: what it is asked for fails, but only after the question of rights."""
    made: Any = entity.cls.model_construct() if issubclass(entity.cls, SQLModel) else object.__new__(entity.cls)
    return made


@pytest.fixture
def template_name(request: pytest.FixtureRequest, template_of: Callable[[str], str]) -> str:
    return template_of(request.getfixturevalue("guarded").service)


@pytest.fixture
async def client(guarded: Guarded, postgres_url: str, template_name: str) -> AsyncIterator[Client]:
    """A client of the service that the test is about, on its migrated and empty database."""
    async with rolled_back(url_of(postgres_url, template_name)) as database:
        yield Client(service_of(guarded.service), database)
