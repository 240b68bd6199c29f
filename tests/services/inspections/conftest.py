"""Inspections in process, on a real database: rolled back after each test, or a copy of its own for races."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import date
from secrets import token_hex
from typing import Any

import orjson
import pytest

from services.inspections.service import service
from services.kit import business_days, database
from services.kit.database import Database
from services.kit.testing import tokens
from services.kit.testing.client import Answer, Client
from services.kit.testing.database import Template, app_url, copied, rolled_back, seeded

Json = dict[str, Any]
BUSINESS = "700000015"
DUTIES = ["INTRODUCED_SELF_AND_MINISTRY", "STATED_AUTHORITY", "EXPLAINED_PROCESS", "LEFT_CONTACT_NUMBER"]
INSPECTION = """id number status version reason scheduledFor businessNumber business { businessNumber } sector
    inspector notApplicable startedAt recordedAt reviewedAt closedAt checklist { id code version }
    findings { itemCode section severity comment law { en fr } correctedOnTheSpot correctBy correctedOn }
    reviews { decision comment } history { status note }"""


def mutation_of(name: str) -> str:
    """The text of one of the service's mutations."""
    kind = name[0].upper() + name[1:] + "Input"
    return f"""mutation ($input: {kind}!) {{ {name}(input: $input) {{ __typename
        ... on Inspection {{ {INSPECTION} }} ... on Refused {{ code field message {{ en fr }} }} }} }}"""


def working_day(ahead: int = 5) -> str:
    """A business day that lies ahead."""
    return business_days.after(business_days.today(), ahead).isoformat()


@dataclass(frozen=True)
class Person:
    """Somebody with a token: a demo user's name, roles and scopes as the issuer would give them."""

    client: Client
    username: str
    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    signed_in_s: int = 0  # ago

    async def run(self, text: str, language: str = "en", **variables: Any) -> Answer:
        """An operation's whole answer."""
        return await self.sends(orjson.dumps({"query": text, "variables": variables}), language)

    async def sends(self, body: bytes, language: str = "en") -> Answer:
        """The answer to any body."""
        headers = {"content-type": "application/json", "accept-language": language}
        if self.username:
            access = tokens.token(
                *self.scopes,
                username=self.username,
                audience=self.client.audience,
                realm_access={"roles": list(self.roles)},
                **({} if self.roles == ("citizen",) else tokens.second_factor(self.signed_in_s)),
            )
            headers["authorization"] = f"Bearer {access}"
        return await self.client.post(body, headers)

    async def ask(self, text: str, **variables: Any) -> Any:
        """The data of an operation that must not fail."""
        answer = await self.run(text, **variables)
        assert not answer.errors, answer.body
        return answer.data

    async def does(self, name: str, **given: Any) -> Json:
        """A mutation's answer: an inspection or a refusal."""
        found: Json = (await self.ask(mutation_of(name), input=given))[name]
        return found

    async def reads(self, number: str) -> Json | None:
        """An inspection as this person sees it."""
        query = f"query ($n: String!) {{ inspection(number: $n) {{ {INSPECTION} }} }}"
        found: Json | None = (await self.ask(query, n=number))["inspection"]
        return found

    async def entities(self, selection: str, *numbers: str, **fields: Any) -> Answer:
        """What the service adds to businesses."""
        text = "query ($r: [_Any!]!) { _entities(representations: $r) { ... on Business { " + selection + " } } }"
        given = [{"__typename": "Business", "businessNumber": number, **fields} for number in numbers]
        return await self.run(text, r=given)


