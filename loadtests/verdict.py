"""Judges a finished run by `thresholds.toml`. Pure: figures in, verdict out; the locustfile prints it."""

from collections.abc import Iterable
from dataclasses import dataclass

from loadtests.promises import Promises

PASSED, FAILED, SATURATED = 0, 1, 3
WORDS = {PASSED: "passed", FAILED: "failed", SATURATED: "generator saturated"}


@dataclass(frozen=True, slots=True)
class Measured:
    """One operation's figures over a whole run."""

    operation: str
    requests: int
    failures: int
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The exit code of a run, and the sentences that explain it."""

    exit_code: int
    reasons: tuple[str, ...]


def judge(measured: Iterable[Measured], generator_cpu_percent: float, promises: Promises) -> Verdict:
    """PASSED when every promise held, FAILED when one did not, SATURATED when the generator was too busy to tell.

    A run without a single request has failed: nothing was shown.
    """
    rows = list(measured)
    requests, failures = sum(r.requests for r in rows), sum(r.failures for r in rows)
    if requests == 0:
        return Verdict(FAILED, ("no request was made",))
    broken = []
    if failures / requests > promises.max_error_ratio:
        broken.append(f"{failures} of {requests} requests failed, {promises.max_error_ratio:.2%} are allowed")
    if generator_cpu_percent > promises.max_generator_cpu_percent:
        busy = (
            f"the load generator used {generator_cpu_percent:.0f}% of its processor (limit "
            f"{promises.max_generator_cpu_percent:.0f}%): latencies are not judged; lower the rate or add workers"
        )
        return Verdict(FAILED if broken else SATURATED, (*broken, busy))
    for row in rows:
        limit = promises.p95_ms(row.operation)
        if row.requests and row.p95_ms > limit:
            broken.append(f"{row.operation}: p95 {row.p95_ms:.0f} ms, promised {limit:.0f} ms")
    return Verdict(FAILED if broken else PASSED, tuple(broken))
