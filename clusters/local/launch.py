"""How each kind of part is started and how it shows that it is ready."""

import gc
import runpy
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module

from clusters import credentials
from clusters.local import nats, postgres
from clusters.local.folder import Folder
from clusters.local.observe import is_ready
from clusters.local.processes import Process, StartFailed, fork, spawn
from clusters.topology import Kind, Part, Where, environment
from services.kit.language import spoken

# Loaded once in the parent, in steps between which a person may interrupt; children have them for nothing.
STACK = ("asyncpg", "sqlmodel", "alembic.command", "strawberry", "faststream.nats", "fastapi", "uvicorn", "uvloop")
STACK_OF_OURS = ("services.kit.serve",)
FORKED = (Kind.SERVICE, Kind.ISSUER, Kind.SIMULATOR)


def load_stack() -> Iterator[str]:
    """Import what the forked parts share; yields after each step. Raises StartFailed if that started a thread."""
    for module in (*STACK, *STACK_OF_OURS):
        import_module(module)
        yield module
    if threading.active_count() > 1:
        names = ", ".join(thread.name for thread in threading.enumerate())
        raise StartFailed(
            spoken(
                f"importing the services' stack started threads ({names}); forking would lose them",
                f"l’importation de la pile des services a lancé des fils ({names})\u00a0; ils seraient perdus",
            )
        )
    gc.collect()
    gc.freeze()  # the collector would otherwise write to, and so copy, pages that the children share


class Launcher:
    """Starts parts on their addresses. Holds the data stores' handles, since their readiness is theirs to say."""

    def __init__(self, folder: Folder, where: Where, host: str, env: Mapping[str, str]) -> None:
        self._folder = folder
        self._where = where
        self._host = host
        self._env = env
        self._postgres: postgres.Postgres | None = None

    def variables(self, part: Part) -> dict[str, str]:
        """What topology gives the part, except what the person's own environment says about other parts."""
        given = environment(part, self._where, mode="local", host=self._host, credentials=self._folder.credentials)
        if self._env.get(part.database_variable):
            given.pop(part.migration_variable, None)  # of another database than ours
        if self._env.get("NATS_URL"):
            given.pop("NATS_SEED_FILE", None)
        own = ("ONEDOOR_MODE", "HOST", "PORT")
        return {name: value if name in own else self._env.get(name) or value for name, value in given.items()}

    def start(self, part: Part) -> Process:
        """Start a part. Raises StartFailed and OSError."""
        log = self._folder.log(part.name)
        port = int(self._where(part.name).rsplit(":", 1)[1])
        if part.kind is Kind.DATABASE:
            self._postgres = postgres.start(self._folder.path / "postgres", port, log, wait=False)
            return self._postgres.process
        if part.kind is Kind.BROKER:
            users = (self._folder.credentials / credentials.USERS_FILE).read_text()
            return nats.start(self._folder.path / "nats", port, log, wait=False, users=users).process
        env = {**self._env, **self.variables(part), "PYTHONUNBUFFERED": "1"}
        if part.kind is Kind.GATEWAY:
            return spawn([sys.executable, "-m", "gateway"], log, env=env)
        return fork(_body(part), part.name, log, env)

    def is_ready(self, part: Part, process: Process) -> bool:
        """Whether the part can be used. PostgreSQL counts once each service's roles and database are there."""
        if part.kind is Kind.DATABASE:
            server = self._postgres
            if server is None or not postgres.accepts(server):
                return False
            server.run_script(self._folder.credentials / credentials.ROLES_FILE)
            return True
        if part.kind is Kind.BROKER:
            return nats.greets(int(self._where(part.name).rsplit(":", 1)[1]))
        return process.poll() is None and is_ready(self._where(part.name))


def _body(part: Part) -> Callable[[], object]:
    """What a forked part runs: the same as `python -m MODULE` would."""

    def run() -> None:
        if part.kind is Kind.SERVICE:
            import_module("services.kit.serve").run(part.name)
        else:
            runpy.run_module(f"clusters.{part.name}", run_name="__main__", alter_sys=True)

    return run
