"""What a service answers to callers that sign nothing: the addresses named here, and no others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from joserfc.jwk import OKPKey
from starlette.applications import Starlette

from services.kit import serve
from services.kit.settings import Issuer, Mode, Settings
from tests.architecture.test_layout import SERVICES

EVERYWHERE = {"/health/live", "/health/ready", "/metrics"}  # for operators, within their network
PUBLIC: Mapping[str, set[str]] = {  # anybody's, by a standard
    "information_referral": {"/hsds", "/hsds/", "/hsds/services", "/hsds/services/{id}"}
}


@pytest.mark.parametrize("name", SERVICES)
class TestTheAddressesOfAService:
    async def test_are_signed_calls_only_but_for_those_that_are_named(self, name: str, tmp_path: Path) -> None:
        app = nothing_behind(name, tmp_path)
        assert {route.path for route in app.routes} - EVERYWHERE - PUBLIC.get(name, set()) == {"/graphql"}  # type: ignore[attr-defined]
        assert await _status(app, "/graphql") == 401
        assert await _status(app, "/health/live") == 200


def nothing_behind(name: str, folder: Path) -> Starlette:
    """A service's application, with keys and nothing to stand on."""
    keys = folder / "keys.json"
    keys.write_bytes(orjson.dumps(OKPKey.generate_key("Ed25519", private=False).as_dict()))
    nobody = Issuer("http://127.0.0.1:1", "http://127.0.0.1:1")
    database = "postgresql+asyncpg://127.0.0.1:1/none"
    settings = Settings(
        name, Mode.TEST, "127.0.0.1", 0, database, "nats://127.0.0.1:1", nobody, "INFO", keys, "http://a/graphql"
    )
    return serve.application(serve.Parts(serve.load(name), settings))


async def _status(app: Any, path: str) -> int:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b'{"query":"{ __typename }"}'}

    async def send(message: Any) -> None:
        sent.append(message)

    method = "POST" if path == "/graphql" else "GET"
    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b"", "root_path": ""}
    await app(scope, receive, send)
    return int(sent[0]["status"])
