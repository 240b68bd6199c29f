"""The composition root: settings → supergraph, operations, subgraphs, tokens → one ASGI application.

Start: the supergraph is read and every subgraph gets an address, or nothing starts; then the issuer's keys are fetched in the
background. Stop: readiness turns 503, requests go on, then idle connections are closed.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from gateway import backchannel_logout, cross_site, ide, metrics, spans
from gateway.access_log import AccessLog
from gateway.backchannel_logout import BackchannelLogout
from gateway.callers import Callers
from gateway.compiling import is_compiled
from gateway.departures import Departures
from gateway.documents import Documents, Trusted, manifest
from gateway.engine.supergraph import Supergraph, load_supergraph
from gateway.exchange import Send
from gateway.operations import Operations
from gateway.pipeline import Pipeline
from gateway.rate_limits import RateLimits
from gateway.settings import Settings
from gateway.signing import Signer
from gateway.sockets import Sockets
from gateway.subgraphs import Subgraphs
from gateway.watch import Watch
from services.kit import faults, logs, tls
from services.kit.broker import sign_in
from services.kit.ended_sessions import SessionEnded
from services.kit.settings import Mode
from services.kit.tasks import end
from services.kit.tokens import Keys, Verifier, http_source

if TYPE_CHECKING:
    from services.kit.session_stream import SessionStream

_LOG = structlog.get_logger(__name__)


class Gateway:
    """What a running gateway is made of. `draining` turns readiness off before the stop."""

    supergraph: Supergraph
    subgraphs: Subgraphs
    pipeline: Pipeline

    def __init__(self, settings: Settings) -> None:
        """Raises OSError, SettingMissing, SupergraphRefused, Addressless and ValueError: what cannot serve does not start."""
        self.settings = settings
        checks = tls.context(settings.authority) if settings.authority else None
        self.keys = Keys(http_source(settings.issuer.jwks_url, checks)) if settings.issuer else None
        issuer, keys = settings.issuer, self.keys
        verifier = Verifier(issuer, settings.audience, keys) if issuer and keys else None
        self.callers = Callers(verifier, settings)
        self.sessions: SessionStream | None = None
        self._signed_in = sign_in("gateway", settings.nats_url or "", settings.nats_seed, settings.authority)
        self.departures = Departures()
        self.access_log = AccessLog(enabled=settings.log_level in ("DEBUG", "INFO"), traces=settings.traces)
        self.signer = Signer(settings.signing_keys) if settings.signing_keys else None
        self.rate_limits = RateLimits(settings.rates) if settings.rates else None
        self.watch = Watch() if settings.nats_url else None
        self.draining = False
        self.documents = Documents({}, only_trusted=settings.only_trusted_documents)
        self.serve(load_supergraph(settings.supergraph.read_text(encoding="utf-8"), settings.contract))

    def serve(self, supergraph: Supergraph) -> None:
        """Answer from now on by this supergraph and the documents that are trusted now; what runs ends on the one it began
        with. Connections to subgraphs whose address stays are kept. Raises Addressless, OSError and ValueError, and then
        nothing has changed."""
        settings, served = self.settings, getattr(self, "subgraphs", None)
        trusted = self._manifest()
        subgraphs = Subgraphs(supergraph, settings, served, self.signer)
        operations = Operations(
            supergraph,
            self.documents,
            settings.limits,
            remembered=settings.remembered_operations,
            shows_schema=settings.shows_its_schema,
        )
        if served is not None:
            metrics.forget(metrics.SUPERGRAPH, self.supergraph.id)
        self.documents.trusted = trusted
        self.supergraph, self.subgraphs = supergraph, subgraphs
        self.pipeline = Pipeline(
            operations,
            subgraphs,
            self.callers,
            settings,
            self.departures,
            self.access_log,
            self.rate_limits,
            self.watch,
        )
        if served is not None:
            served.close(keep=subgraphs)
        metrics.SUPERGRAPH.labels(supergraph.id).set(1)

    def trusts_others(self) -> bool:
        """Whether the manifest of trusted documents has changed since it was read. Raises OSError and ValueError."""
        return self.documents.trusted != self._manifest()

    def _manifest(self) -> Mapping[str, Trusted]:
        return manifest(self.settings.trusted_documents) if self.settings.trusted_documents else {}

    def drain(self) -> None:
        """Say from now on that the gateway is leaving; requests are still answered."""
        self.draining = True
        metrics.DRAINING.set(1)

    def end_session(self, ended: SessionEnded) -> None:
        """Refuse a session's tokens from now on, here at once and elsewhere as soon as NATS takes the news."""
        if self.sessions:
            self.sessions.tell(ended)
        else:
            self.callers.ended.end(ended)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keys are kept fresh while the block lasts; connections are closed after it."""
        background = [asyncio.create_task(self.departures.watch()), asyncio.create_task(metrics.keep_settled())]
        if self.signer:
            background.append(asyncio.create_task(self.signer.key.follow()))
        if self.keys:
            background.append(asyncio.create_task(self.keys.run()))
        if self.settings.nats_url:
            from services.kit.session_stream import SessionStream  # a client that nobody loads who has no use for it

            self.sessions = SessionStream(self.settings.nats_url, self.callers.ended, **self._signed_in.options)
            background += [asyncio.create_task(self.sessions.run()), asyncio.create_task(self.sessions.telling())]
            if self.watch:
                background.append(asyncio.create_task(self.watch.run(self.sessions.publish)))
        _LOG.info(
            "ready",
            supergraph=self.supergraph.id,
            subgraphs=sorted(self.supergraph.subgraphs),
            compiled=is_compiled(),
        )
        try:
            yield
        finally:
            await end(*background)
            self.subgraphs.close()
            self.access_log.flush()
            metrics.settle()


def application(gateway: Gateway) -> ASGIApp:
    """The addresses of a gateway. `/graphql` is the pipeline itself: no middleware, routing or endpoint on the hot path."""
    edge, graphql, sockets = _edge(gateway), _graphql(gateway), Sockets(gateway)

    async def door(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/graphql":
            await graphql(scope, receive, send)
        elif scope["type"] == "websocket" and scope["path"] == "/graphql":
            await sockets(scope, receive, send)
        else:
            await edge(scope, receive, send)

    return door


def _edge(gateway: Gateway) -> FastAPI:
    """All addresses but the hot one."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with gateway.running():
            yield

    app = FastAPI(
        title="One Door",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={404: _missing, 405: _not_allowed},
    )
    if gateway.settings.mode is Mode.LOCAL:
        app.mount(ide.FILES_AT, ide.files())

    @app.get("/health/live")
    async def live() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get("/health/ready")
    async def ready() -> JSONResponse:
        # A silent subgraph nulls its own fields only, so it never takes the whole door away.
        body = {
            "status": "draining" if gateway.draining else "ok",
            "supergraph": gateway.supergraph.id,
            "subgraphs": await gateway.subgraphs.states(),
            "breakers": gateway.subgraphs.breakers,
        }
        return JSONResponse(body, 503 if gateway.draining else 200)

    issuer, keys = gateway.settings.issuer, gateway.keys
    if issuer and keys:
        logout = BackchannelLogout(issuer, keys, gateway.settings.logout_clients, gateway.end_session)
        app.add_route(backchannel_logout.ADDRESS, logout.__call__, methods=["POST"])

    @app.get("/metrics")
    async def scrape() -> Response:
        metrics.settle()
        registry: CollectorRegistry = REGISTRY
        if gateway.settings.metrics_folder is not None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, str(gateway.settings.metrics_folder))  # type: ignore[no-untyped-call]
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return app


