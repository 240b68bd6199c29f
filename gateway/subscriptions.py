"""Subscriptions: the events of one subgraph, each completed by the others and shaped like every other answer, as
server-sent events.

Source: GraphQL over Server-Sent Events, distinct connections mode: `next` for each result, then `complete`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson

from gateway import faults as own
from gateway import http1
from gateway.engine.execution import Request
from gateway.errors import Refused, of_subgraph
from gateway.exchange import COMPLETE, NEXT, Exchange, Receive
from services.kit import faults
from services.kit.faults import Fault

Json = dict[str, Any]
LONGEST_S = 3_600.0
OPENING_S = 5.0
HEARTBEAT_S = 15.0
LARGEST_EVENT = 1_048_576


async def begin(origin: http1.Origin, request: Request, headers: bytes) -> http1.Stream:
    """Ask a subgraph for its events. Raises Refused when it cannot be reached."""
    try:
        return await origin.stream(request.body, headers, asyncio.get_running_loop().time() + OPENING_S)
    except http1.TooSlow:
        raise Refused(own.SUBGRAPH_DEADLINE, service=request.fetch.subgraph) from None
    except http1.Unreachable:
        raise Refused(own.SUBGRAPH_UNAVAILABLE, service=request.fetch.subgraph) from None


async def follow(
    upstream: http1.Stream,
    subgraph: str,
    answer: Callable[[Json], Awaitable[bytes]],
    exchange: Exchange,
    receive: Receive,
) -> None:
    """Answer events one after the other until the subgraph ends, the client leaves or an hour is over. The next event waits
    in the connection while one is answered, so that a slow reader holds its own subgraph back and no memory.

    A subgraph that dies ends the stream with a coded error; a comment every 15 s keeps quiet connections open.
    """
    await exchange.begin_events()
    gone = asyncio.ensure_future(_disconnected(receive))
    following: asyncio.Future[Json] | None = None
    results = _results(upstream)
    try:
        async with asyncio.timeout(LONGEST_S):
            while not gone.done():
                following = following or asyncio.ensure_future(_following(results))
                waiting: set[asyncio.Future[Any]] = {following, gone}
                await asyncio.wait(waiting, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    await exchange.event(b":\n\n")
                    continue
                result, following = following.result(), None
                await exchange.event(_next(await answer(result)))
            await exchange.event(
                b"", last=True
            )  # without `complete`: a client that is still there comes back elsewhere
    except StopAsyncIteration:
        await exchange.event(COMPLETE, last=True)
    except TimeoutError:
        await exchange.event(_failure(faults.DEADLINE_EXCEEDED, subgraph, exchange) + COMPLETE, last=True)
    except (ConnectionError, ValueError):
        await exchange.event(_failure(own.SUBGRAPH_UNAVAILABLE, subgraph, exchange) + COMPLETE, last=True)
    finally:
        upstream.close()
        for task in (gone, following):
            if task is not None and not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


def _next(body: bytes) -> bytes:
    return NEXT + body + b"\n\n"


def _failure(fault: Fault, subgraph: str, exchange: Exchange) -> bytes:
    error = of_subgraph(fault, subgraph, exchange.request_id, exchange.language)
    return _next(orjson.dumps({"errors": [error]}))


async def _following(results: AsyncIterator[Json]) -> Json:
    return await anext(results)


async def _results(upstream: http1.Stream) -> AsyncIterator[Json]:
    """The GraphQL results in an upstream's events; a JSON answer counts as its only one.

    Raises ConnectionError when it ends without saying so, ValueError for what is no GraphQL result.
    """
    if not upstream.is_events:
        yield _result(b"".join([part async for part in _parts(upstream)]))
        return
    waiting = b""
    async for part in _parts(upstream):
        waiting += part.replace(b"\r\n", b"\n")
        *events, waiting = waiting.split(b"\n\n")
        if len(waiting) > LARGEST_EVENT:
            raise ValueError("an event too large")
        for event in events:
            lines = [line.partition(b":")[::2] for line in event.split(b"\n")]
            kind = b"".join(value.strip() for name, value in lines if name == b"event")
            if kind == b"complete":
                return
            if kind == b"next":
                yield _result(b"\n".join(value.removeprefix(b" ") for name, value in lines if name == b"data"))
    raise ConnectionResetError


async def _parts(upstream: http1.Stream) -> AsyncIterator[bytes]:
    while (part := await upstream.part()) is not None:
        yield part


def _result(body: bytes) -> Json:
    result = orjson.loads(body)
    if not isinstance(result, dict):
        raise ValueError("not a GraphQL result")
    return result


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
