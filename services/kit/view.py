"""The service's GraphQL endpoint: a thin ASGI view with cached parse and validation.

Strawberry's stock view parses and validates every request anew, which is most of the cost of a small `_entities` call.
Answers follow GraphQL over HTTP; nothing here ends in a 5xx because of what a caller sent.
"""

import asyncio
import contextlib
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
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
from opentelemetry.context import Context as Trace
from opentelemetry.trace import SpanKind

from services.kit import context, faults, logs, metrics
from services.kit.access_log import only_fetch, repeated_fetch
from services.kit.answers import Invalid, Refused, answer_of, error_of, refusal_of
from services.kit.caller import ANONYMOUS, Caller, from_claims
from services.kit.context import Context
from services.kit.database import Database
from services.kit.ended_sessions import EndedSessions
from services.kit.feed import Feed
from services.kit.following import accounted, pump, send_event
from services.kit.gate import Admitted, Gate
from services.kit.grants import represent
from services.kit.hanging_up import disconnected, while_waited_for
from services.kit.language import negotiate, request_language
from services.kit.lease import Lease
from services.kit.operation import Operation
from services.kit.refused_entries import RefusedEntries
from services.kit.tokens import TokenRefused, Verifier, credentials
from services.kit.variables import misfits

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LARGEST_BODY = 1_048_576
MOST_TOKENS = 15_000
MOST_ERRORS = 5
REMEMBERED_DOCUMENTS, LONGEST_REMEMBERED = 1_000, 20_000  # documents; characters of one
LONGEST_S = 30.0
_LOG = structlog.get_logger(__name__)
_TRACER = trace.get_tracer(__name__)


class GraphQLView:
    """POST `{"query", "variables", "operationName"}`; subscriptions as `text/event-stream`. With a gate, to who signs only."""

    def __init__(
        self,
        schema: GraphQLSchema,
        database: Database,
        feed: Feed,
        verifier: Verifier | None,
        gate: Gate | None = None,
        lease: Lease | None = None,
    ) -> None:
        """Without a lease nobody acts for anybody else."""
        self._schema, self._database, self._feed, self._verifier = schema, database, feed, verifier
        self._gate, self._lease = gate, lease or Lease()
        self.refused_entries = RefusedEntries(database)
        self._documents: OrderedDict[str, DocumentNode] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        logs.request_id.set(logs.accept_request_id(headers.get(b"x-request-id")))
        request_language.set(negotiate(headers.get(b"accept-language", "")))
        with _TRACER.start_as_current_span("graphql", context=_trace_of(headers), kind=SpanKind.SERVER) as span:
            begun = time.perf_counter()
            kind, status, code = await self._respond(scope, headers, receive, send)
            if kind != "subscription":  # which lasts as long as somebody listens
                metrics.DURATION.observe(time.perf_counter() - begun)
            metrics.REQUESTS.labels(kind, "ok" if code is None else "refused" if status >= 400 else "errors").inc()
            span.set_attributes({"graphql.operation.type": kind, "http.response.status_code": status})

    async def _respond(
        self, scope: Scope, headers: dict[bytes, str], receive: Receive, send: Send
    ) -> tuple[str, int, str | None]:
        """Answer a request. Returns what kind of operation it held, the status and the first error's code."""
        kind, status, operation = "none", 200, None
        try:
            raw, admitted = await self._admitted(scope, headers, receive)
            request_language.set(admitted.context.language)
            body = _read(scope, headers, raw)
            told = _named(admitted.context, body["query"])
            caller = await self._caller(headers, is_signed=admitted.nonce is not None)
            operation = Operation(
                self._database, self._feed, caller, told.language, told, admitted.nonce, lease=self._lease
            )
            document, node, variables = self._understand(body)
            kind = node.operation.value
            try:
                await represent(operation)
                if node.operation is not OperationType.QUERY:  # whose transactions are others
                    await operation.close()
                is_stream = node.operation is OperationType.SUBSCRIPTION
                if is_stream:
                    await self._stream(document, node, variables, operation, receive, send)
                else:
                    answer = await self._execute(document, node, variables, operation, receive)
            finally:
                await operation.close()
            if is_stream:
                self.refused_entries.keep(operation.log)
                return kind, status, None
            written = orjson.dumps(answer)
            operation.require_reliances()  # nothing is awaited between this and the sending
        except Exception as problem:
            status, answer = refusal_of(problem)
            written = orjson.dumps(answer)
        code = answer["errors"][0]["extensions"]["code"] if "errors" in answer else None
        if status >= 400:
            _LOG.info("request_refused", status=status, code=code)
        await _reply(send, status, written)
        if operation is not None:
            self.refused_entries.keep(operation.log)
        return kind, status, code

    async def _admitted(self, scope: Scope, headers: dict[bytes, str], receive: Receive) -> tuple[bytes, Admitted]:
        """The body, and what the call says of itself. Raises Refused."""
        if self._gate is None:
            if scope["method"] != "POST":
                raise Refused(faults.METHOD_NOT_ALLOWED)
            return await _body(receive), Admitted(context.unsigned(headers, logs.request_id.get()))
        self._gate.refuse_unsigned(scope)
        raw = await _body(receive)
        return raw, self._gate.admit(scope, raw)

    async def _caller(self, headers: dict[bytes, str], *, is_signed: bool) -> Caller:
        """Who asks. Raises Refused UNAUTHENTICATED for a token that is not valid here; none at all is anonymous.

        A token that is bound to a key is taken without proof of it in a signed call only: the gateway has seen the proof.
        """
        try:
            given = credentials(headers.get(b"authorization"))
            if given is None:
                return ANONYMOUS
            if self._verifier is None:
                raise TokenRefused("no issuer")
            scheme, token = given
            claims = await self._verifier.verify(token, scheme)
            if claims.key and not is_signed:
                raise TokenRefused("bound, without proof")
            return from_claims(claims)
        except TokenRefused as refused:
            _LOG.info("token_refused", reason=refused.reason)
            raise Refused(refused.fault) from None

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
        receive: Receive,
    ) -> dict[str, Any]:
        """Run an operation until its deadline, or until nobody waits for it: then it is cancelled, its statement with it, and
        its transaction is rolled back. Raises Refused DEADLINE_EXCEEDED, and SIGNATURE_REFUSED for what another process has
        carried out."""
        deadline_s = _left(operation.context)
        if deadline_s <= 0:
            raise Refused(faults.DEADLINE_EXCEEDED)
        try:
            async with asyncio.timeout(deadline_s) as limit, while_waited_for(limit, receive):
                result = execute(
                    self._schema,
                    document,
                    context_value=operation,
                    variable_values=variables,
                    operation_name=node.name.value if node.name else None,
                )
                done = await result if isawaitable(result) else result
                if done.data is not None:
                    done = await accounted(operation, done, _fetch(node, variables, operation.context))
        except TimeoutError:
            raise Refused(faults.DEADLINE_EXCEEDED) from None
        if operation.is_replay:
            raise Refused(faults.SIGNATURE_REFUSED)
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
        head = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"), *_common()]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            if isinstance(results, ExecutionResult):
                await send_event(send, answer_of(results))
            else:
                with self._watching(operation.caller) as over:
                    await pump(results, operation, self.refused_entries, gone, over, send)
            await send({"type": "http.response.body", "body": b"event: complete\ndata:\n\n"})
        finally:
            gone.cancel()

    def _watching(self, caller: Caller) -> "contextlib.AbstractContextManager[asyncio.Future[None]]":
        """A block with a future that is done when the actor's session has ended."""
        ended = self._verifier.ended if self._verifier else EndedSessions()
        return ended.watching(replace(caller, subject=caller.actor) if caller.signed_in else None)


