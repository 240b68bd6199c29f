"""Several gateways on one port, and the one process that starts, replaces and ends them.

Each worker is the ordinary process with a listener of its own on the shared port (SO_REUSEPORT: the kernel deals out the
connections). A worker that is killed is replaced; one that refuses to start ends all. When this process ends, however it
ends, a pipe tells the workers to leave: none is orphaned. Metrics of all are added up by whichever worker is asked.
"""

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping

import structlog
from prometheus_client.multiprocess import mark_process_dead

LONGEST_PAUSE_S = 5.0
_LOG = structlog.get_logger(__name__)


def supervise(workers: int, host: str, port: int, env: Mapping[str, str] = os.environ) -> int:
    """Run workers until told to stop by SIGTERM or SIGINT; SIGHUP is passed on to them. Returns an exit code.

    Raises OSError when the port is taken.
    """
    reserve(host, port).close()
    folder = tempfile.mkdtemp(prefix="onedoor-metrics-")
    _LOG.info("workers", count=workers, address=f"http://{host}:{port}")
    try:
        shares = str(int(env.get("RATE_SHARES") or 1) * workers)
        given = {"WORKERS": "1", "RATE_SHARES": shares, "PROMETHEUS_MULTIPROC_DIR": folder}
        return asyncio.run(_Supervisor({**env, **given}).run(workers))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def reserve(host: str, port: int) -> socket.socket:
    """A bound socket, if nobody else uses the port. Raises OSError."""
    return _bound(host, port, socket.SO_REUSEADDR)


def shared(host: str, port: int) -> socket.socket:
    """A bound socket of a port that other workers use too. Raises OSError."""
    return _bound(host, port, socket.SO_REUSEADDR, socket.SO_REUSEPORT)


def has_terminal() -> bool:
    """Whether this process belongs to a terminal that is still there: SIGHUP then asks for a reload, else to end."""
    try:
        open("/dev/tty").close()
    except OSError:
        return False
    return True


def _bound(host: str, port: int, *options: int) -> socket.socket:
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    found = socket.socket(family, kind)
    try:
        for option in options:
            found.setsockopt(socket.SOL_SOCKET, option, 1)
        found.bind(address)
    except OSError:
        found.close()
        raise
    return found


class _Supervisor:
    def __init__(self, env: Mapping[str, str]) -> None:
        self._alive, self._held = os.pipe()  # workers see the end of it when this process is gone
        self._env = {**env, "SUPERVISOR_PIPE": str(self._alive)}
        self._running: set[asyncio.subprocess.Process] = set()
        self._leaving: int | None = None
        self._had_terminal = has_terminal()

    async def run(self, workers: int) -> int:
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sig, self._leave, sig)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        codes = await asyncio.gather(*(self._keep(number) for number in range(workers)))
        return max(map(abs, codes)) if self._leaving is None else -self._leaving

    async def _keep(self, number: int) -> int:
        """Keep one worker running until all leave. Returns its last exit code."""
        pause_s = 0.0
        while True:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway"),
                env=self._env,
                pass_fds=(self._alive,),
                start_new_session=True,  # a terminal's Ctrl-C is for this process alone, which passes it on once
            )
            self._running.add(process)
            if self._leaving is not None:
                process.send_signal(signal.SIGTERM)
            code = await process.wait()
            self._running.discard(process)
            mark_process_dead(process.pid, self._env["PROMETHEUS_MULTIPROC_DIR"])  # type: ignore[no-untyped-call]
            if self._leaving is None and code >= 0:
                self._tell(signal.SIGTERM)  # it said why on standard error
            if self._leaving is not None or code >= 0:
                return code
            _LOG.error("worker_replaced", worker=number, pid=process.pid, signal=-code)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2 or 0.1, LONGEST_PAUSE_S)

    def _hung_up(self) -> None:
        if self._had_terminal and not has_terminal():
            self._leave(signal.SIGTERM)
        else:
            self._tell(signal.SIGHUP)

    def _leave(self, sig: int) -> None:
        self._leaving = sig
        self._tell(signal.SIGTERM)

    def _tell(self, sig: int) -> None:
        for process in self._running:
            process.send_signal(sig)
