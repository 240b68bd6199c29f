"""Runs one service as a process: migrate, seed, serve, and follow its events. The composition root of a service.

`python -m services.kit.serve NAME`, or `run(NAME)` in a forked child. Order of start: settings, logs, database (migrated,
seeded), keys, NATS in the background, HTTP. It stops in the opposite order; on SIGTERM readiness turns 503 first.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from importlib import import_module
from typing import Any

import structlog
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.kit import (
    database,
    faults,
    gate,
    http_server,
    logs,
    migrate,
    privileges,
    production,
    sweeping,
    tls,
    tracing,
)
from services.kit.audit.announcing import Announcer
from services.kit.audit.sealer import Sealer
from services.kit.broker import sign_in
from services.kit.bus import Bus, end
from services.kit.feed import Feed
from services.kit.grant_follower import GrantFollower
from services.kit.lease import Lease
from services.kit.service import Service, StartRefused
from services.kit.session_stream import SessionStream
from services.kit.settings import Mode, SettingMissing, Settings, service_settings
from services.kit.signing_keys import KeyFile, first_key, public_keys
from services.kit.tokens import Keys, Verifier, http_source
from services.kit.view import GraphQLView

DRAIN_S = 3.0  # uvicorn drops accepted, unread connections when it stops: keep answering while others notice
_LOG = structlog.get_logger(__name__)


class Parts:
    """What a running service is made of. `draining` turns readiness off before the stop."""

    def __init__(self, service: Service, settings: Settings, certificate: tls.Listener | None = None) -> None:
        self.service, self.settings, self.certificate = service, settings, certificate
        self.database = database.connect(settings.database_url, settings.name)
        self.feed = Feed()
        signed_in = sign_in(settings.name, settings.nats_url, settings.nats_seed, settings.authority)
        self.bus = Bus(service, self.database, self.feed, settings.nats_url, signed_in)
        checks = tls.context(settings.authority) if settings.authority else None
        self.keys = Keys(http_source(settings.issuer.jwks_url, checks))
        self.verifier = Verifier(settings.issuer, settings.audience, self.keys)
        self.gate = gate.gate(settings.gateway_keys, settings.address)
        self.audit_key = KeyFile(settings.audit_keys, first_key) if settings.audit_keys else None
        signs = lambda: self.audit_key.held if self.audit_key else None  # noqa: E731 - the key that the file holds now
        self.sealer = Sealer(self.database, settings.name, service.sealed, signs)
        self.announcer = Announcer(self.database, settings.name, signs, settings.audit_heads)
        self.sessions = SessionStream(settings.nats_url, self.verifier.ended, **signed_in.options)
        self.lease = Lease()
        self.grants = None
        if settings.grant_keys:
            known = KeyFile(settings.grant_keys, public_keys)
            self.grants = GrantFollower(
                settings.nats_url, service.name, self.database, self.lease, known, **signed_in.options
            )
        self.draining = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Seeded and connected while the block lasts. The database has been brought up to the code before."""
        for seed in self.service.seeds:
            async with self.database.transaction() as db:
                await seed(db)
        lasting = [self.keys.run(), self.sessions.run(), sweeping.sweep(self.database), self.sealer.run()]
        lasting.append(self.announcer.run())
        if self.audit_key:
            lasting.append(self.audit_key.follow())
        if self.grants:
            lasting += [self.grants.run(), self.grants.keys.follow()]
        if self.gate:
            lasting.append(self.gate.keys.follow())
        if self.certificate:
            lasting.append(self.certificate.follow())
        lasting += [work(self.database) for work in self.service.works]
        kept_up = [asyncio.create_task(coroutine) for coroutine in lasting]
        await self.bus.start()
        _LOG.info("ready", port=self.settings.port)
        try:
            yield
        finally:
            await self.bus.stop()
            await end(*kept_up)
            await self.database.close()

    async def checks(self) -> dict[str, str]:
        """The state of what the service stands on: `ok`, or what is wrong."""
        try:
            reader = self.database.reader()
            await reader.execute(text("SELECT 1"))
            await reader.close()
            store = "ok"
        except Exception as error:
            store = type(error).__name__
        return {
            "database": store,
            "events": "ok" if self.bus.connected else "connecting",
            "keys": "ok" if self.keys.known else "unknown",
        }


