"""Listens at the wire of each service: what was asked, what left, and whose data that were, by the contract's own marks.

Nothing here asks the service what it noted. Marks are read from the SDL, whose a thing is from what the tests have seeded.
"""

import base64
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import graphql
import orjson

from services.kit import context
from services.kit.context import Context
from tests.architecture.test_personal_data import mark

Json = dict[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Told = tuple[str, str, str]  # subject, category, business
IDENTIFIED = {"Business": ("businessNumber",), "Application": ("id",), "Inspection": ("id", "number")}


@dataclass(slots=True)
class Exchange:
    """One call of a service, and what left it: an answer, or several of a subscription."""

    service: str
    told: Context
    actor: str
    asked: Json
    left: list[Json] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """query, mutation or subscription."""
        return kind_of(self.asked)

    @property
    def is_broken_off(self) -> bool:
        """Whether a question got no answer, or that there was no time left to."""
        codes = {error.get("extensions", {}).get("code") for answer in self.left for error in answer.get("errors", ())}
        return (not self.left and self.kind != "subscription") or "DEADLINE_EXCEEDED" in codes


class Tap:
    """A service with a listener at its wire. `mishap` says what shall become of a call: "away" is answered for the service,
    "lost" keeps the answer back once it has left."""

    def __init__(self, app: Any, service: str, heard: list[Exchange], mishap: Callable[[], str]) -> None:
        self._app, self._service, self._heard, self._mishap = app, service, heard, mishap

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/graphql":
            await self._app(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        asked = orjson.loads(body)
        streams = kind_of(asked) == "subscription"
        mishap = "" if streams else self._mishap()
        if mishap == "away":
            await _unavailable(send)
            return
        exchange = _exchange(self._service, scope, asked)
        self._heard.append(exchange)
        answer = _Answer(exchange, None if mishap else send, streams=streams)
        await self._app(scope, _again(body, receive), answer)
        if mishap:
            await _unavailable(send)


class _Answer:
    """What a service sends: listened to, and passed on where there is somebody to send to."""

    def __init__(self, exchange: Exchange, send: Send | None, *, streams: bool) -> None:
        self._exchange, self._send, self._streams, self._body = exchange, send, streams, b""

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if self._streams:
                *whole, self._body = self._body.split(b"\n\n")
                found = [event.partition(b"data: ")[2] for event in whole if event.startswith(b"event: next")]
                self._exchange.left += [orjson.loads(event) for event in found]
            elif not message.get("more_body"):
                self._exchange.left.append(orjson.loads(self._body))
        if self._send is not None:
            await self._send(message)


def kind_of(asked: Json) -> str:
    """What kind of operation a request holds."""
    operation = graphql.get_operation_ast(graphql.parse(asked["query"]))
    assert operation is not None
    return operation.operation.value


def _exchange(service: str, scope: Any, asked: Json) -> Exchange:
    headers = dict(scope["headers"])
    token = headers.get(b"authorization", b"").partition(b" ")[2].split(b".")
    actor = orjson.loads(base64.urlsafe_b64decode(token[1] + b"=="))["sub"] if len(token) == 3 else ""
    return Exchange(service, context.read(headers[b"onedoor-context"].decode()), actor, asked)


def _again(body: bytes, receive: Receive) -> Receive:
    given = [body]

    async def once() -> MutableMapping[str, Any]:
        if given:
            return {"type": "http.request", "body": given.pop(), "more_body": False}
        return await receive()

    return once


async def _unavailable(send: Send) -> None:
    await send({"type": "http.response.start", "status": 503, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b'{"errors": [{"message": "away"}]}'})


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose each thing is: the person, and the number of the business or ""."""

    business: Mapping[str, tuple[str, str]]
    application: Mapping[str, tuple[str, str]]
    inspection: Mapping[str, tuple[str, str]]  # by number and by id

    def of(self, kind: str, data: Mapping[str, Any]) -> tuple[str, str] | None:
        """The owner of an object that shows one of its keys."""
        known: Mapping[str, tuple[str, str]] = getattr(self, kind.lower())
        return next((known[data[key]] for key in IDENTIFIED[kind] if data.get(key) in known), None)


class Reader:
    """Reads answers of one service by its SDL."""

    def __init__(self, sdl: str, schema: graphql.GraphQLSchema, whose: Whose) -> None:
        self._schema, self._whose = schema, whose
        self._types: dict[str, str] = {}
        self._fields: dict[tuple[str, str], str] = {}
        for node in graphql.parse(sdl).definitions:
            if isinstance(node, graphql.ObjectTypeDefinitionNode):
                if category := _guarded(node):
                    self._types[node.name.value] = category
                for each in node.fields or ():
                    if category := _guarded(each):
                        self._fields[node.name.value, each.name.value] = category

    def told(self, exchange: Exchange, answer: Json) -> set[Told]:
        """Whose data of which categories an answer tells to somebody who is not that person, or says to have changed: what
        failed below its change is told by an error, and the change stands."""
        if answer.get("data") is None:
            return set()
        document = graphql.parse(exchange.asked["query"])
        operation = graphql.get_operation_ast(document)
        assert operation is not None
        root = self._schema.get_root_type(operation.operation)
        assert root is not None
        walk = _Walk(self, document, exchange.asked.get("variables") or {})
        walk.object(root, operation.selection_set, answer["data"], None, ())
        if exchange.kind == "mutation":
            walk.changes(
                root, operation.selection_set, {e["path"][0] for e in answer.get("errors", ()) if len(e["path"]) > 1}
            )
        return {told for told in walk.found if told[0] != exchange.actor}


def _guarded(node: graphql.ObjectTypeDefinitionNode | graphql.FieldDefinitionNode) -> str:
    """The category of a mark, "" without one and for facts of a public register."""
    said = mark(node) or {}
    return "" if said.get("public") else str(said.get("category", ""))


class _Walk:
    """Goes through an answer with what was asked. `pending` are categories of a page, which are about each of its rows."""

    def __init__(self, reader: Reader, document: graphql.DocumentNode, variables: Json) -> None:
        self._reader, self._variables = reader, variables
        self._fragments = {
            d.name.value: d for d in document.definitions if isinstance(d, graphql.FragmentDefinitionNode)
        }
        self.found: set[Told] = set()

    def object(
        self,
        kind: graphql.GraphQLObjectType,
        selected: graphql.SelectionSetNode,
        data: Json,
        owner: tuple[str, str] | None,
        pending: tuple[str, ...],
    ) -> None:
        name = kind.name
        if name in IDENTIFIED and (own := self._reader._whose.of(name, data)) is not None:
            owner = own
            self._say(owner, *pending)
            pending = ()
        if category := self._reader._types.get(name):
            self._say(owner, category)
        for node in self._nodes(kind, selected):
            key = node.alias.value if node.alias else node.name.value
            given = kind.fields.get(node.name.value)
            if given is None or data.get(key) is None:
                continue
            self._value(kind, given, node, data[key], owner, pending)

    def changes(self, root: graphql.GraphQLObjectType, selected: graphql.SelectionSetNode, keys: set[str]) -> None:
        """What was changed by those mutations, each of which names a business in its input."""
        for node in self._nodes(root, selected):
            if (node.alias or node.name).value not in keys:
                continue
            (given,) = (graphql.value_from_ast_untyped(a.value, self._variables) for a in node.arguments or ())
            result = graphql.get_named_type(root.fields[node.name.value].type)
            assert isinstance(result, graphql.GraphQLUnionType)
            categories = {self._reader._types.get(kind.name, "") for kind in result.types} - {""}
            self._say(self._reader._whose.of("Business", given), *categories)

    def _value(
        self,
        kind: graphql.GraphQLObjectType,
        given: graphql.GraphQLField,
        node: graphql.FieldNode,
        value: Any,
        owner: tuple[str, str] | None,
        pending: tuple[str, ...],
    ) -> None:
        if category := self._reader._fields.get((kind.name, node.name.value)):
            if owner is None:
                pending = (*pending, category)
            elif value != []:
                self._say(owner, category)
        named = graphql.get_named_type(given.type)
        if node.selection_set is None:
            return
        arguments = {
            a.name.value: graphql.value_from_ast_untyped(a.value, self._variables) for a in node.arguments or ()
        }
        referred = arguments.get("representations", ())
        for at, each in enumerate(value if isinstance(value, list) else [value]):
            if each is None:
                continue
            shown = {**(referred[at] if referred else {}), **each}
            runtime = self._reader._schema.type_map[shown["__typename"]] if graphql.is_abstract_type(named) else named
            assert isinstance(runtime, graphql.GraphQLObjectType)
            by_key = {name: v for name, v in arguments.items() if isinstance(v, str)}  # business(businessNumber:)
            self.object(runtime, node.selection_set, by_key | shown, owner, pending)

    def _nodes(
        self, kind: graphql.GraphQLObjectType, selected: graphql.SelectionSetNode
    ) -> Iterator[graphql.FieldNode]:
        for node in selected.selections:
            if isinstance(node, graphql.FieldNode):
                yield node
                continue
            inner = self._fragments[node.name.value] if isinstance(node, graphql.FragmentSpreadNode) else node
            assert isinstance(inner, graphql.InlineFragmentNode | graphql.FragmentDefinitionNode)
            condition = inner.type_condition.name.value if inner.type_condition else kind.name
            wanted = self._reader._schema.type_map[condition]
            if wanted is kind or (graphql.is_abstract_type(wanted) and self._reader._schema.is_sub_type(wanted, kind)):
                yield from self._nodes(kind, inner.selection_set)

    def _say(self, owner: tuple[str, str] | None, *categories: str) -> None:
        for category in categories:
            assert owner is not None, f"{category} of nobody whom the test knows"
            self.found.add((owner[0], category, owner[1]))
