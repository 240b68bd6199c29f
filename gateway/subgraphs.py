"""Sends planned fetches to subgraphs and says what became of each. Nothing of a subgraph's failure reaches a caller raw."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import structlog

from gateway import faults as own
from gateway import http1, metrics, upstreams
from gateway.apart import LARGE_BYTES, loads
from gateway.engine.execution import Request
from gateway.engine.supergraph import Supergraph
from gateway.errors import Refused
from gateway.exchange import Exchange
from gateway.guard import Guard, State
from gateway.personal import Personal
from gateway.settings import Settings
from gateway.signing import AUTHORITY, PURPOSE, Signer, new_id
from services.kit import tls
from services.kit.context import Context
from services.kit.faults import Fault
from services.kit.language import spoken

Json = dict[str, Any]
PROBE_S = 1.0
PROBE_AGE_S = 2.0
MOST_RETRIES = 2
LONGEST_PAUSE_S = 0.05  # before the first retry, doubled for each more; the pause is drawn between nothing and this
TIMED_OUT = 504
RETRIED = (502, 503, TIMED_OUT)
FAULTS: Mapping[type[Exception], Fault] = {
    http1.Unreachable: own.SUBGRAPH_UNAVAILABLE,
    http1.TooSlow: own.SUBGRAPH_DEADLINE,
    http1.Crowded: own.SUBGRAPH_OVERLOADED,
    http1.TooLarge: own.SUBGRAPH_TOO_LARGE,
    http1.Malformed: own.SUBGRAPH_MALFORMED,
}
_IDENTIFYING = (b"authorization", AUTHORITY, PURPOSE)  # who asks, on whose behalf, for what: answers may depend on it
_TRACING = (b"traceparent", b"tracestate")
_PASSED_ON = (*_IDENTIFYING, *_TRACING)
_PASSING = (b"x-request-id: ", b"onedoor-deadline: ", *(name + b": " for name in _TRACING))  # differ per request
_LOG = structlog.get_logger(__name__)


class NoAnswer(Exception):
    """A subgraph gave no usable answer; `fault` says how."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


class Large(dict[str, Any]):
    """An answer of a megabyte or more: whatever is done with it is done on a thread, so that others do not wait."""


class Addressless(Exception):
    """A subgraph has no address, neither composed in nor given by a variable; or none over TLS, where nothing else will do."""


def address_of(settings: Settings, name: str, composed: str) -> str:
    """Where a subgraph answers. Raises Addressless naming the subgraph and the variable to set."""
    address, variable = settings.address(name, composed), settings.variable(name)
    if not address:
        raise Addressless(
            spoken(
                f"subgraph {name} has no address: set {variable}",
                f"le sous-graphe {name} n’a pas d’adresse\u00a0: indiquez {variable}",
            )
        )
    if settings.only_tls and not address.startswith("https://"):
        raise Addressless(
            spoken(
                f"subgraph {name} is composed in as {address}, and production calls nobody without TLS: set {variable}",
                f"le sous-graphe {name} est composé avec {address}, et la production n’appelle personne sans TLS\u00a0: "
                f"indiquez {variable}",
            )
        )
    return address


def forwarded(exchange: Exchange, deadline_s: float, *, traces: bool = False) -> bytes:
    """The header lines that every fetch of a request carries: who asks, in which language, until when. Nothing else but the
    caller's trace, unless the gateway `traces` itself: then each fetch has a line of its own."""
    lines = b"x-request-id: %b\r\naccept-language: %b\r\nonedoor-deadline: %d\r\n" % (
        exchange.request_id.encode("ascii"),
        exchange.language.tag,
        (time.time() + deadline_s) * 1000,  # Unix time in milliseconds
    )
    headers = exchange.headers
    for name in _IDENTIFYING if traces else _PASSED_ON:
        if name in headers:
            lines += b"%b: %b\r\n" % (name, headers[name])
    return lines


def identifying(exchange: Exchange) -> bytes:
    """Who asks, and what is forwarded of it; empty for the public."""
    if b"authorization" not in exchange.headers:
        return b""
    return b"\r\n".join(name + b": " + exchange.headers[name] for name in _IDENTIFYING if name in exchange.headers)


class _Flight:
    """A request under way and how many wait for it."""

    __slots__ = ("task", "waiting")

    def __init__(self, task: "asyncio.Task[http1.Answer]") -> None:
        self.task, self.waiting = task, 0


class _Peer:
    """One subgraph: the connections to it, its guard, its figures. Outlives a reload that leaves its address."""

    __slots__ = ("counted", "guard", "name", "origin", "source", "timed")

    def __init__(self, name: str, origin: http1.Origin, source: upstreams.Source) -> None:
        self.name, self.origin, self.source = name, origin, source
        self.counted, self.timed = metrics.of_subgraph(name)
        shown = metrics.BREAKER.labels(name)
        shown.set(State.CLOSED)

        def changed(state: State) -> None:
            shown.set(state)
            _LOG.warning("subgraph_breaker", subgraph=name, state=state.name.lower())

        self.guard = Guard(changed)


