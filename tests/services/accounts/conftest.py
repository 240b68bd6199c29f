"""Accounts in process, on a real database: rolled back after each test, or a copy of its own for races."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic import TypeAdapter
from sqlmodel import col, select

from services.accounts.models import Mail, RevisionRecord
from services.accounts.service import service
from services.kit import database
from services.kit.grants import Grant
from services.kit.testing import grants as testing_grants
from services.kit.testing import tokens
from services.kit.testing.client import Client
from services.kit.testing.database import Template, app_url, copied, rolled_back

PERSON = ("account:read", "account:manage")
Json = dict[str, Any]


class Somebody:
    """A person with an account."""

    def __init__(self, client: Client, username: str = "owner", scopes: tuple[str, ...] = PERSON) -> None:
        self.client, self.username, self.scopes = client, username, scopes

    async def ask(self, text: str, language: str = "en", **variables: Any) -> Any:
        """The data of an operation that must not fail."""
        answer = await self.client.run(
            text, *self.scopes, username=self.username, language=language, variables=variables
        )
        assert not answer.errors, answer.body
        return answer.data


async def letters(client: Client, address: str | None = None) -> list[Mail]:
    """The letters that wait, to an address or to all, in the order in which they were written."""
    async with client.database.transaction() as db:
        held = await db.all(select(Mail).order_by(col(Mail.made_at)))
    return [letter for letter in held if address in (None, letter.address)]


@pytest.fixture(scope="session")
def template_name(template_of: Callable[[str], Template]) -> Template:
    return template_of(service.name)


@pytest.fixture
async def client(postgres_url: str, template_name: Template) -> AsyncIterator[Client]:
    async with rolled_back(app_url(postgres_url, template_name)) as db:
        yield Client(service, db)


@pytest.fixture
async def somebody(client: Client) -> Somebody:
    return Somebody(client)


@pytest.fixture
def baker(client: Client) -> Somebody:
    return Somebody(client, "baker")


@pytest.fixture
def accountant(client: Client) -> Somebody:
    return Somebody(client, "accountant")


@pytest.fixture
def clerk(client: Client) -> Somebody:
    return Somebody(client, "clerk")


@pytest.fixture
async def shared(postgres_url: str, template_name: Template, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """A database of its own with real, concurrent transactions."""
    async with copied(postgres_url, template_name, request.node.name) as url:
        db = database.connect(url, "test", pool_size=8)
        try:
            yield Client(service, db)
        finally:
            await db.close()


async def know_business(client: Client, number: str, owner: str, name: str = "Amber Kiln Inc.") -> str:
    """Have the registry announce a business of somebody's. Returns its number."""
    handler = service.handlers["business.registered.v1"]
    told = {"businessNumber": number, "legalName": name, "registeredBy": tokens.subject_of(owner)}
    async with client.database.transaction() as db:
        await handler.function(handler.event.model_validate(told), db)
    return number


async def held_grant(client: Client, grant_id: str) -> Grant:
    """A grant as accounts has announced it last."""
    of_grant = select(RevisionRecord).where(RevisionRecord.grant_id == grant_id)
    async with client.database.transaction() as db:
        found = await db.first(of_grant.order_by(col(RevisionRecord.rev).desc()))
    assert found is not None
    return TypeAdapter(Grant).validate_json(json.dumps(found.told))


async def known_grant(client: Client, grant_id: str) -> str:
    """Have accounts hold a grant as other services do. Returns its id, the authority by which it is used."""
    return await testing_grants.keep(client.database, await held_grant(client, grant_id))
