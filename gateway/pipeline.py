"""One request, read top to bottom: read → caller → operation → variables → fetches → shape → reply.

This is the hot path: a plain ASGI application, no framework inside.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from gateway import errors, explain, incremental, metrics, purposes, rights, spans, subscriptions
from gateway import faults as own
from gateway.access_log import AccessLog
from gateway.apart import Apart
from gateway.callers import Callers
from gateway.departures import ClientLeft, Departures
from gateway.engine.delivery import Delivery, Part
from gateway.engine.execution import Execution, Request
from gateway.engine.reading import dumps
from gateway.errors import Refused
from gateway.exchange import NO_STORE, Asked, Exchange, Receive, Scope, Send, read
from gateway.incremental import Form
from gateway.operations import Operation, Operations, Variant
from gateway.rate_limits import RateLimits
from gateway.responses import Responses
from gateway.settings import Settings
from gateway.signing import names_an_authority, read_choices
from gateway.subgraphs import Large, NoAnswer, Subgraphs, forwarded
from gateway.watch import Watch
from services.kit import faults, logs
from services.kit.language import request_language

Json = dict[str, Any]
CLIENT_LEFT = 499  # as nginx counts it; nobody sees this status
_LOG = structlog.get_logger(__name__)


class Pipeline:
    """Answers `/graphql` for one supergraph."""

    def __init__(
        self,
        operations: Operations,
        subgraphs: Subgraphs,
        callers: Callers,
        settings: Settings,
        departures: Departures,
        access_log: AccessLog,
        rate_limits: RateLimits | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._operations, self._subgraphs, self._settings = operations, subgraphs, settings
        self.identify, self._ended = callers.identify, callers.ended
        self._departures = departures
        self._responses = Responses(settings.response_cache_bytes)
        self._origins = frozenset(origin.encode() for origin in settings.cors_origins)
        self._access_log, self._rate_limits, self._watch = access_log, rate_limits, watch

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return self.serve(Exchange(scope, send, self._settings.compress_from_bytes), receive)

    async def serve(self, exchange: Exchange, receive: Receive) -> None:
        """Answer one operation, whichever way it came."""
        begun = time.perf_counter()
        logs.request_id.set(exchange.request_id)
        request_language.set(exchange.language)
        name, kind, document = "", "", None
        try:
            asked = await read(exchange, receive, self._settings.limits.body_bytes, self._origins)
            read_choices(exchange)
            await self.identify(exchange)
            if self._rate_limits is not None:
                self._rate_limits.admit(exchange, len(asked.text))
            operation = self._operations.find(asked.text, asked.operation_name, asked.document)
            name, kind, document = operation.name, operation.kind, operation.document_hash
            exchange.document = document
            if operation.kind == "subscription":
                status = await self._follow(exchange, operation, asked, receive)
            else:
                status = await self._answer(exchange, operation, asked, receive)
        except ClientLeft:
            status, exchange.codes = CLIENT_LEFT, ["CLIENT_LEFT"]
        except Refused as refused:
            status = await exchange.refuse(refused)
        except Exception:
            _LOG.exception("fault")
            if exchange.sent:
                # A part is out: the server breaks the connection off, so that nobody takes it for the whole.
                status, exchange.codes = faults.INTERNAL.status, [faults.INTERNAL.code]
            else:
                status = await exchange.refuse(Refused(faults.INTERNAL))
        if self._settings.traces:
            spans.answered(name, kind, status, exchange.codes)
        taken = time.perf_counter() - begun
        metrics.requests_with(status).inc()
        if kind != "subscription":  # which lasts as long as somebody listens
            metrics.duration_of(name).observe(taken)
        if exchange.codes and self._watch is not None:
            self._watch.note(exchange.codes, exchange.claims.subject if exchange.claims else "", document or "")
        told = {
            "operation": name[:100],
            "document": document,
            "status": status,
            "codes": exchange.codes,
            "ms": round(taken * 1000, 2),
            "bytes": exchange.sent,
            "cost": exchange.cost,
            "fetches": exchange.fetches,
        }
        if exchange.rid != exchange.request_id:
            told["rid"] = exchange.rid
        if kind == "subscription":
            told["transport"], told["events"] = exchange.transport, exchange.events
        self._access_log.record(exchange.request_id, **told)

    async def _answer(self, exchange: Exchange, operation: Operation, asked: Asked, receive: Receive) -> int:
        if exchange.method == "GET" and operation.kind != "query":
            raise Refused(faults.METHOD_NOT_ALLOWED)
        explains = explain.asked(exchange)
        form = exchange.form if operation.defers else None
        variant = self._variant(operation, asked, exchange, form)
        if form is not None and variant.plan.defers:
            return await self._deliver(exchange, operation, variant, form, asked, receive, explains=explains)
        policy, key = variant.policy, None
        if policy is not None and not explains:
            now = asyncio.get_running_loop().time()
            key = self._responses.key(variant, policy, asked.variables, exchange)
            if key is not None and (kept := self._responses.find(key, exchange, now)) is not None:
                await exchange.reply(200, kept.body, caching=kept.headers(now))
                return 200
        execution = Execution(variant.plan, asked.variables)
        if not variant.plan.fetches:
            pass
        elif operation.kind == "query":
            with self._departures.ending(receive):
                await self._fetch_all(execution, exchange)
        else:  # a mutation goes on without its client: half of one would help nobody
            await self._fetch_all(execution, exchange)
        if variant.projection.introspects:
            execution.data.update(operation.introspected(asked.variables))
        if exchange.apart is None:
            body = self._shaped(variant, execution, exchange)
        else:
            body = await exchange.apart(self._shaped, variant, execution, exchange)
        caching = NO_STORE
        if policy is not None and key is not None and not execution.errors:
            caching = self._responses.keep(key, body, policy, asyncio.get_running_loop().time())
        body = explain.explained(body, exchange, operation, variant.plan) if explains else body
        await exchange.reply(200, body, caching=caching)
        return 200

    def _variant(self, operation: Operation, asked: Asked, exchange: Exchange, form: Form | None = None) -> Variant:
        labels = self._operations.labels(exchange.request_id, self._settings.override_labels)
        denied: rights.Denied = ()
        if operation.asks:
            another = names_an_authority(exchange)
            denied = rights.denied(operation.asks, exchange.claims, time.time(), for_another=another)
        variant, exchange.cost = operation.variant(operation.coerced(asked.variables), labels, form, denied)
        if self._rate_limits is not None:
            self._rate_limits.charge(exchange, exchange.cost, variant.counted)
        operation.spent.inc(exchange.cost)
        purposes.settle(exchange, variant.exposed, operation.purposes)
        return variant

    async def _fetch_all(
        self, execution: Execution, exchange: Exchange, told: Callable[[], None] | None = None
    ) -> None:
        """Run an execution to its end: each fetch is sent as soon as what it reads from is there. After each answer `told`
        is called."""
        deadline_s = self._settings.deadline_s
        deadline = asyncio.get_running_loop().time() + deadline_s
        headers = forwarded(exchange, deadline_s, traces=self._settings.traces)
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._chain(execution, execution.ready(), headers, deadline, exchange, tasks, told)
            for task in tasks:  # there may be more of them meanwhile
                await task
        finally:
            for task in tasks:
                task.cancel()

    async def _chain(
        self,
        execution: Execution,
        requests: list[Request],
        headers: bytes,
        deadline: float,
        exchange: Exchange,
        tasks: list[asyncio.Task[None]],
        told: Callable[[], None] | None,
    ) -> None:
        """Send requests, and then whatever the answer of the first allows to be sent; others go on in `tasks` likewise.

        A method, not a function within one: that would be garbage that only the collector finds, with a request's data.
        """
        while requests:
            for request in requests[1:]:
                chain = self._chain(execution, [request], headers, deadline, exchange, tasks, told)
                tasks.append(asyncio.ensure_future(chain))
            await self._fetch(execution, requests[0], headers, deadline, exchange)
            requests = execution.ready() if (apart := exchange.apart) is None else await apart(execution.ready)
            if told is not None:
                told()

    async def _fetch(
        self, execution: Execution, request: Request, headers: bytes, deadline: float, exchange: Exchange
    ) -> None:
        try:
            if self._settings.traces:
                with spans.fetching(request.fetch) as lines:
                    answer = await self._subgraphs.fetch(request, headers + lines, deadline, exchange)
            else:
                answer = await self._subgraphs.fetch(request, headers, deadline, exchange)
        except NoAnswer as error:
            name = request.fetch.subgraph
            told = errors.of_subgraph(error.fault, name, exchange.request_id, exchange.language)
            if exchange.apart is None:
                execution.fail(request.fetch, told)
            else:
                await exchange.apart(execution.fail, request.fetch, told)
        else:
            if type(answer) is Large and exchange.apart is None:
                exchange.apart = Apart()
            if exchange.apart is None:
                execution.receive(request.fetch, answer)
            else:
                await exchange.apart(execution.receive, request.fetch, answer)

    def _shaped(self, variant: Variant, execution: Execution, exchange: Exchange) -> bytes:
        """The JSON of an execution's result, as the client asked for it."""
        data = variant.projection.project(execution.data, execution.errors, repeats=execution.repeats)
        if not execution.errors:
            return dumps({"data": data})
        return dumps({"data": data, "errors": self._finished(execution.errors, exchange)})

    def _finished(self, found: list[Json], exchange: Exchange) -> list[Json]:
        """Errors as callers see them; their codes are noted."""
        candid = self._settings.shows_its_schema
        told = [errors.finished(error, exchange.request_id, exchange.language, candid=candid) for error in found]
        exchange.codes = sorted({*exchange.codes, *(error["extensions"]["code"] for error in told)})
        return told

    async def _deliver(
        self,
        exchange: Exchange,
        operation: Operation,
        variant: Variant,
        form: Form,
        asked: Asked,
        receive: Receive,
        *,
        explains: bool,
    ) -> int:
        """Answer in parts: what is not deferred as soon as it is there, then the rest as it comes. If there is no rest after
        all, the answer is like any other."""
        delivery = Delivery(variant.plan, variant.projection, asked.variables)
        if variant.projection.introspects:
            delivery.data.update(operation.introspected(asked.variables))

        def written() -> tuple[Part, bytes] | None:
            part = delivery.part()
            if part is None:
                return None
            body = dumps(incremental.told(part, form, lambda found: self._finished(found, exchange)))
            if part.last and explains:
                body = explain.explained(body, exchange, operation, variant.plan)
            return part, body

        arrived = asyncio.Event()
        arrived.set()  # a first part may need nothing
        fetching = asyncio.ensure_future(self._fetch_all(delivery, exchange, arrived.set))
        fetching.add_done_callback(lambda _: arrived.set())
        try:
            with contextlib.ExitStack() as watched:
                if operation.kind == "query":
                    watched.enter_context(self._departures.ending(receive))
                while not delivery.over:
                    await arrived.wait()
                    arrived.clear()
                    if fetching.done():
                        fetching.result()
                    while (found := written() if exchange.apart is None else await exchange.apart(written)) is not None:
                        part, body = found
                        await exchange.part(body, form, first=part.first, last=part.last)
                        if part.first and operation.kind != "query":  # what is left to do of a mutation changes nothing
                            watched.enter_context(self._departures.ending(receive))
        finally:
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)
        return 200

    async def _follow(self, exchange: Exchange, operation: Operation, asked: Asked, receive: Receive) -> int:
        """Answer a subscription by a stream. Raises Refused before its first result."""
        if not exchange.takes_events:
            raise Refused(own.SUBSCRIPTION_NEEDS_STREAM)
        variant = self._variant(operation, asked, exchange)
        if variant.projection.denied is not None:
            scheme = exchange.headers.get(b"authorization", b"").partition(b" ")[0]
            raise rights.refusal(variant.projection.denied, scheme)
        request = Execution(variant.plan, asked.variables).ready()[0]
        streams = self._settings.streams

        async def answered(event: Json) -> bytes:
            execution = Execution(variant.plan, asked.variables)
            execution.ready()
            execution.receive(request.fetch, event)
            await self._fetch_all(execution, exchange)
            return self._shaped(variant, execution, exchange)

        with subscriptions.counted(self._departures, streams, exchange.transport):
            longest_s = streams.longest_ms / 1000
            headers = forwarded(exchange, longest_s)  # the caller's trace: a stream outlasts every span
            upstream = await self._subgraphs.follow(request, headers, longest_s, exchange)
            staying = self._departures.staying(receive)
            with self._ended.watching(exchange.claims) as over:
                await subscriptions.follow(upstream, request.fetch.subgraph, answered, exchange, staying, over, streams)
        return 200
