"""A subscription while somebody follows it: its results as server-sent events, each with its look logged before it leaves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import orjson
from graphql import ExecutionResult

from services.kit import faults
from services.kit.access_log import only_fetch
from services.kit.answers import answer_of, failed
from services.kit.operation import Operation
from services.kit.refused_entries import RefusedEntries

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def accounted(operation: Operation, result: ExecutionResult, fetch: str) -> ExecutionResult:
    """A result with what it shows of other people committed to the access log. Where it cannot be: an error, and no data."""
    try:
        await operation.commit_log(fetch, result.data or {})
    except Exception as problem:
        return failed(problem, "access_not_logged")
    return result


async def send_event(send: Send, answer: dict[str, Any]) -> None:
    """Send one result. Source: GraphQL over Server-Sent Events, distinct connections mode."""
    body = b"event: next\ndata: " + orjson.dumps(answer) + b"\n\n"
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def pump(
    results: AsyncIterator[ExecutionResult],
    operation: Operation,
    refused: RefusedEntries,
    gone: "asyncio.Future[None]",
    over: "asyncio.Future[None]",
    send: Send,
) -> None:
    """Send each result until the source ends, the client has gone, its session is `over` or the grant that it acts on has become
    another; a comment every 15 s keeps the connection open. What an event was refused is written once its result has left."""

    async def tell(result: ExecutionResult) -> None:
        await send_event(send, answer_of(result))
        refused.keep(operation.log)

    ends = {over: faults.SESSION_ENDED}
    ends |= {reliance.over: faults.AUTHORITY_REFUSED for reliance in operation.reliances.values()}
    following: asyncio.Task[ExecutionResult] | None = None
    try:
        while not gone.done():
            following = following or asyncio.create_task(_next(results))
            waiting: set[asyncio.Future[Any]] = {following, gone, *ends}
            done, _ = await asyncio.wait(waiting, timeout=15, return_when=asyncio.FIRST_COMPLETED)
            if fault := next((ends[end] for end in ends if end in done), None):
                await _stop(following)
                await operation.close()
                await tell(failed(faults.Faulted(fault), "subscription_ended"))
                return
            if following in done:
                try:
                    result = following.result()
                    if result.data is not None:
                        result = await accounted(operation, result, only_fetch())
                    await operation.close()  # who takes it slowly holds no connection; the next event reads anew
                    operation.require_reliances()
                except StopAsyncIteration:
                    return
                except Exception as problem:  # the caller may not, or the source failed: said as an error, then the end
                    await operation.close()
                    await tell(failed(problem, "subscription_failed"))
                    return
                following = None
                await tell(result)
                operation.begin_anew()
            elif not done:
                await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})
    finally:
        if following is not None:
            await _stop(following)
        await results.aclose()  # type: ignore[attr-defined] # graphql-core yields an async generator


async def _stop(following: "asyncio.Task[ExecutionResult]") -> None:
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)  # nobody is left to be told how it ended


async def _next(results: AsyncIterator[ExecutionResult]) -> ExecutionResult:
    return await anext(results)
