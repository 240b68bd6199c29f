"""The invented town's data, served twice by one set of resolvers: whole, as a single schema, and cut into four subgraphs.

The subgraphs are strict: a field that a subgraph requires is read from the representation that it was sent, and a subgraph
answers only what its own schema holds.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
from graphql import GraphQLSchema, build_schema, execute_sync, get_operation_ast, parse

from gateway.engine.execution import Execution, Request
from gateway.engine.normalise import condition_variables
from gateway.engine.planner import plan_operation
from gateway.engine.projection import Projection
from gateway.engine.supergraph import Supergraph, load_supergraph
from tests.gateway.engine.wire import read, written

Json = dict[str, Any]
TOWN = Path(__file__).parent / "town"
DIRECTIVES = """
scalar FieldSet
scalar _Any
directive @key(fields: FieldSet!, resolvable: Boolean = true) repeatable on OBJECT | INTERFACE
directive @external on FIELD_DEFINITION
directive @requires(fields: FieldSet!) on FIELD_DEFINITION
directive @provides(fields: FieldSet!) on FIELD_DEFINITION
directive @shareable on OBJECT | FIELD_DEFINITION
directive @interfaceObject on OBJECT
"""


def ref(kind: str, key: str) -> Json:
    """A reference to an entity."""
    return {"__typename": kind, "number" if kind == "Card" else "id": key}


PEOPLE: Mapping[str, Json] = {
    "1": {"name": "Ada", "born": 1815, "address": {"street": "Dock Road", "city": "Porto"}, "friends": ["2", "3"]},
    "2": {"name": "Bo", "born": None, "address": {"street": None, "city": "Umeå"}, "friends": []},
    "3": {"name": "Cy", "born": 1990, "address": None, "friends": ["3", "1"]},
}
ITEMS: Mapping[str, Json] = {
    "a": {"__typename": "Book", "title": "Waves", "author": "1", "pages": 100, "grams": 300, "isbn": "x"},
    "b": {"__typename": "Book", "title": "Stones", "author": "3", "pages": 0, "grams": 1, "isbn": None},
    "c": {"__typename": "Film", "title": "Rain", "author": "2", "minutes": 90},
    "d": {"__typename": "Film", "title": "Snow", "author": None, "minutes": None},
}
READERS = {"a": ["1", "2"], "b": [], "c": ["3"], "d": ["1"]}
LOANS = {"L1": ("a", "2", "2026-12-01"), "L2": ("c", "1", None), "L3": ("a", "3", "2026-12-24")}
BALANCES = {"K1": 5, "K2": None, "K3": -2}


def item(key: str) -> Json:
    return {"__typename": ITEMS[key]["__typename"], "id": key}


def person(key: str | None) -> Json | None:
    return None if key is None else ref("Person", key)


def postage(book: Json) -> int | None:
    return None if book.get("pages") is None else int(book["pages"]) + int(book["grams"])


def _required(source: Json, name: str) -> Any:
    """A field that this resolver requires: from the representation, or, in the whole schema, from the data."""
    if "_sent" in source:
        return source["_sent"][name]
    return RESOLVERS[(source["__typename"], name)](source, {})


Resolver = Callable[[Json, Json], Any]
RESOLVERS: dict[tuple[str, str], Resolver] = {
    ("Query", "hello"): lambda _, __: "hello",
    ("Query", "person"): lambda _, a: ref("Person", a["id"]) if a["id"] in PEOPLE else None,
    ("Query", "people"): lambda _, a: [ref("Person", k) for k in PEOPLE][: a.get("first")],
    ("Query", "items"): lambda _, a: [
        item(k) for k in ITEMS if a.get("kind") in (None, ITEMS[k]["__typename"].upper())
    ][: a.get("first")],
    ("Query", "item"): lambda _, a: item(a["id"]) if a["id"] in ITEMS else None,
    ("Query", "found"): lambda _, __: [item("a"), ref("Person", "2"), item("d")],
    ("Query", "loans"): lambda _, __: [ref("Loan", k) for k in LOANS],
    ("Query", "currency"): lambda _, __: "CAD",
    ("Mutation", "rename"): lambda _, a: ref("Person", a["id"]) if a["id"] in PEOPLE else None,
    ("Mutation", "addBook"): lambda _, a: item("b"),
    ("Person", "name"): lambda s, _: PEOPLE[s["id"]]["name"],
    ("Person", "born"): lambda s, _: PEOPLE[s["id"]]["born"],
    ("Person", "address"): lambda s, _: PEOPLE[s["id"]]["address"],
    ("Person", "friends"): lambda s, _: [ref("Person", k) for k in PEOPLE[s["id"]]["friends"]],
    ("Person", "works"): lambda s, _: [item(k) for k in ITEMS if ITEMS[k]["author"] == s["id"]],
    ("Person", "loans"): lambda s, _: [ref("Loan", k) for k, (_, who, _due) in LOANS.items() if who == s["id"]],
    ("Person", "reminder"): lambda s, _: None if (home := _required(s, "address")) is None else f"to {home['city']}",
    ("Person", "card"): lambda s, _: ref("Card", f"K{s['id']}"),
    ("Card", "holder"): lambda s, _: ref("Person", s["number"][1:]),
    ("Card", "balance"): lambda s, _: BALANCES[s["number"]],
    ("Item", "readers"): lambda s, _: [ref("Person", k) for k in READERS[s["id"]]],
    ("Loan", "item"): lambda s, _: item(LOANS[s["id"]][0]),
    ("Loan", "borrower"): lambda s, _: ref("Person", LOANS[s["id"]][1]),
    ("Loan", "due"): lambda s, _: LOANS[s["id"]][2],
    ("Book", "postage"): lambda s, _: postage({n: _required(s, n) for n in ("pages", "grams")}),
    ("Book", "price"): lambda s, _: len(ITEMS[s["id"]]["title"]),
    ("Book", "delivered"): lambda s, _: None if (p := _required(s, "postage")) is None else p + 1,
    ("Book", "loans"): lambda s, _: [ref("Loan", k) for k, (what, _, _due) in LOANS.items() if what == s["id"]],
}
for _kind in ("Book", "Film"):
    for _name in ("title", "pages", "grams", "isbn", "minutes"):
        RESOLVERS[(_kind, _name)] = lambda s, _, n=_name: ITEMS[s["id"]].get(n)  # type: ignore[misc]
    RESOLVERS[(_kind, "author")] = lambda s, _: person(ITEMS[s["id"]]["author"])
    RESOLVERS[(_kind, "readers")] = RESOLVERS[("Item", "readers")]
    RESOLVERS[(_kind, "onLoan")] = lambda s, _: any(what == s["id"] for what, _, _due in LOANS.values())


def resolve(source: Any, info: Any, **arguments: Any) -> Any:
    """Any field of either form of the town."""
    kind, name = info.parent_type.name, info.field_name
    if kind == "Query" and name == "_entities":
        return [{**r, "_sent": r} for r in arguments["representations"]]
    resolver = RESOLVERS.get((kind, name))
    if resolver is not None:
        return resolver(source or {}, arguments)
    return source.get(name)


def type_of(value: Any, *_: Any) -> str:
    return str(value["__typename"])


def supergraph() -> Supergraph:
    return load_supergraph((TOWN / "supergraph.graphql").read_text(encoding="utf-8"))


def subgraph(name: str) -> GraphQLSchema:
    """A subgraph's own schema with `_entities`."""
    text = (TOWN / f"{name}.graphql").read_text(encoding="utf-8")
    text = text[text.index("type Query") :]
    entities = {
        "people": "Person | Item",
        "items": "Book | Film | Person",
        "lending": "Loan | Book | Film | Person | Card",
        "prices": "Book | Card",
    }[name]
    extra = f"union _Entity = {entities}\nextend type Query {{ _entities(representations: [_Any!]!): [_Entity]! }}"
    return build_schema(DIRECTIVES + text + extra, assume_valid=True)


