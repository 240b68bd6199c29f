"""What a running part looks like from outside: ready or not, its memory, the requests it has answered."""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

TIMEOUT_S = 0.5


def is_ready(address: str) -> bool:
    """Whether `host:port` answers 200 on /health/ready."""
    try:
        with _get(address, "/health/ready") as response:
            return response.status == 200
    except (OSError, http.client.HTTPException):
        return False


def requests_answered(address: str) -> int | None:
    """The requests counted in a part's /metrics since it started; None when it does not say."""
    try:
        with _get(address, "/metrics") as response:
            lines = response.read().decode(errors="replace").splitlines() if response.status == 200 else []
    except (OSError, http.client.HTTPException):
        return None
    counts = [float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0].endswith(COUNTER)]
    return int(sum(counts)) if counts else None


COUNTER = "requests_total"


def memory_mib(pid: int) -> float | None:
    """A process and its children, in MiB; pages shared with others count by share where the system tells (Linux)."""
    try:
        process = psutil.Process(pid)
        return sum(_bytes(p) for p in (process, *process.children(recursive=True))) / 2**20
    except psutil.Error:
        return None


def _bytes(process: psutil.Process) -> int:
    try:
        info = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(info, "pss", 0) or info.rss)


@contextmanager
def _get(address: str, path: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        yield connection.getresponse()
    finally:
        connection.close()
