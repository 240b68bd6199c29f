"""@defer as clients see it: the first part leaves before the deferred subgraph has answered, the forms are those that clients
read, what fails stays in its own part."""

import asyncio
import contextlib
import io
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pytest
from graphql import build_client_schema, get_introspection_query, print_directive
from prometheus_client import REGISTRY

from gateway import faults as own
from gateway import metrics
from gateway.access_log import AccessLog
from gateway.engine.selection import Later
from gateway.settings import Limits
from services.kit.testing import tokens
from tests.gateway.conftest import Door, Json, Opening, Wired, http, playing
from tests.gateway.engine.in_parts import Client
from tests.gateway.test_leaving import Held

APOLLO = "multipart/mixed;deferSpec=20220824,application/graphql-response+json,application/json;q=0.9"
DRAFT = "multipart/mixed;incrementalSpec=v0.2,application/graphql-response+json,application/json;q=0.9"
TEXT = 'query Read { book(isbn: "1") { title ... @defer(label: "slow") { grade } } }'
WHOLE = {"book": {"title": "Waves", "grade": 4.5}}
BOOK_JSON = b'{"data":{"book":{"title":"Waves","isbn":"1"}}}'
GRADE_JSON = b'{"data":{"_entities":[{"grade":4.5}]}}'


def book(_: Json) -> Json:
    return orjson.loads(BOOK_JSON)  # type: ignore[no-any-return]


def grade(_: Json) -> Json:
    return orjson.loads(GRADE_JSON)  # type: ignore[no-any-return]


@dataclass
class Streaming:
    """An answer as it comes: its head, and what has come of its body."""

    head: Json = field(default_factory=dict)
    body: bytes = b""
    over: bool = False
    left: asyncio.Event = field(default_factory=asyncio.Event)
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def send(self, message: Any) -> None:
        async with self._more:
            if message["type"] == "http.response.start":
                self.head = {"status": message["status"], **{n.decode(): v.decode() for n, v in message["headers"]}}
            else:
                self.body += message["body"]
                self.over = not message.get("more_body")
            self._more.notify_all()

    async def parts(self, count: int) -> list[Json]:
        """The first parts, once they are there."""
        async with asyncio.timeout(20), self._more:
            await self._more.wait_for(lambda: len(read(self.body)) >= count)
            return read(self.body)


def read(body: bytes) -> list[Json]:
    """The whole parts in a body, as Apollo Client finds them: what stands between two boundaries."""
    pieces = body.split(b"\r\n---")[1:-1]
    for piece in pieces:
        assert piece.startswith(b"\r\ncontent-type: application/json; charset=utf-8\r\n\r\n")
    return [orjson.loads(piece.partition(b"\r\n\r\n")[2]) for piece in pieces]


@contextlib.asynccontextmanager
async def asking(
    door: Door, text: str, accept: str, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Streaming]:
    """An answer under way while the block lasts, and to its end; `left.set()` is the client hanging up."""
    stream = Streaming()
    given = {"content-type": "application/json", "accept": accept, **(headers or {})}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    body = iter([{"type": "http.request", "body": orjson.dumps({"query": text}), "more_body": False}])

    async def receive() -> Any:
        with contextlib.suppress(StopIteration):
            return next(body)
        await stream.left.wait()
        return {"type": "http.disconnect"}

    running = asyncio.ensure_future(door.app(scope, receive, stream.send))
    try:
        yield stream
        async with asyncio.timeout(20):
            await running
    finally:
        running.cancel()


async def taken(door: Door, text: str, accept: str, headers: Mapping[str, str] | None = None) -> Streaming:
    """A whole answer."""
    async with asking(door, text, accept, headers) as stream:
        pass
    return stream


@pytest.fixture
def patient(wired: Wired) -> Wired:
    """A whole gateway whose deadline no slow machine meets."""
    wired.gateway.pipeline._settings = replace(wired.door.settings, deadline_s=20.0)
    return wired


