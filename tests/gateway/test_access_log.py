"""The access log: a line of JSON for each request, written together, nothing of a caller's able to forge another line."""

import asyncio
import io
from collections.abc import Callable

import orjson
import pytest

from gateway.access_log import MOST_WAITING, AccessLog
from gateway.documents import hash_of
from tests.gateway.conftest import Json, Wired, http, playing


def lines(output: io.BytesIO) -> list[Json]:
    return [orjson.loads(line) for line in output.getvalue().splitlines()]


class TestLines:
    async def test_a_request_is_one_line_of_json_with_its_facts(self) -> None:
        log = AccessLog(output := io.BytesIO())
        log.record("r1", operation="Overview", status=200, ms=1.5)
        log.flush()
        (line,) = lines(output)
        assert line.items() >= {"event": "request", "request_id": "r1", "operation": "Overview", "status": 200}.items()
        assert str(line["timestamp"]).endswith("Z")

    async def test_a_line_break_in_a_name_makes_no_second_line(self) -> None:
        log = AccessLog(output := io.BytesIO())
        log.record("r1", operation='x"}\n{"event": "forged')
        log.flush()
        assert len(output.getvalue().splitlines()) == 1

    async def test_one_that_is_switched_off_writes_nothing(self) -> None:
        log = AccessLog(output := io.BytesIO(), enabled=False)
        log.record("r1")
        log.flush()
        assert output.getvalue() == b""


class TestWriting:
    async def test_lines_are_written_by_themselves_after_a_moment(self) -> None:
        written = asyncio.Event()

        class Output(io.BytesIO):
            def flush(self) -> None:
                written.set()

        log = AccessLog(output := Output())
        log.record("r1")
        log.record("r2")
        assert output.getvalue() == b""
        async with asyncio.timeout(5):
            await written.wait()
        assert [line["request_id"] for line in lines(output)] == ["r1", "r2"]

    async def test_many_do_not_wait(self) -> None:
        log = AccessLog(output := io.BytesIO())
        for number in range(MOST_WAITING):
            log.record(str(number))
        assert len(lines(output)) == MOST_WAITING


class TestWhatIsTold:
    @pytest.fixture
    def told(self, wired: Wired) -> Callable[[], list[Json]]:
        """The lines so far."""
        wired.gateway.access_log._output = output = io.BytesIO()

        def look() -> list[Json]:
            wired.gateway.access_log.flush()
            return lines(output)

        return look

    async def test_of_an_answer_its_operation_errors_size_cost_and_fetches(
        self, wired: Wired, told: Callable[[], list[Json]]
    ) -> None:
        text = 'query Read { book(isbn: "9-secret") { title } best { text } }'
        wired.books.play = playing(http(b'{"data":{"book":{"title":"Waves"}}}'))
        wired.opinions.play = playing(http(b"<html>"))
        reply = await wired.door.post(text, {"x-request-id": "abc-1"})
        (line,) = told()
        fetches = line.pop("fetches")
        assert line.pop("ms") > 0
        assert line.pop("timestamp")
        assert line == {
            "service": "gateway",
            "event": "request",
            "level": "info",
            "request_id": "abc-1",
            "rid": line["rid"],  # our own, for what is evidence
            "operation": "Read",
            "document": hash_of(text),
            "status": 200,
            "codes": ["SUBGRAPH_MALFORMED"],
            "bytes": len(reply.content),
            "cost": 2.0,
        }
        assert fetches["books"]["count"] == 1
        assert fetches["opinions"]["ms"] > 0

    async def test_of_a_refusal_its_code(self, wired: Wired, told: Callable[[], list[Json]]) -> None:
        await wired.door.post("{ nothing }")
        await wired.door.send("PUT")
        assert [(line["status"], line["codes"], line["document"], line["fetches"]) for line in told()] == [
            (200, ["GRAPHQL_VALIDATION_FAILED"], None, {}),
            (405, ["METHOD_NOT_ALLOWED"], None, {}),
        ]

    async def test_of_what_a_caller_sends_nothing(self, wired: Wired, told: Callable[[], list[Json]]) -> None:
        secret = "sesame-9"
        headers = {"authorization": f"Bearer {secret}", "cookie": secret, "user-agent": secret}
        await wired.door.post("query ($id: ID!) { book(isbn: $id) { title } }", headers, variables={"id": secret})
        await wired.door.post(f'{{ book(isbn: "{secret}") {{ title }} }}')
        assert secret not in str(told())
