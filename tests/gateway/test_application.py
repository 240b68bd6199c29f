"""The whole application over real connections: what a misbehaving subgraph does to an answer, and what is passed on."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from clusters.local.processes import free_port
from services.kit.settings import Mode
from services.kit.testing import tokens
from tests.gateway.conftest import SUPERGRAPH, Handler, Loopback, Opening, Wired, http, listening, playing, silent
from tests.gateway.running import running

BOTH = '{ book(isbn: "1") { title } best { text } }'
BOOK = b'{"data":{"book":{"title":"Waves"}}}'
BEST = b'{"data":{"best":{"text":"Good"}}}'


async def with_opinions(wired: Wired, play: Handler) -> tuple[object, list[str], list[object]]:
    """What is answered when the books are there and the opinions do as told: data, codes, paths."""
    wired.books.play = playing(http(BOOK))
    wired.opinions.play = play
    body = (await wired.door.post(BOTH)).body
    return body["data"], [e["extensions"]["code"] for e in body["errors"]], [e["path"] for e in body["errors"]]


class TestOneSubgraphMisbehaves:
    @pytest.mark.parametrize(
        ("play", "code"),
        [
            (silent, "DEADLINE_EXCEEDED"),
            (playing(None), "SUBGRAPH_UNAVAILABLE"),
            (playing(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", None), "SUBGRAPH_UNAVAILABLE"),
            (playing(b"not HTTP at all\r\n\r\n"), "SUBGRAPH_MALFORMED"),
            (playing(http(b"<html>")), "SUBGRAPH_MALFORMED"),
            (playing(http(b"[]")), "SUBGRAPH_MALFORMED"),
            (playing(http(b"null")), "SUBGRAPH_MALFORMED"),
            (playing(http(b'{"data":7}')), "SUBGRAPH_MALFORMED"),
            (playing(http(b'{"data":{},"errors":"x"}')), "SUBGRAPH_MALFORMED"),
            (playing(http(b'{"errors":[]}')), "SUBGRAPH_MALFORMED"),
            (playing(http(b"\xff")), "SUBGRAPH_MALFORMED"),
            (playing(http(b"oops", b"502 Bad Gateway")), "SUBGRAPH_UNAVAILABLE"),
            (playing(http(b"oops", b"404 Not Found")), "SUBGRAPH_MALFORMED"),
            (playing(http(b'{"data":{"best":{"text":"' + b"x" * 100_000 + b'"}}}')), "SUBGRAPH_TOO_LARGE"),
        ],
    )
    async def test_its_fields_are_null_with_a_coded_error_and_the_rest_is_answered(
        self, wired: Wired, play: Handler, code: str
    ) -> None:
        data, codes, paths = await with_opinions(wired, play)
        assert data == {"book": {"title": "Waves"}, "best": None}
        assert (codes, paths) == ([code], [["best"]])

    async def test_one_that_is_not_there_at_all(self, wired: Wired) -> None:
        wired.books.play = playing(http(BOOK))
        wired.gateway.subgraphs.origin("opinions")._port = free_port()
        body = (await wired.door.post(BOTH)).body
        assert body["data"] == {"book": {"title": "Waves"}, "best": None}
        assert body["errors"][0]["extensions"]["code"] == "SUBGRAPH_UNAVAILABLE"
        assert "127.0.0.1" not in orjson.dumps(body).decode()

    async def test_its_own_words_stack_and_address_stay_inside(self, wired: Wired) -> None:
        error = {"message": "duplicate key in SELECT", "extensions": {"stacktrace": ["at /srv/app.py"], "code": "x y"}}
        play = playing(http(orjson.dumps({"data": {"best": None}, "errors": [{**error, "path": ["best"]}]})))
        wired.books.play = playing(http(BOOK))
        wired.opinions.play = play
        wired.gateway.pipeline._settings = replace(wired.door.settings, mode=Mode.PRODUCTION)
        content = (await wired.door.post(BOTH)).content
        assert b"/srv/app.py" not in content
        assert b"SELECT" not in content
        assert b"SUBGRAPH_ERROR" in content

    async def test_a_coded_error_in_both_languages_comes_through_at_the_clients_path(self, wired: Wired) -> None:
        text = {"en": "Not yours to see.", "fr": "Vous n’y avez pas accès."}
        error = {"message": text["fr"], "path": ["best"], "extensions": {"code": "FORBIDDEN", "text": text}}
        wired.opinions.play = playing(http(orjson.dumps({"data": {"best": None}, "errors": [error]})))
        body = (await wired.door.post("{ best { text } }", {"accept-language": "fr"})).body
        (told,) = body["errors"]
        assert (told["message"], told["path"]) == (text["fr"], ["best"])
        assert told["extensions"]["code"] == "FORBIDDEN"

    async def test_it_does_so_in_the_callers_language(self, wired: Wired) -> None:
        wired.opinions.play = playing(None)
        body = (await wired.door.post("{ best { text } }", {"accept-language": "fr"})).body
        assert body["errors"][0]["message"].startswith("opinions est injoignable")

    async def test_an_entity_that_it_does_not_answer_is_located(self, wired: Wired) -> None:
        wired.books.play = playing(http(b'{"data":{"books":[{"isbn":"1","title":"A"},{"isbn":"2","title":"B"}]}}'))
        wired.opinions.play = playing(None)
        body = (await wired.door.post("{ books { title grade } }")).body
        assert body["data"] == {"books": [{"title": "A", "grade": None}, {"title": "B", "grade": None}]}
        assert [e["path"] for e in body["errors"]] == [["books", 0], ["books", 1]]


class TestMemory:
    async def test_a_request_leaves_nothing_for_the_garbage_collector(self, open_door: Opening) -> None:
        """A cycle in what a request is made of would keep its data, and cost more to find than the request."""
        door = open_door(
            books=lambda _: {
                "data": {"books": [{"__typename": "Book", "isbn": str(n), "title": "A"} for n in range(3)]}
            },
            opinions=lambda _: {"data": {"best": {"text": "B"}, "_entities": [{"grade": 1.5}] * 3}},
        )
        text = "{ books { title grade } best { text } }"
        await door.post(text)
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                assert (await door.post(text)).status == 200
            assert gc.collect() < 20
        finally:
            gc.enable()


class TestConnections:
    async def test_one_connection_serves_many_requests(self, wired: Wired) -> None:
        wired.books.play = playing(http(BOOK))
        for _ in range(5):
            assert (await wired.door.post('{ book(isbn: "1") { title } }')).status == 200
        assert (wired.books.connections, len(wired.books.requests)) == (1, 5)

    async def test_a_connection_that_the_subgraph_closes_is_not_used_again(self, wired: Wired) -> None:
        wired.books.play = playing(http(BOOK, head=b"Connection: close\r\n"), None)
        for _ in range(3):
            assert "errors" not in (await wired.door.post('{ book(isbn: "1") { title } }')).body
        assert wired.books.connections == 3

    async def test_a_query_swallowed_by_a_dead_connection_is_sent_again(self, wired: Wired) -> None:
        wired.books.play = playing(http(BOOK))
        await wired.door.post('{ book(isbn: "1") { title } }')
        wired.books.play = _once(wired.books, playing(None), playing(http(BOOK)))
        assert "errors" not in (await wired.door.post('{ book(isbn: "1") { title } }')).body
        assert len(wired.books.requests) == 3

    async def test_a_mutation_is_never_sent_twice(self, wired: Wired) -> None:
        wired.books.play = playing(http(b'{"data":{"addBook":{"title":"T"}}}'))
        text = 'mutation { addBook(input: {isbn: "1", title: "T"}) { title } }'
        await wired.door.post(text)
        wired.books.play = _once(wired.books, playing(None), playing(http(BOOK)))
        body = (await wired.door.post(text)).body
        assert body["errors"][0]["extensions"]["code"] == "SUBGRAPH_UNAVAILABLE"
        assert len(wired.books.requests) == 2

    async def test_requests_beside_one_another_have_connections_of_their_own(self, wired: Wired) -> None:
        wired.books.play = playing(http(BOOK))
        asking = [wired.door.post('{ book(isbn: "1") { title } }') for _ in range(20)]
        assert all("errors" not in reply.body for reply in await asyncio.gather(*asking))
        assert len(wired.books.requests) == 20

    async def test_an_answer_in_pieces_is_one_answer(self, wired: Wired) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        wired.books.play = playing(
            head, b"%x\r\n%b\r\n" % (5, BOOK[:5]), b"%x\r\n%b\r\n0\r\n\r\n" % (len(BOOK[5:]), BOOK[5:])
        )
        assert (await wired.door.post('{ book(isbn: "1") { title } }')).content == BOOK


def _once(_: Loopback, first: Handler, then: Handler) -> Handler:
    """Plays `first` for the next request and `then` for those after it."""
    plays = iter((first,))

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await next(plays, then)(reader, writer)

    return play


class TestHeaders:
    async def test_only_what_a_service_needs_is_passed_on(self, wired: Wired) -> None:
        token = tokens.token(audience="onedoor")
        sent = {
            "x-request-id": "abc-1",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "accept-language": "fr-CA",
            "onedoor-context": "purpose=statutory",
            "onedoor-deadline": "1",
            "signature": "sig1=:AAAA:",
            "x-forwarded-for": "10.0.0.1",
            "forwarded": "for=10.0.0.1",
            "x-user-id": "someone",
            "cookie": "session=1",
            "connection": "keep-alive, x-secret",
            "transfer-encoding": "",
            "te": "trailers",
            "upgrade": "websocket",
            "host": "evil.example",
            "authorization-info": token,
        }
        reply = await wired.door.post('{ book(isbn: "1") { title } }', sent)
        head = wired.books.requests[0][0].decode().lower().split("\r\n")
        names = sorted(line.partition(":")[0] for line in head[1:] if line)
        assert names == sorted(
            ["host", "content-type", "accept", "content-length", "x-request-id", "accept-language", "onedoor-deadline",
             "traceparent"]
        )  # fmt: skip
        told = dict(line.split(": ", 1) for line in head[1:] if line)
        assert (told["x-request-id"], told["accept-language"]) == ("abc-1", "fr")
        assert int(told["onedoor-deadline"]) > 1_000_000_000_000
        assert told["host"].startswith("127.0.0.1:")
        assert reply.headers["x-request-id"] == "abc-1"

    @pytest.mark.parametrize("given", ["", "x" * 129, "a\nb", "é", "a\x00b"])
    async def test_an_id_that_could_harm_a_log_is_replaced(self, wired: Wired, given: str) -> None:
        reply = await wired.door.post("{ __typename }", {"x-request-id": given})
        assert reply.headers["x-request-id"] != given
        assert len(reply.headers["x-request-id"]) == 32

    async def test_a_token_is_refused_where_there_is_no_issuer(self, wired: Wired) -> None:
        token = tokens.token(audience="onedoor")
        reply = await wired.door.post(BOTH, {"authorization": f"Bearer {token}"})
        assert (reply.status, reply.codes) == (401, ["UNAUTHENTICATED"])
        assert wired.books.requests == []


class TestHealth:
    async def test_readiness_tells_each_subgraphs_state_and_depends_on_none(self, wired: Wired) -> None:
        wired.opinions.play = playing(http(b"<html>"))
        reply = await wired.door.send("GET", path="/health/ready")
        assert reply.status == 200
        assert reply.body["subgraphs"] == {"books": "ok", "opinions": "SUBGRAPH_MALFORMED"}
        assert reply.body["supergraph"] == wired.gateway.supergraph.id

    async def test_a_door_that_leaves_says_so_and_still_answers(self, wired: Wired) -> None:
        wired.books.play = playing(http(BOOK))
        wired.gateway.drain()
        ready = await wired.door.send("GET", path="/health/ready")
        assert (ready.status, ready.body["status"]) == (503, "draining")
        assert (await wired.door.send("GET", path="/health/live")).status == 200
        assert (await wired.door.post('{ book(isbn: "1") { title } }')).content == BOOK

    async def test_what_is_not_there_is_told_as_everything_else(self, wired: Wired) -> None:
        for path in ("/nowhere", "/graphql/"):
            reply = await wired.door.send("GET", path=path)
            assert (reply.status, reply.codes) == (404, ["NOT_FOUND"])

    async def test_figures_name_subgraphs_and_statuses(self, wired: Wired) -> None:
        await wired.door.post("query Shown { __typename }")
        figures = (await wired.door.send("GET", path="/metrics")).content.decode()
        assert 'onedoor_gateway_requests_total{status="200"}' in figures
        assert 'operation="Shown"' in figures


class TestSubscriptions:
    TEXT = "subscription { bookAdded { name: title } }"
    ASKS = {"accept": "text/event-stream"}  # noqa: RUF012 - read only

    async def test_events_are_passed_on_in_the_clients_shape(self, wired: Wired) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        first = b'event: next\r\ndata: {"data":{"bookAdded":{"name":"A","isbn":"1"}}}\r\n\r\n: ping\n\n'
        wired.books.play = playing(head, first, b"event: complete\ndata:\n\n")
        reply = await wired.door.post(self.TEXT, self.ASKS)
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert reply.content == (
            b'event: next\ndata: {"data":{"bookAdded":{"name":"A"}}}\n\nevent: complete\ndata:\n\n'
        )

    @pytest.mark.parametrize(
        ("ending", "code"),
        [(b"", b"SUBGRAPH_UNAVAILABLE"),
         (b"event: next\ndata: {broken\n\n", b"SUBGRAPH_MALFORMED"),
         (b"event: next\ndata: []\n\n", b"SUBGRAPH_MALFORMED"),
         (b"event: next\ndata: " + b"x" * 1_100_000, b"SUBGRAPH_TOO_LARGE")],
    )  # fmt: skip
    async def test_a_stream_that_dies_ends_with_a_coded_error(self, wired: Wired, ending: bytes, code: bytes) -> None:
        wired.books.play = playing(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", ending, None)
        content = (await wired.door.post(self.TEXT, self.ASKS)).content
        assert code in content
        assert content.endswith(b"event: complete\ndata:\n\n")

    @pytest.mark.parametrize(
        "accepted",
        ["application/graphql-response+json, application/json, text/event-stream, multipart/mixed",
         "application/json;q=0.9, text/event-stream;q=0.1"],
    )  # fmt: skip
    async def test_a_caller_may_take_other_forms_too(self, wired: Wired, accepted: str) -> None:
        wired.books.play = playing(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", b"event: complete\ndata:\n\n"
        )
        reply = await wired.door.post(self.TEXT, {"accept": accepted})
        assert reply.content == b"event: complete\ndata:\n\n"
        assert "json" in (await wired.door.post("{ __typename }", {"accept": accepted})).headers["content-type"]

    async def test_a_query_of_a_caller_who_takes_only_a_stream_is_its_only_event(self, wired: Wired) -> None:
        wired.books.play = playing(http(BOOK))
        reply = await wired.door.post('{ book(isbn: "1") { title } }', self.ASKS)
        assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert reply.content == b"event: next\ndata: " + BOOK + b"\n\nevent: complete\ndata:\n\n"
        refused = await wired.door.post("{ nothing }", self.ASKS)
        assert b"GRAPHQL_VALIDATION_FAILED" in refused.content
        assert refused.content.endswith(b"event: complete\ndata:\n\n")
        assert (await wired.door.post(None, self.ASKS)).headers["content-type"].startswith("application/json")

    @pytest.mark.parametrize("accepted", ["", "*/*", "application/json, text/event-stream;q=0"])
    async def test_it_needs_a_caller_who_takes_a_stream(self, wired: Wired, accepted: str) -> None:
        reply = await wired.door.post(self.TEXT, {"accept": accepted})
        assert (reply.status, reply.codes) == (406, ["SUBSCRIPTION_NEEDS_STREAM"])

    async def test_each_event_is_completed_from_the_other_subgraphs(self, wired: Wired) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        events = (
            b'event: next\ndata: {"data":{"bookAdded":{"title":"%b","isbn":"%b","__typename":"Book"}}}\n\n' % pair
            for pair in ((b"A", b"1"), (b"B", b"2"))
        )
        wired.books.play = playing(head, *events, b"event: complete\ndata:\n\n")
        wired.opinions.play = playing(http(b'{"data":{"_entities":[{"grade":4}]}}'))
        reply = await wired.door.post("subscription { bookAdded { title grade } }", self.ASKS)
        assert reply.content == (
            b'event: next\ndata: {"data":{"bookAdded":{"title":"A","grade":4}}}\n\n'
            b'event: next\ndata: {"data":{"bookAdded":{"title":"B","grade":4}}}\n\nevent: complete\ndata:\n\n'
        )
        assert [
            orjson.loads(body)["variables"]["representations"][0]["isbn"] for _, body in wired.opinions.requests
        ] == [
            "1",
            "2",
        ]

    async def test_an_event_whose_other_subgraph_is_away_says_so_and_the_stream_goes_on(self, wired: Wired) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        event = b'event: next\ndata: {"data":{"bookAdded":{"title":"A","isbn":"1","__typename":"Book"}}}\n\n'
        wired.books.play = playing(head, event, event, b"event: complete\ndata:\n\n")
        wired.opinions.play = playing(http(b"oops", b"404 Not Found"))
        content = (await wired.door.post("subscription { bookAdded { title grade } }", self.ASKS)).content
        assert content.count(b'"grade":null') == content.count(b"SUBGRAPH_MALFORMED") == 2
        assert content.endswith(b"event: complete\ndata:\n\n")

    async def test_a_subgraph_that_is_away_is_told_before_the_stream(self, wired: Wired) -> None:
        wired.gateway.subgraphs.origin("books")._port = free_port()
        reply = await wired.door.post(self.TEXT, self.ASKS)
        assert (reply.status, reply.codes) == (503, ["SUBGRAPH_UNAVAILABLE"])


class TestCommand:
    async def test_the_gateway_runs_alone_on_any_supergraph_without_an_issuer(self) -> None:
        async with listening() as books:
            books.play = playing(http(BOOK))
            async with running(SUPERGRAPH, {"SUBGRAPH_URL_BOOKS": books.url}) as gateway:
                reply = await gateway.client.post("/graphql", json={"query": '{ book(isbn: "1") { title } }'})
                assert reply.json() == {"data": {"book": {"title": "Waves"}}}
                assert (await gateway.ready())["subgraphs"]["opinions"] == "SUBGRAPH_UNAVAILABLE"
                assert await gateway.end() == -signal.SIGTERM  # after the drain, as the signal asks

    def test_a_supergraph_that_is_none_ends_in_a_sentence(self, tmp_path: Path) -> None:
        plain = tmp_path / "plain.graphql"
        plain.write_text("type Query { a: Int }")
        env = {**os.environ, "SUPERGRAPH": str(plain), "ONEDOOR_MODE": "local"}
        done = subprocess.run(
            [sys.executable, "-m", "gateway"], env=env, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 1
        assert "Compose it first" in done.stderr
        assert "Traceback" not in done.stderr
