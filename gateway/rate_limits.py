"""How much a caller may ask in a time: token buckets, by person or program, and by address for whoever has not signed in.

What is counted is cost, not requests: a request 1, each 64 characters of its text 1 more, then the cost of the operation, so
neither aliases nor batches make anything cheaper. Fields whose owners say so (`field_rates.py`) are counted besides, each by
itself. What is refused is not charged. No I/O; the clock is told.

The buckets are this process's own: of a rate each of several workers has its share, while a burst is whole in each. A caller
who stays on one connection therefore gets 1/N of the rate, and one who reaches all N workers the rate and, once, N bursts.
"""

import math
import time
from collections.abc import Callable

from gateway import faults as own
from gateway import metrics
from gateway.addresses import Addresses
from gateway.errors import Headers, Json, Refused
from gateway.exchange import Exchange
from gateway.field_rates import Counted, FieldRate
from gateway.limits import OverLimit
from gateway.settings import Rates
from services.kit.language import Language

MOST_CALLERS = 20_000  # in each generation of a bucket; 8 MB for two full ones
CHARACTERS = 64  # of an operation's text that cost 1
TOLERANCE_S = 1e-6  # sums of floats; a burst is not given away by it


class Buckets:
    """Token buckets of one rate, by caller. `burst` is what a full one holds, `rate` what flows in each second.

    A bucket is one number: when it will be full again. One that nobody has touched for as long as it takes to fill is full, so
    it need not be remembered: callers are kept in two generations, the older of which is dropped after that time, or when there
    are too many. Then those not seen for longest are forgotten, that is, given a full bucket. Source: the generic cell rate
    algorithm (ITU-T I.371), which keeps a bucket as one time.
    """

    __slots__ = ("_born", "_old", "_young", "burst", "fills_s", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self.fills_s = burst / rate
        self._young: dict[str, float] = {}
        self._old: dict[str, float] = {}
        self._born = -math.inf

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def lacks_s(self, caller: str, amount: float, now: float) -> float:
        """Seconds until an amount of at most `burst` is there; 0 or less when it is."""
        return max(self._full_at(caller) - now, 0.0) + amount / self.rate - self.fills_s

    def take(self, caller: str, amount: float, now: float) -> None:
        """Take what is there."""
        full_at = max(self._full_at(caller), now) + amount / self.rate
        if now - self._born > self.fills_s or len(self._young) >= MOST_CALLERS:
            self._old, self._young, self._born = self._young, {}, now
        self._young[caller] = full_at

    def left(self, caller: str, now: float) -> float:
        """What is there now."""
        return max(self.burst - max(self._full_at(caller) - now, 0.0) * self.rate, 0.0)

    def _full_at(self, caller: str) -> float:
        found = self._young.get(caller)
        return self._old.get(caller, -math.inf) if found is None else found


class RateLimited(Refused):
    """A caller has asked too much in a short time, and is told how long to wait. Sources: RFC 6585 and RFC 9110 (Retry-After);
    IETF draft "RateLimit header fields for HTTP", 10."""

    def __init__(self, name: str, buckets: Buckets, left: float, lacks_s: float, rate: FieldRate | None = None) -> None:
        self.wait_s = max(math.ceil(lacks_s), 1)
        if rate is None:
            super().__init__(own.RATE_LIMITED, seconds=self.wait_s)
        else:
            super().__init__(
                own.FIELD_RATE_LIMITED,
                seconds=self.wait_s,
                field=rate.coordinate,
                times=rate.times,
                period=rate.seconds,
            )
        self.headers: Headers = (
            (b"retry-after", b"%d" % self.wait_s),
            (b"ratelimit-policy", b'"%b";q=%d;w=%d' % (name.encode(), buckets.burst, math.ceil(buckets.fills_s))),
            (b"ratelimit", b'"%b";r=%d;t=%d' % (name.encode(), left, self.wait_s)),
        )

    def errors(self, request_id: str, language: Language) -> list[Json]:
        """The refusal, with the seconds to wait for those who see no headers."""
        (error,) = super().errors(request_id, language)
        error["extensions"]["retryAfter"] = self.wait_s
        return [error]


class RateLimits:
    """The limits of one process."""

    def __init__(self, rates: Rates, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._shares = clock, rates.shares
        self._addresses = Addresses(rates.trusted_proxies, rates.forwarded_header)
        self._known = Buckets(rates.identity / rates.shares, rates.identity_burst)
        self._strangers = Buckets(rates.address / rates.shares, rates.address_burst)
        self._fields: dict[FieldRate, Buckets] = {}

    def admit(self, exchange: Exchange, characters: int) -> None:
        """Charge for a request before it is understood. Raises RateLimited and OverLimit."""
        self._charge(exchange, 1 + characters // CHARACTERS, ())

    def charge(self, exchange: Exchange, cost: float, counted: Counted) -> None:
        """Charge for an operation before anything is fetched: all of it, or nothing. Raises RateLimited and OverLimit."""
        if cost > 0 or counted:
            self._charge(exchange, max(cost, 0.0), counted)

    def _charge(self, exchange: Exchange, amount: float, counted: Counted) -> None:
        now, claims = self._clock(), exchange.claims
        if claims is None:
            name, buckets, caller = "address", self._strangers, self._addresses.of(exchange.scope)
        else:
            name, buckets, caller = "identity", self._known, claims.subject
        if (lacks_s := buckets.lacks_s(caller, amount, now)) > TOLERANCE_S:
            if amount > buckets.burst:
                raise OverLimit("rate", buckets.burst, amount)
            metrics.RATE_LIMITED.labels(name).inc()
            raise RateLimited(name, buckets, buckets.left(caller, now), lacks_s)
        for rate, times in counted:
            self._judge(rate, caller, times, now)
        for rate, times in counted:
            self._fields[rate].take(caller, times, now)
        buckets.take(caller, amount, now)

    def _judge(self, rate: FieldRate, caller: str, times: int, now: float) -> None:
        buckets = self._fields.get(rate)
        if buckets is None:
            buckets = self._fields[rate] = Buckets(rate.times / rate.seconds / self._shares, rate.times)
        if (lacks_s := buckets.lacks_s(caller, times, now)) > TOLERANCE_S:
            if times > rate.times:
                raise OverLimit("times", rate.times, times)
            metrics.RATE_LIMITED.labels(rate.coordinate).inc()
            raise RateLimited(rate.coordinate, buckets, buckets.left(caller, now), lacks_s, rate)
