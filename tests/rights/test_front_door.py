"""The same cells asked at the front door: the gateway plans and refuses early, the owner behind it answers from its real rows."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson
import pytest

from clusters.rights import NOBODY, rights
from clusters.topology import SUPERGRAPH
from gateway.access_log import AccessLog
from gateway.callers import Callers
from gateway.departures import Departures
from gateway.documents import Documents
from gateway.engine.execution import Request
from gateway.engine.supergraph import load_supergraph
from gateway.exchange import Exchange
from gateway.operations import Operations
from gateway.pipeline import Pipeline
from gateway.settings import Limits, Settings
from services.kit.settings import Mode
from services.kit.testing import tokens
from services.kit.testing.client import Answer, Client, purposeful
from services.kit.testing.database import Template, app_url, rolled_back
from tests.gateway.conftest import Answers, Door
from tests.rights.test_matrix import tried
from tests.rights.trying import Case, Things, World, delegate, differences, people, token_of

ASKED_AT_THE_DOOR = ("query", "mutation", "{")


class Owner(Answers):
    """The subgraphs, of which one is there: a service without a wire."""

    def __init__(self, client: Client) -> None:
        super().__init__({})
        self._client = client

    async def fetch(self, request: Request, headers: bytes, deadline: float, exchange: Exchange) -> Any:
        """The owner's answer to a planned fetch, with the caller's token passed on as the gateway passes it."""
        assert request.fetch.subgraph == self._client.service.name
        lines = dict(line.split(b": ", 1) for line in headers.split(b"\r\n") if line)
        passed = {name.decode(): value.decode("latin-1") for name, value in lines.items()}
        answer = await self._client.post(
            request.body, {"onedoor-purpose": "", **passed, "content-type": "application/json"}
        )
        return orjson.loads(orjson.dumps(answer.body))


@dataclass
class FrontDoor(World):
    """A world that is asked through the gateway."""

    door: Door | None = None
    refused_before = frozenset({"FORBIDDEN"})  # what no citizen may, nobody may for a citizen

    async def asks(self, role: str, case: Case, things: Things, **headers: str) -> Answer:
        assert self.door is not None
        sent = case.purposed(headers)
        if role != NOBODY:
            sent.setdefault("authorization", f"Bearer {token_of(role)}")
        reply = await self.door.post(case.text, purposeful(sent), variables=case.variables(things))
        return Answer(reply.status, reply.body)


@pytest.fixture
def template_name(service: str, template_of: Callable[[str], Template]) -> Template:
    return template_of(service)


@pytest.fixture
async def front_door(service: str, postgres_url: str, template_name: Template) -> AsyncIterator[FrontDoor]:
    async with rolled_back(app_url(postgres_url, template_name)) as database:
        client = Client(import_module(f"services.{service}.service").service, database)
        world = await tried(service).world(client, people())
        await delegate(world)
        yield FrontDoor(client, world.things, opened(client))


def opened(client: Client) -> Door:
    """A gateway over the province's supergraph."""
    settings = Settings(Path("unread"), Mode.TEST)
    supergraph = load_supergraph(SUPERGRAPH.read_text(encoding="utf-8"))
    known = Operations(supergraph, Documents({}, only_trusted=False), Limits(), remembered=99, shows_schema=False)
    owner, callers = Owner(client), Callers(tokens.verifier("onedoor"), settings)
    return Door(Pipeline(known, owner, callers, settings, Departures(), AccessLog(enabled=False)), owner, settings)


@pytest.mark.stack
class TestTheFrontDoor:
    @pytest.mark.parametrize("service", ["business_registration", "inspections", "catalogue", "accounts"])
    async def test_answers_each_operation_as_the_table_says(self, service: str, front_door: FrontDoor) -> None:
        cases = {
            n: c
            for n, c in tried(service).CASES.items()
            if c.text.startswith(ASKED_AT_THE_DOOR) and "_Any" not in c.text
        }
        assert len(cases) > 1
        found = [
            await differences(front_door, rights()[f"{service}.{n}"], case, every=False) for n, case in cases.items()
        ]
        assert [difference for row in found for difference in row] == []