SUBGRAPHS = {name: subgraph(name) for name in ("people", "items", "lending", "prices")}


def answer_of(request: Request, sent: list[tuple[str, Json]]) -> Json:
    """What the strict subgraph of a request answers."""
    body = orjson.loads(request.body)
    name = request.fetch.subgraph
    sent.append((name, body))
    done = execute_sync(
        SUBGRAPHS[name],
        parse(body["query"]),
        variable_values=body.get("variables"),
        field_resolver=resolve,
        type_resolver=type_of,
    )
    return {"data": done.data, **({"errors": [e.formatted for e in done.errors]} if done.errors else {})}


def federated(
    graph: Supergraph, text: str, variables: Json | None = None, failing: frozenset[str] = frozenset()
) -> tuple[Json | None, list[Json], list[tuple[str, Json]]]:
    """The answer of the four subgraphs to an operation: data, errors, what was sent. Subgraphs in `failing` fail."""
    document = parse(text)
    operation = get_operation_ast(document)
    assert operation is not None
    given = dict(variables or {})
    conditions = {name: given.get(name, False) for name in condition_variables(document)}
    plan = plan_operation(graph, document, operation, conditions)
    execution = Execution(plan, given)
    sent: list[tuple[str, Json]] = []
    while not execution.done:
        for request in execution.ready():
            if request.fetch.subgraph in failing:
                execution.fail(request.fetch, {"message": "away", "extensions": {"code": "AWAY"}})
            else:
                execution.receive(request.fetch, read(request, answer_of(request, sent)))
    projection = Projection(graph.api_schema, document, operation, conditions)
    return (
        written(projection.project(execution.data, execution.errors, repeats=execution.repeats)),
        execution.errors,
        sent,
    )


def whole(graph: Supergraph, text: str, variables: Json | None = None) -> Json | None:
    """The answer of the town as one schema."""
    done = execute_sync(
        graph.api_schema, parse(text), variable_values=variables, field_resolver=resolve, type_resolver=type_of
    )
    assert not done.errors, done.errors
    return done.data
