"""What a second worker adds: how much more two can serve before the busier one has no time left.

On a machine whose processors the load generator and the subgraphs need too, a rate would measure these. So capacity is computed
from what is steady: a request's processor time, and the busier worker's share of the work.
"""

import asyncio
import statistics
from pathlib import Path

import pytest

from tests.bench.gateways.contestants import cpu_ns_below, ours, running
from tests.bench.gateways.test_gateways import _token, bodies, load

ROUNDS, REQUESTS, CONNECTIONS = 5, 2_000, 128
GOAL = 1.8
pytestmark = pytest.mark.bench


def test_two_workers_serve_nearly_twice_as_much_as_one(supergraph: Path, issuer: str) -> None:
    headers = f"Authorization: Bearer {_token(issuer)}\r\n".encode()
    body = bodies()["Small"]
    ratios, shares = [], []
    with running({"One worker": ours(issuer), "Two workers": ours(issuer, workers=2)}, supergraph) as (one, two):
        for contestant in (one, two):
            asyncio.run(load(contestant, body, headers, REQUESTS, CONNECTIONS))
        for _ in range(ROUNDS):
            before = one.cpu_ns()
            asyncio.run(load(one, body, headers, REQUESTS, CONNECTIONS))
            alone = one.cpu_ns() - before
            earlier = cpu_ns_below(two.pid)
            asyncio.run(load(two, body, headers, REQUESTS, CONNECTIONS))
            spent = {pid: ns - earlier[pid] for pid, ns in cpu_ns_below(two.pid).items()}
            ratios.append(alone / max(spent.values()))
            shares.append(max(spent.values()) / sum(spent.values()))
    ratio = statistics.median(ratios)
    print(f"two workers serve {ratio:.2f} times one (the busier did {statistics.median(shares):.0%} of the work)")
    print(f"goal: at least {GOAL}: {'held' if ratio >= GOAL else 'MISSED'}")
