"""Nothing is set that is not one's to set: no column that an input does not name, no owner but the caller, nobody's answer
under somebody else's idempotency key, and nothing of what a representation says beside its key.

Source: OWASP API Security 2023, API3 (broken object property level authorization).
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import graphql
import pytest
from pydantic.alias_generators import to_camel
from sqlalchemy import text

from clusters.access import access
from services.kit.testing import tokens
from services.kit.testing.client import Client
from services.kit.testing.database import Template, app_url, rolled_back
from tests.architecture.test_layout import SERVICES
from tests.rights.test_matrix import tried
from tests.rights.trying import STRANGER, Case, Json, Things, World

PERSONS = ("citizen", "inspector", "ministry_administrator", STRANGER)
# Whose a row is, by the column that says so: the mutation that makes the row, its maker's role and the statement that finds it.
OWNERS = {
    "reserveName": ("citizen", "SELECT reserved_by FROM held_name WHERE name LIKE 'Quiet Harbour Tea%'"),
    "draftApplication": ("citizen", "SELECT applicant FROM application ORDER BY created_at DESC LIMIT 1"),
    "submitApplication": ("citizen", "SELECT registered_by FROM business ORDER BY registered_at DESC LIMIT 1"),
    "offerTransfer": ("citizen", "SELECT offered_by FROM business_transfer ORDER BY offered_at DESC LIMIT 1"),
    "scheduleInspection": ("inspector", "SELECT by FROM transition ORDER BY at DESC LIMIT 1"),
    "setLanguage": ("citizen", "SELECT subject FROM profile ORDER BY changed_at DESC LIMIT 1"),
    "addChannel": ("citizen", "SELECT subject FROM channel ORDER BY added_at DESC LIMIT 1"),
    "offerDelegation": ("citizen", "SELECT grantor FROM delegation ORDER BY offered_at DESC LIMIT 1"),
    "giveConsent": ("citizen", "SELECT subject FROM consent ORDER BY begins DESC LIMIT 1"),
    "publishMeasure": (
        "ministry_administrator",
        "SELECT published_by FROM measuredresult ORDER BY published_at DESC LIMIT 1",
    ),
}


@pytest.fixture
def template_name(service: str, template_of: Callable[[str], Template]) -> Template:
    return template_of(service)


@pytest.fixture
async def world(service: str, postgres_url: str, template_name: Template) -> AsyncIterator[World]:
    async with rolled_back(app_url(postgres_url, template_name)) as database:
        yield await tried(service).world(
            Client(import_module(f"services.{service}.service").service, database), PERSONS
        )


def columns(service: str) -> set[str]:
    """The columns of a service's tables, as an input would name them."""
    metadata = import_module(f"services.{service}.models").Row.metadata
    return {to_camel(column.name) for table in metadata.tables.values() for column in table.columns}


def mutations(service: str) -> list[str]:
    """The mutations of a service."""
    return [n for n, case in tried(service).CASES.items() if "mutation" in case.text and "." not in n]


@pytest.mark.parametrize("service", [s for s in SERVICES if mutations(s)])
class TestEveryInput:
    async def test_takes_no_column_that_it_does_not_name(self, service: str, world: World) -> None:
        before = await world.mark()
        for name in mutations(service):
            case = tried(service).CASES[name]
            sound = case.variables(world.things[STRANGER])["input"]
            for step in (None, *(key for key, value in sound.items() if isinstance(value, dict))):
                more = with_extra(sound, step, columns(service) - accepted(service, name, step))
                answer = await world.asks(OWNERS.get(name, ("inspector",))[0], replace(case, variables=more), {})
                assert set(answer.codes) == {"BAD_USER_INPUT"}, (name, step, answer.body)
        assert await world.mark() == before

    async def test_makes_rows_of_its_caller_alone(self, service: str, world: World) -> None:
        for name in (n for n in mutations(service) if n in OWNERS):
            role, statement = OWNERS[name]
            undo = await world.database.connection.begin_nested()
            answer = await world.asks(role, tried(service).CASES[name], own_or_foreign(world, name, role))
            owner = (await world.database.connection.execute(text(statement))).scalar_one()
            await undo.rollback()
            assert "Refused" not in str(answer.data), answer.body
            assert owner == tokens.subject_of(role), name

    async def test_is_answered_by_its_callers_own_act_under_a_key_that_somebody_else_has_used(
        self, service: str, world: World
    ) -> None:
        for name in (n for n in mutations(service) if n in OWNERS and n not in ("reserveName", "setLanguage")):
            case, (role, _) = tried(service).CASES[name], OWNERS[name]
            undo = await world.database.connection.begin_nested()
            first = await world.asks(role, case, own_or_foreign(world, name, role))
            before = await world.mark()
            second = await asked_by_another(world, case, name, role)
            changed = await world.mark() != before
            await undo.rollback()
            assert second.data != first.data or service == "catalogue", name
            assert changed is (second.data[name]["__typename"] != "Refused"), name


class TestARepresentation:
    @pytest.mark.parametrize("service", ["business_registration"])
    async def test_says_nothing_of_whose_something_is(self, service: str, world: World) -> None:
        me, theirs = tokens.subject_of("citizen"), world.things[STRANGER]
        claims = {"registeredBy": me, "applicant": me, "record": {"registered_by": me, "applicant": me}}
        for name, key in (
            ("Application", {"id": theirs["application"]}),
            ("Business", {"businessNumber": theirs["business"]}),
        ):
            selected = f"query ($r: [_Any!]!) {{ _entities(representations: $r) {{ ... on {name} {{ address {{ city }} }} }} }}"
            reference = {"__typename": name, **key, **claims}
            answer = await world.asks("citizen", Case(selected, given(r=[reference])), {})
            assert "Toronto" not in str(answer.body)


def accepted(service: str, mutation: str, step: str | None) -> set[str]:
    """The names that a mutation's input takes, or those of an input within it."""
    schema = import_module(f"services.{service}.service").service.schema
    kind: Any = graphql.get_named_type(schema.mutation_type.fields[mutation].args["input"].type)
    return set((kind if step is None else graphql.get_named_type(kind.fields[step].type)).fields)


def with_extra(sound: Json, step: str | None, names: set[str]) -> Callable[[Things], Json]:
    """A sound input with more fields, at its top or within."""
    extra = dict.fromkeys(sorted(names), "x")
    return given(input={**sound, **extra} if step is None else {**sound, step: {**sound[step], **extra}})


def given(**variables: Any) -> Callable[[Things], Json]:
    """The same variables whoever's things are asked for."""
    return lambda _: variables


def own_or_foreign(world: World, name: str, role: str) -> Any:
    """The things that a mutation is about which makes something: an inspector's visits are to others' businesses."""
    return world.things[STRANGER if name == "scheduleInspection" else role]


async def asked_by_another(world: World, case: Case, name: str, role: str) -> Any:
    """The same request, with the same key, of another person in the same role."""
    scopes, variables = access().roles[role], case.variables(own_or_foreign(world, name, role))
    claims = {"realm_access": {"roles": [role]}, **tokens.works_for("labour"), **tokens.second_factor()}
    return await world.client.run(case.text, *scopes, username="another", variables=variables, claims=claims)
