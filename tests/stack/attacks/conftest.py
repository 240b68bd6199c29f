"""What the attacks are aimed at: a whole province behind a door in production mode, whose issuer lends its key to the attacker.

So a token can be wrong in one thing only: everything about it but that is as the real issuer would sign it.
"""

import importlib.util
import json
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from clusters.access import access
from clusters.local.processes import end, free_port, spawn, wait_until
from clusters.local.state import State
from clusters.topology import SERVICES, SUPERGRAPH
from services.kit.dpop import Prover
from services.kit.testing import tokens
from services.kit.testing.client import purposeful
from tests.conftest import province
from tests.gateway.running import UNGUARDED

if importlib.util.find_spec("schemathesis") is None:  # `make test` has not installed what attacks
    collect_ignore_glob = ["test_*.py"]

REALM = "/realms/onedoor"


class LentIssuer:
    """An issuer that serves the tests' keys, can be stopped and started again, and counts how often it was asked."""

    def __init__(self) -> None:
        self.port, self.asked = free_port(), 0
        self.url = f"http://127.0.0.1:{self.port}{REALM}"
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Serve the keys."""
        issuer, keys = self, json.dumps({"keys": [tokens.key().as_dict(private=False)]}).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += self.path.endswith("/certs")
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(keys)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Be away."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@dataclass
class Target:
    """The door, the services behind it, and what the attacker holds: a key pair, and tokens as the issuer signs them."""

    url: str
    log: Path
    issuer: LentIssuer
    environment: Mapping[str, str]
    nats: int = 0  # its process, of the province
    prover: Prover = field(default_factory=Prover)
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30, trust_env=False))

    @property
    def services(self) -> dict[str, str]:
        """Where each service answers GraphQL, by its name."""
        return {part.name: self.environment[part.subgraph_variable] for part in SERVICES}

    def token(self, user: str = "owner", **claims: Any) -> str:
        """A token of a demo user, with all its role's scopes, bound to the attacker's key unless `cnf` says otherwise."""
        role = access().users[user].role
        usual: dict[str, Any] = {
            "iss": self.issuer.url,
            "aud": list(access().audiences),
            "realm_access": {"roles": [role]},
            "cnf": {"jkt": self.prover.thumbprint},
        }
        return tokens.token(*access().roles[role], username=user, **{**usual, **claims})

    def shown(self, token: str, method: str = "POST") -> dict[str, str]:
        """The header lines of a request to the door that shows a bound token."""
        return self.prover.headers(method, self.url, token)

    def ask(
        self, text: str, user: str | None = None, variables: object = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """POST an operation to the door."""
        held = purposeful(self.shown(self.token(user))) if user else {}
        body = {"query": text, "variables": variables or {}}
        return self.http.post(self.url, json=body, headers={"accept-language": "fr", **held, **(headers or {})})

    def lines(self) -> list[dict[str, Any]]:
        """What the door has logged so far: each line must be one JSON object."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.strip()]


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A province and its strict door; the limits of rates are those of production."""
    issuer = LentIssuer()
    issuer.start()
    try:
        with province({"ISSUER_URL": issuer.url}) as running:
            for door in strict_door(as_the_own(running), issuer, tmp_path_factory.mktemp("door") / "door.log"):
                door.nats = next(part.pid or 0 for part in running.parts if part.name == "nats")
                yield door
    finally:
        issuer.stop()


def as_the_own(running: State) -> dict[str, str]:
    """The variables of a province's own gateway, its keys among them, and the addresses of the other parts."""
    (own,) = (part for part in running.parts if part.name == "gateway")
    given = Path(f"/proc/{own.pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in given if pair) | running.environment


def strict_door(
    environment: Mapping[str, str],
    issuer: LentIssuer,
    log: Path,
    changed: Mapping[str, str] | None = None,
    *,
    user: str | None = "owner",
) -> Iterator[Target]:
    """A gateway in production mode before a province's services, ready once it answers a user, else the public."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/graphql"
    env = {
        **environment,
        "ONEDOOR_MODE": "production",
        "SUPERGRAPH": str(SUPERGRAPH),
        "TRUSTED_DOCUMENTS": str(SUPERGRAPH.with_name("trusted-documents.json")),
        "ISSUER_URL": issuer.url,
        "PUBLIC_URL": url,
        "PORT": str(port),
        **(changed or {}),
    }
    door = spawn([sys.executable, "-c", UNGUARDED], log, env=env)
    target = Target(url, log, issuer, environment)
    try:
        wait_until(lambda: _answers(target, user), door, "the door", log, patience_s=60)
        yield target
    finally:
        target.http.close()
        end(door, signal.SIGTERM, patience_s=30)


def _answers(target: Target, user: str | None) -> bool:
    try:
        return target.ask("{ __typename }", user).status_code == 200
    except httpx.TransportError:
        return False
