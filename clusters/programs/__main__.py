"""Runs the simulator of the programs: `python -m clusters.programs`. `/behaviour` says and sets how they behave."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator

import orjson
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clusters.programs.answering import USER, Programs
from clusters.programs.behaviour import BehaviourRefused, Behaviours
from services.kit import http_server, logs
from services.kit.broker import sign_in
from services.kit.bus import end
from services.kit.language import Words, negotiate, spoken
from services.kit.settings import Mode, SettingMissing, authority, mode, nats_seed, nats_url, number

LARGEST_BODY = 65_536
_TOO_LARGE = Words("body: at most 64 KiB.", "body\u00a0: au plus 64\u00a0Kio.")


def application(programs: Programs) -> Starlette:
    """The simulator's ASGI application."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        connecting = asyncio.create_task(programs.start())
        yield
        await end(connecting)
        await programs.stop()

    async def show(_: Request) -> Response:
        return JSONResponse(programs.behaviours.shown())

    async def change(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST_BODY:
                return _refusal(request, "body", _TOO_LARGE, "PAYLOAD_TOO_LARGE", 413)
        try:
            programs.behaviours.change(orjson.loads(body))
        except orjson.JSONDecodeError:
            return _refusal(request, "body", Words("body: send JSON.", "body : envoyez du JSON."))
        except BehaviourRefused as refused:
            return _refusal(request, refused.field, refused.words)
        return JSONResponse(programs.behaviours.shown())

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_: Request) -> Response:
        state = "ok" if programs.connected else "connecting"
        return JSONResponse({"status": state}, 200 if programs.connected else 503)

    async def scrape(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    routes = [
        Route("/behaviour", show, methods=["GET"]),
        Route("/behaviour", change, methods=["PUT"]),
        Route("/health/live", live),
        Route("/health/ready", ready),
        Route("/metrics", scrape),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def _refusal(request: Request, field: str, words: Words, code: str = "BAD_USER_INPUT", status: int = 400) -> Response:
    said = words.of(negotiate(request.headers.get("accept-language", "")))
    text = {"en": words.en, "fr": words.fr}
    error = {"message": said, "extensions": {"code": code, "field": field, "text": text}}
    return JSONResponse({"errors": [error]}, status)


def main() -> None:
    """Serve until told to stop. Exits with a sentence when it must not or cannot run."""
    try:
        if mode() is Mode.PRODUCTION:
            sys.exit(
                spoken(
                    "programs: the simulator decides nothing real, so it does not run in production. Set ONEDOOR_MODE=local.",
                    "programs\u00a0: le simulateur ne décide rien de réel, il ne tourne donc pas en production. Indiquez "
                    "ONEDOOR_MODE=local.",
                )
            )
        url = nats_url()
        signed_in = sign_in(USER, url, nats_seed(), authority())
        port = number(os.environ, "PORT", 8110)
    except SettingMissing as missing:
        sys.exit(f"programs: {missing}")
    logs.configure("programs", os.environ.get("LOG_LEVEL", "INFO"))
    app = application(Programs(url, Behaviours(), signed_in))
    host = os.environ.get("HOST", "127.0.0.1")
    config = http_server.configured(app, host, port, ws="none", timeout_graceful_shutdown=3)
    http_server.run(uvicorn.Server(config))


if __name__ == "__main__":
    main()
