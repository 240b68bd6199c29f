"""Runs the gateway as a process: `python -m gateway`, or `serve()` from the command line. Reads the environment."""

import asyncio
import math
import resource
import shutil
import signal
import socket
import sys
from dataclasses import replace
from typing import Any, NoReturn

import uvicorn

from gateway import workers
from gateway.app import Gateway, application
from gateway.engine.supergraph import SupergraphRefused
from gateway.http_protocol import Connection
from gateway.reload import Reloader
from gateway.settings import Settings, gateway_settings
from gateway.subgraphs import Addressless
from gateway.websocket import WebSocketProtocol
from services.kit import http_server, logs, production, tracing
from services.kit.language import spoken
from services.kit.settings import Mode, SettingMissing


class _Server(uvicorn.Server):
    """uvicorn that follows the supergraph file, and says that it is leaving before it leaves."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway
        self._reloader = Reloader(gateway, gateway.settings.supergraph)
        self._background: set[asyncio.Task[Any]] = set()
        self._is_orphan = False
        self._had_terminal = workers.has_terminal()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hung_up)
        self._background.add(asyncio.create_task(self._reloader.follow()))
        if certificate := self._gateway.settings.certificate:
            self._background.add(asyncio.create_task(certificate.follow()))
        pipe = self._gateway.settings.supervisor_pipe
        if pipe is not None:
            asyncio.get_running_loop().add_reader(pipe, self._orphaned, pipe)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._gateway.departures.closing.set()
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await super().shutdown(sockets)
        if self._is_orphan and self._gateway.settings.metrics_folder:
            shutil.rmtree(self._gateway.settings.metrics_folder, ignore_errors=True)

    def handle_exit(self, sig: int, frame: Any) -> None:
        if self._gateway.draining:  # asked twice: leave now
            super().handle_exit(sig, frame)
            return
        self._gateway.drain()
        wait_s = self._gateway.settings.drain_s
        asyncio.get_running_loop().call_later(wait_s, super().handle_exit, sig, frame)

    def _orphaned(self, pipe: int) -> None:
        """The supervisor is gone without a word: leave as if it had told to."""
        asyncio.get_running_loop().remove_reader(pipe)
        self._is_orphan = True
        if not self._gateway.draining:
            self.handle_exit(signal.SIGTERM, None)

    def _hung_up(self) -> None:
        """SIGHUP asks for the supergraph to be read again, unless it says that the terminal was closed."""
        if self._had_terminal and not workers.has_terminal():
            self.handle_exit(signal.SIGTERM, None)
            return
        task = asyncio.ensure_future(self._reloader.reload())
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def serve(settings: Settings | None = None) -> None:
    """Serve until told to stop: on SIGTERM readiness turns 503, requests are answered a while longer, then it exits.

    Exits with a sentence when the settings or the supergraph cannot be used.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it can be heeded; its default is to die
    try:
        settings = settings or _strict_settings()
        logs.configure("gateway", settings.log_level)
        if settings.workers > 1:
            Gateway(settings)  # so that what cannot be served is said once
            _end(workers.supervise(settings.workers, settings.host, settings.port))
        tracing.configure("gateway")
        gateway = Gateway(settings)
        sockets = [workers.shared(settings.host, settings.port)] if settings.supervisor_pipe is not None else None
    except (SettingMissing, Addressless) as error:
        sys.exit(f"gateway: {error}")
    except (SupergraphRefused, OSError, ValueError) as error:
        sys.exit(spoken(f"gateway: {error}", f"gateway\u00a0: rien à servir; la raison, en anglais\u00a0: {error}"))
    config = http_server.configured(
        application(gateway),
        settings.host,
        settings.port,
        http=Connection,
        ws=WebSocketProtocol,
        ws_max_size=settings.limits.body_bytes,
        ws_per_message_deflate=False,  # a context for each of thousands of idle sockets
        date_header=False,
        timeout_graceful_shutdown=math.ceil(settings.deadline_s) + 1,  # the slowest request still gets its answer
    )
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a socket is a file, and many systems start with 1,024
    sys.setswitchinterval(0.001)  # seconds that work on a thread may hold others up
    if certificate := settings.certificate:
        config.ssl_context_factory = lambda *_: certificate.context
    http_server.run(_Server(config, gateway), sockets)


def _strict_settings() -> Settings:
    """What the environment says, which in production must leave nothing out. Raises SettingMissing."""
    production.require_of_gateway()
    settings = gateway_settings()
    return replace(settings, only_tls=settings.mode is Mode.PRODUCTION)


def _end(code: int) -> NoReturn:
    """End with an exit code; with minus a signal's number, by that signal, as whoever sent it expects."""
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        signal.raise_signal(-code)
    sys.exit(code)


if __name__ == "__main__":
    serve()
