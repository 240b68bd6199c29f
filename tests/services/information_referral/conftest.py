"""The directory in process, with the services that ship, rolled back after each test."""

from collections.abc import AsyncIterator, Callable

import pytest

from services.information_referral.service import service
from services.kit.testing.client import Client
from services.kit.testing.database import rolled_back, url_of


@pytest.fixture(scope="session")
def template_name(template_of: Callable[[str], str]) -> str:
    return template_of(service.name)


@pytest.fixture
async def empty(postgres_url: str, template_name: str) -> AsyncIterator[Client]:
    """A directory without any record."""
    async with rolled_back(url_of(postgres_url, template_name)) as db:
        yield Client(service, db)


@pytest.fixture
async def client(empty: Client) -> Client:
    """The directory as it opens."""
    for seed in service.seeds:
        async with empty.database.transaction() as db:
            await seed(db)
    return empty
