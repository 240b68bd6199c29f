"""Signs for a router that cannot: `onedoor sign-proxy` takes its calls on the loopback, signs them and sends them on.

The router is told `http://127.0.0.1:PORT/<subgraph>` as each subgraph's address. Who asks, in which language, until when, for
what and on whose behalf it passes on by the headers that services heed where nothing is signed; here they become the context.
Each call is another fetch, a router's second try too.
"""

import asyncio
import contextlib
import ipaddress
import os
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import orjson
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway import http1
from gateway.documents import hash_of
from gateway.engine.supergraph import load_supergraph
from gateway.settings import Settings, gateway_settings
from gateway.signing import Signer, new_id
from gateway.subgraphs import FAULTS, address_of
from services.kit import faults, http_server, logs, tls
from services.kit.context import Context, unsigned
from services.kit.language import negotiate, request_language, spoken
from services.kit.settings import Mode, SettingMissing, required

PASSED_ON = ("authorization", "x-request-id", "accept-language", "traceparent", "tracestate")
EVENTS = "text/event-stream"
_LOG = structlog.get_logger(__name__)


def application(settings: Settings, addresses: Mapping[str, str], signer: Signer) -> Starlette:
    """The proxy's addresses: one for each subgraph, by its name. Bodies, answers, connections, waiting calls and times have the
    gateway's bounds. Raises ValueError for an address of a subgraph that is none."""
    checks = tls.context(settings.authority) if settings.authority else None
    origins = {
        name: http1.Origin(url, settings.connections, settings.answer_bytes, settings.queued, checks)
        for name, url in addresses.items()
    }

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        following = asyncio.create_task(signer.key.follow())
        yield
        following.cancel()
        for origin in origins.values():
            origin.close()

    async def pass_on(request: Request) -> Response:
        logs.request_id.set(logs.accept_request_id(request.headers.get("x-request-id")))
        request_language.set(negotiate(request.headers.get("accept-language", "")))
        name = request.path_params["name"]
        origin = origins.get(name)
        if origin is None:
            return _refusal(faults.NOT_FOUND)
        body = await _body(request, settings.limits.body_bytes)
        if body is None:
            return _refusal(faults.PAYLOAD_TOO_LARGE, limit=settings.limits.body_bytes)
        try:
            return await _sent(request, body, origin, signer, settings)
        except tuple(FAULTS) as problem:
            fault = FAULTS[type(problem)]
            _LOG.warning("subgraph_failed", subgraph=name, code=fault.code, reason=str(problem))
            return _refusal(fault, service=name)

    async def ready(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    routes = [Route("/health/ready", ready), Route("/{name}", pass_on, methods=["POST"])]
    return Starlette(routes=routes, lifespan=lifespan)


async def _sent(request: Request, body: bytes, origin: http1.Origin, signer: Signer, settings: Settings) -> Response:
    """A subgraph's answer to a call, its events as they come. Raises what Origin raises."""
    streams = EVENTS in request.headers.get("accept", "")
    longest_s = settings.streams.longest_ms / 1000 if streams else settings.deadline_s
    authorization = request.headers.get("authorization")
    sign = signer.telling(
        _context(request, body, longest_s), authorization.encode("latin-1") if authorization else None
    )
    lines = "".join(f"{name}: {request.headers[name]}\r\n" for name in PASSED_ON if name in request.headers)
    deadline = asyncio.get_running_loop().time() + settings.deadline_s
    if not streams:
        # Nobody here knows whether it is a mutation: what may have been read is not sent twice.
        answer = await origin.post(body, lines.encode("latin-1"), deadline, again=False, sign=sign)
        return Response(answer.body, answer.status, media_type="application/json")
    signed = lines.encode("latin-1") + sign("POST", origin.url, body)
    stream = await origin.stream(body, signed, deadline)
    return StreamingResponse(
        _parts(stream), stream.status, media_type=EVENTS if stream.is_events else "application/json"
    )


def _context(request: Request, body: bytes, longest_s: float) -> Context:
    """What the router says of a call, in the words of the gateway."""
    told = unsigned({name: value.decode("latin-1") for name, value in request.headers.raw}, new_id())
    latest_ms = int((time.time() + longest_s) * 1000)
    try:
        text = str(orjson.loads(body)["query"])
    except (ValueError, TypeError, LookupError):  # the service will say so
        text = ""
    deadline_ms = latest_ms if told.deadline_ms is None else min(told.deadline_ms, latest_ms)
    return replace(told, op=hash_of(text), fetch=new_id(), deadline_ms=deadline_ms)


async def _parts(stream: http1.Stream) -> AsyncIterator[bytes]:
    try:
        while (part := await stream.part()) is not None:
            yield part
    finally:
        stream.close()


async def _body(request: Request, largest: int) -> bytes | None:
    """The body, None where it is too large."""
    whole = bytearray()
    async for part in request.stream():
        whole += part
        if len(whole) > largest:
            return None
    return bytes(whole)


def _refusal(fault: faults.Fault, **values: object) -> Response:
    return JSONResponse({"errors": [faults.as_error(fault, logs.request_id.get(), values)]}, fault.status)


def serve(env: Mapping[str, str] = os.environ) -> None:
    """Serve until told to stop. In production it calls nobody without TLS.

    Raises Addressless, SettingMissing, SupergraphRefused, OSError and ValueError.
    """
    required(env, "SIGNING_KEYS", "the private key to sign with", "la clé privée qui signe")
    settings = gateway_settings(env)
    settings = replace(settings, only_tls=settings.mode is Mode.PRODUCTION)
    if settings.host != "localhost" and not ipaddress.ip_address(settings.host).is_loopback:
        raise SettingMissing(
            spoken(
                f"HOST is {settings.host}: services believe who reaches this proxy, so it listens on the loopback only",
                f"HOST vaut {settings.host}\u00a0: les services croient qui l’atteint; il n’écoute que sur la boucle locale",
            )
        )
    assert settings.signing_keys is not None  # noqa: S101 - required above
    logs.configure("sign-proxy", settings.log_level)
    subgraphs = load_supergraph(settings.supergraph.read_text(encoding="utf-8")).subgraphs.values()
    addresses = {subgraph.name: address_of(settings, subgraph.name, subgraph.url) for subgraph in subgraphs}
    app = application(settings, addresses, Signer(settings.signing_keys))
    http_server.run(uvicorn.Server(http_server.configured(app, settings.host, settings.port)))
