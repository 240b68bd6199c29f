"""How long this process may let anybody act for somebody else: as long as it is known to have heard of every revision of a grant.

A lease is of this process alone and in its memory. What relies on a grant asks once more just before its answer leaves.
"""

import asyncio
import time
from collections.abc import Callable
from weakref import WeakSet

from services.kit import faults

# Goes on while the machine sleeps, where there is such a clock.
_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def elapsed() -> float:
    """Seconds on a clock that nobody sets."""
    return time.clock_gettime(_BOOT)


class Lease:
    """One per process. Without an extension it has run out: nobody acts for anybody."""

    def __init__(self, clock: Callable[[], float] = elapsed) -> None:
        self.clock = clock
        self._until = float("-inf")
        self._relying: WeakSet[Reliance] = WeakSet()

    @property
    def runs(self) -> bool:
        """Whether every grant is known here as it is."""
        return self.clock() < self._until

    def extend(self, until: float) -> None:
        """Let it run until a moment of its clock; never shorter than it did."""
        self._until = max(self._until, until)

    def end(self) -> None:
        """Let it run out now, for good."""
        self._until = float("-inf")

    def rely(self, on: str, fault: faults.Fault = faults.AUTHORITY_REFUSED) -> "Reliance":
        """Begin to rely on a grant, or on the consents of a person: note it before reading what they say. `fault` is what is told
        where it turns out that they may not be relied on any more."""
        reliance = Reliance(self, on, fault)
        self._relying.add(reliance)
        return reliance

    def revised(self, *changed: str) -> None:
        """Grants, or the consents of people, have become others here: whoever relies on what they were is told."""
        for reliance in list(self._relying):
            if reliance.on in changed and not reliance.over.done():
                reliance.over.set_result(None)


class Reliance:
    """That an operation acts on a grant, or on consents, as they were read. `ends` is when the first of them does (Unix time in
    seconds); `over` is done when they have become others."""

    def __init__(self, lease: Lease, on: str, fault: faults.Fault) -> None:
        self._lease, self.on, self._fault = lease, on, fault
        self.ends = float("inf")
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def require(self) -> None:
        """Raises Faulted with its fault, or AUTHORITY_UNAVAILABLE, where it may not be relied on any more."""
        if self.over.done() or time.time() >= self.ends:
            raise faults.Faulted(self._fault)
        if not self._lease.runs:
            raise faults.Faulted(faults.AUTHORITY_UNAVAILABLE)
