"""Whole answers, kept as long as the owners of their fields allow (`hints.py`), in this process and within bounds.

An answer that is its caller's alone is found again only by the same caller, by the same token; the public's callers have none.
Answers with errors are never kept. A client that sends `Cache-Control: no-cache` gets a new answer, `no-store` leaves none.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import orjson

from gateway import metrics
from gateway.errors import Headers
from gateway.exchange import Exchange
from gateway.hints import Policy
from gateway.subgraphs import identifying

Key = tuple[object, bytes, bytes, bytes]
OVERHEAD_BYTES = 500  # of an entry, beside its body and variables


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer: until when it may be given, in the loop's time."""

    body: bytes
    policy: Policy
    until: float
    size: int

    def headers(self, now: float) -> Headers:
        """Cache-Control and Age, as HTTP caches and clients read them. Source: RFC 9111."""
        age = int(self.policy.max_age_s - (self.until - now))
        return (*_allowing(self.policy), (b"age", b"%d" % max(age, 0)))


class Responses:
    """The answers that are kept for one supergraph; the least recently used are forgotten first."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self.size = most_bytes, 0
        self._kept: OrderedDict[Key, Kept] = OrderedDict()

    def key(self, variant: object, policy: Policy, variables: dict[str, Any], exchange: Exchange) -> Key | None:
        """Under what an answer is kept: all that it depends on. None when it may not be, the caller being nobody."""
        if not self._most or b"no-store" in exchange.headers.get(b"cache-control", b""):
            return None
        who = b""
        if policy.private:
            told = identifying(exchange)
            if not told:
                return None
            who = hashlib.sha256(told).digest()
        return variant, orjson.dumps(variables, option=orjson.OPT_SORT_KEYS), exchange.language.tag, who

    def find(self, key: Key, exchange: Exchange, now: float) -> Kept | None:
        """What is kept and still lasts, unless the client wants it new."""
        found = self._kept.get(key)
        if found is not None and found.until <= now:
            self._forget(key)
            found = None
        if found is not None and b"no-cache" in exchange.headers.get(b"cache-control", b""):
            found = None
        metrics.RESPONSE_CACHE.labels("miss" if found is None else "hit").inc()
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def keep(self, key: Key, body: bytes, policy: Policy, now: float) -> Headers:
        """Keep an answer without errors. Returns the headers that tell others how long they may."""
        self._forget(key)
        size = len(body) + len(key[1]) + OVERHEAD_BYTES
        if size <= self._most // 8:
            self._kept[key] = Kept(body, policy, now + policy.max_age_s, size)
            self.size += size
            while self.size > self._most:
                self._forget(next(iter(self._kept)))
        return _allowing(policy)

    def _forget(self, key: Key) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self.size -= found.size


def _allowing(policy: Policy) -> Headers:
    scope = b"private" if policy.private else b"public"
    return ((b"cache-control", b"max-age=%d, %b" % (policy.max_age_s, scope)),)