class Subgraphs:
    """The subgraphs of one supergraph and the connections to them."""

    def __init__(
        self,
        supergraph: Supergraph,
        settings: Settings,
        before: "Subgraphs | None" = None,
        signer: Signer | None = None,
    ) -> None:
        """Takes over from those that were served before what stays at its address. Without a signer nothing is signed.

        Raises Addressless, SettingMissing, and ValueError for an address that is none.
        """
        self._peers: dict[str, _Peer] = {}
        self._signer = signer
        self._fair_s = settings.deadline_s / 2
        self._flights: dict[tuple[str, bytes, bytes], _Flight] = {}
        self._personal = Personal(supergraph.document) if settings.shares_fetches else None
        checks = tls.context(settings.authority) if settings.authority else None
        for subgraph in supergraph.subgraphs.values():
            address = address_of(settings, subgraph.name, subgraph.url)
            kept = before._peers.get(subgraph.name) if before else None
            if kept is None or kept.origin.url != address:
                origin = http1.Origin(address, settings.connections, settings.answer_bytes, settings.queued, checks)
                taking = settings.subscription_address(subgraph.name, address)
                source = upstreams.Source(taking, origin, settings.streams.silent_ms / 1000, checks)
                kept = _Peer(subgraph.name, origin, source)
            self._peers[subgraph.name] = kept
        self._states: dict[str, str] = {}
        self._probed = float("-inf")
        self._probing = asyncio.Lock()

    async def fetch(self, request: Request, headers: bytes, deadline: float, exchange: Exchange) -> Json:
        """A subgraph's GraphQL answer for an exchange, which is told of it. The deadline is in the loop's time.

        Raises NoAnswer."""
        fetch = request.fetch
        peer = self._peers[fetch.subgraph]
        peer.counted.inc()
        begun = time.perf_counter()
        sign = None
        if self._signer is not None:
            sign = self._signer.of(exchange, fetch, deadline - asyncio.get_running_loop().time())
        try:
            # A mutation may have been carried out by the connection that died under it: it is never sent twice.
            again = fetch.kind == "query"
            if self._personal and again and not self._personal.told(fetch.document):
                answer = await self._shared(peer, request.body, headers, sign, begun, deadline)
            else:
                answer = await self._post(peer, request.body, headers, sign, begun, deadline, again=again)
            if len(answer.body) < LARGE_BYTES:
                return _result(answer, request.loads)
            return Large(await asyncio.to_thread(_result, answer, loads))
        except (http1.Unreachable, http1.TooSlow, http1.Crowded, http1.TooLarge, http1.Malformed) as error:
            raise self._failed(peer.name, FAULTS[type(error)], str(error)) from None
        except NoAnswer as error:
            raise self._failed(peer.name, error.fault, "") from None
        finally:
            taken = time.perf_counter() - begun
            peer.timed.observe(taken)
            exchange.fetched(peer.name, taken)

    async def _shared(
        self, peer: _Peer, body: bytes, headers: bytes, sign: http1.Sign | None, begun: float, deadline: float
    ) -> http1.Answer:
        """An answer, by the request under way that asks the same for the same caller, else by one that others may join.

        It is ended when nobody waits any more. Raises what _post raises.
        """
        lasting = b"\r\n".join(line for line in headers.split(b"\r\n") if not line.startswith(_PASSING))
        key = peer.name, body, lasting
        flight = self._flights.get(key)
        joined = flight is not None
        if flight is None:
            posting = self._post(peer, body, headers, sign, begun, deadline, again=True)
            flight = self._flights[key] = _Flight(asyncio.ensure_future(posting))
        else:
            metrics.SHARED.labels(peer.name).inc()
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        except http1.TooSlow:
            if joined and asyncio.get_running_loop().time() < deadline:  # it was the other's time that was up
                return await self._post(peer, body, headers, sign, begun, deadline, again=True)
            raise
        finally:
            flight.waiting -= 1
            if (flight.task.done() or not flight.waiting) and self._flights.get(key) is flight:
                del self._flights[key]
            if not flight.waiting:
                flight.task.cancel()

    async def _post(
        self,
        peer: _Peer,
        body: bytes,
        headers: bytes,
        sign: http1.Sign | None,
        begun: float,
        deadline: float,
        *,
        again: bool,
    ) -> http1.Answer:
        """An answer, whatever its status. Tried again if `again` and the peer could not answer, within deadline and budget.

        Raises NoAnswer while the breaker is open, and what Origin.post raises.
        """
        guard, tries = peer.guard, 0
        while True:
            if guard.state and not guard.admits(time.monotonic()):
                raise NoAnswer(own.SUBGRAPH_UNAVAILABLE)
            try:
                answer = await peer.origin.post(body, headers, deadline, again=again, sign=sign)
            except (http1.Unreachable, http1.Malformed):
                guard.failed(time.monotonic())
                pause = self._pause(peer, tries, deadline) if again else None
                if pause is None:
                    raise
            except http1.TooSlow:
                if time.perf_counter() - begun < self._fair_s:
                    guard.abandoned()  # others had used the time up
                else:
                    guard.failed(time.monotonic())
                raise
            except http1.TooLarge:
                guard.succeeded()
                raise
            except BaseException:
                guard.abandoned()
                raise
            else:
                if answer.status < 500:
                    guard.succeeded()
                    return answer
                if answer.status == TIMED_OUT and time.perf_counter() - begun < self._fair_s:
                    guard.abandoned()  # others had used the time up, and the service kept to what was left
                else:
                    guard.failed(time.monotonic())
                pause = self._pause(peer, tries, deadline) if again and answer.status in RETRIED else None
                if pause is None:
                    return answer
            tries += 1
            await asyncio.sleep(pause)

    @staticmethod
    def _pause(peer: _Peer, tries: int, deadline: float) -> float | None:
        """Seconds to wait before another try; None when there is to be none."""
        if tries >= MOST_RETRIES or not peer.guard.may_retry():
            return None
        pause = random.uniform(0, LONGEST_PAUSE_S * 2**tries)  # noqa: S311 - spreads requests, guards nothing
        if asyncio.get_running_loop().time() + pause >= deadline:
            return None
        metrics.RETRIES.labels(peer.name).inc()
        return pause

    async def follow(self, request: Request, headers: bytes, left_s: float, exchange: Exchange) -> upstreams.Upstream:
        """A subgraph's events for an exchange, which lasts so many seconds at most. Raises Refused when there are none to be
        had."""
        peer = self._peers[request.fetch.subgraph]
        peer.counted.inc()
        sign = self._signer.of(exchange, request.fetch, left_s) if self._signer is not None else None
        try:
            return await peer.source.begin(request.body, headers, sign)
        except upstreams.Lost as lost:
            raise Refused(self._failed(peer.name, lost.fault, lost.reason).fault, service=peer.name) from None

    def origin(self, name: str) -> http1.Origin:
        """The server of a subgraph."""
        return self._peers[name].origin

    @property
    def breakers(self) -> dict[str, str]:
        """The state of each subgraph's circuit breaker."""
        return {name: peer.guard.state.name.lower() for name, peer in self._peers.items()}

    async def states(self) -> dict[str, str]:
        """`ok` or a fault's code for each subgraph, asked at most every two seconds."""
        loop = asyncio.get_running_loop()
        async with self._probing:
            if loop.time() - self._probed > PROBE_AGE_S:
                names = list(self._peers)
                self._states = dict(zip(names, await asyncio.gather(*map(self._probe, names)), strict=True))
                self._probed = loop.time()
        return self._states

    def close(self, keep: "Subgraphs | None" = None) -> None:
        """Close the connections, but for those that others keep; one in use is closed when its answer has come."""
        kept = keep._peers if keep else {}
        for name, peer in self._peers.items():
            if kept.get(name) is not peer:
                peer.origin.close()
            if name not in kept:
                metrics.forget(metrics.BREAKER, name)

    async def _probe(self, name: str) -> str:
        deadline, sign = asyncio.get_running_loop().time() + PROBE_S, None
        if self._signer is not None:
            ends_ms = int((time.time() + PROBE_S) * 1000)
            sign = self._signer.telling(Context(new_id(), fetch=new_id(), deadline_ms=ends_ms))
        try:
            _result(await self._peers[name].origin.post(b'{"query":"{__typename}"}', b"", deadline, sign=sign))
        except NoAnswer as error:
            return error.fault.code
        except (http1.Unreachable, http1.TooSlow, http1.Crowded, http1.TooLarge, http1.Malformed) as error:
            return FAULTS[type(error)].code
        return "ok"

    def _failed(self, name: str, fault: Fault, reason: str) -> NoAnswer:
        metrics.SUBGRAPH_ERRORS.labels(name, fault.code).inc()
        _LOG.warning("subgraph_failed", subgraph=name, code=fault.code, reason=reason)
        return NoAnswer(fault)


def _result(answer: http1.Answer, loads: Callable[[bytes], Any] = orjson.loads) -> Json:
    """The GraphQL result in an HTTP answer, whatever its status. Raises NoAnswer when there is none."""
    try:
        result = loads(answer.body)
    except ValueError:
        result = None
    if isinstance(result, dict):
        data, errors = result.get("data"), result.get("errors")
        if (type(data) is dict and type(errors) in (list, type(None))) or (
            data is None and type(errors) is list and errors
        ):
            return result
    raise NoAnswer(own.SUBGRAPH_UNAVAILABLE if answer.status >= 500 else own.SUBGRAPH_MALFORMED)
