"""The journey in one process: issuer, four services, programs and gateway on one loop, over loopback, with databases of their
own and a NATS server of their own. Nothing is doubled; only the processes are missing."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest
import uvicorn
from anyio.from_thread import start_blocking_portal

from clusters import signin
from clusters.access import access
from clusters.issuer.app import create_app
from clusters.journeys.business import journey
from clusters.journeys.door import OPERATIONS, Door
from clusters.local import nats
from clusters.local.processes import free_port
from clusters.programs.__main__ import application as programs_application
from clusters.programs.answering import Programs
from clusters.programs.behaviour import Behaviours
from clusters.topology import REALM_PATH, SERVICES, SUPERGRAPH
from gateway import app as gateway
from gateway.settings import Settings as GatewaySettings
from services.kit import serve
from services.kit.language import Language
from services.kit.settings import Issuer, Mode, Settings
from services.kit.testing.database import Template, copied

Json = dict[str, Any]


class Server(uvicorn.Server):
    """Serves an application on a free port until it is told to stop."""

    def __init__(self, app: Any, at: socket.socket) -> None:
        config = uvicorn.Config(app, lifespan="on", log_config=None, timeout_keep_alive=75, timeout_graceful_shutdown=2)
        super().__init__(config)
        self._at, self.is_up = at, asyncio.Event()
        self.task = asyncio.create_task(self.serve([at]))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    async def ready(self) -> None:
        """Return when it answers. Raises what ended it before."""
        up = asyncio.create_task(self.is_up.wait())
        await asyncio.wait((up, self.task), return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        assert self.is_up.is_set(), "it ended before it answered"

    async def stop(self) -> None:
        self.should_exit = True
        await self.task
        self._at.close()


@dataclass
class Province:
    """Every part of the province, by name."""

    databases: Mapping[str, str]
    nats_url: str
    ports: dict[str, int] = field(default_factory=dict)
    servers: dict[str, Server] = field(default_factory=dict)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    @property
    def issuer(self) -> Issuer:
        return Issuer(self.url("issuer") + REALM_PATH, self.url("issuer") + REALM_PATH)

    async def start(self, name: str, app: Callable[[], Any]) -> None:
        """Serve on the part's port: a free one, and the same when it comes back."""
        at = socket.create_server(("127.0.0.1", self.ports.get(name, 0)))
        self.ports[name] = at.getsockname()[1]
        self.servers[name] = Server(app(), at)
        await self.servers[name].ready()

    def service(self, name: str) -> Any:
        settings = Settings(
            name, Mode.TEST, "127.0.0.1", 0, self.databases[name], self.nats_url, self.issuer, "WARNING"
        )
        return serve.application(serve.Parts(serve.load(name), settings))

    def gateway(self) -> Any:
        urls = {part.subgraph_variable: f"{self.url(part.name)}/graphql" for part in SERVICES}
        settings = GatewaySettings(
            SUPERGRAPH,
            Mode.TEST,
            issuer=self.issuer,
            subgraph_urls=MappingProxyType(urls),
            log_level="WARNING",
        )
        return gateway.application(gateway.Gateway(settings))

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Province"]:
        """All parts answer while the block lasts."""
        try:
            await self.start("issuer", lambda: create_app(self.issuer.url, access()))
            for part in SERVICES:
                await self.start(part.name, lambda name=part.name: self.service(name))  # type: ignore[misc]
            await self.start("programs", lambda: programs_application(Programs(self.nats_url, Behaviours())))
            await self.start("gateway", self.gateway)
            yield self
        finally:
            for server in reversed(self.servers.values()):
                await server.stop()

    @contextlib.asynccontextmanager
    async def without(self, name: str) -> AsyncIterator[None]:
        """A service is away while the block lasts."""
        await self.servers[name].stop()
        try:
            yield
        finally:
            await self.start(name, lambda: self.service(name))


