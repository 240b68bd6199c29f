"""One JSON line a request on standard output, written together with others twice a second.

Everything else that the gateway logs goes through structlog; this line is on the hot path of every request, so it costs no
system call of its own, and is made only when it is written: many in a row take half of what each alone would. A killed
process loses the lines of its last half second.
"""

import asyncio
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, Any

import orjson
from opentelemetry import trace

FLUSH_S = 0.5
MOST_WAITING = 200  # lines; to make more at once would keep requests waiting


class AccessLog:
    """Collects lines and writes them. Use within an event loop; `flush` at the end."""

    def __init__(self, output: IO[bytes] | None = None, *, enabled: bool = True, traces: bool = False) -> None:
        self._output = output or sys.stdout.buffer
        self._enabled, self._traces = enabled, traces
        self._lines: list[dict[str, Any]] = []

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
        facts["timestamp"], facts["request_id"] = time.time(), request_id
        self._lines.append(facts)
        if len(self._lines) >= MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._output.write(b"".join(map(_line, lines)))
            self._output.flush()


def in_milliseconds(fetches: Mapping[str, tuple[int, float]]) -> dict[str, dict[str, float]]:
    """Requests by subgraph, as people are told of them: how many, and their time in milliseconds."""
    return {name: {"count": number, "ms": round(seconds * 1000, 2)} for name, (number, seconds) in fetches.items()}


def _line(facts: dict[str, Any]) -> bytes:
    if "fetches" in facts:
        facts["fetches"] = in_milliseconds(facts["fetches"])
    facts["timestamp"] = datetime.fromtimestamp(facts["timestamp"], UTC)
    line = {"service": "gateway", "event": "request", "level": "info", **facts}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)
