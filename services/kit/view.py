"""The service's GraphQL endpoint: a thin ASGI view with cached parse and validation.

Strawberry's stock view parses and validates every request anew, which is most of the cost of a small `_entities` call.
Answers follow GraphQL over HTTP; nothing here ends in a 5xx because of what a caller sent.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from inspect import isawaitable
from typing import Any

import orjson
import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    execute,
    get_operation_ast,
    parse,
    subscribe,
    validate,
)
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from services.kit import faults, logs, metrics
from services.kit.access_log import only_fetch, repeated_fetch
from services.kit.answers import Invalid, Refused, answer_of, error_of, failed, refusal_of
from services.kit.caller import ANONYMOUS, Caller, from_claims
from services.kit.database import Database
from services.kit.feed import Feed
from services.kit.language import Language, negotiate, request_language
from services.kit.operation import Operation
from services.kit.tokens import TokenRefused, Verifier, bearer
from services.kit.variables import misfits

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LARGEST_BODY = 1_048_576
MOST_TOKENS = 15_000
MOST_ERRORS = 5
REMEMBERED_DOCUMENTS, LONGEST_REMEMBERED = 1_000, 20_000  # documents; characters of one
LONGEST_S = 30.0
WATCHED_AFTER_S = 0.1
JSON_TYPES = ("application/json", "application/graphql-response+json")
_LOG = structlog.get_logger(__name__)
_TRACER = trace.get_tracer(__name__)


class GraphQLView:
    """POST `{"query", "variables", "operationName"}`; subscriptions as `text/event-stream`."""

    def __init__(self, schema: GraphQLSchema, database: Database, feed: Feed, verifier: Verifier | None) -> None:
        self._schema, self._database, self._feed, self._verifier = schema, database, feed, verifier
        self._documents: OrderedDict[str, DocumentNode] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        request_id = logs.accept_request_id(headers.get(b"x-request-id"))
        logs.request_id.set(request_id)
        language = negotiate(headers.get(b"accept-language", ""))
        request_language.set(language)
        common = [(b"x-request-id", request_id.encode()), (b"content-language", language.value.encode())]
        with _TRACER.start_as_current_span("graphql", context=_trace_of(headers), kind=SpanKind.SERVER) as span:
            begun = time.perf_counter()
            kind, status, code = await self._respond(scope, headers, language, common, receive, send)
            if kind != "subscription":  # which lasts as long as somebody listens
                metrics.DURATION.observe(time.perf_counter() - begun)
            metrics.REQUESTS.labels(kind, "ok" if code is None else "refused" if status >= 400 else "errors").inc()
            span.set_attributes({"graphql.operation.type": kind, "http.response.status_code": status})

    async def _respond(
        self,
        scope: Scope,
        headers: dict[bytes, str],
        language: Language,
        common: list[tuple[bytes, bytes]],
        receive: Receive,
        send: Send,
    ) -> tuple[str, int, str | None]:
        """Answer a request. Returns what kind of operation it held, the status and the first error's code."""
        kind, status = "none", 200
        try:
            body = await self._read(scope, headers, receive)
            operation = Operation(self._database, self._feed, await self._caller(headers), language)
            document, node, variables = self._understand(body)
            kind = node.operation.value
            if node.operation is OperationType.SUBSCRIPTION:
                await self._stream(document, node, variables, operation, common, receive, send)
                return kind, status, None
            answer = await self._execute(document, node, variables, operation, headers, receive)
            written = orjson.dumps(answer)
        except Exception as problem:
            status, answer = refusal_of(problem)
            written = orjson.dumps(answer)
        code = answer["errors"][0]["extensions"]["code"] if "errors" in answer else None
        if status >= 400:
            _LOG.info("request_refused", status=status, code=code)
        await _reply(send, status, written, common)
        return kind, status, code

    async def _read(self, scope: Scope, headers: dict[bytes, str], receive: Receive) -> dict[str, Any]:
        """The request's JSON object. Raises Refused: method, media type, size, form."""
        if scope["method"] != "POST":
            raise Refused(faults.METHOD_NOT_ALLOWED)
        if headers.get(b"content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refused(faults.UNSUPPORTED_MEDIA_TYPE)
        raw = await _body(receive)
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise Refused(
                faults.BAD_REQUEST, detail_en="the body is not JSON", detail_fr="le corps n’est pas du JSON"
            ) from None
        if not isinstance(body, dict) or not isinstance(body.get("query"), str):
            raise Refused(
                faults.BAD_REQUEST,
                detail_en="the body must be an object whose “query” is a text",
                detail_fr="le corps doit être un objet dont « query » est un texte",
            )
        if not isinstance(body.get("variables"), dict | None):
            raise Refused(
                faults.BAD_REQUEST,
                detail_en="“variables” must be an object",
                detail_fr="« variables » doit être un objet",
            )
        if not isinstance(body.get("operationName"), str | None):
            raise Refused(faults.UNKNOWN_OPERATION)
        return body

    async def _caller(self, headers: dict[bytes, str]) -> Caller:
        """Who asks. Raises Refused UNAUTHENTICATED for a token that is not valid here; none at all is anonymous."""
        try:
            token = bearer(headers.get(b"authorization"))
            if token is None:
                return ANONYMOUS
            if self._verifier is None:
                raise TokenRefused("no issuer")
            return from_claims(await self._verifier.verify(token))
        except TokenRefused as refused:
            _LOG.info("token_refused", reason=refused.reason)
            raise Refused(faults.UNAUTHENTICATED) from None

    def _understand(self, body: dict[str, Any]) -> tuple[DocumentNode, OperationDefinitionNode, dict[str, Any]]:
        """The document, the operation in it and its variables. Raises Refused and Invalid."""
        text: str = body["query"]
        document = self._documents.get(text)
        if document is None:
            document = self._parsed(text)
            if len(text) <= LONGEST_REMEMBERED:
                self._documents[text] = document
            if len(self._documents) > REMEMBERED_DOCUMENTS:
                self._documents.popitem(last=False)
        node = get_operation_ast(document, body.get("operationName"))
        if node is None:
            raise Refused(faults.UNKNOWN_OPERATION)
        return document, node, body.get("variables") or {}

    def _parsed(self, text: str) -> DocumentNode:
        """A text as a document that is valid for the schema. Raises Invalid, and Refused for one that is nested too deeply."""
        try:
            document = parse(text, max_tokens=MOST_TOKENS)
            problems = validate(self._schema, document, max_errors=MOST_ERRORS)
        except GraphQLError as error:
            raise Invalid((error_of(error, faults.PARSE_FAILED),)) from None
        except RecursionError:
            raise Refused(faults.OPERATION_TOO_DEEP) from None
        if problems:
            raise Invalid(tuple(error_of(problem, faults.VALIDATION_FAILED) for problem in problems))
        return document

    async def _execute(
        self,
        document: DocumentNode,
        node: OperationDefinitionNode,
        variables: dict[str, Any],
        operation: Operation,
        headers: dict[bytes, str],
        receive: Receive,
    ) -> dict[str, Any]:
        """Run an operation until its deadline, or until nobody waits for it: then it is cancelled, its statement with it, and
        its transaction is rolled back. Raises Refused DEADLINE_EXCEEDED."""
        deadline_s = _deadline(headers)
        if deadline_s <= 0:
            raise Refused(faults.DEADLINE_EXCEEDED)
        try:
            async with asyncio.timeout(deadline_s) as limit, _while_waited_for(limit, receive):
                result = execute(
                    self._schema,
                    document,
                    context_value=operation,
                    variable_values=variables,
                    operation_name=node.name.value if node.name else None,
                )
                done = await result if isawaitable(result) else result
                if operation.has_looked and done.data is not None:
                    done = await _accounted(operation, done, _fetch(node, variables, headers))
        except TimeoutError:
            raise Refused(faults.DEADLINE_EXCEEDED) from None
        finally:
            await operation.close()
        if done.data is None and done.errors and not any(error.path for error in done.errors):
            unfit = misfits(self._schema, node.variable_definitions or (), variables, MOST_ERRORS)
            if unfit:
                request_id, language = logs.request_id.get(), request_language.get()
                return {"errors": [misfit.as_error(request_id, language) for misfit in unfit]}
        return answer_of(done)

    async def _stream(
        self,
        document: DocumentNode,
        node: OperationDefinitionNode,
        variables: dict[str, Any],
        operation: Operation,
        common: list[tuple[bytes, bytes]],
        receive: Receive,
        send: Send,
    ) -> None:
        """Server-sent events in distinct connections mode: `next` for each result, then `complete`.

        Source: GraphQL over Server-Sent Events, distinct connections mode.
        """
        source = subscribe(
            self._schema,
            document,
            context_value=operation,
            variable_values=variables,
            operation_name=node.name.value if node.name else None,
        )
        results = await source if isawaitable(source) else source
        head = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"), *common]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            if isinstance(results, ExecutionResult):
                await _event(send, answer_of(results))
            else:
                await _pump(results, operation, gone, send)
            await send({"type": "http.response.body", "body": b"event: complete\ndata:\n\n"})
        finally:
            gone.cancel()
            await operation.close()


async def _accounted(operation: Operation, result: ExecutionResult, fetch: str) -> ExecutionResult:
    """A result with what it shows of other people committed to the access log. Where it cannot be: an error, and no data."""
    try:
        await operation.commit_log(fetch)
    except Exception as problem:
        return failed(problem, "access_not_logged")
    return result


def _fetch(node: OperationDefinitionNode, variables: dict[str, Any], headers: dict[bytes, str]) -> str:
    """The name of the fetch for the access log. Only one whose deadline has been set just now may be a retry."""
    if node.operation is not OperationType.QUERY or node.loc is None or _deadline(headers) >= LONGEST_S:
        return only_fetch()
    return repeated_fetch(node.loc.source.body, variables, headers[b"onedoor-deadline"])


def _deadline(headers: dict[bytes, str]) -> float:
    """Seconds that are left, none or less when it has passed: Onedoor-Deadline is Unix time in milliseconds; never more than
    our own limit, which also holds where the header cannot be read."""
    with contextlib.suppress(KeyError, ValueError, OverflowError):
        return min(int(headers[b"onedoor-deadline"]) / 1000 - time.time(), LONGEST_S)
    return LONGEST_S


def _trace_of(headers: dict[bytes, str]) -> Context | None:
    """The trace that the request belongs to; None when the caller has begun none. Source: W3C Trace Context."""
    if b"traceparent" not in headers:
        return None
    return propagate.extract({"traceparent": headers[b"traceparent"], "tracestate": headers.get(b"tracestate", "")})


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(body) > LARGEST_BODY:
            raise Refused(faults.PAYLOAD_TOO_LARGE, limit=LARGEST_BODY)
        return body
    parts = [body]
    size = len(body)
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LARGEST_BODY:
            raise Refused(faults.PAYLOAD_TOO_LARGE, limit=LARGEST_BODY)
    return b"".join(parts)


async def _reply(send: Send, status: int, body: bytes, common: list[tuple[bytes, bytes]]) -> None:
    headers = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        *common,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def _while_waited_for(limit: asyncio.Timeout, receive: Receive) -> AsyncIterator[None]:
    """Let a limit run out as soon as the client has gone. Most answers are quicker than a watch is worth: it begins late."""
    loop = asyncio.get_running_loop()
    watching: list[asyncio.Task[None]] = []

    async def watch() -> None:
        await _disconnected(receive)
        _LOG.info("client_gone")
        if not limit.expired():  # the work is being ended already
            limit.reschedule(loop.time())

    later = loop.call_later(WATCHED_AFTER_S, lambda: watching.append(asyncio.ensure_future(watch())))
    try:
        yield
    finally:
        later.cancel()
        for watcher in watching:
            watcher.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _event(send: Send, answer: dict[str, Any]) -> None:
    body = b"event: next\ndata: " + orjson.dumps(answer) + b"\n\n"
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _pump(
    results: AsyncIterator[ExecutionResult], operation: Operation, gone: "asyncio.Future[None]", send: Send
) -> None:
    """Send each result until the source ends or the client has gone; a comment every 15 s keeps the connection open."""
    following: asyncio.Task[ExecutionResult] | None = None
    try:
        while not gone.done():
            following = following or asyncio.create_task(_next(results))
            waiting: set[asyncio.Future[Any]] = {following, gone}
            done, _ = await asyncio.wait(waiting, timeout=15, return_when=asyncio.FIRST_COMPLETED)
            if following in done:
                try:
                    result = following.result()
                except StopAsyncIteration:
                    return
                except Exception as problem:  # the caller may not, or the source failed: said as an error, then the end
                    await _event(send, answer_of(failed(problem, "subscription_failed")))
                    return
                following = None
                if operation.has_looked and result.data is not None:
                    result = await _accounted(operation, result, only_fetch())
                await _event(send, answer_of(result))
                await operation.close()  # the next event reads what has been committed since
            elif not done:
                await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})
    finally:
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)  # nobody is left to be told how it ended
        await results.aclose()  # type: ignore[attr-defined] # graphql-core yields an async generator


async def _next(results: AsyncIterator[ExecutionResult]) -> ExecutionResult:
    return await anext(results)