def _fetch(node: OperationDefinitionNode, variables: dict[str, Any], told: Context) -> str:
    """The name of the fetch for the access log: the signed one; without one, a query's whose deadline has been set just now may
    be a retry."""
    if told.fetch:
        return told.fetch
    if node.operation is not OperationType.QUERY or node.loc is None or _left(told) >= LONGEST_S:
        return only_fetch()
    return repeated_fetch(node.loc.source.body, variables, told)


def _named(told: Context, text: str) -> Context:
    """A context that names its operation: by the client's document, as the gateway signs it, else by what was asked here."""
    return told if told.op else replace(told, op=hashlib.sha256(text.encode(errors="replace")).hexdigest())


def _left(told: Context) -> float:
    """Seconds that are left, none or less when the deadline has passed; never more than our own limit."""
    return LONGEST_S if told.deadline_ms is None else min(told.deadline_ms / 1000 - time.time(), LONGEST_S)


def _common() -> list[tuple[bytes, bytes]]:
    """The headers of every answer."""
    return [
        (b"x-request-id", logs.request_id.get().encode()),
        (b"content-language", request_language.get().value.encode()),
    ]


def _trace_of(headers: dict[bytes, str]) -> Trace | None:
    """The trace that the request belongs to; None when the caller has begun none. Source: W3C Trace Context."""
    if b"traceparent" not in headers:
        return None
    return propagate.extract({"traceparent": headers[b"traceparent"], "tracestate": headers.get(b"tracestate", "")})


def _read(scope: Scope, headers: dict[bytes, str], raw: bytes) -> dict[str, Any]:
    """The request's JSON object. Raises Refused: method, media type, form."""
    if scope["method"] != "POST":
        raise Refused(faults.METHOD_NOT_ALLOWED)
    if headers.get(b"content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(faults.UNSUPPORTED_MEDIA_TYPE)
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


async def _reply(send: Send, status: int, body: bytes) -> None:
    headers = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        *_common(),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
