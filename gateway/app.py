"""The composition root: settings → supergraph, operations, subgraphs, tokens → one ASGI application.

Start: the supergraph is read and every subgraph gets an address, or nothing starts; then the issuer's keys are fetched in the
background. Stop: readiness turns 503, requests go on, then idle connections are closed.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, MutableMapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from gateway import cross_site, ide, metrics, spans
from gateway.access_log import AccessLog
from gateway.departures import Departures
from gateway.documents import Documents, manifest
from gateway.engine.supergraph import Supergraph, load_supergraph
from gateway.exchange import Send
from gateway.operations import Operations
from gateway.pipeline import Pipeline
from gateway.settings import Settings
from gateway.sockets import Sockets
from gateway.subgraphs import Subgraphs
from services.kit import faults, logs
from services.kit.settings import Mode
from services.kit.tokens import Keys, Verifier, http_source

_LOG = structlog.get_logger(__name__)


class Gateway:
    """What a running gateway is made of. `draining` turns readiness off before the stop."""

    supergraph: Supergraph
    subgraphs: Subgraphs
    pipeline: Pipeline

    def __init__(self, settings: Settings) -> None:
        """Raises OSError, SupergraphRefused, Addressless and ValueError: a gateway that cannot serve does not start."""
        self.settings = settings
        self.keys = Keys(http_source(settings.issuer.jwks_url)) if settings.issuer else None
        issuer, keys = settings.issuer, self.keys
        self._verifier = Verifier(issuer, settings.audience, keys) if issuer and keys else None
        self.departures = Departures()
        self.access_log = AccessLog(enabled=settings.log_level in ("DEBUG", "INFO"), traces=settings.traces)
        self.draining = False
        self.documents = Documents({}, only_trusted=settings.only_trusted_documents)
        self.serve(load_supergraph(settings.supergraph.read_text(encoding="utf-8"), settings.contract))

    def serve(self, supergraph: Supergraph) -> None:
        """Answer from now on by this supergraph and the documents that are trusted now; what runs ends on the one it began
        with. Connections to subgraphs whose address stays are kept. Raises Addressless, OSError and ValueError, and then
        nothing has changed."""
        settings, served = self.settings, getattr(self, "subgraphs", None)
        trusted = self._manifest()
        subgraphs = Subgraphs(supergraph, settings, served)
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
        self.pipeline = Pipeline(operations, subgraphs, self._verifier, settings, self.departures, self.access_log)
        if served is not None:
            served.close(keep=subgraphs)
        metrics.SUPERGRAPH.labels(supergraph.id).set(1)

    def trusts_others(self) -> bool:
        """Whether the manifest of trusted documents has changed since it was read. Raises OSError and ValueError."""
        return self.documents.trusted != self._manifest()

    def _manifest(self) -> Mapping[str, str]:
        return manifest(self.settings.trusted_documents) if self.settings.trusted_documents else {}

    def drain(self) -> None:
        """Say from now on that the gateway is leaving; requests are still answered."""
        self.draining = True
        metrics.DRAINING.set(1)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keys are kept fresh while the block lasts; connections are closed after it."""
        background = [asyncio.create_task(self.departures.watch()), asyncio.create_task(metrics.keep_settled())]
        if self.keys:
            background.append(asyncio.create_task(self.keys.run()))
        _LOG.info("ready", supergraph=self.supergraph.id, subgraphs=sorted(self.supergraph.subgraphs))
        try:
            yield
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
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

    async def pipeline(scope: Any, receive: Any, send: Any) -> None:
        await gateway.pipeline(scope, receive, _closing(send) if gateway.draining else send)

    door: ASGIApp = pipeline
    if gateway.settings.cors_origins:
        door = CORSMiddleware(
            door,
            allow_origins=sorted(gateway.settings.cors_origins),
            allow_methods=("GET", "POST"),
            allow_headers=cross_site.ALLOWED_HEADERS,
            expose_headers=("x-request-id",),
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
