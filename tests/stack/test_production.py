"""A whole province in production mode: TLS on every way, its own authority, users and roles; and one person's query through it.

PostgreSQL and the issuer stand behind something that ends TLS for them: the PostgreSQL of the tests is built without it.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import ssl
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from clusters import credentials, keys
from clusters.access import access
from clusters.local import nats, postgres
from clusters.local.processes import end, free_port, spawn, wait_until
from clusters.topology import REALM_PATH, SERVICES, SUPERGRAPH
from services.kit import migrate, roles
from services.kit.dpop import Prover
from services.kit.testing import tokens
from services.kit.testing.certificates import Authority

pytestmark = pytest.mark.stack
NAMES = [service.name for service in SERVICES]
SSL_REQUEST = bytes.fromhex("0000000804d2162f")  # PostgreSQL, Message Formats, SSLRequest


@contextlib.asynccontextmanager
async def postgres_over_tls(plain: int, shown: ssl.SSLContext) -> AsyncIterator[int]:
    """The port of what ends TLS before a PostgreSQL, and lets nobody in without."""
    piping = set[asyncio.Task[None]]()

    async def pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
        target.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if await reader.readexactly(8) != SSL_REQUEST:
                writer.close()
                return
            writer.write(b"S")
            await writer.start_tls(shown)
            inner, outer = await asyncio.open_connection("127.0.0.1", plain)
            for task in (asyncio.ensure_future(pipe(reader, outer)), asyncio.ensure_future(pipe(inner, writer))):
                piping.add(task)
                task.add_done_callback(piping.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in piping:
            task.cancel()


@contextlib.contextmanager
def issuer(shown: ssl.SSLContext) -> Iterator[str]:
    """The URL of an issuer that serves the tests' keys over TLS."""
    body = json.dumps({"keys": [tokens.key().as_dict(private=False)]}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = shown.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"https://localhost:{server.server_port}{REALM_PATH}"
    server.shutdown()
    server.server_close()
    serving.join()


@dataclass
class Production:
    """Where its parts answer, and what a client needs."""

    urls: dict[str, str]
    issuer: str
    authority: Authority
    plain: dict[str, int]

    @property
    def door(self) -> str:
        return self.urls["gateway"]

    def client(self) -> httpx.Client:
        return httpx.Client(verify=ssl.create_default_context(cafile=self.authority.file), timeout=30, trust_env=False)

    def ask(self, query: str) -> Any:
        """What the door answers the demo owner, whose token is bound to a key."""
        prover = Prover()
        realm = access()
        role = realm.users["owner"].role
        claims: dict[str, Any] = {"iss": self.issuer, "aud": list(realm.audiences), "realm_access": {"roles": [role]}}
        token = tokens.token(*realm.roles[role], username="owner", cnf={"jkt": prover.thumbprint}, **claims)
        with self.client() as http:
            answer = http.post(self.door, json={"query": query}, headers=prover.headers("POST", self.door, token))
            return answer.json()


@pytest.fixture(scope="module")
def production() -> Iterator[Production]:
    folder = Path(tempfile.mkdtemp(prefix="onedoor-production-"))
    folder.chmod(0o755)  # PostgreSQL may run as another user
    with contextlib.ExitStack() as held:
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        yield built(folder, held)


def built(folder: Path, held: contextlib.ExitStack) -> Production:
    """All parts, started as their operators would: stores, roles and users, migrations, services, door."""
    authority, place = Authority(folder), folder / "held"
    certificate, key = authority.certify("parts")
    shown = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    shown.load_cert_chain(certificate, key)
    credentials.prepare(place, NAMES)
    keys.take(keys.Step.MAKE, place)

    store = postgres.start(folder / "postgres", free_port(), folder / "postgres.log", settings=postgres.VOLATILE)
    held.callback(store.stop)
    store.run_script(place / credentials.ROLES_FILE)
    over_tls = f'tls {{ cert_file: "{certificate}", key_file: "{key}", handshake_first: auto }}\n'  # or the test could not see it
    users = (place / credentials.USERS_FILE).read_text() + over_tls
    broker = nats.start(folder / "nats", free_port(), folder / "nats.log", durable=False, users=users)
    held.callback(broker.stop)

    portal = held.enter_context(start_blocking_portal())
    database = held.enter_context(portal.wrap_async_context_manager(postgres_over_tls(store.port, shown)))
    ports = {name: free_port() for name in (*NAMES, "gateway")}
    urls = {name: f"https://localhost:{port}/graphql" for name, port in ports.items()}
    common = {
        "PATH": os.environ["PATH"],
        "HOST": "127.0.0.1",
        "TLS_CERTIFICATE": str(certificate),
        "TLS_KEY": str(key),
        "TLS_AUTHORITY": str(authority.file),
        "ISSUER_URL": held.enter_context(issuer(shown)),
        "NATS_URL": f"tls://localhost:{broker.port}",
        **{f"SUBGRAPH_URL_{name.upper()}": urls[name] for name in NAMES},
    }

    def database_url(name: str, kind: str) -> str:
        file = quote(str(credentials.password_file(place, name, kind)))
        verified = f"sslmode=verify-full&sslrootcert={quote(str(authority.file))}"
        return f"postgresql://{roles.role(name, kind)}@localhost:{database}/{name}?passfile={file}&{verified}"

    for name in NAMES:
        url = database_url(name, roles.MIGRATOR).replace("postgresql://", "postgresql+asyncpg://")
        portal.call(migrate.bring_up, url, name)
    programs = {name: ("services.kit.serve", name) for name in NAMES} | {"gateway": ("gateway",)}
    for name, program in programs.items():
        own = {"PORT": str(ports[name]), "NATS_SEED_FILE": str(credentials.seed_file(place, name))}
        if name == "gateway":
            own |= {"SUPERGRAPH": str(SUPERGRAPH), "PUBLIC_URL": urls[name], "SIGNING_KEYS": str(place / keys.PRIVATE)}
        else:
            own |= {f"{name.upper()}_DATABASE_URL": database_url(name, roles.APP)}
            own |= {"GATEWAY_KEYS": str(place / keys.PUBLIC), "AUDIT_KEYS": str(place / name / keys.AUDIT)}
            own |= {
                "GRANT_KEYS": str(place / keys.GRANTS.public),
                "GRANT_SIGNING_KEYS": str(place / keys.GRANTS.private),
                "SMTP_URL": "smtps://127.0.0.1",  # no letter is written here
                "MAIL_FROM": "one-door@example.ca",
            }
        log = folder / f"{name}.log"
        process = spawn([sys.executable, "-m", *program], log, env={**common, **own})  # production is what is not said
        held.callback(end, process, signal.SIGTERM, patience_s=30)
        made = Production(urls, common["ISSUER_URL"], authority, {"nats": broker.port, **ports})
        wait_until(lambda name=name, made=made: is_ready(made, name), process, name, log, patience_s=120)  # type: ignore[misc]
    return made


def health(production: Production, name: str) -> httpx.Response:
    with production.client() as http:
        return http.get(production.urls[name].replace("/graphql", "/health/ready"))


def is_ready(production: Production, name: str) -> bool:
    """Whether a part is ready; a service also has the issuer's keys and its user at NATS."""
    try:
        answer = health(production, name)
    except httpx.TransportError:
        return False
    checks = answer.json().get("checks", {})
    return answer.status_code == 200 and all(state == "ok" for state in checks.values())


class TestAProvinceInProduction:
    def test_answers_a_person_from_two_ministries(self, production: Production) -> None:
        answer = production.ask("{ myBusinesses { edges { node { legalName } } } clusters { code } }")
        assert "errors" not in answer, answer
        assert answer["data"]["myBusinesses"] == {"edges": []}
        assert len(answer["data"]["clusters"]) == 7

    def test_has_no_part_that_speaks_without_tls(self, production: Production) -> None:
        for name in (*NAMES, "gateway"):
            with httpx.Client(trust_env=False, timeout=10) as plain, pytest.raises(httpx.TransportError):
                plain.get(f"http://127.0.0.1:{production.plain[name]}/health/live")

    def test_is_believed_by_those_who_know_its_authority_only(self, production: Production) -> None:
        for url in production.urls.values():
            with (
                httpx.Client(trust_env=False, timeout=10) as stranger,
                pytest.raises(httpx.ConnectError, match="CERTIFICATE"),
            ):
                stranger.get(url)