def application(parts: Parts) -> Starlette:
    """The ASGI application of a service."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with parts.running():
            yield
            await view.refused_entries.written()

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_: Request) -> Response:
        # Without NATS a service still answers and its events wait in the outbox; without keys it answers the public.
        checks = await parts.checks()
        fine = checks["database"] == "ok" and not parts.draining
        state = "draining" if parts.draining else "ok" if fine else "unavailable"
        return JSONResponse({"status": state, "service": parts.service.name, "checks": checks}, 200 if fine else 503)

    async def scrape(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    async def missing(_: Request, __: Exception) -> Response:
        return JSONResponse({"errors": [faults.as_error(faults.NOT_FOUND, logs.request_id.get())]}, 404)

    view = GraphQLView(parts.service.schema, parts.database, parts.feed, parts.verifier, parts.gate, parts.lease)
    routes = [
        Route("/graphql", endpoint=_Raw(view)),
        Route("/health/live", live),
        Route("/health/ready", ready),
        Route("/metrics", scrape),
        *parts.service.routes,
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: missing})
    app.state.parts = parts
    return app


class _Raw:
    """Lets Starlette route to a plain ASGI application without wrapping it in requests and responses."""

    def __init__(self, app: Callable[[Any, Any, Any], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class _Server(uvicorn.Server):
    """uvicorn that says it is leaving before it leaves."""

    def __init__(self, config: uvicorn.Config, parts: Parts) -> None:
        super().__init__(config)
        self._parts = parts

    def handle_exit(self, sig: int, frame: Any) -> None:
        if self._parts.draining:  # asked twice: leave now
            super().handle_exit(sig, frame)
            return
        self._parts.draining = True
        wait_s = DRAIN_S if self._parts.settings.mode.value == "production" else 0.0
        asyncio.get_running_loop().call_later(wait_s, super().handle_exit, sig, frame)


def load(name: str) -> Service:
    """The service object of a name. Raises ModuleNotFoundError."""
    service: Service = import_module(f"services.{name}.service").service
    return service


def run(name: str) -> None:
    """Run a service by its name until it is told to stop. Reads the environment. Exits with 1 where a check says what
    must be mended first, and with 3 where the start failed."""
    try:
        production.require_of_service(name)
        settings, certificate = service_settings(name), tls.listener()
        logs.configure(name, settings.log_level)
        traced = tracing.configure(name)
        service = load(name)
        for check in service.checks:
            check()
        parts = Parts(service, settings, certificate)
        if settings.migration_url:
            asyncio.run(migrate.bring_up(settings.migration_url, name))
        else:
            asyncio.run(migrate.require(settings.database_url, name))
        if settings.mode is Mode.PRODUCTION:
            asyncio.run(privileges.require_few(settings.database_url, name))
    except (SettingMissing, StartRefused, migrate.NotMigrated) as refused:
        sys.stderr.write(f"{refused}\n")  # for whoever mends it: no stack, no JSON
        sys.exit(1)
    if traced:
        parts.database.trace()
    config = http_server.configured(application(parts), settings.host, settings.port, timeout_graceful_shutdown=10)
    if certificate:
        config.ssl_context_factory = lambda *_: certificate.context
    http_server.run(_Server(config, parts))


def main(arguments: Sequence[str] = tuple(sys.argv[1:])) -> None:
    """Command line: the name of the service."""
    if len(arguments) != 1:
        sys.exit("usage: python -m services.kit.serve NAME")
    run(arguments[0])


if __name__ == "__main__":
    main()
