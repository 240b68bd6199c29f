"""What compressing an answer costs: our gzip beside the standard library's, CPU and size, on answers like real ones."""

import random
import statistics
import time
import zlib
from collections.abc import Callable

import orjson
import pytest

from gateway.compression import _gzip

pytestmark = pytest.mark.bench
SIZES, ROUNDS = (1_400, 4_000, 88_000, 2_000_000), 9
WORDS = ("ferry", "harbour", "permit", "inspection", "registration", "office", "municipal", "Hamilton", "Sudbury")


def answer(size: int) -> bytes:
    """A JSON answer of about a size: ids and numbers that repeat little, names and keys that repeat much."""
    draw, items, length = random.Random(7), [], 0
    while length < size:
        item = orjson.dumps(
            {
                "id": f"{draw.getrandbits(64):x}",
                "name": {"en": " ".join(draw.choices(WORDS, k=3)), "fr": " ".join(draw.choices(WORDS, k=4))},
                "scheduledFor": f"2026-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}",
                "score": draw.random(),
            }
        )
        items.append(item)
        length += len(item)
    return b'{"data":{"items":[' + b",".join(items) + b"]}}"


def cpu_us(compress: Callable[[bytes], bytes], body: bytes) -> float:
    """CPU microseconds for one compression, the median of several rounds."""
    times, repeats = [], max(1, 1_000_000 // len(body))
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(repeats):
            compress(body)
        times.append((time.process_time() - began) / repeats * 1e6)
    return statistics.median(times)


def test_gzip_costs_less_than_the_standard_librarys() -> None:
    print(f"\n{'bytes':>9} {'ours, µs':>9} {'zlib 1':>9} {'ratio':>6} {'left':>6}")
    for size in SIZES:
        body = answer(size)
        ours, theirs = cpu_us(_gzip, body), cpu_us(lambda b: zlib.compress(b, 1, 31), body)
        print(f"{len(body):9} {ours:9.1f} {theirs:9.1f} {ours / theirs:6.2f} {len(_gzip(body)) / len(body):6.2f}")
    assert ours < theirs
