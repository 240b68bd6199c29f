"""Subgraphs whose events come by graphql-transport-ws, and what becomes of those that fall silent, die or send nonsense."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from websockets.asyncio.server import ServerConnection

from gateway.app import Gateway, application
from gateway.settings import Settings, Streams
from services.kit.settings import Mode
from tests.gateway.conftest import SUPERGRAPH, Answers, Door, http, listening, playing
from tests.gateway.speaking import DONE, Upstream, event, saying, upstream

TEXT = "subscription Added($g: Genre) { bookAdded(genre: $g) { title grade } }"
ASKS = {"accept": "text/event-stream"}
BOOK = {"title": "A", "isbn": "1", "__typename": "Book"}
GRADE = b'{"data":{"_entities":[{"grade":4}]}}'


class Sourced:
    """A gateway in process that takes the events of books over a WebSocket."""

    def __init__(self, door: Door, books: Upstream, grades: list[tuple[bytes, bytes]]) -> None:
        self.door, self.books, self.grades = door, books, grades

    async def follow(self, headers: dict[str, str] | None = None, **variables: Any) -> list[dict[str, Any] | None]:
        """The results of the subscription, None for `complete`."""
        reply = await self.door.post(TEXT, {**ASKS, **(headers or {})}, variables=variables)
        found: list[dict[str, Any] | None] = []
        for part in reply.content.split(b"\n\n"):
            if part.startswith(b"event: next\ndata: "):
                found.append(orjson.loads(part.removeprefix(b"event: next\ndata: ")))
            elif part.startswith(b"event: complete"):
                found.append(None)
            elif part.strip(b":"):
                found.append(orjson.loads(part))  # refused as a whole
        return found


@contextlib.asynccontextmanager
async def sourced(
    streams: Streams | None = None, protocols: tuple[str, ...] = ("graphql-transport-ws",)
) -> AsyncIterator[Sourced]:
    """The whole application over real connections."""
    async with upstream(protocols) as books, listening() as opinions:
        opinions.play = playing(http(GRADE))
        settings = Settings(
            supergraph=SUPERGRAPH,
            mode=Mode.TEST,
            subgraph_urls={"SUBSCRIPTION_URL_BOOKS": books.url, "SUBGRAPH_URL_OPINIONS": opinions.url},
            streams=streams or Streams(),
        )
        gateway = Gateway(settings)
        async with gateway.running():
            yield Sourced(Door(application(gateway), Answers({}), settings), books, opinions.requests)


def codes(result: dict[str, Any] | None) -> list[str]:
    return [error["extensions"]["code"] for error in (result or {}).get("errors", [])]


class TestEventsOverAWebSocket:
    async def test_are_completed_from_other_subgraphs_and_end_with_complete(self) -> None:
        async with sourced() as it:
            it.books.play = saying(event(bookAdded=BOOK), {"type": "pong"}, event(bookAdded=None), DONE)
            assert await it.follow(g="NOVEL") == [
                {"data": {"bookAdded": {"title": "A", "grade": 4}}}, {"data": {"bookAdded": None}}, None
            ]  # fmt: skip
            asked = it.books.heard[-2 if it.books.heard[-1]["type"] == "complete" else -1]
            assert (asked["type"], asked["payload"]["variables"]) == ("subscribe", {"g": "NOVEL"})
            assert {"type": "pong"} in it.books.heard
            await it.books.ended.wait()
            assert it.books.code == 1000

    async def test_carry_the_same_headers_as_a_post_in_the_handshake_and_in_connection_init(self) -> None:
        async with sourced() as it:
            it.books.play = saying(event(bookAdded=BOOK), DONE)
            trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            given = {"accept-language": "fr", "x-request-id": "mine", "traceparent": trace, "cookie": "a=b"}
            await it.follow(given)
            (handshake,) = it.books.handshakes
            told = it.books.heard[0]["payload"]
            posted = {
                name.title(): value
                for line in it.grades[0][0].decode().split("\r\n")[1:]
                if (name := line.partition(": ")[0]) in ("x-request-id", "accept-language", "traceparent")
                and (value := line.partition(": ")[2])
            }
            assert posted == {"X-Request-Id": "mine", "Accept-Language": "fr", "Traceparent": trace}
            assert posted.items() <= told.items()
            assert told.keys() - posted.keys() == {"Onedoor-Deadline"}
            assert {name.lower(): value for name, value in told.items()}.items() <= handshake.items()
            assert not {"cookie", "user-agent"} & handshake.keys()

    async def test_that_end_in_an_error_end_the_stream_with_it(self) -> None:
        async with sourced() as it:
            it.books.play = saying(
                {"id": "1", "type": "error", "payload": [{"message": "no", "extensions": {"code": "MINE"}}]}
            )
            result, end = await it.follow()
            assert (codes(result), end) == (["MINE"], None)

    @pytest.mark.parametrize(
        ("said", "code"),
        [
            (["nonsense"], "SUBGRAPH_MALFORMED"), (["[]"], "SUBGRAPH_MALFORMED"), ([{"type": "data"}], "SUBGRAPH_MALFORMED"),
            ([{"id": "1", "type": "next", "payload": []}], "SUBGRAPH_MALFORMED"),
            ([{"id": "1", "type": "next"}], "SUBGRAPH_MALFORMED"), ([{"id": "1", "type": "error"}], "SUBGRAPH_MALFORMED"),
            ([event(bookAdded={"title": "x" * 1_100_000})], "SUBGRAPH_TOO_LARGE"),
            ([1012], "SUBGRAPH_UNAVAILABLE"), ([1000], "SUBGRAPH_UNAVAILABLE"), ([4403], "SUBGRAPH_ERROR"),
        ],
    )  # fmt: skip
    async def test_that_are_none_end_the_stream_by_name(self, said: list[object], code: str) -> None:
        async with sourced() as it:
            it.books.play = saying(event(bookAdded=BOOK), *said)
            first, failed, end = await it.follow()
            assert first == {"data": {"bookAdded": {"title": "A", "grade": 4}}}
            assert (codes(failed), end) == ([code], None)

    async def test_that_are_cut_off_end_the_stream_by_name(self) -> None:
        async with sourced() as it:

            async def cut(socket: ServerConnection) -> None:
                await saying(event(bookAdded=BOOK))(socket)
                socket.transport.abort()

            it.books.play = cut
            _, failed, _ = await it.follow()
            assert codes(failed) == ["SUBGRAPH_UNAVAILABLE"]

    async def test_that_stop_answering_pings_end_the_stream_by_name(self) -> None:
        async with sourced(Streams(silent_ms=400)) as it:

            async def stuck(socket: ServerConnection) -> None:
                socket.transport.pause_reading()
                await it.books.ended.wait()

            it.books.play = stuck
            failed, end = await it.follow()
            it.books.ended.set()
            assert (codes(failed), end) == (["SUBGRAPH_UNAVAILABLE"], None)

    async def test_may_be_few_as_long_as_pings_are_answered(self) -> None:
        async with sourced(Streams(silent_ms=200)) as it:

            async def slowly(socket: ServerConnection) -> None:
                await asyncio.sleep(1)  # five times the silence that is borne
                await saying(event(bookAdded=None), DONE)(socket)

            it.books.play = slowly
            assert await it.follow() == [{"data": {"bookAdded": None}}, None]

    async def test_of_a_server_that_speaks_something_else_are_refused(self) -> None:
        async with sourced(protocols=("graphql-ws",)) as it:
            (refused,) = await it.follow()
            assert codes(refused)[0] in ("SUBGRAPH_UNAVAILABLE", "SUBGRAPH_MALFORMED")

    async def test_of_a_subgraph_that_is_away_are_refused_before_the_stream(self) -> None:
        async with sourced() as it:
            url = it.books.url
        gateway = Gateway(Settings(supergraph=SUPERGRAPH, subgraph_urls={"SUBSCRIPTION_URL_BOOKS": url}))
        door = Door(application(gateway), Answers({}), gateway.settings)
        reply = await door.post("subscription { bookAdded { title } }", ASKS)
        assert (reply.status, reply.codes) == (503, ["SUBGRAPH_UNAVAILABLE"])

    async def test_are_no_longer_sent_once_the_client_has_gone(self) -> None:
        async with sourced() as it:
            it.books.play = saying(event(bookAdded=BOOK))
            following = asyncio.ensure_future(it.follow())
            while not it.grades:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
            following.cancel()
            async with asyncio.timeout(5):
                await it.books.ended.wait()
            assert it.books.heard[-1] == {"id": "1", "type": "complete"}
            assert it.books.code == 1000


class TestAnAddressForSubscriptions:
    async def test_may_be_another_one_over_http(self) -> None:
        async with listening() as events:
            events.play = playing(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
                b'event: next\ndata: {"data":{"bookAdded":{"title":"A"}}}\n\nevent: complete\ndata:\n\n'
            )
            gateway = Gateway(Settings(supergraph=SUPERGRAPH, subgraph_urls={"SUBSCRIPTION_URL_BOOKS": events.url}))
            door = Door(application(gateway), Answers({}), gateway.settings)
            assert b'"title":"A"' in (await door.post("subscription { bookAdded { title } }", ASKS)).content

    @pytest.mark.parametrize("address", ["ftp://x", "ws://", "nonsense"])
    def test_that_is_none_stops_the_start(self, address: str) -> None:
        with pytest.raises(ValueError, match="address"):
            Gateway(Settings(supergraph=SUPERGRAPH, subgraph_urls={"SUBSCRIPTION_URL_BOOKS": address}))


class TestServerSentEvents:
    async def test_that_fall_silent_end_the_stream_by_name(self) -> None:
        async with listening() as books:

            async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
                for _ in range(4):  # longer than the silence that is borne, but not silent
                    writer.write(b":\n\n")
                    await asyncio.sleep(0.15)
                await reader.read()

            books.play = silent
            streams = Streams(silent_ms=400)
            gateway = Gateway(
                Settings(supergraph=SUPERGRAPH, subgraph_urls={"SUBGRAPH_URL_BOOKS": books.url}, streams=streams)
            )
            door = Door(application(gateway), Answers({}), gateway.settings)
            begun = asyncio.get_running_loop().time()
            content = (await door.post("subscription { bookAdded { title } }", ASKS)).content
            assert asyncio.get_running_loop().time() - begun > 0.8
            assert b"SUBGRAPH_UNAVAILABLE" in content
            assert content.endswith(b"event: complete\ndata:\n\n")
