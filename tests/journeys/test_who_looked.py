"""Entries are complete: what left each owner at the wire about somebody else is what it has noted, neither less nor more.

Operations are drawn at random and asked through the real gateway, of real services over HTTP, signed, with their own databases
and NATS: batches of entities, waves, aliases, @requires, changes, subscriptions; answers are lost and asked for again, services
are away, and tables fail under them. The test reads the wire by the contracts' marks (`wire.py`) and compares it with the tables.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from clusters import keys, signin
from clusters.journeys.business import free_name
from clusters.local import nats
from clusters.local.processes import free_port
from clusters.topology import SERVICES, SUPERGRAPH
from gateway import app as gateway
from gateway.engine.supergraph import load_supergraph
from gateway.settings import Settings as GatewaySettings
from services.kit import business_days, serve
from services.kit.settings import Mode, Settings
from services.kit.testing.database import Template, as_owner, copied
from tests.journeys.drawing import Drawer, Things
from tests.journeys.test_in_process import Province
from tests.journeys.wire import Exchange, Reader, Tap, Told, Whose
from tests.services.kit.conftest import until

Json = dict[str, Any]
INVESTIGATION = 'statutory-investigation; case="A-2026/17"; reason="Follow a complaint"'
OWNERS = ("owner", "citizen", "officer")
STAFF: Mapping[str, Sequence[str]] = {
    "officer": ("registration-counter", "registration-verification", "business-advice"),
    "inspector": ("inspection-conduct", "inspection-planning", INVESTIGATION),
    "reviewer": ("inspection-review", ""),
    "administrator": ("program-delivery", "inspection-planning"),
}
TABLES = (("business_registration", "program_status"), ("inspections", "finding"), ("inspections", "transition"))
DRAFT = """mutation ($input: DraftApplicationInput!) { draftApplication(input: $input) { __typename
    ... on Application { id } ... on Refused { code message { en } } } }"""
SUBMIT = """mutation ($input: SubmitApplicationInput!) { submitApplication(input: $input) { __typename
    ... on Application { id business { businessNumber } } ... on Refused { code message { en } } } }"""
WATCH = 'subscription { applicationStatusChanged(id: "%s") { id status partners address { city } programs { state } } }'
WITHDRAW = 'mutation { withdrawApplication(input: { applicationId: "%s" }) { __typename ... on Application { id } } }'
AT_ONCE = 12


@dataclass
class Watched(Province):
    """The province, signed from gateway to services, with a listener at the wire of each service."""

    folder: Path = Path()
    heard: list[Exchange] = field(default_factory=list)
    mishap: Callable[[], str] = lambda: ""
    tokens: dict[str, str] = field(default_factory=dict)

    def service(self, name: str) -> Any:
        address = f"{self.url(name)}/graphql"
        settings = Settings(
            name,
            Mode.TEST,
            "127.0.0.1",
            0,
            self.databases[name],
            self.nats_url,
            self.issuer,
            "ERROR",
            gateway_keys=self.folder / keys.PUBLIC,
            address=address,
        )
        return Tap(serve.application(serve.Parts(serve.load(name), settings)), name, self.heard, lambda: self.mishap())

    def gateway(self) -> Any:
        urls = {part.subgraph_variable: f"{self.url(part.name)}/graphql" for part in SERVICES}
        settings = GatewaySettings(
            SUPERGRAPH,
            Mode.TEST,
            issuer=self.issuer,
            subgraph_urls=MappingProxyType(urls),
            signing_keys=self.folder / keys.PRIVATE,
            log_level="ERROR",
        )
        return gateway.application(gateway.Gateway(settings))

    async def sign_in(self) -> None:
        """Have a token of everybody who asks."""
        for user in {*OWNERS, *STAFF}:
            asked = (self.issuer.url, user, f"{user}-onedoor")
            self.tokens[user] = await asyncio.to_thread(signin.access_token, *asked)

    async def rows(self, service: str, query: str) -> list[Json]:
        """What a service's database holds."""
        async with as_owner(self.databases[service]) as owner:
            return [dict(row) for row in (await owner.execute(text(query))).mappings()]


