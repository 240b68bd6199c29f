"""Keeps one subgraph's trouble from growing: a circuit breaker, and a budget for trying again. Pure: told the time.

Breaker: once half of the calls since a window's first failure have failed, the subgraph is left alone for a while, then one
call tries it. Source: the states of Nygard's "Release It!"; the failure rate as in resilience4j.
Budget: a failure costs ten, a success earns one back; with less than half of a hundred left nothing is tried again, so that
an outage is met with at most a tenth more requests. Source: retry throttling in gRPC's proposal A6.
"""

from collections.abc import Callable
from enum import IntEnum

WINDOW_S = 10.0
FEWEST_CALLS = 10  # no judgement on fewer
FAILING_SHARE = 0.5
OPEN_S = 2.0  # doubled each time that the trial fails
LONGEST_OPEN_S = 30.0
TOKENS = 100
RETRY_COST = 10


class State(IntEnum):
    """A breaker's state; the number is the metric's value."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Guard:
    """The breaker and the retry budget of one subgraph. Times are the loop's, in seconds."""

    __slots__ = ("_began", "_changed", "_failed", "_open_s", "_opened", "_tokens", "_trying", "calls", "state")

    def __init__(self, changed: Callable[[State], None] = lambda state: None) -> None:
        """`changed` is called with each new state."""
        self.state = State.CLOSED
        self.calls = 0  # since the window's first failure; a success adds one and looks at nothing else
        self._changed = changed
        self._failed = 0
        self._began = float("-inf")
        self._opened = 0.0
        self._open_s = OPEN_S
        self._trying = False
        self._tokens = TOKENS

    def admits(self, now: float) -> bool:
        """Whether a call may be made. Half-open lets one through at a time; tell how each that was let through ended."""
        if self.state is State.CLOSED:
            return True
        if self.state is State.OPEN and now >= self._opened + self._open_s:
            self._become(State.HALF_OPEN)
        if self.state is State.OPEN or self._trying:
            return False
        self._trying = True
        return True

    def succeeded(self) -> None:
        """A call was answered."""
        self.calls += 1
        if self._tokens < TOKENS:
            self._tokens += 1
        if self.state is State.HALF_OPEN:
            self._trying = False
            self._open_s = OPEN_S
            self._forget(float("-inf"))
            self._become(State.CLOSED)

    def failed(self, now: float) -> None:
        """A call was not answered, and the fault is the subgraph's."""
        self._tokens = max(self._tokens - RETRY_COST, 0)
        if self.state is State.CLOSED:
            if now > self._began + WINDOW_S:
                self._forget(now)
            self.calls += 1
            self._failed += 1
            if self.calls >= FEWEST_CALLS and self._failed >= self.calls * FAILING_SHARE:
                self._open(now)
        elif self.state is State.HALF_OPEN:
            self._trying = False
            self._open_s = min(self._open_s * 2, LONGEST_OPEN_S)
            self._open(now)

    def abandoned(self) -> None:
        """A call ended without saying anything about the subgraph: its caller left."""
        self._trying = False

    def may_retry(self) -> bool:
        """Whether the budget and the breaker allow another try."""
        return self.state is State.CLOSED and self._tokens > TOKENS // 2

    def _open(self, now: float) -> None:
        self._opened = now
        self._become(State.OPEN)

    def _forget(self, now: float) -> None:
        self._began, self.calls, self._failed = now, 0, 0

    def _become(self, state: State) -> None:
        self.state = state
        self._changed(state)
