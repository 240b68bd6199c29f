"""Answers in parts: made by the gateway from strict subgraphs and by one schema, and put together again as clients do."""

import random
from collections.abc import Iterable
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    ExecutionResult,
    ExperimentalIncrementalExecutionResults,
    FragmentSpreadNode,
    GraphQLDeferDirective,
    InlineFragmentNode,
    Visitor,
    execute_sync,
    experimental_execute_incrementally,
    get_operation_ast,
    parse,
    visit,
)

from gateway.engine.defer import Defers
from gateway.engine.delivery import Delivery
from gateway.engine.planner import plan_operation
from gateway.engine.projection import Projection
from gateway.incremental import Form, told
from gateway.operations import only_introspection
from tests.gateway.engine.drawer import Drawn
from tests.gateway.engine.wire import read
from tests.gateway.engine.world import World

Json = dict[str, Any]


def delivered(
    world: World, document: DocumentNode, variables: Json, form: Form, seed: int = 0
) -> tuple[list[Json], str]:
    """The gateway's parts, and its plan. Answers come in an order drawn at random, but those of deferred requests only once
    the first part is out. Raises AssertionError where that waits for a deferred request."""
    operation = get_operation_ast(document)
    assert operation is not None
    schema = world.supergraph.api_schema
    conditions = world.conditions(document, operation, variables)
    defers = Defers(conditions)
    denials = world.rights.denials(world.access, document, operation)
    plan = plan_operation(world.supergraph, document, operation, conditions, world.labels, defers, denials)
    repeats = form is Form.SPEC_2022
    projection = Projection(schema, document, operation, conditions, defers, repeats=repeats, denials=denials)
    delivery = Delivery(plan, projection, variables)
    if projection.introspects:
        meta = execute_sync(schema, only_introspection(document, operation), variable_values=variables)
        delivery.data.update(meta.data or {})
    chance, sent, parts = random.Random(seed), [], []
    while True:
        sent += delivery.ready()
        while (part := delivery.part()) is not None:
            parts.append(orjson.loads(orjson.dumps(told(part, form, lambda errors: errors))))
        if delivery.over:
            return parts, str(plan)
        at_hand = [request for request in sent if parts or not request.fetch.defers]
        assert at_hand, f"a part waits for nothing, or the first one for what is deferred:\n{plan}"
        request = chance.choice(at_hand)
        sent.remove(request)
        delivery.receive(request.fetch, read(request, world.serve(request)))


async def whole_in_parts(world: World, document: DocumentNode, variables: Json) -> list[Json]:
    """The judge's parts, in the draft's form."""
    done = experimental_execute_incrementally(
        world.supergraph.api_schema,
        document,
        variable_values=variables,
        field_resolver=world.resolver([]),
        type_resolver=lambda value, *_: value.type,
    )
    if isinstance(done, ExecutionResult):
        return [dict(done.formatted)]
    assert isinstance(done, ExperimentalIncrementalExecutionResults)
    later = [dict(part.formatted) async for part in done.subsequent_results]
    return [dict(done.initial_result.formatted), *later]


class Client:
    """Puts parts together. `announced` (with the first part) and `lost` are fragments by path and label."""

    def __init__(self, parts: Iterable[Json]) -> None:
        first, *rest = parts
        self.first = orjson.dumps(first.get("data"))
        self.data = orjson.loads(self.first)
        self.errors = len(first.get("errors", ()))
        self._pending: dict[str, Json] = {}
        self.lost: list[str] = []
        self._announce(first)
        self.announced = sorted(map(_named, self._pending.values()))
        more = first.get("hasNext", False)
        for part in rest:
            assert more
            more = part["hasNext"]
            self._announce(part)
            for entry in part.get("incremental", ()):
                self._take(entry)
            for ended in part.get("completed", ()):
                fragment = self._pending.pop(ended["id"])
                if "errors" in ended:
                    self.lost.append(_named(fragment))
                    self.errors += len(ended["errors"])
        assert not more
        assert not self._pending

    def _announce(self, part: Json) -> None:
        for fragment in part.get("pending", ()):
            assert fragment["id"] not in self._pending
            self._pending[fragment["id"]] = fragment

    def _take(self, entry: Json) -> None:
        self.errors += len(entry.get("errors", ()))
        drafts = "id" in entry
        path = [*self._pending[entry["id"]]["path"], *entry.get("subPath", ())] if drafts else entry["path"]
        if entry["data"] is None:
            assert not drafts
            self.lost.append(_named(entry))
            return
        held: Any = self.data
        for step in path:
            held = held[step]
        _join(held, entry["data"], once=drafts)


def _named(fragment: Json) -> str:
    return f"{fragment['path']} {fragment.get('label')}"


def _join(into: Json, more: Json, *, once: bool) -> None:
    """Add to an object. Raises AssertionError where something comes twice and must not, or differs."""
    for key, value in more.items():
        if key not in into:
            into[key] = value
        else:
            assert not once, f"{key} comes twice"
            _alike(into, key, into[key], value)


def _alike(into: Any, key: Any, held: Any, value: Any) -> None:
    if isinstance(held, dict) and isinstance(value, dict):
        _join(held, value, once=False)
    elif isinstance(held, list) and isinstance(value, list):
        assert len(held) == len(value)
        for index, item in enumerate(value):
            _alike(held, index, held[index], item)
    elif held is None:
        into[key] = value
    else:
        assert value is None or held == value, f"{key} was {held} and is {value}"


class _Undeferred(Visitor):
    def leave_inline_fragment(self, node: InlineFragmentNode, *_: Any) -> Any:
        return _bare(node)

    def leave_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> Any:
        return _bare(node)


def _bare(node: Any) -> Any:
    changes = {key: getattr(node, key) for key in node.keys if key != "loc"}
    changes["directives"] = tuple(d for d in node.directives or () if d.name.value != GraphQLDeferDirective.name)
    return type(node)(**changes)


def undeferred(document: DocumentNode) -> DocumentNode:
    """The same document without @defer."""
    return visit(document, _Undeferred())  # type: ignore[no-any-return]


async def difference(world: World, drawn: Drawn, seed: int = 0) -> str | None:
    """How the gateway's parts of an operation differ from the judge's; None when they do not."""
    document = parse(drawn.text)
    judge = Client(await whole_in_parts(world, document, drawn.variables))
    whole, _, _ = world.whole(undeferred(document), drawn.variables)
    for form in Form:
        try:
            parts, plan = delivered(world, document, drawn.variables, form, seed)
            client = Client(parts)
        except AssertionError as error:
            return f"{form}: {error}"
        if bool(client.errors) != bool(judge.errors):
            return f"{form}: errors {client.errors}, expected {judge.errors}\n{plan}"
        if judge.lost:  # where a subgraph could not be asked apart, it has let the null bubble further up
            continue
        if judge.errors and form is Form.SPEC_2022:  # there each part repeats, without what failed in another
            continue
        if client.data != judge.data or (not judge.errors and client.data != whole):
            return f"{form}: expected {judge.data}\ngot {client.data}\n{plan}"
        if form is Form.DRAFT and client.first != judge.first:
            return f"first part: expected {judge.first!r}\ngot {client.first!r}\n{plan}"
        if form is Form.DRAFT and (client.announced != judge.announced or client.lost):
            return f"announced {client.announced}, lost {client.lost}; expected {judge.announced}\n{plan}"
    return None
