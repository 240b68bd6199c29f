"""Answers are compressed for those who take gzip, and only where it pays."""

import gzip
import math

import pytest

from gateway.compression import ON_A_THREAD_FROM, takes_gzip
from tests.gateway.conftest import Opening

TEXT = '{ book(isbn: "1") { title } }'


def book(size: int) -> dict[str, object]:
    return {"data": {"book": {"title": "x" * size}}}


class TestAnswers:
    @pytest.mark.parametrize("size", [1_400, 88_000, ON_A_THREAD_FROM])
    async def test_a_large_one_is_compressed(self, open_door: Opening, size: int) -> None:
        reply = await open_door(books=book(size)).post(TEXT, {"accept-encoding": "gzip, deflate, br, zstd"})
        assert reply.headers["content-encoding"] == "gzip"
        assert int(reply.headers["content-length"]) == len(reply.content) < size / 10
        assert len(gzip.decompress(reply.content)) > size

    @pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "*;q=0", "gzip;q=0, *", "deflate"])
    async def test_it_is_not_for_those_who_do_not_take_it(self, open_door: Opening, accepted: str) -> None:
        reply = await open_door(books=book(9_000)).post(TEXT, {"accept-encoding": accepted})
        assert "content-encoding" not in reply.headers
        assert reply.body == book(9_000)

    async def test_a_small_one_and_all_where_it_is_off_stay_as_they_are(self, open_door: Opening) -> None:
        asks = {"accept-encoding": "gzip"}
        assert "content-encoding" not in (await open_door(books=book(1_000)).post(TEXT, asks)).headers
        off = open_door(books=book(90_000), changed={"compress_from_bytes": math.inf})
        assert "content-encoding" not in (await off.post(TEXT, asks)).headers

    async def test_caches_are_told_that_it_depends(self, open_door: Opening) -> None:
        reply = await open_door(books=book(1)).post(TEXT)
        assert "accept-encoding" in reply.headers["vary"].lower()


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [
        (b"gzip", True), (b"GZIP;q=0.001", True), (b"br;q=1.0, gzip;q=0.8, *;q=0.1", True), (b"*", True), (b"x-gzip", True),
        (b"gzip;q=0.000", False), (b"", False), (b",,;;", False), (b"gzipped", False),
    ],
)  # fmt: skip
def test_the_header_is_read_as_the_standard_has_it(accepted: bytes, taken: bool) -> None:
    assert takes_gzip(accepted) is taken
