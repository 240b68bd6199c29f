"""Server-sent events: the same whatever the pieces in which they arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.server_sent import Reader, TooLong

ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
VALUES = st.binary(max_size=12).map(lambda b: b.translate(None, b"\r\n"))


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """A stream's bytes, and the events in it."""
    text, events = b"", []
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from([b"next", b"complete"]))
        data = draw(st.lists(VALUES, min_size=1, max_size=3))
        lines = [b"event: " + kind, *(b"data: " + value for value in data), b""]
        for line in (b":" + draw(VALUES), b"id: 7", *lines):
            text += line + draw(ENDS)
        events.append((kind, b"\n".join(data)))
    return text, events


def read(pieces: list[bytes], largest: int = 1_000) -> list[tuple[bytes, bytes]]:
    reader = Reader(largest)
    return [event for piece in pieces for event in reader.feed(piece)]


class TestPieces:
    @given(streams(), st.data())
    def test_may_part_anywhere(self, stream: tuple[bytes, list[tuple[bytes, bytes]]], data: st.DataObject) -> None:
        text, events = stream
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert read([text[i : i + 1] for i in range(len(text))]) == read([text]) == read(pieces)
        if b"\r" not in text:
            assert read(pieces) == events

    @given(st.binary(), st.integers(1, 5))
    def test_of_any_bytes_are_read_alike(self, text: bytes, size: int) -> None:
        assert read([text[i : i + size] for i in range(0, len(text), size)]) == read([text])


class TestAnEvent:
    def test_over_the_bound_is_refused_before_it_is_whole(self) -> None:
        with pytest.raises(TooLong):
            read([b"data: ", b"x" * 600, b"x" * 600])
        with pytest.raises(TooLong):
            read([b"data: x\n"] * 200)

    def test_is_not_made_too_long_by_comments_or_by_those_before_it(self) -> None:
        assert len(read([b": ping\n"] * 1_000 + [b"data: x\n\n"] * 1_000)) == 1_000

    def test_needs_no_data(self) -> None:
        assert read([b"event: complete\n\n", b"data\n\n"]) == [(b"complete", b"")]
