"""What the tests of every service use: its migrated database as a template, made once per worker."""

import asyncio
from collections.abc import Callable
from functools import cache

import pytest

from services.kit.testing.database import template


@pytest.fixture(scope="session")
def template_of(postgres_url: str) -> Callable[[str], str]:
    """The name of a service's template database; migrated when it is first asked for."""

    @cache
    def of(service: str) -> str:
        return asyncio.run(template(postgres_url, service))

    return of
