"""What every test may count on: real PostgreSQL and NATS, started once per run and stopped at its end.

Under pytest-xdist the controller starts both and its workers inherit the addresses; alone, pytest itself does. Where
`TEST_POSTGRES_URL` and `TEST_NATS_URL` are set already, those servers are used. Nothing is started for a run that only
collects. Data goes to a temporary folder; PostgreSQL runs without fsync, since a lost test database costs nothing.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from clusters.local import nats, postgres
from clusters.local.processes import free_port

_started: list[nats.Nats | postgres.Postgres] = []
_folder = pytest.StashKey[Path]()


def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    is_worker = hasattr(config, "workerinput")
    if is_worker or config.option.collectonly or {"TEST_POSTGRES_URL", "TEST_NATS_URL"} <= os.environ.keys():
        return
    folder = Path(tempfile.mkdtemp(prefix="onedoor-test-"))
    folder.chmod(0o755)  # PostgreSQL may run as another user
    config.stash[_folder] = folder
    broker = nats.start(folder / "nats", free_port(), folder / "nats.log", durable=False, wait=False)
    _started.append(broker)
    database = postgres.start(
        folder / "postgres", free_port(), folder / "postgres.log", settings=postgres.VOLATILE, wait=False
    )
    _started.append(database)
    postgres.wait_ready(database, folder / "postgres.log")
    nats.wait_ready(broker, folder / "nats.log")
    os.environ["TEST_POSTGRES_URL"] = database.url()
    os.environ["TEST_NATS_URL"] = broker.url


def pytest_unconfigure(config: pytest.Config) -> None:
    while _started:
        _started.pop().stop()
    if _folder in config.stash:
        shutil.rmtree(config.stash[_folder], ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """A superuser's URL of the maintenance database; make databases of your own below it."""
    return os.environ["TEST_POSTGRES_URL"]


@pytest.fixture(scope="session")
def nats_url() -> str:
    """A NATS server with JetStream, shared by the whole run: use stream and subject names of your own."""
    return os.environ["TEST_NATS_URL"]
