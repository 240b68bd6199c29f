"""One JSON line a request on standard output, written together with others twice a second.

Everything else that the gateway logs goes through structlog; this line is on the hot path of every request, so it is made
by one serialisation and costs no system call of its own. A killed process loses the lines of its last half second.
"""

import asyncio
import sys
from datetime import UTC, datetime
from typing import IO

import orjson
from opentelemetry import trace

FLUSH_S = 0.5
MOST_WAITING = 1_000  # lines


class AccessLog:
    """Collects lines and writes them. Use within an event loop; `flush` at the end."""

    def __init__(self, output: IO[bytes] | None = None, *, enabled: bool = True) -> None:
        self._output = output or sys.stdout.buffer
        self._enabled = enabled
        self._lines: list[bytes] = []

    def record(self, request_id: str, **facts: object) -> None:
        """Note a request that was answered: its id and what else is told of it, JSON values only."""
        if not self._enabled:
            return
        line: dict[str, object] = {
            "service": "gateway",
            "event": "request",
            "level": "info",
            "timestamp": datetime.now(UTC),
            "request_id": request_id,
            **facts,
        }
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            line["trace_id"] = format(span.trace_id, "032x")
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_S, self.flush)
        self._lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z))
        if len(self._lines) >= MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._output.write(b"".join(lines))
            self._output.flush()
