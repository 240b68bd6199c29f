"""The whole province in processes: everything ready, one ministry killed, the first query answered."""

import http.client
import json
import os
import shlex
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from clusters.local import display, observe, state
from clusters.local.ports import holder
from clusters.local.state import PartState, State
from clusters.topology import PARTS

pytestmark = pytest.mark.xdist_group("province")
PATIENCE_S = 60


def part(province: State, name: str) -> PartState:
    return next(p for p in province.parts if p.name == name)


def ask(province: State, query: str) -> Any:
    connection = http.client.HTTPConnection(part(province, "gateway").address, timeout=30)
    try:
        connection.request("POST", "/graphql", json.dumps({"query": query}), {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


class TestTheWholeProvince:
    def test_every_part_is_ready_and_says_so(self, open_province: State) -> None:
        assert {p.name for p in open_province.parts} == {p.name for p in PARTS}
        assert open_province.is_ready
        served = [p for p in open_province.parts if p.kind not in ("database", "broker")]
        assert [p.name for p in served if not observe.is_ready(p.address)] == []

    def test_the_query_of_the_summary_is_answered_as_pasted(self, open_province: State) -> None:
        command = shlex.split(display.curl(part(open_province, "gateway").address))
        body = json.loads(command[command.index("-d") + 1])
        answer = ask(open_province, body["query"])
        assert "errors" not in answer
        assert len(answer["data"]["clusters"]) == 7
        assert answer["data"]["nameCheck"]["explanation"]["fr"]

    def test_each_part_is_a_process_with_a_session_of_its_own(self, open_province: State) -> None:
        sessions = {os.getsid(p.pid) for p in open_province.parts if p.pid}
        assert len(sessions) == len(open_province.parts)

    def test_memory_and_requests_are_observed(self, open_province: State) -> None:
        ask(open_province, "{ clusters { code } }")
        memory, requests = display.figures(part(open_province, "gateway"))
        assert memory is not None and memory > 10
        assert requests is not None and requests >= 1

    def test_the_gateway_loads_no_part_of_the_services_stack(self, open_province: State) -> None:
        pid = part(open_province, "gateway").pid
        assert pid is not None
        mapped = {m.path for m in psutil.Process(pid).memory_maps()}
        assert not [path for path in mapped if "asyncpg" in path or "sqlalchemy" in path]


class TestAKilledMinistry:
    def test_the_others_answer_and_it_comes_back(self, open_province: State) -> None:
        killed = part(open_province, "catalogue")
        pid = pid_serving(killed.address)
        os.kill(pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=PATIENCE_S)
        answer = ask(open_province, display.QUERY)
        assert answer["data"]["nameCheck"]["outcome"]
        deadline = time.monotonic() + PATIENCE_S
        while "errors" in ask(open_province, "{ clusters { code } }"):
            assert time.monotonic() < deadline
        assert pid_serving(killed.address) != pid


@pytest.mark.stack
class TestAKilledPart:
    @pytest.mark.parametrize("name", [p.name for p in PARTS if p.name != "catalogue"])
    def test_each_is_started_again_which_is_said_and_the_first_query_is_answered_again(
        self, open_province: State, name: str
    ) -> None:
        folder = Path(part(open_province, name).log or "").parents[1]
        before = _now(folder, name)
        assert before.pid is not None
        os.kill(before.pid, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE_S
        while (after := _now(folder, name)).restarts == before.restarts or after.status != "ready":
            assert time.monotonic() < deadline, after
        assert after.pid != before.pid
        assert f"{name} ended (exit -9); it starts again in" in (folder / "logs" / "onedoor.log").read_text()
        while "errors" in ask(open_province, display.QUERY):
            assert time.monotonic() < deadline


def _now(folder: Path, name: str) -> PartState:
    found = state.running(folder)
    assert found is not None
    return part(found, name)


def pid_serving(address: str) -> int:
    found = holder(int(address.rsplit(":", 1)[1]))
    assert found is not None
    return found.pid