def _graphql(gateway: Gateway) -> ASGIApp:
    """The pipeline of the moment, and around it only what the settings ask for."""

    def pipeline(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        return gateway.pipeline(scope, receive, _closing(send) if gateway.draining else send)

    door: ASGIApp = pipeline
    if gateway.settings.cors_origins:
        door = CORSMiddleware(
            door,
            allow_origins=sorted(gateway.settings.cors_origins),
            allow_methods=("GET", "POST"),
            allow_headers=cross_site.ALLOWED_HEADERS,
            expose_headers=("x-request-id", "www-authenticate"),
        )
    if gateway.settings.traces:
        door = spans.around(door)
    return ide.beside(door) if gateway.settings.mode is Mode.LOCAL else door


def _closing(send: Send) -> Send:
    """Asks the client to take a new connection for its next request: whoever leaves hands kept ones back in time."""

    async def closing(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"connection", b"close")]
        await send(message)

    return closing


async def _missing(_: Request, __: Exception) -> JSONResponse:
    return _refusal(faults.NOT_FOUND)


async def _not_allowed(_: Request, __: Exception) -> JSONResponse:
    return _refusal(faults.METHOD_NOT_ALLOWED)


def _refusal(fault: faults.Fault) -> JSONResponse:
    return JSONResponse({"errors": [faults.as_error(fault, logs.accept_request_id(None))]}, fault.status)