@pytest.fixture(scope="module")
def province(
    postgres_url: str, template_of: Callable[[str], Template], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Province, Any]]:
    """The province, and the portal to the loop that it runs on."""
    folder: Path = tmp_path_factory.mktemp("nats")
    templates = {part.name: template_of(part.name) for part in SERVICES}
    broker = nats.start(folder / "data", free_port(), folder / "nats.log", durable=False)
    try:
        with start_blocking_portal() as portal, contextlib.ExitStack() as held:
            held.enter_context(pytest.MonkeyPatch.context()).setenv("ONEDOOR_MODE", "test")  # the registry has seeds
            databases = {
                name: held.enter_context(
                    portal.wrap_async_context_manager(copied(postgres_url, template, "in_process"))
                )
                for name, template in templates.items()
            }
            parts = Province(databases, broker.url)
            yield held.enter_context(portal.wrap_async_context_manager(parts.open())), portal
    finally:
        broker.stop()


class Person:
    """A business owner at the front door."""

    def __init__(self, province: Province, http: httpx.Client) -> None:
        self._province, self.http = province, http
        self.endpoint = f"{province.url('gateway')}/graphql"

    def signs_in(self, user: str) -> str:
        return signin.access_token(self._province.issuer.url, user, f"{user}-onedoor")

    def overview(self, number: str, language: str) -> Json:
        """The whole answer of the journey's one operation, errors included."""
        text = (OPERATIONS / "BusinessOverview.graphql").read_text(encoding="utf-8")
        headers = {"authorization": f"Bearer {self.signs_in('owner')}", "accept-language": language}
        body = {"query": text, "variables": {"businessNumber": number}}
        answer: Json = self.http.post(self.endpoint, json=body, headers=headers).json()
        return answer


@pytest.fixture
def person(province: tuple[Province, Any]) -> Iterator[Person]:
    with httpx.Client(timeout=15, trust_env=False) as http:
        yield Person(province[0], http)


TAKEN = {Language.EN: "is held by", Language.FR: "est détenu"}


class TestJourney:
    @pytest.mark.parametrize("language", Language)
    def test_a_business_owner_comes_through_the_one_door(self, person: Person, language: Language) -> None:
        steps = {s.code: s.answer for s in journey(Door(person.endpoint, person.http, language), person.signs_in)}
        assert list(steps) == [
            *("sign-in", "identical", "similar", "free", "register", "programs", "inspection", "overview")
        ]
        assert TAKEN[language] in steps["identical"]["check"]["explanation"]["in"]
        assert {p["state"] for p in steps["programs"]["programs"]} == {"APPROVED"}
        assert steps["overview"]["governmentService"]["name"]["in"] == "Enregistrer une entreprise"


class TestAServiceThatIsAway:
    @pytest.mark.parametrize("language", ["en", "fr"])
    def test_nulls_its_own_fields_of_the_overview_with_an_error_that_says_where(
        self, province: tuple[Province, Any], person: Person, language: str
    ) -> None:
        parts, portal = province
        *_, last = journey(Door(person.endpoint, person.http), person.signs_in)
        whole = last.answer["business"]
        with portal.wrap_async_context_manager(parts.without("inspections")):
            answer = person.overview(whole["businessNumber"], language)
        business = answer["data"]["business"]
        assert (business["inspections"], business["riskScore"]) == (None, None)
        assert business["legalName"] == whole["legalName"]
        assert len(business["programs"]) == 4
        assert len(business["helpNearby"]) == 3
        assert answer["data"]["governmentService"]["standards"]
        (error,) = answer["errors"]
        told = error["extensions"]
        assert error["path"] == ["business"]  # one request to the service was for all of its fields there
        assert (told["code"], told["service"]) == ("SUBGRAPH_UNAVAILABLE", "inspections")
        assert told["text"]["en"] != told["text"]["fr"]
        assert error["message"] == told["text"][language]
