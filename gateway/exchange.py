"""One HTTP exchange: what a request is read into, and how an answer is written. Source: GraphQL over HTTP, draft 2025."""

import math
from collections.abc import Awaitable, Callable, Container, Mapping, MutableMapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import orjson

from gateway import compression, cross_site, documents
from gateway import faults as own
from gateway.apart import Apart
from gateway.errors import Headers, Refused
from gateway.incremental import MULTIPART, Form, accepted
from services.kit import faults, logs
from services.kit.context import Chosen
from services.kit.language import negotiate
from services.kit.tokens import Claims

Json = dict[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

NO_STORE: Headers = ((b"cache-control", b"no-store"),)
LONGEST_ACCEPT = 1_000  # bytes that are looked at
GRAPHQL = b"application/graphql-response+json"
JSON = b"application/json"
EVENTS = b"text/event-stream"
NEXT, COMPLETE = b"event: next\ndata: ", b"event: complete\ndata:\n\n"
_ACCEPTED = {GRAPHQL: GRAPHQL, JSON: JSON, EVENTS: EVENTS, b"application/*": JSON, b"*/*": JSON, b"": JSON}


class Exchange:
    """A request's headers, made sense of, the means to answer it, and what it took for logs and operators.

    `request_id` may be of the client's choice, for people and logs to find it by; `rid` is always our own, for what is evidence.
    `document` is the hash of what is asked.

    `claims` are those of its token; `chosen` is its purpose; `cost` that of its operation; `codes` of the errors told; `sent` the
    bytes of its answer; `events` how many results of a subscription were told; `fetches` the number of requests to each subgraph
    and their time in seconds, side by side or not; `apart` does the work on its data once these are large.
    """

    transport = "sse"  # by which subscriptions are answered

    __slots__ = (
        *(
            "_compress_from",
            "_gzip",
            "_send",
            "apart",
            "chosen",
            "claims",
            "codes",
            "cost",
            "document",
            "events",
            "fetches",
            "headers",
            "language",
            "media_type",
            "method",
        ),
        *("request_id", "rid", "scope", "sent"),
    )

    def __init__(self, scope: Scope, send: Send, compress_from: float = math.inf) -> None:
        self.scope, self._send, self._compress_from = scope, send, compress_from
        self.apart: Apart | None = None
        self.claims: Claims | None = None
        self.chosen = Chosen()
        self.cost = 0.0
        self.codes: list[str] = []
        self.sent = self.events = 0
        self.fetches: dict[str, tuple[int, float]] = {}
        self.method: str = scope["method"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        chosen = self.headers.get(b"x-request-id")
        self.rid = logs.accept_request_id(None)
        self.request_id = self.rid if chosen is None else logs.accept_request_id(chosen.decode("latin-1"))
        self.document = ""
        self.language = negotiate(self.headers.get(b"accept-language", b"").decode("latin-1"))
        self.media_type = _answered_as(self.headers.get(b"accept", b"")[:LONGEST_ACCEPT])

    def fetched(self, subgraph: str, seconds: float) -> None:
        """Note a request to a subgraph and how long it took."""
        number, total = self.fetches.get(subgraph, (0, 0.0))
        self.fetches[subgraph] = number + 1, total + seconds

    async def reply(self, status: int, body: bytes, more: Headers = (), caching: Headers = NO_STORE) -> None:
        """Write a whole answer. To a client that takes nothing but an event stream it is the only event of one, unless it
        failed as a whole."""
        media_type = GRAPHQL if self.media_type == GRAPHQL else JSON
        if self.media_type == EVENTS and status == 200:
            media_type, body = EVENTS, NEXT + body + b"\n\n" + COMPLETE
        elif self.media_type == MULTIPART and status == 200 and (form := self.form) is not None:
            media_type = form.value
            body = form.framed(body[:-1] + b',"hasNext":false}', first=True, last=True)
        elif len(body) >= self._compress_from and compression.takes_gzip(self.headers.get(b"accept-encoding", b"")):
            body = await compression.gzipped(body)
            more = (*more, (b"content-encoding", b"gzip"))
        headers = [
            (b"content-type", media_type + b"; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", self.request_id.encode()),
            (b"content-language", self.language.tag),
            (b"vary", b"Accept, Accept-Encoding, Accept-Language, Authorization"),
            *caching,
            *more,
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        self.sent = len(body)
        await self._send({"type": "http.response.body", "body": body})

    async def refuse(self, refused: Refused) -> int:
        """Write a refusal of the whole request. Returns its status.

        A request that was understood is told with 200 to those who want application/json, as the standard has it.
        """
        status = 200 if refused.in_graphql and self.media_type != GRAPHQL else refused.fault.status
        self.codes = [refused.fault.code]
        body = orjson.dumps({"errors": refused.errors(self.request_id, self.language)})
        more = refused.headers
        if status == 405:
            more = ((b"allow", b"POST" if self.method == "GET" else b"GET, POST"),)
        elif status == 401:
            more = ((b"www-authenticate", refused.challenge),)
        await self.reply(status, body, more)
        return status

    @property
    def takes_events(self) -> bool:
        """Whether `Accept` allows an event stream, be it beside other forms and after them."""
        return _media_type(self.headers.get(b"accept", b""), {EVENTS: EVENTS}) is not None

    @property
    def form(self) -> Form | None:
        """In which form an answer may come in parts, None when it may not."""
        return accepted(self.headers.get(b"accept", b""))

    async def part(self, body: bytes, form: Form, *, first: bool, last: bool) -> None:
        """Write a part of an answer, so that it can be read before the next comes; compressed for those who take it. An only
        part is an answer like any other."""
        if first and last:
            await self.reply(200, body)
            return
        if first:
            await self._begin_parts(form)
        framed = form.framed(body, first=first, last=last)
        await self._event(framed if self._gzip is None else await self._gzip.part(framed, last=last), last=last)

    async def _begin_parts(self, form: Form) -> None:
        headers = [
            (b"content-type", form.value),
            (b"x-request-id", self.request_id.encode()),
            (b"content-language", self.language.tag),
            (b"vary", b"Accept, Accept-Encoding, Accept-Language, Authorization"),
            *NO_STORE,
        ]
        squeezed = self._compress_from < math.inf and compression.takes_gzip(self.headers.get(b"accept-encoding", b""))
        self._gzip = compression.Gzip() if squeezed else None
        if squeezed:
            headers.append((b"content-encoding", b"gzip"))
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def begin_events(self) -> None:
        """Begin the answer to a subscription: results, then the end of one kind or another."""
        headers = [
            (b"content-type", EVENTS + b"; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-request-id", self.request_id.encode()),
            (b"content-language", self.language.tag),
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def result(self, body: bytes) -> None:
        """Tell a result."""
        await self._event(NEXT + body + b"\n\n")
        self.events += 1

    async def beat(self) -> None:
        """Keep a quiet connection open."""
        await self._event(b":\n\n")

    async def complete(self) -> None:
        """End the results: there are no more."""
        await self._event(COMPLETE, last=True)

    async def fail(self, error: Json) -> None:
        """End the results with an error: there would have been more."""
        await self._event(NEXT + orjson.dumps({"errors": [error]}) + b"\n\n" + COMPLETE, last=True)

    async def leave(self) -> None:
        """End the connection in the middle of the results: a client that is still there goes on elsewhere."""
        await self._event(b"", last=True)

    async def _event(self, body: bytes, *, last: bool = False) -> None:
        self.sent += len(body)
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})


class Asked:
    """What a request asks: the operation's text or its document's hash or both, which operation of it, and the variables."""

    __slots__ = ("document", "operation_name", "text", "variables")

    def __init__(self, given: object) -> None:
        """Raises Refused for anything but an object with the right types."""
        if isinstance(given, list):
            raise Refused(own.BATCH_REFUSED)
        if not isinstance(given, dict):
            raise _unreadable("the body must be an object", "le corps doit être un objet")
        text, variables, name = given.get("query"), given.get("variables"), given.get("operationName")
        if not isinstance(given.get("extensions"), dict | None):
            raise _unreadable("“extensions” must be an object", "« extensions » doit être un objet")
        self.document = documents.named(given)
        if not (isinstance(text, str) and text.strip()) and (self.document is None or text is not None):
            raise _unreadable("“query” must be a text", "« query » doit être un texte")
        if not isinstance(variables, dict | None):
            raise _unreadable("“variables” must be an object", "« variables » doit être un objet")
        if not isinstance(name, str | None):
            raise _unreadable("“operationName” must be a text", "« operationName » doit être un texte")
        self.text: str = text or ""
        self.variables: dict[str, Any] = variables or {}
        self.operation_name: str | None = name or None


async def read(exchange: Exchange, receive: Receive, largest: int, trusted_origins: Container[bytes] = ()) -> Asked:
    """What the request asks. Raises Refused: method, Accept, origin, media type, size, form."""
    if exchange.media_type is None:
        raise Refused(own.NOT_ACCEPTABLE)
    if exchange.method == "GET":
        cross_site.refuse_unasked(exchange.headers, trusted_origins)
        return Asked(_query(exchange.scope["query_string"], largest))
    if exchange.method != "POST":
        raise Refused(faults.METHOD_NOT_ALLOWED)
    # A browser sends forms across sites unasked, JSON only after a preflight: this line is the defence against CSRF.
    content_type = exchange.headers.get(b"content-type", b"")
    if not _is_json(content_type):
        if content_type.lower().startswith(b"multipart/"):
            raise Refused(own.UPLOADS_REFUSED)
        raise Refused(faults.UNSUPPORTED_MEDIA_TYPE)
    try:
        given = orjson.loads(await _body(receive, largest))
    except orjson.JSONDecodeError as error:
        raise _unreadable(
            f"the body is not JSON in UTF-8 from line {error.lineno}, column {error.colno} on",
            f"le corps n’est plus du JSON en UTF-8 à partir de la ligne {error.lineno}, colonne {error.colno}",
        ) from None
    return Asked(given)


def _query(raw: bytes, largest: int) -> dict[str, object]:
    if len(raw) > largest:
        raise Refused(faults.PAYLOAD_TOO_LARGE, limit=largest)
    try:
        given: dict[str, object] = dict(parse_qsl(raw.decode("ascii"), errors="strict", max_num_fields=100))
        for name in ("variables", "extensions"):
            if name in given:
                given[name] = orjson.loads(str(given[name]))
    except ValueError:  # bad UTF-8, bad JSON, too many fields
        raise _unreadable(
            "the address does not hold UTF-8 and JSON", "l’adresse ne contient ni UTF-8 ni JSON"
        ) from None
    return given


async def _body(receive: Receive, largest: int) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        parts, size = [body], len(body)
        while message.get("more_body"):
            if size > largest:
                break
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        body = b"".join(parts)
    if len(body) > largest:
        raise Refused(faults.PAYLOAD_TOO_LARGE, limit=largest)
    return body


def _is_json(content_type: bytes) -> bool:
    if content_type == JSON:
        return True
    media_type, _, parameters = content_type.lower().partition(b";")
    if media_type.strip() != JSON:
        return False
    name, _, value = parameters.strip().partition(b"=")
    return name != b"charset" or value.strip(b'" ') in (b"utf-8", b"utf8")


def _media_type(accept: bytes, forms: Mapping[bytes, bytes] = _ACCEPTED) -> bytes | None:
    """The form of the answer: the acceptable one of the highest weight, the first of equals. None when there is none."""
    if accept in forms:
        return forms[accept]
    best, found = 0.0, None
    for part in accept[:LONGEST_ACCEPT].lower().split(b","):
        media_type, _, parameters = part.partition(b";")
        form = forms.get(media_type.strip())
        weight = _weight(parameters)
        if form is not None and media_type.strip() and weight > best:
            best, found = weight, form
    if found is None and forms is _ACCEPTED and accepted(accept) is not None:
        return MULTIPART
    return found


_answered_as = lru_cache(maxsize=256)(_media_type)


def _weight(parameters: bytes) -> float:
    for parameter in parameters.split(b";"):
        name, _, value = parameter.strip().partition(b"=")
        if name == b"q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def _unreadable(en: str, fr: str) -> Refused:
    return Refused(faults.BAD_REQUEST, detail_en=en, detail_fr=fr)