class TestTheFirstPart:
    @pytest.mark.parametrize("accept", [APOLLO, DRAFT])
    async def test_leaves_before_the_deferred_subgraph_has_answered(self, patient: Wired, accept: str) -> None:
        patient.books.play = playing(http(BOOK_JSON))
        patient.opinions.play = held = Held(GRADE_JSON)
        async with asking(patient.door, TEXT, accept) as stream:
            (first,) = await stream.parts(1)
            assert (first["data"], first["hasNext"]) == ({"book": {"title": "Waves"}}, True)
            async with asyncio.timeout(20):
                await held.asked.wait()
            assert not held.let_go.is_set()
            held.let_go.set()
        assert Client(read(stream.body)).data == WHOLE

    async def test_leaves_before_more_of_its_own_subgraph(self, patient: Wired) -> None:
        """A field of the same subgraph is asked for by a request of its own, by the entity's key."""
        held, count = Held(b'{"data":{"_entities":[{"genre":"NOVEL"}]}}'), 0

        async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            count += 1
            await (playing(http(BOOK_JSON)) if count == 1 else held)(reader, writer)

        patient.books.play = play
        async with asking(patient.door, TEXT.replace("grade", "genre"), DRAFT) as stream:
            (first,) = await stream.parts(1)
            assert first["data"] == {"book": {"title": "Waves"}}
            held.let_go.set()
        assert Client(read(stream.body)).data == {"book": {"title": "Waves", "genre": "NOVEL"}}

    async def test_leaves_at_once_when_all_is_deferred(self, patient: Wired) -> None:
        patient.books.play = held = Held(BOOK_JSON)
        async with asking(patient.door, '{ ... @defer { book(isbn: "1") { title } } }', DRAFT) as stream:
            (first,) = await stream.parts(1)
            assert first == {"data": {}, "pending": [{"id": "0", "path": []}], "hasNext": True}
            held.let_go.set()
        assert Client(read(stream.body)).data == {"book": {"title": "Waves"}}


class TestTheForms:
    """Byte by byte as Apollo Server writes them, which is what clients are tested with."""

    async def test_apollos_of_2022(self, open_door: Opening) -> None:
        stream = await taken(open_door(books=book, opinions=grade), TEXT, APOLLO)
        assert stream.head["content-type"] == 'multipart/mixed; boundary="-"; deferSpec=20220824'
        assert stream.body == (
            b"\r\n---\r\ncontent-type: application/json; charset=utf-8\r\n\r\n"
            b'{"data":{"book":{"title":"Waves"}},"hasNext":true}\r\n---'
            b"\r\ncontent-type: application/json; charset=utf-8\r\n\r\n"
            b'{"incremental":[{"label":"slow","path":["book"],"data":{"grade":4.5}}],"hasNext":false}\r\n-----\r\n'
        )

    async def test_the_drafts(self, open_door: Opening) -> None:
        stream = await taken(open_door(books=book, opinions=grade), TEXT, DRAFT)
        assert stream.head["content-type"] == 'multipart/mixed; boundary="-"; incrementalSpec=v0.2'
        assert read(stream.body) == [
            {
                "data": {"book": {"title": "Waves"}},
                "pending": [{"id": "0", "path": ["book"], "label": "slow"}],
                "hasNext": True,
            },
            {"incremental": [{"id": "0", "data": {"grade": 4.5}}], "completed": [{"id": "0"}], "hasNext": False},
        ]

    @pytest.mark.parametrize(
        ("accept", "parameter"),
        [
            ("multipart/mixed", "incrementalSpec=v0.2"),
            ("application/json, multipart/mixed", "incrementalSpec=v0.2"),
            ('multipart/mixed; deferSpec="20220824"; q=0.5, application/json', "deferSpec=20220824"),
            ("multipart/mixed;deferSpec=20220824;q=0.5, multipart/mixed;incrementalSpec=v0.2", "incrementalSpec=v0.2"),
        ],
    )
    async def test_which_one_is_told_by_accept(self, open_door: Opening, accept: str, parameter: str) -> None:
        stream = await taken(open_door(books=book, opinions=grade), TEXT, accept)
        assert stream.head["content-type"].endswith(parameter)

    @pytest.mark.parametrize(
        "accept",
        [
            "application/json",
            "application/graphql-response+json",
            "*/*",
            "",
            "multipart/mixed;deferSpec=20990101, */*",
            "multipart/mixed;deferSpec=20220824;q=0, application/json",
        ],
    )
    async def test_who_takes_none_of_them_gets_the_whole_at_once(self, open_door: Opening, accept: str) -> None:
        reply = await open_door(books=book, opinions=grade).post(TEXT, {"accept": accept})
        assert reply.body == {"data": WHOLE}

    @pytest.mark.parametrize(
        "text", [TEXT.replace('label: "slow"', "if: false"), '{ book(isbn: "1") { title grade } }']
    )
    async def test_what_defers_nothing_is_answered_like_anything_else(self, open_door: Opening, text: str) -> None:
        door = open_door(books=book, opinions=grade)
        reply = await door.post(text, {"accept": APOLLO})
        assert (reply.headers["content-type"], reply.body) == (
            "application/graphql-response+json; charset=utf-8",
            {"data": WHOLE},
        )
        only = await taken(door, text, "multipart/mixed;deferSpec=20220824")
        assert read(only.body) == [{"data": WHOLE, "hasNext": False}]

    async def test_nothing_left_to_defer_is_no_answer_in_parts(self, open_door: Opening) -> None:
        reply = await open_door(books={"data": {"book": None}}).post(TEXT, {"accept": APOLLO})
        assert reply.body == {"data": {"book": None}}

    async def test_parts_are_compressed_each_to_its_end(self, patient: Wired) -> None:
        patient.books.play = playing(http(BOOK_JSON))
        patient.opinions.play = held = Held(GRADE_JSON)
        async with asking(patient.door, TEXT, DRAFT, {"accept-encoding": "gzip"}) as stream:
            async with asyncio.timeout(20):
                await held.asked.wait()
                while not read(zlib.decompressobj(31).decompress(stream.body)):  # noqa: ASYNC110 - bytes tell nobody
                    await asyncio.sleep(0)
            held.let_go.set()
        assert stream.head["content-encoding"] == "gzip"
        assert Client(read(zlib.decompress(stream.body, 31))).data == WHOLE


