"""The end of a connection, with a client that does not take what is left for it."""

import asyncio
import contextlib
import socket
from typing import Any

import pytest
import uvloop

from gateway import hanging_up

CONTENT = b"x" * 10_000_000


class Server(asyncio.Protocol):
    """Writes much and hangs up."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        transport.write(CONTENT)
        hanging_up.hang_up(transport, asyncio.get_running_loop())

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(error)


async def ends(pause_s: float | None) -> int:
    """How many bytes a client gets who pauses between its reads, or never reads until it has been dropped."""
    loop, made = asyncio.get_running_loop(), list[Server]()

    def accept() -> Server:
        made.append(Server())
        return made[0]

    server = await loop.create_server(accept, "127.0.0.1", 0)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.setblocking(False)
        await loop.sock_connect(client, server.sockets[0].getsockname())
        async with asyncio.timeout(30):
            if pause_s is None:
                while not made:  # noqa: ASYNC110 - the loop accepts when it will
                    await asyncio.sleep(0.01)
                await made[0].lost
            taken = 0
            while piece := await loop.sock_recv(client, 2_000_000):
                taken += len(piece)
                await asyncio.sleep(pause_s or 0)
    server.close()
    return taken


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> asyncio.Runner:
    monkeypatch.setattr(hanging_up, "STALLED_S", 0.3)
    return asyncio.Runner(loop_factory=request.param)


def test_a_client_that_takes_nothing_is_dropped(runner: asyncio.Runner) -> None:
    with runner, contextlib.suppress(ConnectionResetError):  # with all that was left
        assert runner.run(ends(None)) < len(CONTENT)


def test_a_client_that_takes_some_now_and_then_gets_all(runner: asyncio.Runner) -> None:
    with runner:
        assert runner.run(ends(0.01)) == len(CONTENT)
