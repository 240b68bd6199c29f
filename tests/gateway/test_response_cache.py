"""Kept answers and shared requests, over real connections: what is saved, and what must never meet another's eyes."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from gateway.callers import Callers
from gateway.engine.supergraph import load_supergraph
from gateway.hints import Policy
from gateway.responses import Responses
from services.kit.testing import tokens
from tests.gateway.conftest import SDL, Handler, Reply, Wired, http, playing

HINTED = (
    SDL.replace("  book(isbn: ID!): Book @join", "  book(isbn: ID!): Book @cacheControl(maxAge: 60) @join")
    .replace("  best: Opinion @join", "  best: Opinion @cacheControl(maxAge: 30, scope: PRIVATE) @join")
    .replace("  grade: Float @join", '  grade: Float @personalData(category: "opinion") @join')
)
BOOK = b'{"data":{"book":{"title":"Waves"}}}'
BEST = b'{"data":{"best":{"text":"Good"}}}'
TEXT = '{ book(isbn: "1") { title } }'


def bearer(subject: str) -> dict[str, str]:
    return {"authorization": f"Bearer {tokens.token(audience='onedoor', sub=subject)}"}


@pytest.fixture
def hinted(wired: Wired) -> Wired:
    """A gateway whose supergraph says what may be kept."""
    wired.gateway.callers = Callers(tokens.verifier("onedoor"), wired.gateway.settings)
    wired.gateway.serve(load_supergraph(HINTED))
    wired.books.play = playing(http(BOOK))
    wired.opinions.play = playing(http(BEST))
    return wired


def numbered() -> Handler:
    """Says how often it was asked."""
    count = 0

    async def play(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        writer.write(http(b'{"data":{"best":{"text":"%d"}}}' % count))

    return play


class TestAKeptAnswer:
    async def test_is_given_without_asking_again(self, hinted: Wired) -> None:
        first, second = await hinted.door.post(TEXT), await hinted.door.post(TEXT)
        assert first.content == second.content == BOOK
        assert len(hinted.books.requests) == 1
        assert first.headers["cache-control"] == "max-age=60, public"
        assert (second.headers["cache-control"], second.headers["age"]) == ("max-age=60, public", "0")
        assert first.headers["x-request-id"] != second.headers["x-request-id"]

    async def test_ends_when_its_time_is_over(self, hinted: Wired, monkeypatch: pytest.MonkeyPatch) -> None:
        await hinted.door.post(TEXT)
        loop = asyncio.get_running_loop()
        now = loop.time
        monkeypatch.setattr(loop, "time", lambda: now() + 59)
        assert (await hinted.door.post(TEXT)).headers["age"] == "59"
        monkeypatch.setattr(loop, "time", lambda: now() + 61)
        await hinted.door.post(TEXT)
        assert len(hinted.books.requests) == 2

    @pytest.mark.parametrize(
        ("text", "variables", "headers"),
        [
            ('{ book(isbn: "2") { title } }', {}, {}),
            ('query A { book(isbn: "1") { title } }', {}, {}),
            ("query ($i: ID!) { book(isbn: $i) { title } }", {"i": "1"}, {}),
            ("query ($i: ID!) { book(isbn: $i) { title } }", {"i": "2"}, {}),
            (TEXT, {}, {"accept-language": "fr"}),
            (TEXT, {}, {"cache-control": "no-cache"}),
        ],
    )
    async def test_is_only_that_of_the_same_question(
        self, hinted: Wired, text: str, variables: dict[str, str], headers: dict[str, str]
    ) -> None:
        await hinted.door.post(TEXT)
        await hinted.door.post(text, headers, variables=variables)
        assert len(hinted.books.requests) == 2

    async def test_is_found_whatever_the_order_of_variables(self, hinted: Wired) -> None:
        text = "query ($i: ID!, $n: Boolean = false) { book(isbn: $i) { title genre @include(if: $n) } }"
        await hinted.door.post(text, variables={"i": "1", "n": False})
        await hinted.door.post(text, variables={"n": False, "i": "1"})
        assert len(hinted.books.requests) == 1

    async def test_leaves_no_trace_when_the_client_says_so(self, hinted: Wired) -> None:
        reply = await hinted.door.post(TEXT, {"cache-control": "no-store"})
        assert reply.headers["cache-control"] == "no-store"
        await hinted.door.post(TEXT)
        assert len(hinted.books.requests) == 2

    async def test_ends_with_its_supergraph(self, hinted: Wired) -> None:
        await hinted.door.post(TEXT)
        hinted.gateway.serve(load_supergraph(HINTED + "\n# new\n"))
        await hinted.door.post(TEXT)
        assert len(hinted.books.requests) == 2


class TestNeverKept:
    async def test_is_what_nobody_said_may_be(self, hinted: Wired) -> None:
        for _ in range(2):
            reply = await hinted.door.post("{ books { title } }")
            assert reply.headers["cache-control"] == "no-store"
        assert len(hinted.books.requests) == 2

    @pytest.mark.parametrize(
        "answer",
        [
            http(b'{"data":{"book":{"title":"Waves"}},"errors":[{"message":"half"}]}'),
            http(b'{"data":{"book":{"title":null}}}'),
            http(b"<html>"),
        ],
        ids=["errors", "a null that bubbles", "no answer"],
    )
    async def test_is_an_answer_with_errors(self, hinted: Wired, answer: bytes) -> None:
        hinted.books.play = playing(answer)
        assert (await hinted.door.post(TEXT)).headers["cache-control"] == "no-store"
        hinted.books.play = playing(http(BOOK))
        assert (await hinted.door.post(TEXT)).content == BOOK

    async def test_is_anything_about_people(self, hinted: Wired) -> None:
        hinted.books.play = playing(http(b'{"data":{"book":{"title":"Waves","isbn":"1","__typename":"Book"}}}'))
        hinted.opinions.play = playing(http(b'{"data":{"_entities":[{"grade":4.5}]}}'))
        for _ in range(2):
            reply = await hinted.door.post('{ book(isbn: "1") { title grade } }')
            assert reply.body == {"data": {"book": {"title": "Waves", "grade": 4.5}}}
            assert reply.headers["cache-control"] == "no-store"
        assert len(hinted.books.requests) == 2

    async def test_is_a_mutations_answer(self, hinted: Wired) -> None:
        hinted.books.play = playing(http(b'{"data":{"addBook":{"title":"T"}}}'))
        for _ in range(2):
            await hinted.door.post('mutation { addBook(input: {isbn: "1", title: "T"}) { title } }')
        assert len(hinted.books.requests) == 2


class TestAPrivateAnswer:
    TEXT = "{ best { text } }"

    async def test_is_kept_for_its_caller_alone(self, hinted: Wired) -> None:
        hinted.opinions.play = numbered()
        ana, ben = bearer("ana"), bearer("ben")

        async def told(headers: dict[str, str]) -> Reply:
            return await hinted.door.post(self.TEXT, headers)

        texts = [(await told(who)).body["data"]["best"]["text"] for who in (ana, ben, ana, ben, {}, {})]
        assert texts == ["1", "2", "1", "2", "3", "4"]
        assert (await told(ana)).headers["cache-control"] == "max-age=30, private"
        assert (await told({})).headers["cache-control"] == "no-store"

    async def test_needs_a_token_that_is_valid_each_time(self, hinted: Wired) -> None:
        forged = {"authorization": bearer("ana")["authorization"][:-4] + "AAAA"}
        await hinted.door.post(self.TEXT, bearer("ana"))
        assert (await hinted.door.post(self.TEXT, forged)).status == 401


class TestBounds:
    def test_the_least_recently_used_make_room(self) -> None:
        responses = Responses(most_bytes=100_000)
        policy = Policy(60, private=False)
        keys = [("operation", b"%d" % n, b"en", b"") for n in range(500)]
        for key in keys:
            responses.keep(key, b"x" * 1_000, policy, 0.0)
        assert responses.size <= 100_000
        assert 50 < len(responses._kept) < 100
        assert keys[-1] in responses._kept
        assert keys[0] not in responses._kept

    def test_one_answer_never_takes_it_all(self) -> None:
        responses = Responses(most_bytes=10_000)
        responses.keep(("operation", b"", b"en", b""), b"x" * 9_000, Policy(60, private=False), 0.0)
        assert responses.size == 0


@pytest.fixture
def sharing(wired: Wired) -> Wired:
    """A gateway that shares requests under way."""
    wired.gateway.callers = Callers(tokens.verifier("onedoor"), wired.gateway.settings)
    wired.gateway.settings = replace(
        wired.gateway.settings, shares_fetches=True, response_cache_bytes=0, deadline_s=5.0
    )
    wired.gateway.serve(load_supergraph(HINTED))
    return wired


def held(answer: bytes) -> tuple[Handler, asyncio.Event, asyncio.Event]:
    """A subgraph that answers when let go; tells when it was asked."""
    asked, let_go = asyncio.Event(), asyncio.Event()

    async def play(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await let_go.wait()
        writer.write(http(answer))

    return play, asked, let_go


async def together(*asking: Callable[[], Coroutine[Any, Any, Reply]], let_go: asyncio.Event) -> list[Reply]:
    """Ask beside one another; let the subgraph answer once all have asked."""
    running = [asyncio.ensure_future(ask()) for ask in asking]
    for _ in range(50):
        await asyncio.sleep(0.002)
    let_go.set()
    return await asyncio.gather(*running)


class TestASharedRequest:
    async def test_serves_all_who_ask_the_same(self, sharing: Wired) -> None:
        sharing.books.play, _, let_go = held(BOOK)
        asking = [lambda: sharing.door.post(TEXT)] * 5
        replies = await together(*asking, let_go=let_go)
        assert [reply.content for reply in replies] == [BOOK] * 5
        assert len(sharing.books.requests) == 1
        await sharing.door.post(TEXT)
        assert len(sharing.books.requests) == 2  # nothing is kept

    async def test_is_not_shared_with_another_caller_or_language_or_question(self, sharing: Wired) -> None:
        sharing.books.play, _, let_go = held(BOOK)
        asking = [
            lambda: sharing.door.post(TEXT),
            lambda: sharing.door.post(TEXT, bearer("ana")),
            lambda: sharing.door.post(TEXT, bearer("ben")),
            lambda: sharing.door.post(TEXT, {"accept-language": "fr"}),
            lambda: sharing.door.post('{ book(isbn: "2") { title } }'),
        ]
        await together(*asking, let_go=let_go)
        assert len(sharing.books.requests) == 5

    async def test_is_never_a_mutation_or_about_people(self, sharing: Wired) -> None:
        sharing.books.play, _, let_go = held(b'{"data":{"addBook":{"title":"T"}}}')
        text = 'mutation { addBook(input: {isbn: "1", title: "T"}) { title } }'
        await together(*[lambda: sharing.door.post(text)] * 3, let_go=let_go)
        assert len(sharing.books.requests) == 3
        sharing.books.play = playing(http(b'{"data":{"book":{"isbn":"1","__typename":"Book"}}}'))
        sharing.opinions.play, _, let_go = held(b'{"data":{"_entities":[{"grade":4.5}]}}')
        asking = [lambda: sharing.door.post('{ book(isbn: "1") { grade } }')] * 3
        replies = await together(*asking, let_go=let_go)
        assert all(reply.body["data"]["book"] == {"grade": 4.5} for reply in replies)
        assert len(sharing.opinions.requests) == 3

    async def test_goes_on_when_the_first_who_asked_leaves(self, sharing: Wired) -> None:
        sharing.books.play, asked, let_go = held(BOOK)
        first = asyncio.ensure_future(sharing.door.post(TEXT))
        await asked.wait()
        second = asyncio.ensure_future(sharing.door.post(TEXT))
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        let_go.set()
        assert (await second).content == BOOK
        assert len(sharing.books.requests) == 1

    async def test_ends_when_nobody_waits(self, sharing: Wired) -> None:
        hung_up = asyncio.Event()
        asked = asyncio.Event()

        async def play(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            asked.set()
            await reader.read()
            hung_up.set()

        sharing.books.play = play
        first = asyncio.ensure_future(sharing.door.post(TEXT))
        await asked.wait()
        first.cancel()
        async with asyncio.timeout(5):
            await hung_up.wait()
        assert sharing.gateway.subgraphs._flights == {}

    async def test_that_fails_fails_for_all_with_an_answer_each(self, sharing: Wired) -> None:
        sharing.books.play, _, let_go = held(b"<html>")
        replies = await together(*[lambda: sharing.door.post(TEXT)] * 3, let_go=let_go)
        assert [reply.codes for reply in replies] == [["SUBGRAPH_MALFORMED"]] * 3
        ids = {reply.body["errors"][0]["extensions"]["correlationId"] for reply in replies}
        assert len(ids) == 3

    async def test_is_off_unless_asked_for(self, hinted: Wired) -> None:
        hinted.opinions.play, _, let_go = held(b'{"data":{"best":{"text":"Good"}}}')
        await together(*[lambda: hinted.door.post("{ best { text } }")] * 3, let_go=let_go)
        assert len(hinted.opinions.requests) == 3