class TestWhatFails:
    @pytest.mark.parametrize("accept", [APOLLO, DRAFT])
    async def test_a_dead_subgraph_is_told_in_its_part(self, open_door: Opening, accept: str) -> None:
        stream = await taken(open_door(books=book, opinions=own.SUBGRAPH_UNAVAILABLE), TEXT, accept)
        first, last = read(stream.body)
        assert "errors" not in first
        (entry,) = last["incremental"]
        assert entry["data"] == {"grade": None}
        (error,) = entry["errors"]
        assert (error["extensions"]["code"], error["path"]) == ("SUBGRAPH_UNAVAILABLE", ["book"])
        assert set(error["extensions"]["text"]) == {"en", "fr"}
        assert last["hasNext"] is False

    async def test_a_null_where_none_may_be_ends_its_fragment_only(self, open_door: Opening) -> None:
        door = open_door(books=book, opinions={"data": {"best": {"text": None}}})
        text = '{ book(isbn: "1") { title } ... @defer(label: "a") { best { text } } ... @defer(label: "b") { firm { title } } }'

        def books(asked: Json) -> Json:
            return {"data": {"firm": {"title": None}}} if "firm" in asked["query"] else book(asked)

        door.subgraphs.answers = {**door.subgraphs.answers, "books": books}
        draft, of_2022 = await taken(door, text, DRAFT), await taken(door, text, APOLLO)
        client = Client(read(draft.body))
        assert client.data == {"book": {"title": "Waves"}, "best": None}
        assert client.lost == ["[] b"]
        entries = {entry["label"]: entry for part in read(of_2022.body)[1:] for entry in part["incremental"]}
        assert (entries["a"]["data"], entries["b"]["data"]) == ({"best": None}, None)
        assert [error["extensions"]["code"] for error in entries["b"]["errors"]] == ["UNEXPECTED_NULL"]

    async def test_the_deadline_holds_for_all_parts_together(self, wired: Wired) -> None:
        wired.books.play = playing(http(BOOK_JSON))
        wired.opinions.play = Held(GRADE_JSON)
        stream = await taken(wired.door, TEXT, DRAFT)
        _, last = read(stream.body)
        assert last["incremental"][0]["errors"][0]["extensions"]["code"] == "DEADLINE_EXCEEDED"
        assert last["hasNext"] is False

    async def test_a_client_that_leaves_between_parts_ends_the_fetches(self, patient: Wired) -> None:
        patient.books.play = playing(http(BOOK_JSON))
        patient.opinions.play = held = Held(GRADE_JSON)
        log = AccessLog(output := io.BytesIO())
        patient.gateway.pipeline._access_log = log
        async with asking(patient.door, TEXT, DRAFT) as stream:
            await stream.parts(1)
            async with asyncio.timeout(20):
                await held.asked.wait()
                stream.left.set()
                await held.hung_up.wait()
        log.flush()
        assert orjson.loads(output.getvalue())["status"] == 499
        assert not stream.over

    async def test_what_goes_wrong_inside_breaks_the_answer_off(
        self, patient: Wired, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        patient.books.play = playing(http(BOOK_JSON))
        patient.opinions.play = held = Held(GRADE_JSON)

        def broken(*_: object) -> Json:
            raise RuntimeError("a bug")

        monkeypatch.setattr(Later, "shape", broken)
        async with asking(patient.door, TEXT, DRAFT) as stream:
            await stream.parts(1)
            held.let_go.set()
        assert len(read(stream.body)) == 1
        assert not stream.over


class TestMutations:
    TEXT = 'mutation { addBook(input: {isbn: "1", title: "T"}) { title ... @defer { grade } } }'

    async def test_what_a_mutation_gives_can_be_deferred(self, open_door: Opening) -> None:
        door = open_door(books={"data": {"addBook": {"title": "T", "isbn": "1"}}}, opinions=grade)
        stream = await taken(door, self.TEXT, DRAFT)
        assert len(read(stream.body)) == 2
        assert Client(read(stream.body)).data == {"addBook": {"title": "T", "grade": 4.5}}

    async def test_the_next_one_does_not_wait_for_what_is_deferred(self, patient: Wired) -> None:
        patient.books.play = playing(http(b'{"data":{"addBook":{"title":"T","isbn":"1"},"again":{"title":"T"}}}'))
        patient.opinions.play = held = Held(GRADE_JSON)
        text = self.TEXT[:-1] + 'again: addBook(input: {isbn: "2", title: "T"}) { title } }'
        async with asking(patient.door, text, DRAFT) as stream:
            (first,) = await stream.parts(1)
            assert first["data"] == {"addBook": {"title": "T"}, "again": {"title": "T"}}
            held.let_go.set()

    async def test_mutations_themselves_cannot_be(self, open_door: Opening) -> None:
        text = "mutation { ... @defer { addBook(input: {isbn: 1, title: 2}) { title } } }"
        reply = await open_door().post(text, {"accept": DRAFT})
        assert set(reply.codes) == {"GRAPHQL_VALIDATION_FAILED"}
        assert "Defer directive cannot be used on root mutation type" in reply.content.decode()


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ('{ firm { ... @defer(label: "a") { title } ... @defer(label: "a") { genre } } }', "must be unique"),
            ("query ($l: String) { firm { ... @defer(label: $l) { title } } }", "must be a static string"),
            ("subscription { bookAdded { title ... @defer { genre } } }", "not supported on subscription"),
            ("{ firm @defer { title } }", "may not be used on field"),
            ("{ firm { ... @defer(if: 1) { title } } }", "Boolean cannot represent"),
            ("{ firm { ... @defer(unless: true) { title } } }", "Unknown argument"),
        ],
    )
    async def test_a_misplaced_defer(self, open_door: Opening, text: str, told: str) -> None:
        door = open_door()
        reply = await door.post(text, {"accept": DRAFT})
        assert set(reply.codes) == {"GRAPHQL_VALIDATION_FAILED"}
        assert told in reply.content.decode()
        assert door.subgraphs.sent == []

    @pytest.mark.parametrize(
        "text",
        [
            "{ books @stream { title } }",
            "{ books { ...B } } fragment B on Book { opinions @stream(initialCount: 1) { text } }",
        ],
    )
    @pytest.mark.parametrize("accept", [APOLLO, "application/json"])
    async def test_stream_by_its_name(self, open_door: Opening, text: str, accept: str) -> None:
        reply = await open_door().post(text, {"accept": accept, "accept-language": "fr"})
        (error,) = reply.body["errors"]
        assert error["extensions"]["code"] == "STREAM_NOT_SUPPORTED"
        assert all("@stream" in error["extensions"]["text"][language] for language in ("en", "fr"))

    async def test_more_deferred_fragments_than_the_limit_counted_spread_out(self, open_door: Opening) -> None:
        door = open_door(limits=Limits(deferred=3))
        text = "{ a: firm { ...F } b: firm { ...F } } fragment F on Book { ... @defer { title } ... @defer { genre } }"
        reply = await door.post(text, {"accept": DRAFT})
        assert reply.body["errors"][0]["extensions"]["limit"] == {"name": "deferred", "most": 3, "found": 4}
        assert door.subgraphs.sent == []

    async def test_deferred_fields_cost_like_others(self, open_door: Opening) -> None:
        door = open_door(limits=Limits(cost=2))
        reply = await door.post("{ ... @defer { books(first: 3) { title } } }", {"accept": DRAFT})
        assert reply.codes == ["OPERATION_TOO_LARGE"]
        assert door.subgraphs.sent == []


