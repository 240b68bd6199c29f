"""The catalogue in process on a real database, loaded from the repository's own cluster files or from a test's."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from services.catalogue.cluster_folder import read_folder
from services.catalogue.loading import Loaded, load
from services.catalogue.service import service
from services.kit.database import Database, connect
from services.kit.testing.client import Client
from services.kit.testing.database import Template, app_url, copied, rolled_back

FILE = """code = "river"
name = { en = "River", fr = "Rivière" }
vision = { en = "Clean water", fr = "De l’eau propre" }

[[ministries]]
code = "water"
name = { en = "Ministry of Water", fr = "Ministère de l’Eau" }

[[services]]
code = "fishing-licence"
ministry = "water"
channels = ["ONLINE", "COUNTER"]
name = { en = "Fishing licence", fr = "Permis de pêche" }
description = { en = "A licence to fish.", fr = "Un permis pour pêcher." }
process = { en = "You ask.", fr = "Vous demandez." }
expected = { en = "Your name.", fr = "Votre nom." }
duration = { en = "A day.", fr = "Une journée." }
fees = [{ from = 2000-01-01, cents = 1000 }, { from = 2020-01-01, cents = 1500 }]

[[services.standards]]
code = "licence-line"
name = { en = "Average wait", fr = "Attente moyenne" }
target = 2
unit = "MINUTES"
percent = 80
lines = ["Fish line", "Boat line"]
"""


@pytest.fixture(scope="session")
def template_name(template_of: Callable[[str], Template]) -> Template:
    return template_of(service.name)


@pytest.fixture
async def database(postgres_url: str, template_name: Template) -> AsyncIterator[Database]:
    """Migrated and empty."""
    async with rolled_back(app_url(postgres_url, template_name)) as db:
        yield db


@pytest.fixture
async def client(database: Database) -> Client:
    """Seeded from the cluster files of the repository."""
    await seeded(database)
    return Client(service, database)


@pytest.fixture
async def unseeded(postgres_url: str, template_name: Template, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """An empty database of its own with real, concurrent transactions."""
    async with copied(postgres_url, template_name, request.node.name) as url:
        db = connect(url, "test", pool_size=8)
        try:
            yield Client(service, db)
        finally:
            await db.close()


@pytest.fixture
async def shared(unseeded: Client) -> Client:
    """The same, seeded."""
    await seeded(unseeded.database)
    return unseeded


async def seeded(database: Database) -> None:
    """Run the seeds, as a start does."""
    for seed in service.seeds:
        async with database.transaction() as db:
            await seed(db)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one small, sound cluster file."""
    (tmp_path / "river.toml").write_text(FILE)
    return tmp_path


async def loaded(database: Database, folder: Path) -> Loaded:
    """Load a folder in a transaction of its own."""
    async with database.transaction() as db:
        return await load(db, read_folder(folder))