@dataclass
class Door:
    """The front door, for anybody."""

    province: Watched
    http: httpx.AsyncClient

    async def ask(self, user: str, asked: str, purpose: str = "", **variables: Any) -> Json:
        headers = {"authorization": f"Bearer {self.province.tokens[user]}", "onedoor-purpose": purpose}
        body = {"query": asked, "variables": variables}
        answer: Json = (await self.http.post(self._url, json=body, headers=headers)).json()
        return answer

    async def watch(self, user: str, asked: str, purpose: str, at_first: Callable[[], Any]) -> int:
        """Listen until the end, doing something after the first event. Returns how many events came."""
        headers = {
            "authorization": f"Bearer {self.province.tokens[user]}",
            "onedoor-purpose": purpose,
            "accept": "text/event-stream",
        }
        seen = 0
        async with self.http.stream("POST", self._url, json={"query": asked}, headers=headers) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data: {"):
                    seen += 1
                    if seen == 1:
                        await at_first()
        return seen

    @property
    def _url(self) -> str:
        return f"{self.province.url('gateway')}/graphql"

    async def draft(self, user: str, *, partners: bool) -> str:
        """A draft of a person, of a partnership or a corporation."""
        name = free_name().removesuffix(" Inc.") if partners else free_name()
        given = {
            "name": name,
            "legalType": "GENERAL_PARTNERSHIP" if partners else "NAMED_CORPORATION",
            "partners": ["Ann", "Bob"] if partners else [],
            "sector": "72",
            "address": {"street": "1 King Street", "city": "Toronto", "postalCode": "M5V 2T6"},
            "idempotencyKey": name,
        }
        answer = await self.ask(user, DRAFT, "registration-counter" if user == "officer" else "", input=given)
        drafted = answer["data"]["draftApplication"]
        assert drafted["__typename"] == "Application", answer
        return str(drafted["id"])

    async def register(self, user: str, *, partners: bool) -> None:
        drafted = await self.draft(user, partners=partners)
        given = {"applicationId": drafted, "idempotencyKey": drafted}
        answer = await self.ask(user, SUBMIT, "registration-counter" if user == "officer" else "", input=given)
        assert answer["data"]["submitApplication"]["__typename"] == "Application", answer


@pytest.fixture
async def door(
    postgres_url: str, template_of: Callable[[str], Template], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Door]:
    """A province in which three people have businesses and drafts, and inspections await them."""
    monkeypatch.setenv("ONEDOOR_MODE", "test")  # the registry has seeds
    keys.take(keys.Step.MAKE, tmp_path)
    broker = nats.start(tmp_path / "nats", free_port(), tmp_path / "nats.log", durable=False)
    try:
        async with (
            _databases(postgres_url, template_of) as databases,
            httpx.AsyncClient(timeout=30, trust_env=False) as http,
            Watched(databases, broker.url, folder=tmp_path).open() as province,
        ):
            assert isinstance(province, Watched)
            await province.sign_in()
            door = Door(province, http)
            for user in OWNERS:
                for partners in (True, False):
                    await door.register(user, partners=partners)
                    await door.draft(user, partners=partners)

            async def inspected() -> bool:
                known = "SELECT business_number FROM inspection"
                return len(await province.rows("inspections", known)) >= len(OWNERS) * 2

            await until(inspected, within_s=30)
            yield door
    finally:
        broker.stop()


@asynccontextmanager
async def _databases(postgres_url: str, template_of: Callable[[str], Template]) -> AsyncIterator[dict[str, str]]:
    templates = {part.name: await asyncio.to_thread(template_of, part.name) for part in SERVICES}
    async with AsyncExitStack() as held:
        yield {
            name: await held.enter_async_context(copied(postgres_url, template, "looked"))
            for name, template in templates.items()
        }


async def things(door: Door) -> Things:
    """What there is to ask about."""
    rows = door.province.rows
    first = business_days.after(business_days.today(), 3)
    return Things(
        [row["business_number"] for row in await rows("business_registration", "SELECT business_number FROM business")],
        [str(row["id"]) for row in await rows("business_registration", "SELECT id FROM application")],
        [row["number"] for row in await rows("inspections", "SELECT number FROM inspection")],
        (await rows("inspections", "SELECT code FROM checklist LIMIT 1"))[0]["code"],
        [str(day) for n in range(40) if business_days.is_business_day(day := first + timedelta(days=n))],
    )


async def whose(door: Door) -> Whose:
    """Whose each thing is, as the tables of the services have it."""
    rows = door.province.rows
    businesses = await rows("business_registration", "SELECT business_number, registered_by FROM business")
    applications = await rows("business_registration", "SELECT id::text, applicant, business_number FROM application")
    inspections = await rows("inspections", "SELECT id::text, number, business_number FROM inspection")
    of_business = {row["business_number"]: (row["registered_by"], row["business_number"]) for row in businesses}
    return Whose(
        of_business,
        {row["id"]: (row["applicant"], row["business_number"] or "") for row in applications},
        {row[key]: of_business[row["business_number"]] for row in inspections for key in ("id", "number")},
    )


class Crowd:
    """People who ask at random, with mishaps at the services."""

    def __init__(self, door: Door, found: Things, seed: int) -> None:
        self._door, self._chance, self._grants = door, random.Random(seed), asyncio.Lock()
        schema = load_supergraph(SUPERGRAPH.read_text(encoding="utf-8")).api_schema
        self._drawer = Drawer(schema, found, self._chance)
        door.province.mishap = self._mishap

    def _mishap(self) -> str:
        chance = self._chance.random()
        return "away" if chance < 0.04 else "lost" if chance < 0.1 else ""

    async def ask(self, number: int) -> None:
        """So many operations, a few at once; a table fails under some of them."""
        asked = iter(range(1, number + 1))

        async def on() -> None:
            for n in asked:
                if n % 400 == 0:
                    await self._door.province.sign_in()
                failing = self._failing(*self._chance.choice(TABLES)) if n % 25 == 0 else nullcontext()
                async with failing:
                    await self._one()

        await asyncio.gather(*(on() for _ in range(AT_ONCE)))

    async def _one(self) -> None:
        chance, door = self._chance, self._door
        user = chance.choice(("owner", "citizen", *STAFF, *STAFF))
        purpose = chance.choice(STAFF.get(user, ("",)))
        kind = chance.random()
        if kind < 0.05:
            await door.ask("inspector", self._drawer.schedule(), "inspection-conduct")
        elif kind < 0.08:
            await door.ask(user, self._drawer.withdraw(), purpose)
        elif kind < 0.1:
            drafted = await self._draft()
            if drafted is not None:
                async with asyncio.timeout(20):
                    await door.watch(
                        "officer", WATCH % drafted, "registration-counter", lambda: self._withdraw(drafted)
                    )
        else:
            await door.ask(user, self._drawer.query(), purpose)

    async def _withdraw(self, drafted: str) -> None:
        """Until the registry has heard it: a change is not asked for again by the gateway."""
        while "errors" in await self._door.ask("owner", WITHDRAW % drafted):
            pass

    async def _draft(self) -> str | None:
        try:
            return await self._door.draft("owner", partners=True)
        except (AssertionError, KeyError, TypeError):  # a mishap on its way
            return None

    @asynccontextmanager
    async def _failing(self, service: str, table: str) -> AsyncIterator[None]:
        """A service cannot read one of its tables; one at a time, since PostgreSQL takes no two grants on a table at once."""
        url = self._door.province.databases[service]
        async with self._grants:
            async with as_owner(url) as owner:
                await owner.execute(text(f"REVOKE SELECT ON {table} FROM {service}_app"))
            yield
            async with as_owner(url) as owner:
                await owner.execute(text(f"GRANT SELECT ON {table} TO {service}_app"))


Key = tuple[
    str, str, str
]  # service, request, fetch; of changes and events, which leave what they tell at each, "" for the fetch


def key_of(exchange: Exchange) -> Key:
    return exchange.service, exchange.told.rid, exchange.told.fetch if exchange.kind == "query" else ""


async def left(door: Door) -> dict[Key, Counter[Told]]:
    """What left the services, by the wire."""
    owners, found = await whose(door), dict[Key, Counter[Told]]()
    readers = {}
    for part in SERVICES:
        service = import_module(f"services.{part.name}.service").service
        readers[part.name] = Reader(service.sdl(), service.schema, owners)
    for exchange in door.province.heard:
        if exchange.service == "information_referral":
            continue  # tells what it was passed, which the owner has noted with it as the recipient
        key = key_of(exchange)
        held = found.setdefault(key, Counter())
        for answer in exchange.left:
            told = Counter(readers[exchange.service].told(exchange, answer))
            found[key] = held = held + told if exchange.kind == "subscription" else held | told
    return {key: held for key, held in found.items() if held}


async def noted(door: Door) -> dict[Key, Counter[Told]]:
    """What the services have noted of the same requests."""
    of_queries = {e.told.fetch for e in door.province.heard if e.kind == "query"}
    found = defaultdict[Key, Counter[Told]](Counter)
    for part in SERVICES:
        for row in await door.province.rows(part.name, "SELECT * FROM access_entry WHERE act <> 'REFUSED'"):
            fetch = row["fetch_id"] if row["fetch_id"] in of_queries else ""
            found[part.name, row["request_id"], fetch][row["subject"], row["category"], row["business"]] += 1
    return dict(found)


async def compared(door: Door, number: int, seed: int) -> None:
    """Ask so much at random; then hold the wire against the tables."""
    await Crowd(door, await things(door), seed).ask(number)
    at_the_wire, in_the_tables = await left(door), await noted(door)
    asked = {(e.service, e.told.rid): e for e in door.province.heard}
    # An entry is committed before its answer leaves, which a deadline or a caller who hangs up may still prevent.
    for key in {key_of(exchange) for exchange in door.province.heard if exchange.is_broken_off} & in_the_tables.keys():
        in_the_tables[key] &= at_the_wire.get(key, Counter[Told]())
    in_the_tables = {key: held for key, held in in_the_tables.items() if held}
    differing = [
        f"{key} {asked[key[:2]].asked}\n  left {at_the_wire.get(key)}\n  noted {in_the_tables.get(key)}"
        for key in at_the_wire.keys() | in_the_tables.keys()
        if at_the_wire.get(key) != in_the_tables.get(key)
    ]
    assert "\n".join(differing) == "", f"seed {seed}"
    assert len(at_the_wire) > number / 6


@pytest.mark.xdist_group("who looked")
class TestWhatLeavesAnOwner:
    async def test_is_what_it_has_noted(self, door: Door) -> None:
        await compared(door, 40, seed=random.Random().randrange(10**6))

    @pytest.mark.stack
    async def test_is_what_it_has_noted_of_a_thousand_operations(self, door: Door) -> None:
        await compared(door, 1_000, seed=random.Random().randrange(10**6))
        again = Counter((e.service, e.told.fetch) for e in door.province.heard)
        assert max(again.values()) > 1, "nothing was asked for again"
        kept = "SELECT recipients, act FROM access_entry"
        rows = [
            row for name in ("business_registration", "inspections") for row in await door.province.rows(name, kept)
        ]
        assert any(row["recipients"] == ["information_referral"] for row in rows)
        assert {row["act"] for row in rows} == {"READ", "CHANGE", "REFUSED"}
