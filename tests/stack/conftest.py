"""What the stack tests stand on: Keycloak itself with our realm on PostgreSQL, and Debian's Chromium driven by Playwright."""

import asyncio
import http.client
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import pytest

from clusters.keycloak import blocklist, realm
from clusters.local.letters import Letter, read
from clusters.local.processes import end, free_port, spawn, wait_until
from clusters.local.state import State

if TYPE_CHECKING:
    from playwright.sync_api import Browser

if importlib.util.find_spec("playwright") is None:  # `make test` has not installed it and collects nothing here
    collect_ignore_glob = ["test_*.py"]

ROOT = Path(__file__).parents[2]
INSTALL = ROOT / "clusters" / "keycloak" / "install"
PATIENCE_S = 400  # the first start makes a hundred tables, on a busy machine slowly


@dataclass(frozen=True, slots=True)
class Keycloak:
    """A running server: the realm's URL, and a service account that administers it."""

    base: str
    admin_secret: str
    admin: str = "stack-tests"

    @property
    def issuer(self) -> str:
        return f"{self.base}/realms/onedoor"


@pytest.fixture(scope="session")
def keycloak(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    """Keycloak in production mode on a database of its own, the committed realm imported as compose imports it."""
    installed = subprocess.run([str(INSTALL)], capture_output=True, text=True, check=False, timeout=400)
    assert installed.returncode == 0, installed.stderr
    home = _own_home(Path(installed.stdout.strip().splitlines()[-1]))
    imported = home / "data" / "import"
    imported.mkdir(parents=True)
    shutil.copy(realm.FILE, imported / realm.FILE.name)
    (home / "data" / "password-blacklists").mkdir()
    shutil.copy(blocklist.FILE, home / "data" / "password-blacklists" / blocklist.FILE.name)
    shutil.copytree(realm.THEME, home / "themes" / realm.THEME.name)
    port, secret = free_port(), secrets.token_urlsafe(24)
    found = Keycloak(f"http://localhost:{port}", secret)  # a name: browsers register no key (WebAuthn) for an address
    log = tmp_path_factory.mktemp("keycloak") / "keycloak.log"
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KC_")},
        **_database(postgres_url),
        "KC_HTTP_ENABLED": "true",
        "KC_HTTP_HOST": "127.0.0.1",
        "KC_HTTP_PORT": str(port),
        "KC_HTTP_MANAGEMENT_PORT": str(free_port()),
        "KC_HOSTNAME": found.base,
        "KC_CACHE": "local",
        "KC_BOOTSTRAP_ADMIN_CLIENT_ID": found.admin,
        "KC_BOOTSTRAP_ADMIN_CLIENT_SECRET": secret,
        "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m",
    }
    command = [str(home / "bin" / "kc.sh"), "start", "--optimized", "--import-realm"]
    server = spawn(command, log, env=env)
    try:
        wait_until(lambda: answers(found.issuer), server, "Keycloak", log, patience_s=PATIENCE_S)
        yield found
    finally:
        end(server, signal.SIGTERM, patience_s=20)
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Debian's Chromium, without a window. Playwright's blocking form holds a loop open, in which no asynchronous test could
    run: it ends with its module."""
    from playwright.sync_api import sync_playwright

    found = next((p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None)
    assert found, "Chromium is missing; .ci/stack installs it"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def letters(open_province: State) -> Callable[[], list[Letter]]:
    """The letters that the province has sent, oldest first."""
    folder = Path(open_province.environment["SIGNING_KEYS"]).parents[2] / "mail"  # beside the credentials
    return lambda: read(folder)


class Callback(BaseHTTPRequestHandler):
    """The client's own page, which only has to exist."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def callback() -> Iterator[str]:
    """The client's return address, on a loopback port of the moment as RFC 8252 allows."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Callback) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/callback"
        server.shutdown()


def _own_home(installed: Path) -> Path:
    """The installed server with a data folder of its own, so that two runs do not import each other's realm. Linked, not
    copied: it is as large as 200 MB and beside the original on one file system."""
    home = Path(tempfile.mkdtemp(prefix="run-", dir=installed.parent))
    ignored = shutil.ignore_patterns("data")
    shutil.copytree(installed, home, copy_function=os.link, dirs_exist_ok=True, ignore=ignored)
    return home


def _database(url: str) -> dict[str, str]:
    """A fresh database for Keycloak on the run's server, as its variables."""

    async def make() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("DROP DATABASE IF EXISTS keycloak WITH (FORCE)")
        await connection.execute("CREATE DATABASE keycloak")
        await connection.close()

    asyncio.run(make())
    parts = urlsplit(url)
    return {
        "KC_DB_URL": f"jdbc:postgresql://{parts.hostname}:{parts.port}/keycloak",
        "KC_DB_USERNAME": parts.username or "",
        "KC_DB_PASSWORD": parts.password or "",
    }


def answers(issuer: str) -> bool:
    """Whether an issuer is there."""
    parts = urlsplit(issuer)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    try:
        connection.request("GET", f"{parts.path}/.well-known/openid-configuration")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
