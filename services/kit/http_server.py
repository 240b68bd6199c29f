"""How every HTTP server of the house is set up."""

import gc
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn

# Above what proxies (60 s) and clients keep an idle connection for: who asks last is not met by our hanging up.
IDLE_S = 75
# Before the collector looks at them: at Python's 700 it walks every answer that is under way, and finds nothing.
NEW_OBJECTS = 10_000


def configured(app: Callable[..., Any], host: str, port: int, **further: Any) -> uvicorn.Config:
    """uvicorn's settings for an ASGI application, with `further` ones of its own: our logs instead of its own, nothing told of
    the software, and no address believed that a caller could forge."""
    shared: dict[str, Any] = {
        "loop": "uvloop",
        "http": "httptools",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "timeout_keep_alive": IDLE_S,
    }
    return uvicorn.Config(app, host=host, port=port, **shared | further)


def run(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
    """Serve until told to stop, on `sockets` where they are given. Exits with 3 where it could not start."""
    gc.set_threshold(NEW_OBJECTS)
    server.run(sockets)
    if not server.started:
        sys.exit(3)