@dataclass(frozen=True)
class Cast:
    """The people of the tests."""

    client: Client

    def person(self, username: str, *scopes: str, roles: tuple[str, ...] = ()) -> Person:
        return Person(self.client, username, scopes, roles)

    @property
    def nobody(self) -> Person:
        return self.person("")

    @property
    def owner(self) -> Person:
        return self.person("owner", "inspection:read", roles=("citizen",))

    @property
    def citizen(self) -> Person:
        return self.person("citizen", "inspection:read", roles=("citizen",))

    @property
    def inspector(self) -> Person:
        return self.person("inspector", "inspection:read", "inspection:conduct", roles=("inspector",))

    @property
    def colleague(self) -> Person:
        return self.person("colleague", "inspection:read", "inspection:conduct", roles=("inspector",))

    @property
    def lead(self) -> Person:
        """Inspects, and answers for others' inspections."""
        scopes = ("inspection:read", "inspection:conduct", "inspection:review")
        return self.person("lead", *scopes, roles=("inspector", "reviewer"))

    @property
    def reviewer(self) -> Person:
        return self.person("reviewer", "inspection:read", "inspection:review", roles=("reviewer",))

    @property
    def administrator(self) -> Person:
        return self.person("administrator", "inspection:read", roles=("ministry_administrator",))

    async def hears(self, **changes: Any) -> None:
        """The registry announces a business, and the service's own handler takes it."""
        handler = service.handlers["business.registered.v1"]
        async with self.client.database.transaction() as db:
            await handler.function(handler.event.model_validate(registered(**changes)), db)

    async def first_inspection(self, number: str = BUSINESS, **changes: Any) -> Json:
        """A registered business's first inspection."""
        await self.hears(businessNumber=number, **changes)
        query = f"{{ inspections(first: 100) {{ edges {{ node {{ {INSPECTION} }} }} }} }}"
        edges = (await self.inspector.ask(query))["inspections"]["edges"]
        found: Json = next(e["node"] for e in edges if e["node"]["businessNumber"] == number)
        return found

    async def recorded(self, *findings: Mapping[str, Any], number: str = BUSINESS, **changes: Any) -> Json:
        """An inspection with a record, to review."""
        planned = await self.first_inspection(number, **changes)
        started = await self.inspector.does("startInspection", number=planned["number"], version=1)
        given = {"findings": list(findings), "firstContact": DUTIES}
        return await self.inspector.does(
            "recordFindings", number=planned["number"], version=started["version"], **given
        )

    async def reviewed(self, *findings: Mapping[str, Any], number: str = BUSINESS, **changes: Any) -> Json:
        """An inspection whose record was approved."""
        recorded = await self.recorded(*findings, number=number, **changes)
        assert recorded["__typename"] == "Inspection", recorded
        change = {"number": recorded["number"], "version": recorded["version"], "decision": "APPROVED"}
        return await self.reviewer.does("reviewInspection", **change)


def registered(**changes: Any) -> Json:
    """The data of business.registered.v1, as the registry sends it."""
    return {
        "businessNumber": BUSINESS,
        "legalName": "Zephyr Lantern Bakery",
        "legalType": "SOLE_PROPRIETORSHIP",
        "sector": "72",
        "registeredAt": "2026-03-02T15:00:00Z",
        "registeredBy": tokens.subject_of("owner"),
        "address": {"street": "1 King Street", "city": "Toronto", "province": "ON", "postalCode": "M5V 2T6"},
        **changes,
    }


def finding(item: str = "FP-08", **changes: Any) -> Json:
    """A finding to correct by a day."""
    due = date.fromisoformat(working_day(10)).isoformat()
    return {"item": item, "comment": "Seen at the visit.", "correctBy": due, **changes}


def on_the_spot(item: str) -> Json:
    """A finding that was corrected before the inspector left."""
    return {"item": item, "comment": "Corrected before I left.", "correctedOnTheSpot": True}


async def seed(db: Database) -> None:
    """What the service does at its start."""
    async with db.transaction() as transaction:
        for function in service.seeds:
            await function(transaction)


@pytest.fixture(scope="session")
def template_name(template_of: Callable[[str], Template]) -> Template:
    return template_of(service.name)


@pytest.fixture(scope="session")
def opened(postgres_url: str, template_name: Template) -> Template:
    """As the service is after its start."""
    return asyncio.run(seeded(postgres_url, template_name, service.seeds))


@pytest.fixture
async def client(postgres_url: str, opened: Template) -> AsyncIterator[Client]:
    async with rolled_back(app_url(postgres_url, opened)) as db:
        yield Client(service, db)


@pytest.fixture
async def cast(client: Client) -> Cast:
    return Cast(client)


@pytest.fixture
async def shared(postgres_url: str, opened: Template) -> AsyncIterator[Cast]:
    """A database of its own with real, concurrent transactions."""
    async with copied(postgres_url, opened, token_hex(4)) as url:
        db = database.connect(url, "test", pool_size=8)
        try:
            yield Cast(Client(service, db))
        finally:
            await db.close()
