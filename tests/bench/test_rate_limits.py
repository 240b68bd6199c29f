"""What it costs a request to be counted: a caller whom the bucket knows, and ever new ones; and a door without limits."""

import gc
import statistics
import time
from collections.abc import Callable

import pytest

from gateway.exchange import Exchange
from gateway.field_rates import FieldRate
from gateway.rate_limits import RateLimits
from gateway.settings import Rates
from services.kit.tokens import Claims

pytestmark = pytest.mark.bench
CALLS, ROUNDS = 20_000, 15
PLENTY = Rates(identity=10**9, identity_burst=10**12, address=10**9, address_burst=10**12)
COUNTED = ((FieldRate("Query.nameCheck", 10**9, 1), 1),)


async def _nowhere(_: object) -> None:
    """No answer is written."""


def exchange(client: str, claims: Claims | None = None) -> Exchange:
    scope = {"method": "POST", "headers": [], "client": (client, 50_000)}
    made = Exchange(scope, _nowhere)
    made.claims = claims
    return made


def median_us(call: Callable[[int], None]) -> float:
    taken = []
    for _ in range(ROUNDS):
        gc.collect()
        begun = time.process_time()
        for number in range(CALLS):
            call(number)
        taken.append((time.process_time() - begun) / CALLS * 1e6)
    return statistics.median(taken)


def test_counting() -> None:
    limits = RateLimits(PLENTY)
    person = exchange("192.0.2.1", Claims("someone", frozenset(), frozenset(), "cli", "s", 0.0))
    strangers = [exchange(f"2001:db8:{n // 65536:x}:{n % 65536:x}::1") for n in range(CALLS)]

    def both(asked: Exchange, counted: tuple[tuple[FieldRate, int], ...] = ()) -> None:
        limits.admit(asked, 500)
        limits.charge(asked, 25.0, counted)

    loop = median_us(lambda _: None)
    known = median_us(lambda _: both(person)) - loop
    rated = median_us(lambda _: both(person, COUNTED)) - loop
    address = median_us(lambda _: both(strangers[0])) - loop
    new = median_us(lambda n: both(strangers[n])) - loop
    print(
        f"\na request counted (charged twice: as text, as operation): a person {known:.2f} µs, with a rated field {rated:.2f} µs,"
        f" a known address {address:.2f} µs, {CALLS:,} addresses in turn {new:.2f} µs"
    )
