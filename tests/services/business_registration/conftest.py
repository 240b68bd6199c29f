"""The registry in process, on a real database: rolled back after each test, or a copy of its own for races."""

from collections.abc import AsyncIterator, Awaitable, Callable
from secrets import token_hex
from typing import Any

import pytest

from services.business_registration.service import service
from services.kit import database
from services.kit.testing.client import Client
from services.kit.testing.database import Template, app_url, copied, rolled_back

OWNER = ("business:read", "business:register")
OFFICER = ("business:read", "business:read-all")
AT_THE_COUNTER = {"realm_access": {"roles": ["counter_officer"]}}
Json = dict[str, Any]

APPLICATION = "id status legalType name sector partners submittedAt address { street city province postalCode }"
DRAFT = f"""mutation ($input: DraftApplicationInput!) {{ draftApplication(input: $input) {{ __typename
    ... on Application {{ {APPLICATION} }} ... on Refused {{ code field message {{ en fr }} }} }} }}"""
SUBMIT = f"""mutation ($input: SubmitApplicationInput!) {{ submitApplication(input: $input) {{ __typename
    ... on Application {{ {APPLICATION} business {{ businessNumber legalName }} programs {{ program state }} }}
    ... on Refused {{ code field message {{ en fr }} }} }} }}"""


def draft_input(**changes: Any) -> Json:
    """A sound application, with changes."""
    return {
        "name": "Zephyr Lantern Bakery",
        "legalType": "SOLE_PROPRIETORSHIP",
        "sector": "72",
        "address": {"street": "1 King Street", "city": "Toronto", "postalCode": "m5v2t6"},
        "idempotencyKey": token_hex(8),
        **changes,
    }


class Owner:
    """A person who registers businesses."""

    def __init__(self, client: Client, username: str = "owner", scopes: tuple[str, ...] = OWNER) -> None:
        self.client, self.username, self.scopes = client, username, scopes

    async def ask(self, text: str, **variables: Any) -> Any:
        """The data of an operation that must not fail."""
        answer = await self.client.run(text, *self.scopes, username=self.username, variables=variables)
        assert not answer.errors, answer.body
        return answer.data

    async def draft(self, **changes: Any) -> Json:
        found: Json = (await self.ask(DRAFT, input=draft_input(**changes)))["draftApplication"]
        return found

    async def submit(self, application_id: str, **changes: Any) -> Json:
        given = {"applicationId": application_id, "idempotencyKey": token_hex(8), **changes}
        found: Json = (await self.ask(SUBMIT, input=given))["submitApplication"]
        return found

    async def register(self, **changes: Any) -> Json:
        """Draft and submit, similar names acknowledged."""
        drafted = await self.draft(**changes)
        assert drafted["__typename"] == "Application", drafted
        return await self.submit(drafted["id"], acknowledgeSimilarNames=True)


@pytest.fixture(scope="session")
def template_name(template_of: Callable[[str], Template]) -> Template:
    return template_of(service.name)


@pytest.fixture
async def client(postgres_url: str, template_name: Template) -> AsyncIterator[Client]:
    async with rolled_back(app_url(postgres_url, template_name)) as db:
        yield Client(service, db)


@pytest.fixture
async def owner(client: Client) -> Owner:
    return Owner(client)


@pytest.fixture
async def shared(postgres_url: str, template_name: Template, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """A database of its own with real, concurrent transactions."""
    async with copied(postgres_url, template_name, request.node.name) as url:
        db = database.connect(url, "test", pool_size=8)
        try:
            yield Client(service, db)
        finally:
            await db.close()


Deliver = Callable[[Json], Awaitable[None]]


@pytest.fixture
def deliver(client: Client) -> Deliver:
    """Hands the registry a program's decision, as its worker does."""

    async def hand(data: Json) -> None:
        handler = service.handlers["program.decided.v1"]
        async with client.database.transaction() as db:
            await handler.function(handler.event.model_validate(data), db)

    return hand
