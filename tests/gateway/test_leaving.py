"""Clients who hang up, and a gateway that leaves: seen on real connections to a real process."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import orjson
import pytest
from websockets.exceptions import InvalidStatus

from clusters.keys import PRIVATE, Step, take
from tests.gateway.conftest import SUPERGRAPH, Loopback, http, listening, playing
from tests.gateway.running import Running, running
from tests.gateway.speaking import speaking

# Each starts processes of its own, whole provinces or gateways: with the stack tests, so that `make test` stays short.
pytestmark = pytest.mark.stack

BOOK = b'{"data":{"book":{"title":"Waves"}}}'
TEXT = '{ book(isbn: "1") { title } }'
MUTATION = 'mutation { addBook(input: {isbn: "1", title: "T"}) { title } }'


class Held:
    """A subgraph that answers when it is let go, and tells when its caller hangs up."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.asked, self.let_go, self.hung_up = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.set()
        leaving, going = asyncio.ensure_future(reader.read(1)), asyncio.ensure_future(self.let_go.wait())
        done, _ = await asyncio.wait((leaving, going), return_when=asyncio.FIRST_COMPLETED)
        if leaving in done:
            self.hung_up.set()
        leaving.cancel()
        going.cancel()
        writer.write(http(self.answer))


@asynccontextmanager
async def gateway(keys: Path | None = None) -> AsyncIterator[tuple[Running, Loopback]]:
    """A gateway process whose books are on the loopback; in production where it has keys to sign with."""
    async with listening() as books:
        env = {"SUBGRAPH_URL_BOOKS": books.url, "ONEDOOR_MODE": "test"}
        if keys is not None:
            take(Step.MAKE, keys)
            env |= {"ONEDOOR_MODE": "production", "SIGNING_KEYS": str(keys / PRIVATE)}
        async with running(SUPERGRAPH, env) as process:
            yield process, books


