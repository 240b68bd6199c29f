"""Every cell of the table of rights, tried on its service with a real token and real rows."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from typing import Protocol, cast

import pytest

from clusters.access import access
from clusters.rights import ALLOWED, rights, roles
from services.kit.testing.client import Client
from services.kit.testing.database import Template, app_url, rolled_back
from tests.architecture.test_layout import SERVICES
from tests.rights.trying import STRANGER, Case, World, delegate, differences, people


class Tried(Protocol):
    """What a module of this folder says of its service."""

    CASES: Mapping[str, Case]
    world: Callable[[Client, Sequence[str]], Awaitable[World]]


def tried(service: str) -> Tried:
    return cast(Tried, import_module(f"tests.rights.{service}"))


@pytest.fixture
def template_name(service: str, template_of: Callable[[str], Template]) -> Template:
    return template_of(service)


@pytest.fixture
async def world(service: str, postgres_url: str, template_name: Template) -> AsyncIterator[World]:
    """A service on its migrated database, with everybody's things in it."""
    async with rolled_back(app_url(postgres_url, template_name)) as database:
        declared = import_module(f"services.{service}.service").service
        made = await tried(service).world(Client(declared, database), people())
        await delegate(made)
        yield made


@pytest.mark.parametrize("service", SERVICES)
class TestEveryRow:
    def test_is_tried(self, service: str) -> None:
        """But for those whose things are reached through others alone."""
        wanted = {row.name for row in rights().values() if row.service == service and not row.within}
        assert wanted == tried(service).CASES.keys()

    async def test_holds_for_a_role_of_each_outcome(self, service: str, world: World) -> None:
        assert await found_different(service, world, every=False) == ""

    @pytest.mark.stack
    async def test_holds_in_each_cell(self, service: str, world: World) -> None:
        assert await found_different(service, world, every=True) == ""


class TestAPolicy:
    @pytest.mark.parametrize("service", sorted({row.service for row in rights().values() if row.policy}))
    async def test_is_asked_beside_the_role(self, service: str, world: World) -> None:
        """By a token that the role's own password alone has got."""
        for row in (r for r in rights().values() if r.service == service and r.policy):
            case, cells = tried(service).CASES[row.name], ((relation, r) for relation in row.outcomes for r in roles())
            relation, role = next(cell for cell in cells if row.outcome(*cell) == ALLOWED)
            before = await world.mark()
            variables = case.variables(world.things[role if relation == "own" else STRANGER])
            claims = {"realm_access": {"roles": [role]}, "acr": "1", "auth_time": int(time.time())}
            scopes = access().roles[role]
            answer = await world.client.run(case.text, *scopes, username=role, variables=variables, claims=claims)
            assert answer.codes == ["STEP_UP_REQUIRED"], row
            assert await world.mark() == before


async def found_different(service: str, world: World, *, every: bool) -> str:
    """What is not as the table says, a cell a line."""
    found = []
    for name, case in tried(service).CASES.items():
        found += await differences(world, rights()[f"{service}.{name}"], case, every=every)
    return "\n".join(found)
