"""Logs: one JSON object a line, with request and trace ids, never with what a caller smuggles in."""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider

from services.kit import logs

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """What was logged since, line by line."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    root = logging.getLogger()
    handlers, level, configured = root.handlers[:], root.level, structlog.get_config()
    logs.configure("water_permits")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], root.level = handlers, level
    structlog.configure(**configured)


class TestALine:
    def test_is_json_with_service_level_and_time(self, lines: Lines) -> None:
        structlog.get_logger("x").warning("lake_froze", lake="Érié\n\x1b[31m")
        (line,) = lines()
        assert (line["service"], line["level"], line["event"]) == ("water_permits", "warning", "lake_froze")
        assert line["lake"] == "Érié\n\x1b[31m"
        assert line["timestamp"].endswith("Z")

    def test_of_the_standard_library_has_the_same_form(self, lines: Lines) -> None:
        logging.getLogger("other").error("broke %s", "badly")
        assert lines()[0]["event"] == "broke badly"

    def test_carries_the_request_id(self, lines: Lines) -> None:
        reset = logs.request_id.set("id-7")
        structlog.get_logger("x").info("a")
        logs.request_id.reset(reset)
        structlog.get_logger("x").info("b")
        assert [line.get("request_id") for line in lines()] == ["id-7", None]

    def test_carries_the_trace_id(self, lines: Lines) -> None:
        with TracerProvider().get_tracer("t").start_as_current_span("s") as span:
            structlog.get_logger("x").info("a")
        assert lines()[0]["trace_id"] == format(span.get_span_context().trace_id, "032x")

    def test_of_a_failure_is_one_line_too(self, lines: Lines) -> None:
        try:
            raise ValueError("broken\nbadly")
        except ValueError:
            structlog.get_logger("x").exception("fault")
        assert "ValueError" in lines()[0]["exception"]

    def test_can_hold_anything(self, lines: Lines) -> None:
        structlog.get_logger("x").info("a", what=object(), error=ValueError("x"))
        assert "ValueError" in str(lines()) or "x" in lines()[0]["error"]


class TestARequestId:
    @pytest.mark.parametrize("given", ["abc", "a" * 128, "0af7651916cd43dd-8448"])
    def test_is_kept_when_it_is_plain(self, given: str) -> None:
        assert logs.accept_request_id(given) == given

    @pytest.mark.parametrize("given", [None, "", "a" * 129, "a\nb", "a\x00", "é", "😀", "a\r\nX: y"])
    def test_is_made_anew_otherwise(self, given: str | None) -> None:
        found = logs.accept_request_id(given)
        assert found != given
        assert len(found) == 32