async def ask(port: int, text: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send an operation and do not wait for the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = orjson.dumps({"query": text})
    head = b"POST /graphql HTTP/1.1\r\nHost: door\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % len(body) + body)
    await writer.drain()
    return reader, writer


class TestAClientWhoHangsUp:
    async def test_ends_the_fetches_of_a_query_at_once_and_those_of_a_mutation_never(self) -> None:
        async with gateway() as (process, books), asyncio.timeout(60):
            books.play = held = Held(BOOK)
            _, writer = await ask(process.port, TEXT)
            await held.asked.wait()
            writer.close()
            begun = time.monotonic()
            await held.hung_up.wait()
            assert time.monotonic() - begun < 5  # the deadline is fifteen seconds
            await process.until(lambda: process.figure('onedoor_gateway_requests_total{status="499"}'))

            books.play = held = Held(b'{"data":{"addBook":{"title":"T"}}}')
            _, writer = await ask(process.port, MUTATION)
            await held.asked.wait()
            writer.close()
            held.let_go.set()
            await process.until(lambda: process.figure('onedoor_gateway_requests_total{status="200"}'))
            assert not held.hung_up.is_set()

            books.play = playing(http(BOOK))
            assert (await process.client.post("/graphql", json={"query": TEXT})).content == BOOK

    async def test_is_not_confused_with_one_who_waits(self) -> None:
        """Long enough for several looks around."""
        async with gateway() as (process, books), asyncio.timeout(60):
            books.play = held = Held(BOOK)
            reader, writer = await ask(process.port, TEXT)
            await held.asked.wait()
            asyncio.get_running_loop().call_later(0.6, held.let_go.set)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(len(BOOK)) == BOOK
            writer.close()


class TestAGatewayThatLeaves:
    async def test_refuses_and_drops_nothing_under_load(self, tmp_path: Path) -> None:
        """As behind a load balancer: kept connections, and new requests until readiness has said that it leaves."""
        async with gateway(tmp_path) as (process, books), asyncio.timeout(90):
            books.play = playing(http(BOOK))
            away = asyncio.Event()
            answers: list[bytes] = []
            closing = 0

            async def client() -> None:
                nonlocal closing
                limits = httpx.Limits(max_connections=2)
                async with httpx.AsyncClient(base_url=process.client.base_url, trust_env=False, limits=limits) as http_:
                    while not away.is_set():
                        reply = await http_.post("/graphql", json={"query": TEXT})
                        answers.append(reply.content)
                        closing += reply.headers.get("connection") == "close"

            async def balancer() -> None:
                await process.until(process.leaves)
                away.set()

            clients = [asyncio.ensure_future(client()) for _ in range(8)]
            watching = asyncio.ensure_future(balancer())
            while len(answers) < 100:  # noqa: ASYNC110 - clients tell nobody
                await asyncio.sleep(0.01)
            await process.end()
            await asyncio.gather(*clients, watching)
            assert set(answers) == {BOOK}
            assert closing

    @pytest.mark.parametrize("text", [TEXT, MUTATION])
    async def test_still_answers_what_it_has_taken(self, text: str) -> None:
        answer = BOOK if text is TEXT else b'{"data":{"addBook":{"title":"T"}}}'
        async with gateway() as (process, books), asyncio.timeout(60):
            books.play = held = Held(answer)
            reader, writer = await ask(process.port, text)
            await held.asked.wait()
            ending = asyncio.ensure_future(process.end())
            await gone(process.port)
            held.let_go.set()
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(len(answer)) == answer
            writer.close()
            await ending

    async def test_ends_its_streams_so_that_their_readers_come_back_elsewhere(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

        async def events(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(head + b'event: next\ndata: {"data":{"bookAdded":{"title":"A"}}}\n\n')
            await reader.read()

        async with gateway() as (process, books), asyncio.timeout(60):
            books.play = events
            subscription = {"query": "subscription { bookAdded { title } }"}
            asks = {"accept": "text/event-stream"}
            async with process.client.stream("POST", "/graphql", json=subscription, headers=asks) as reply:
                parts = reply.aiter_bytes()
                first = await anext(parts)
                begun = time.monotonic()
                ending = asyncio.ensure_future(process.end())
                rest = b"".join([part async for part in parts])  # raises if the stream were cut off
            assert b'{"title":"A"}' in first
            assert b"complete" not in rest
            await ending
            assert time.monotonic() - begun < 8

    @pytest.mark.parametrize("text", [TEXT, MUTATION])
    async def test_answers_what_sockets_have_asked_then_sends_their_clients_elsewhere(self, text: str) -> None:
        answer = BOOK if text is TEXT else b'{"data":{"addBook":{"title":"T"}}}'
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        hung_up = asyncio.Event()

        async def events(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(head + b'event: next\ndata: {"data":{"bookAdded":{"title":"A"}}}\n\n')
            await reader.read()
            hung_up.set()

        async with gateway() as (process, books), asyncio.timeout(60):
            async with speaking(process.port) as quiet, speaking(process.port) as busy:
                await quiet.begin()
                await busy.begin()
                books.play = events
                await busy.ask("subscription { bookAdded { title } }", "stream")
                assert (await busy.hear())["type"] == "next"
                books.play = held = Held(answer)
                await busy.ask(text)
                await held.asked.wait()
                ending = asyncio.ensure_future(process.end())
                assert await quiet.closed() == (1012, "Service restart")
                await hung_up.wait()
                held.let_go.set()
                told = await busy.told()  # of the stream nothing more: it is no end that its client should believe
                assert [(m["id"], m["type"]) for m in told] == [("1", "next"), ("1", "complete")]
                assert orjson.dumps(told[0]["payload"]) == answer
                assert await busy.closed() == (1012, "Service restart")
            await ending

    async def test_takes_no_new_sockets(self, tmp_path: Path) -> None:
        async with gateway(tmp_path) as (process, _), asyncio.timeout(60):
            ending = asyncio.ensure_future(process.end())
            await process.until(process.leaves)
            with pytest.raises(InvalidStatus) as caught:
                async with speaking(process.port):
                    pass
            assert caught.value.response.status_code == 503
            await ending


async def gone(port: int) -> None:
    """Wait until nobody listens on a port."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            return
        writer.close()
        await asyncio.sleep(0.02)
