"""The access log: a line of JSON for each request, written together, nothing of a caller's able to forge another line."""

import asyncio
import io

import orjson

from gateway.access_log import MOST_WAITING, AccessLog


def lines(output: io.BytesIO) -> list[dict[str, object]]:
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
