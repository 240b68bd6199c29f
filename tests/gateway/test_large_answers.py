"""Large answers are what small ones would be, and nobody waits for them."""

import threading
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import apart
from tests.gateway.conftest import Wired, http, playing

BOOKS = (
    b'{"data":{"books":[{"isbn":"1","title":"A","__typename":"Book"},{"isbn":"2","title":"B","__typename":"Book"}]}}'
)
GRADES = b'{"data":{"best":{"text":"Good"},"_entities":[{"grade":1.5},{"grade":2.5}]}}'
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda below: st.lists(below, max_size=8) | st.dictionaries(st.text(max_size=8), below, max_size=5),
    max_leaves=60,
)


class TestTakingApart:
    @given(JSON)
    @settings(max_examples=300, deadline=None)
    def test_gives_what_parsing_whole_gives(self, value: object) -> None:
        body = orjson.dumps(value)
        before = apart.PIECE_BYTES
        apart.PIECE_BYTES = 12  # so that small texts are large
        try:
            assert apart.loads(body) == value
        finally:
            apart.PIECE_BYTES = before

    @pytest.mark.parametrize(
        "body",
        [
            b'{"data":' + b" " * 300_000,
            b"[" * 2_000_000,
            b'{"a":' * 400_000,
            b'{"data":{"books":[' + b'{"isbn":"1"},' * 100_000 + b'{"isbn":]}}',
            b'{"data":["' + b"\xff" * 300_000 + b'"]}',
            b'[1,2' + b" " * 300_000,
            b"x" * 300_000,
        ],
        ids=["cut off", "deep lists", "deep objects", "broken at the end", "not UTF-8", "not closed", "no JSON"],
    )  # fmt: skip
    def test_refuses_what_parsing_whole_refuses(self, body: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            orjson.loads(body)
        with pytest.raises(ValueError, match=r"."):
            apart.loads(body)


class TestALargeAnswer:
    """Each small answer counts as large here: what is told must be the same as ever."""

    @pytest.fixture
    def large(self, wired: Wired, monkeypatch: pytest.MonkeyPatch) -> Wired:
        monkeypatch.setattr("gateway.subgraphs.LARGE_BYTES", 1)
        return wired

    @pytest.mark.parametrize(
        ("books", "opinions", "text"),
        [
            (BOOKS, GRADES, "{ books { title grade } }"),
            (BOOKS, GRADES, "{ books { title grade } best { text } again: books { isbn } }"),
            (BOOKS, b"<html>", "{ books { title grade } }"),
            (b"<html>", GRADES, "{ books { title grade } best { text } }"),
            (b'{"data":{"books":[{"title":null}]}}', GRADES, "{ books { title } }"),
            (b'{"data":null,"errors":[{"message":"no"}]}', GRADES, "{ books { title } best { text } }"),
        ],
        ids=["entities", "beside one another", "one fails", "the first fails", "a null bubbles", "errors"],
    )
    async def test_is_told_as_a_small_one(
        self, wired: Wired, monkeypatch: pytest.MonkeyPatch, books: bytes, opinions: bytes, text: str
    ) -> None:
        wired.books.play, wired.opinions.play = playing(http(books)), playing(http(opinions))
        small = (await wired.door.post(text, {"x-request-id": "a"})).content
        monkeypatch.setattr("gateway.subgraphs.LARGE_BYTES", 1)
        assert (await wired.door.post(text, {"x-request-id": "a"})).content == small

    async def test_is_parsed_and_shaped_off_the_loop(self, large: Wired, monkeypatch: pytest.MonkeyPatch) -> None:
        threads: list[str] = []
        shaped = large.gateway.pipeline._shaped

        def watched(*arguments: Any) -> bytes:
            threads.append(threading.current_thread().name)
            return shaped(*arguments)

        monkeypatch.setattr(large.gateway.pipeline, "_shaped", watched)
        large.books.play = playing(http(BOOKS))
        assert len((await large.door.post("{ books { title } }")).body["data"]["books"]) == 2
        assert threads
        assert threading.main_thread().name not in threads
