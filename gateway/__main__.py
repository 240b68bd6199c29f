"""Runs the gateway as a process: `python -m gateway`, or `serve()` from the command line. Reads the environment."""

import asyncio
import sys
from typing import Any

import uvicorn

from gateway.app import Gateway, application
from gateway.engine.supergraph import SupergraphRefused
from gateway.settings import Settings, gateway_settings
from gateway.subgraphs import Addressless
from services.kit import logs, tracing
from services.kit.settings import SettingMissing


class _Server(uvicorn.Server):
    """uvicorn that says it is leaving before it leaves."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    def handle_exit(self, sig: int, frame: Any) -> None:
        if self._gateway.draining:  # asked twice: leave now
            super().handle_exit(sig, frame)
            return
        self._gateway.drain()
        wait_s = self._gateway.settings.drain_s
        asyncio.get_running_loop().call_later(wait_s, super().handle_exit, sig, frame)


def serve(settings: Settings | None = None) -> None:
    """Serve until told to stop: on SIGTERM readiness turns 503, requests are answered a while longer, then it exits.

    Exits with a sentence when the settings or the supergraph cannot be used.
    """
    try:
        settings = settings or gateway_settings()
        logs.configure("gateway", settings.log_level)
        tracing.configure("gateway")
        gateway = Gateway(settings)
    except (SettingMissing, SupergraphRefused, Addressless, OSError, ValueError) as error:
        sys.exit(f"gateway: {error}")
    config = uvicorn.Config(
        application(gateway),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    server = _Server(config, gateway)
    server.run()
    if not server.started:
        sys.exit(3)


if __name__ == "__main__":
    serve()
