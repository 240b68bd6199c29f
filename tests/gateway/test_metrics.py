"""What waits to be counted is counted as prometheus_client itself would have counted it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from gateway import metrics

Seen = dict[tuple[str, str], float]


def histogram() -> tuple[CollectorRegistry, Histogram]:
    registry = CollectorRegistry()
    return registry, Histogram("took", "Time", ("of",), buckets=metrics.BUCKETS, registry=registry)


def seen(registry: CollectorRegistry) -> Seen:
    """Every sample by its name and bucket, but for when it was made."""
    (family,) = registry.collect()
    return {(s.name, s.labels.get("le", "")): s.value for s in family.samples if not s.name.endswith("_created")}


TIMES = st.one_of(st.sampled_from((0.0, *metrics.BUCKETS, 11.0)), st.floats(0, 20))


class TestTimes:
    @given(times=st.lists(st.lists(TIMES, max_size=20), max_size=4))
    def test_are_told_as_one_by_one(self, times: list[list[float]]) -> None:
        (plain, by_one), (settled, together) = histogram(), histogram()
        waiting = metrics.Times(together.labels("all"))
        by_one.labels("all")
        for some in times:
            for seconds in some:
                by_one.labels("all").observe(seconds)
                waiting.observe(seconds)
            waiting.settle()
        expected, found = seen(plain), seen(settled)
        assert found.pop(("took_sum", "")) == pytest.approx(expected.pop(("took_sum", "")))
        assert found == expected

    def test_are_told_once(self) -> None:
        registry, one = histogram()
        waiting = metrics.Times(one.labels("all"))
        waiting.observe(0.2)
        waiting.settle()
        waiting.settle()
        assert seen(registry)["took_count", ""] == 1


class TestSums:
    def test_are_told_once(self) -> None:
        before = metrics.KNOWN_OPERATIONS._value.get()
        metrics.known_operations.inc()
        metrics.known_operations.inc(2)
        metrics.settle()
        metrics.settle()
        assert metrics.KNOWN_OPERATIONS._value.get() - before == 3
