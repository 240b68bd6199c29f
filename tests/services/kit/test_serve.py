"""A service as a process: started in order, kept up while it runs, honest about what it stands on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from services.kit.database import Database, Db
from services.kit.serve import Parts, application
from services.kit.service import Service
from services.kit.settings import Issuer, Mode, Settings
from services.kit.testing.client import Client
from tests.services.kit.conftest import count, declare, issue, until
from tests.services.sample_service.service import service as sample


def settings(database_url: str, nats_url: str = "nats://127.0.0.1:1") -> Settings:
    nobody = Issuer("http://127.0.0.1:1/realms/onedoor", "http://127.0.0.1:1/realms/onedoor")
    return Settings("water_permits", Mode.TEST, "127.0.0.1", 0, database_url, nats_url, nobody, "INFO")


@pytest.fixture
def url(db: Database) -> str:
    """A database whose tables are there already."""
    return db.engine.url.render_as_string(hide_password=False)


@asynccontextmanager
async def running(service: Service, url: str) -> AsyncIterator[Parts]:
    parts = Parts(service, settings(url))
    async with parts.running():
        yield parts


async def got(parts: Parts, path: str) -> tuple[int, Any]:
    """Status and body of a GET."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "root_path": ""}
    await application(parts)(scope, receive, send)
    body = b"".join(m.get("body", b"") for m in sent[1:])
    return sent[0]["status"], orjson.loads(body) if body.startswith(b"{") else body.decode()


class TestARunningService:
    async def test_forgets_idempotency_keys_that_are_older_than_thirty_days(self, client: Client, url: str) -> None:
        for key in ("old", "young"):
            await issue(client, idempotencyKey=key)
        async with client.database.transaction() as db:
            aged = "UPDATE idempotency_key SET created_at = now() - interval '31 days' WHERE key = 'old'"
            await db.execute(text(aged))

        async def swept() -> bool:
            return await count(client.database, "idempotency_key") == 1

        async with running(sample, url):
            await until(swept)

    async def test_has_run_its_seeds_before_it_answers(self, db: Database, url: str) -> None:
        service = Service(f"seeded_{token_hex(2)}")

        @service.seed
        async def seed(inside: Db) -> None:
            await inside.execute(text("INSERT INTO seeded SELECT 1 WHERE NOT EXISTS (SELECT FROM seeded)"))

        await declare(db, "CREATE TABLE seeded (n int)")
        for _ in range(2):
            async with running(service, url):
                assert await count(db, "seeded") == 1

    async def test_is_ready_without_nats_and_keys_and_says_so(self, url: str) -> None:
        async with running(sample, url) as parts:
            status, body = await got(parts, "/health/ready")
        assert (status, body["status"]) == (200, "ok")
        assert body["checks"] == {"database": "ok", "events": "connecting", "keys": "unknown"}

    async def test_that_drains_is_alive_and_not_ready(self, url: str) -> None:
        async with running(sample, url) as parts:
            parts.draining = True
            assert (await got(parts, "/health/ready"))[0] == 503
            assert (await got(parts, "/health/live"))[0] == 200

    async def test_shows_its_figures_and_refuses_other_addresses_in_json(self, url: str) -> None:
        async with running(sample, url) as parts:
            status, body = await got(parts, "/metrics")
            assert status == 200 and "onedoor_requests_total" in body
            status, body = await got(parts, "/nowhere")
            assert (status, body["errors"][0]["extensions"]["code"]) == (404, "NOT_FOUND")


class TestWithoutADatabase:
    async def test_a_service_is_not_ready_and_names_what_is_away(self) -> None:
        parts = Parts(sample, settings("postgresql+asyncpg://nobody@127.0.0.1:1/nothing"))
        status, body = await got(parts, "/health/ready")
        assert (status, body["status"]) == (503, "unavailable")
        assert body["checks"]["database"] not in ("ok", "")
        await parts.database.close()

    async def test_a_query_is_told_that_trying_again_may_help(self, db: Database) -> None:
        parts = Parts(sample, settings("postgresql+asyncpg://nobody@127.0.0.1:1/nothing"))
        answer = await Client(sample, parts.database).run("{ waterPermits { edges { cursor } } }", "water:read")
        assert (answer.data, answer.codes) == ({"waterPermits": None}, ["SERVICE_UNAVAILABLE"])
        await parts.database.close()
