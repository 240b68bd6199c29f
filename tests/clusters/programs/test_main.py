"""The simulator over HTTP, and as a process that starts, refuses and ends."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from clusters.local import nats as nats_server
from clusters.local.processes import free_port
from clusters.programs.__main__ import LARGEST_BODY, application
from clusters.programs.answering import Programs
from clusters.programs.behaviour import Behaviours
from tests.clusters.programs.conftest import PATIENCE_S, Registry, Running, until

# Each starts processes of its own, whole provinces or gateways: with the stack tests, so that `make test` stays short.
pytestmark = pytest.mark.stack

PROGRAM = (sys.executable, "-m", "clusters.programs")


@pytest.fixture
async def door() -> AsyncIterator[httpx.AsyncClient]:
    """The simulator's own pages, with no NATS behind them."""
    app = application(Programs("nats://127.0.0.1:1", Behaviours()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://programs") as client:
        yield client


class TestBehaviourPage:
    async def test_what_is_told_is_shown(self, door: httpx.AsyncClient) -> None:
        told = await door.put("/behaviour", json={"BUSINESS_NAME": {"refuse": "INFORMATION_MISSING"}})
        assert told.status_code == 200
        assert (await door.get("/behaviour")).json() == told.json()
        assert told.json()["BUSINESS_NAME"] == {"refuse": "INFORMATION_MISSING", "fail": 0, "delay_s": 0.0}

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            (b"", "body"),
            (b"{", "body"),
            (b"\xff", "body"),
            (b'{"\\ud800": 1}', "body"),
            (b"[" * 60_000, "body"),
            (b'{"BUSINESS_NAME": {"delay_s": NaN}}', "body"),
            (b"[1]", "body"),
            ('{"مخبز\u202e🥐": {}}'.encode(), "مخبز\u202e🥐"),
            (b'{"BUSINESS_NAME": {"fail": 99999999999999999999999999}}', "BUSINESS_NAME.fail"),
            (b'{"BUSINESS_NAME": {"refuse": [[]]}}', "BUSINESS_NAME.refuse"),
        ],
    )
    async def test_bad_input_is_told_in_both_languages_and_changes_nothing(
        self, door: httpx.AsyncClient, body: bytes, field: str
    ) -> None:
        before = (await door.get("/behaviour")).json()
        answer = await door.put("/behaviour", content=body)
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["extensions"]["code"]) == (400, "BAD_USER_INPUT")
        assert error["extensions"]["field"] == field
        assert error["extensions"]["text"]["en"] != error["extensions"]["text"]["fr"]
        assert (await door.get("/behaviour")).json() == before

    @pytest.mark.parametrize(("language", "half"), [("fr-CA", "fr"), ("en", "en"), ("de, ;;q=x", "en")])
    async def test_the_message_is_in_the_language_that_was_asked(
        self, door: httpx.AsyncClient, language: str, half: str
    ) -> None:
        answer = await door.put("/behaviour", content=b"{", headers={"accept-language": language})
        (error,) = answer.json()["errors"]
        assert error["message"] == error["extensions"]["text"][half]

    async def test_a_body_that_never_ends_is_cut_off(self, door: httpx.AsyncClient) -> None:
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(1_000):
                sent += 8_192
                yield b"x" * 8_192

        answer = await door.put("/behaviour", content=endless())
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
        assert sent <= 2 * LARGEST_BODY


class TestHealth:
    async def test_it_is_live_and_not_ready_while_nats_is_away(self, door: httpx.AsyncClient) -> None:
        assert (await door.get("/health/live")).status_code == 200
        ready = await door.get("/health/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "connecting"})

    async def test_decisions_are_counted(self, door: httpx.AsyncClient, registry: Registry, running: Running) -> None:
        async def counted() -> float:
            lines = (await door.get("/metrics")).text.splitlines()
            mine = 'onedoor_program_decisions_total{outcome="REFUSED",program="WORKERS_COMPENSATION"}'
            return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(mine))

        before = await counted()
        async with running() as programs:
            programs.behaviours.change({"WORKERS_COMPENSATION": {"refuse": "ACCOUNT_IN_ARREARS"}})
            await registry.ask(program="WORKERS_COMPENSATION")
            await registry.answer()
            await registry.until_handled()
        assert await counted() == before + 1


def environment(**given: Any) -> dict[str, str]:
    """The variables of a process: ours, without those that say where the rest of the province is."""
    kept = {
        k: v for k, v in os.environ.items() if k not in ("NATS_URL", "ONEDOOR_MODE", "PORT", "LC_ALL", "LC_MESSAGES")
    }
    return {**kept, "LANG": "C.UTF-8", **{name: str(value) for name, value in given.items()}}


class TestProcess:
    # Its output is read when it has ended, and it says little: blocking pipes hold nobody up.
    async def test_it_becomes_ready_answers_and_ends_when_told_to(
        self, own_nats: nats_server.Nats, registry: Registry
    ) -> None:
        port = free_port()
        env = environment(ONEDOOR_MODE="test", NATS_URL=own_nats.url, PORT=port)
        process = subprocess.Popen(PROGRAM, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # noqa: ASYNC220
        try:
            await until(lambda: _status(port) == 200)
            wanted = await registry.ask(program="EMPLOYER_HEALTH_TAX")
            decided = (await registry.answer())["data"]
            assert (decided["requestId"], decided["outcome"]) == (wanted["requestId"], "APPROVED")
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
            process.wait()
        assert process.returncode in (0, -signal.SIGTERM)
        assert b"Traceback" not in output

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"ONEDOOR_MODE": "production", "NATS_URL": "nats://127.0.0.1:1"}, "does not run in production"),
            ({"NATS_URL": "nats://127.0.0.1:1"}, "does not run in production"),
            ({"LANG": "fr_CA.UTF-8", "ONEDOOR_MODE": "production"}, "il ne tourne donc pas en production"),
            ({"ONEDOOR_MODE": "local"}, "NATS_URL"),
            ({"ONEDOOR_MODE": "local", "NATS_URL": "nats://127.0.0.1:1", "PORT": "door"}, "PORT"),
        ],
    )
    def test_it_says_why_it_does_not_start(self, given: dict[str, str], words: str, tmp_path: Path) -> None:
        done = subprocess.run(
            PROGRAM, env=environment(**given), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_busy_port_ends_it(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as busy:
            env = environment(ONEDOOR_MODE="local", NATS_URL="nats://127.0.0.1:1", PORT=busy.getsockname()[1])
            done = subprocess.run(PROGRAM, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr


def _status(port: int) -> int:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=1).status_code
    except httpx.HTTPError:
        return 0
