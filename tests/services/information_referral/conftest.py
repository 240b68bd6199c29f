"""The directory in process, with the services that ship, rolled back after each test."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from services.information_referral.service import service
from services.kit.testing.client import Client
from services.kit.testing.database import Template, app_url, rolled_back, seeded


@pytest.fixture(scope="session")
def template_name(template_of: Callable[[str], Template]) -> Template:
    return template_of(service.name)


@pytest.fixture
async def empty(postgres_url: str, template_name: Template) -> AsyncIterator[Client]:
    """A directory without any record."""
    async with rolled_back(app_url(postgres_url, template_name)) as db:
        yield Client(service, db)


@pytest.fixture(scope="session")
def opened(postgres_url: str, template_name: Template) -> Template:
    """The directory as it opens."""
    return asyncio.run(seeded(postgres_url, template_name, service.seeds))


@pytest.fixture
async def client(postgres_url: str, opened: Template) -> AsyncIterator[Client]:
    """The directory as it opens."""
    async with rolled_back(app_url(postgres_url, opened)) as db:
        yield Client(service, db)
