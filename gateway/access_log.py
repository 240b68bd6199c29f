"""One JSON line a request on standard output, written together with others twice a second.

Everything else that the gateway logs goes through structlog; this line is on the hot path of every request, so it is made
by one serialisation and costs no system call of its own. A killed process loses the lines of its last half second.
"""

import asyncio
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, Any

import orjson
from opentelemetry import trace

FLUSH_S = 0.5
MOST_WAITING = 1_000  # lines


class AccessLog:
    """Collects lines and writes them. Use within an event loop; `flush` at the end."""

    def __init__(self, output: IO[bytes] | None = None, *, enabled: bool = True, traces: bool = False) -> None:
        self._output = output or sys.stdout.buffer
        self._enabled, self._traces = enabled, traces
        self._lines: list[bytes] = []  # an object kept for each request would wake the garbage collector

    def record(self, request_id: str, **facts: Any) -> None:
        """Note a request that was answered: its id and what else is told of it, JSON values only. `fetches` is given as
        number and seconds by subgraph, and told in milliseconds."""
        if not self._enabled:
            return
        if self._traces:
            span = trace.get_current_span().get_span_context()
            if span.is_valid:
                facts["trace_id"] = format(span.trace_id, "032x")
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_S, self.flush)
        self._lines.append(_line(request_id, facts))
        if len(self._lines) >= MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._output.write(b"".join(lines))
            self._output.flush()


def in_milliseconds(fetches: Mapping[str, tuple[int, float]]) -> dict[str, dict[str, float]]:
    """Requests by subgraph, as people are told of them: how many, and their time in milliseconds."""
    return {name: {"count": number, "ms": round(seconds * 1000, 2)} for name, (number, seconds) in fetches.items()}


def _line(request_id: str, facts: dict[str, Any]) -> bytes:
    if "fetches" in facts:
        facts["fetches"] = in_milliseconds(facts["fetches"])
    line = {
        "service": "gateway",
        "event": "request",
        "level": "info",
        "timestamp": datetime.now(UTC),
        "request_id": request_id,
        **facts,
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)
