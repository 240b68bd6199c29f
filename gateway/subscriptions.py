"""Subscriptions: the events of one subgraph, each completed by the others and shaped like every other answer.

How they come is `upstreams.py`'s matter, how they are told the exchange's: as server-sent events or over a WebSocket.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import structlog

from gateway import faults as own
from gateway import metrics
from gateway.departures import Departures
from gateway.errors import Refused, of_subgraph
from gateway.exchange import Exchange, Receive
from gateway.settings import Streams
from gateway.upstreams import Lost, Upstream
from services.kit import faults
from services.kit.faults import Fault
from services.kit.tokens import LEEWAY_S

Json = dict[str, Any]
HEARTBEAT_S = 15.0
LEAVING_S, TELLING_S = 1.0, 30.0  # for the end to be taken: by whoever has gone, or has not
_LOG = structlog.get_logger(__name__)


class TooSlow(Exception):
    """The client did not take what was sent."""


@contextlib.contextmanager
def counted(departures: Departures, streams: Streams, transport: str) -> Iterator[None]:
    """A block in which one more subscription is open. Raises Refused when there are enough."""
    if departures.following >= streams.subscriptions:
        raise Refused(own.TOO_MANY_SUBSCRIPTIONS)
    departures.following += 1
    shown = metrics.SUBSCRIPTIONS.labels(transport)
    shown.inc()
    try:
        yield
    finally:
        departures.following -= 1
        shown.dec()


async def follow(
    upstream: Upstream,
    subgraph: str,
    answer: Callable[[Json], Awaitable[bytes]],
    exchange: Exchange,
    receive: Receive,
    over: "asyncio.Future[None]",
    streams: Streams,
) -> None:
    """Answer events one after the other until the subgraph ends, the client leaves, or neither may go on: its session is `over`
    or its token has ended, it does not take what is sent, or time is up. The next event waits with its subgraph while one is
    answered, so that a slow client holds back its own subscription and no memory.

    Whatever ends it but the client or the gateway's own departure is told with its code. The subgraph is told in every case.
    """
    gone = asyncio.ensure_future(_disconnected(receive))
    pumping = closing = None
    try:
        await exchange.begin_events()
        pumping = asyncio.ensure_future(_pump(upstream, answer, exchange, streams.slow_ms / 1000))
        lasts_s, reason = _lasting(exchange, streams)
        waiting: set[asyncio.Future[Any]] = {pumping, gone, over}
        await asyncio.wait(waiting, timeout=lasts_s, return_when=asyncio.FIRST_COMPLETED)
        if over.done():
            reason = faults.SESSION_ENDED
        await _stopped(pumping)
        closing = asyncio.ensure_future(upstream.close())
        if gone.done():
            telling = asyncio.ensure_future(exchange.leave())
            await asyncio.wait((telling,), timeout=LEAVING_S)
        else:  # a client that has taken nothing may yet begin to
            telling = asyncio.ensure_future(_ending(pumping, reason, subgraph, exchange, streams))
            await asyncio.wait((telling, gone), timeout=TELLING_S, return_when=asyncio.FIRST_COMPLETED)
        await _stopped(telling)
    finally:
        for task in filter(None, (gone, pumping)):
            await _stopped(task)
        await (closing or upstream.close())


async def _pump(
    upstream: Upstream, answer: Callable[[Json], Awaitable[bytes]], exchange: Exchange, slow_s: float
) -> None:
    """Tell results until there are no more. Raises Lost and TooSlow."""
    told = metrics.EVENTS.labels(exchange.transport)
    while True:
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                result = await upstream.result()
        except TimeoutError:
            await _taken(exchange.beat(), slow_s)
            continue
        if result is None:
            return
        await _taken(exchange.result(await answer(result)), slow_s)
        told.inc()


async def _taken(sending: Awaitable[None], slow_s: float) -> None:
    try:
        async with asyncio.timeout(slow_s):
            await sending
    except TimeoutError:
        raise TooSlow from None


def _lasting(exchange: Exchange, streams: Streams) -> tuple[float, Fault]:
    """For how many seconds a subscription may go on, and what ends it then."""
    longest_s = streams.longest_ms / 1000
    if exchange.claims is not None:
        valid_s = max(exchange.claims.expires + LEEWAY_S - time.time(), 0)
        if valid_s < longest_s:
            return valid_s, faults.UNAUTHENTICATED
    return longest_s, own.SUBSCRIPTION_TOO_LONG


def _ending(
    pumping: "asyncio.Future[None]", reason: Fault, subgraph: str, exchange: Exchange, streams: Streams
) -> Awaitable[None]:
    """What is said last to a client that is still there."""
    if pumping.cancelled():
        return _fail(exchange, reason, minutes=streams.longest_ms // 60_000)
    match pumping.exception():
        case None:
            return exchange.complete()
        case Lost() as lost:
            metrics.SUBGRAPH_ERRORS.labels(subgraph, lost.fault.code).inc()
            _LOG.warning("subscription_lost", subgraph=subgraph, code=lost.fault.code, reason=lost.reason)
            exchange.codes = [lost.fault.code]
            return exchange.fail(of_subgraph(lost.fault, subgraph, exchange.request_id, exchange.language))
        case TooSlow():
            return _fail(exchange, faults.SUBSCRIBER_TOO_SLOW)
        case problem:
            _LOG.error("fault", exc_info=problem)
            return _fail(exchange, faults.INTERNAL)


def _fail(exchange: Exchange, fault: Fault, **values: object) -> Awaitable[None]:
    exchange.codes = [fault.code]
    return exchange.fail(faults.as_error(fault, exchange.request_id, values, language=exchange.language))


async def _stopped(task: "asyncio.Future[None]") -> None:
    """Cancel what still runs and wait for its end, whatever it is."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