def answered() -> float:
    """How many requests have been answered."""
    metrics.settle()
    return REGISTRY.get_sample_value("onedoor_gateway_requests_total", {"status": "200"}) or 0


class TestWhatIsSeen:
    async def test_the_directive_is_in_the_schema(self, open_door: Opening) -> None:
        reply = await open_door().post(get_introspection_query(descriptions=False))
        schema = build_client_schema(reply.body["data"])
        defer = schema.get_directive("defer")
        assert defer is not None
        assert print_directive(defer) == (
            "directive @defer(if: Boolean! = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT"
        )
        assert schema.get_directive("stream") is None

    async def test_the_schema_itself_can_be_asked_for_later(self, open_door: Opening) -> None:
        text = '{ book(isbn: "1") { title } ... @defer { __schema { queryType { name } } } }'
        stream = await taken(open_door(books=book), text, DRAFT)
        expected = {"book": {"title": "Waves"}, "__schema": {"queryType": {"name": "Query"}}}
        assert Client(read(stream.body)).data == expected
        assert (await open_door(books=book).post(text)).body == {"data": expected}

    async def test_all_parts_are_one_request_in_log_and_figures(self, open_door: Opening) -> None:
        door = open_door(books=book, opinions=own.SUBGRAPH_UNAVAILABLE)
        log = AccessLog(output := io.BytesIO())
        door.app._access_log = log  # type: ignore[attr-defined]
        before = answered()
        stream = await taken(door, TEXT, DRAFT)
        log.flush()
        (line,) = output.getvalue().splitlines()
        told = orjson.loads(line)
        assert (told["status"], told["bytes"], told["codes"]) == (200, len(stream.body), ["SUBGRAPH_UNAVAILABLE"])
        assert {name: taken["count"] for name, taken in told["fetches"].items()} == {"books": 1, "opinions": 1}
        assert answered() == before + 1

    async def test_an_operator_sees_the_plan_with_the_last_part(self, open_door: Opening) -> None:
        asks = {
            "onedoor-explain": "1",
            "authorization": f"Bearer {tokens.token('operations:read', audience='onedoor')}",
        }
        stream = await taken(open_door(books=book, opinions=grade), TEXT, DRAFT, asks)
        first, last = read(stream.body)
        assert "extensions" not in first
        told = last["extensions"]["onedoor"]
        assert [fetch["deferred"] for fetch in told["plan"]] == [[], ["slow"]]
        assert set(told["fetched"]) == {"books", "opinions"}
