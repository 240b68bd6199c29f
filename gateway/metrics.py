"""What the gateway counts, in Prometheus' terms. Labels are bounded: names of subgraphs, and of operations only while few.

What every request counts waits and is added up twice a second, and before each look: one sum costs less than its parts.
"""

import asyncio
import warnings
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Callable
from typing import TypeVar

from prometheus_client import Counter, Gauge, Histogram

M = TypeVar("M", "Sum", "Times")
MOST_NAMES = 200
SETTLE_S = 0.5
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUESTS = Counter("onedoor_gateway_requests", "GraphQL requests answered", ("status",))
DURATION = Histogram("onedoor_gateway_request_seconds", "Time to answer, by operation", ("operation",), buckets=BUCKETS)
KNOWN_OPERATIONS = Counter("onedoor_operations_known", "Requests whose operation was remembered with its plan")
NEW_OPERATIONS = Counter("onedoor_operations_new", "Requests whose operation had to be parsed and planned")
PLANNING = Histogram("onedoor_planning_seconds", "Time to plan an operation", buckets=BUCKETS)
SUBGRAPH_REQUESTS = Counter("onedoor_subgraph_fetches", "Requests sent to a subgraph", ("subgraph",))
SUBGRAPH_ERRORS = Counter("onedoor_subgraph_errors", "Requests that a subgraph did not answer", ("subgraph", "code"))
RETRIES = Counter("onedoor_subgraph_retries", "Queries sent to a subgraph once more", ("subgraph",))
SHARED = Counter("onedoor_subgraph_fetches_shared", "Fetches answered by a request that was under way", ("subgraph",))
RESPONSE_CACHE = Counter("onedoor_response_cache", "Looks for a kept answer: hit or miss", ("outcome",))
BREAKER = Gauge(
    "onedoor_subgraph_breaker",
    "Circuit breaker: 0 closed, 1 half-open, 2 open",
    ("subgraph",),
    multiprocess_mode="livemax",
)
SUBGRAPH_DURATION = Histogram("onedoor_subgraph_seconds", "Time a subgraph took", ("subgraph",), buckets=BUCKETS)
SUPERGRAPH = Gauge("onedoor_supergraph", "1 for the supergraph that is served", ("id",), multiprocess_mode="livemax")
RELOADS = Counter("onedoor_supergraph_reloads", "Looks at a changed supergraph file, by what came of it", ("outcome",))
COST = Counter("onedoor_operation_cost", "Cost of the operations that were run, by operation", ("operation",))
RATE_LIMITED = Counter(
    "onedoor_rate_limited", "Requests refused for their rate: of an identity, an address or a field", ("limit",)
)
SUBSCRIPTIONS = Gauge(
    "onedoor_subscriptions", "Subscriptions that are open", ("transport",), multiprocess_mode="livesum"
)
EVENTS = Counter("onedoor_subscription_events", "Events passed on to subscribers", ("transport",))
SOCKETS = Gauge("onedoor_websockets", "WebSockets that are open", multiprocess_mode="livesum")
SOCKETS_CLOSED = Counter(
    "onedoor_websockets_closed", "WebSockets closed, by the gateway's code or by the client", ("code",)
)
DRAINING = Gauge("onedoor_draining", "1 once the gateway has begun to leave", multiprocess_mode="livemax")


class Sum:
    """A counter whose increments wait to be settled."""

    __slots__ = ("_counter", "_waiting")

    def __init__(self, counter: Counter) -> None:
        self._counter, self._waiting = counter, 0.0
        _unsettled.append(self)

    def inc(self, amount: float = 1) -> None:
        """Count."""
        self._waiting += amount

    def settle(self) -> None:
        """Tell the counter."""
        if self._waiting:
            waiting, self._waiting = self._waiting, 0.0
            self._counter.inc(waiting)


class Times:
    """A histogram whose observations, in seconds, wait to be settled."""

    __slots__ = ("_histogram", "_waiting", "observe")

    def __init__(self, histogram: Histogram) -> None:
        """For histograms with this module's buckets."""
        self._histogram, self._waiting = histogram, list[float]()
        self.observe = self._waiting.append
        _unsettled.append(self)

    def settle(self) -> None:
        """Tell the histogram, by way of what it is made of: `observe` takes each time by itself and tries bound after bound."""
        if self._waiting:
            self._histogram._sum.inc(sum(self._waiting))
            for bucket, times in Tally(bisect_left(BUCKETS, seconds) for seconds in self._waiting).items():
                self._histogram._buckets[bucket].inc(times)
            self._waiting.clear()


_unsettled: list[Sum | Times] = []
_requests: dict[int, Sum] = {}
_durations: dict[str, Times] = {}
_costs: dict[str, Sum] = {}
_subgraphs: dict[str, tuple[Sum, Times]] = {}
known_operations = Sum(KNOWN_OPERATIONS)


def settle() -> None:
    """Add up what waits."""
    for one in _unsettled:
        one.settle()


async def keep_settled() -> None:
    """Add up what waits, again and again, until cancelled."""
    while True:
        await asyncio.sleep(SETTLE_S)
        settle()


def requests_with(status: int) -> Sum:
    """The requests answered with an HTTP status. Looking them up by label costs more than counting."""
    found = _requests.get(status)
    if found is None:
        found = _requests[status] = Sum(REQUESTS.labels(status))
    return found


def duration_of(operation: str) -> Times:
    """The durations of an operation by its name."""
    return _by_name(_durations, operation, lambda name: Times(DURATION.labels(name)))


def cost_of(operation: str) -> Sum:
    """What an operation has cost, by its name."""
    return _by_name(_costs, operation, lambda name: Sum(COST.labels(name)))


def of_subgraph(name: str) -> tuple[Sum, Times]:
    """The requests sent to a subgraph, and the time it took."""
    if name not in _subgraphs:
        _subgraphs[name] = Sum(SUBGRAPH_REQUESTS.labels(name)), Times(SUBGRAPH_DURATION.labels(name))
    return _subgraphs[name]


def _by_name(known: dict[str, M], operation: str, made: Callable[[str], M]) -> M:
    """The figure of an operation. Names come from callers: after the first 200 they are `other`."""
    found = known.get(operation)
    if found is None and len(known) >= MOST_NAMES:
        operation = "other"
        found = known.get(operation)
    if found is None:
        found = known[operation] = made(operation)
    return found


def forget(gauge: Gauge, *labels: str) -> None:
    """No longer show a gauge for what is gone. Figures that several workers add up keep their labels, at 0."""
    gauge.labels(*labels).set(0)
    with warnings.catch_warnings(action="ignore"):
        gauge.remove(*labels)
