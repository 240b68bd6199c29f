"""What every test may count on: real PostgreSQL and NATS, started once per run and stopped at its end.

Under pytest-xdist the controller starts both and its workers inherit the addresses; alone, pytest itself does. Where
`TEST_POSTGRES_URL` and `TEST_NATS_URL` are set already, those servers are used. Nothing is started for a run that only
collects. Data goes to a temporary folder, in memory where there is room: a copy of a database is a thousand small files,
which a disk's file system makes in five times the processor time. PostgreSQL runs without fsync, since a lost test
database costs nothing.
"""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import hypothesis
import psutil
import pytest
import structlog

from clusters.local import nats, postgres, state
from clusters.local.processes import end, free_port, spawn, wait_until
from clusters.topology import PARTS
from services.kit.testing.database import Template, template

# No test looks at a clock to pass: on a busy machine an example may take its time.
hypothesis.settings.register_profile("onedoor", deadline=None)
hypothesis.settings.load_profile("onedoor")

MEMORY = Path("/dev/shm")  # Linux keeps the files of this folder in memory
ROOM = 4 << 30  # bytes free there and in memory: many times what the databases of a run take at once
_started: list[nats.Nats | postgres.Postgres] = []
_folder = pytest.StashKey[Path]()


# Rendering a fault's frames and locals in colours takes seconds, which a test that provokes faults does not have.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


def scratch(prefix: str) -> Path:
    """A new folder for data that may be lost, which PostgreSQL's own user can reach; whoever asks for it removes it."""
    roomy = MEMORY.is_dir() and min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available) > ROOM
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY if roomy else None))
    folder.chmod(0o755)
    return folder


def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    is_worker = hasattr(config, "workerinput")
    if is_worker or config.option.collectonly or {"TEST_POSTGRES_URL", "TEST_NATS_URL"} <= os.environ.keys():
        return
    folder = scratch("onedoor-test-")
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


@pytest.fixture(scope="session")
def template_of(postgres_url: str) -> Callable[[str], Template]:
    """A service's template database; migrated when it is first asked for, once per worker."""

    @cache
    def of(service: str) -> Template:
        return asyncio.run(template(postgres_url, service))

    return of


@pytest.fixture(scope="session")
def open_province() -> Iterator[state.State]:
    """The whole province as `onedoor up` runs it, on free ports, with data of its own; shared by the tests of a worker.

    Mark what uses it `@pytest.mark.xdist_group("province")`, so that one worker runs it and one province is started.
    """
    with province() as running:
        yield running


def _is_up(folder: Path) -> bool:
    found = state.running(folder)
    return found is not None and found.is_ready


@contextmanager
def province(changed: Mapping[str, str] | None = None) -> Iterator[state.State]:
    """A province of its own while the block lasts; `changed` are variables that it is given."""
    folder = scratch("onedoor-province-")
    onedoor = [sys.executable, "-m", "clusters"]
    ports = {part.port_variable: str(free_port()) for part in PARTS}
    given = [name for name in os.environ if name.endswith("_URL") and not name.startswith("TEST_")]
    env = {name: value for name, value in os.environ.items() if name not in given} | ports | dict(changed or {})
    log = folder / "logs" / "onedoor.log"
    log.parent.mkdir()
    supervisor = spawn([*onedoor, "up", "--data", str(folder)], log, env=env)  # ends with this process at the latest
    try:
        wait_until(lambda: _is_up(folder), supervisor, "the province", log, patience_s=240)
        found = state.running(folder)
        assert found is not None
        yield found
    finally:
        end(supervisor, signal.SIGTERM, patience_s=60)
        shutil.rmtree(folder, ignore_errors=True)
