"""What arguments are told from above by @fromContext while a plan runs: one request, several values, failures."""

from typing import Any

import orjson
from graphql import OperationDefinitionNode, parse, print_schema, validate

from gateway.engine.execution import Execution, Request
from gateway.engine.planner import plan_operation
from gateway.engine.supergraph import Supergraph, load_supergraph
from tests.gateway.engine import case_files

SDL = case_files.read("contexts").supergraph
USERS: Any = {
    "users": [
        {"id": "1", "currency": "CAD", "orders": [{"id": "o1"}, {"id": "o2"}]},
        {"id": "2", "currency": None, "orders": [{"id": "o1"}]},
        {"id": "3", "currency": "CAD", "orders": [{"id": "o1"}]},
    ]
}


def begun(text: str, supergraph: Supergraph | None = None) -> Execution:
    """An execution whose first answer has arrived."""
    document = parse(text)
    (node,) = document.definitions
    assert isinstance(node, OperationDefinitionNode)
    execution = Execution(plan_operation(supergraph or load_supergraph(SDL), document, node))
    (first,) = execution.ready()
    execution.receive(first.fetch, {"data": orjson.loads(orjson.dumps(USERS))})
    return execution


def sent(request: Request) -> tuple[str, dict[str, Any]]:
    body = orjson.loads(request.body)
    return body["query"], body["variables"]


class TestSeveralValues:
    def test_each_distinct_one_is_told_in_one_request_with_its_own_entities(self) -> None:
        (request,) = begun("{ users { orders { price } } }").ready()
        query, variables = sent(request)
        o1, o2 = ({"id": name, "__typename": "Order"} for name in ("o1", "o2"))
        assert variables == {
            "context_0": "CAD",
            "representations": [o1, o2],
            "context_0__1": None,
            "representations__1": [o1],
        }
        assert query == (
            "query($context_0__1: String, $representations__1: [_Any!]!, $context_0: String, $representations: [_Any!]!) "
            "{ _entities(representations: $representations) { ... on Order { price(currency: $context_0) } } "
            "_entities__1: _entities(representations: $representations__1) { ... on Order { price(currency: $context_0__1) } } }"
        )

    def test_each_answer_goes_to_those_who_were_told_the_same(self) -> None:
        execution = begun("{ users { orders { price } } }")
        (request,) = execution.ready()
        execution.receive(
            request.fetch, {"data": {"_entities": [{"price": 1}, {"price": 2}], "_entities__1": [{"price": 3}]}}
        )
        told = [[order["price"] for order in user["orders"]] for user in execution.data["users"]]
        assert told == [[1, 2], [3], [1]]

    def test_an_error_is_told_where_its_value_was(self) -> None:
        execution = begun("{ users { orders { price } } }")
        (request,) = execution.ready()
        error = {"message": "no rate", "path": ["_entities__1", 0, "price"]}
        execution.receive(
            request.fetch, {"data": {"_entities": [None, None], "_entities__1": [None]}, "errors": [error]}
        )
        assert [found["path"] for found in execution.errors] == [["users", 1, "orders", 0, "price"]]


class TestFailures:
    def test_what_did_not_arrive_is_not_told_as_null(self) -> None:
        execution = begun("{ users { orders { title } } }")
        (request,) = execution.ready()
        execution.fail(request.fetch, {"message": "away", "extensions": {"code": "SUBGRAPH_UNAVAILABLE"}})
        assert execution.ready() == []
        assert execution.done
        assert [found["path"] for found in execution.errors] == [["users", 0], ["users", 1], ["users", 2]]

    def test_a_value_that_arrived_as_null_is_told_as_null(self) -> None:
        execution = begun("{ users { orders { title } } }")
        (request,) = execution.ready()
        execution.receive(request.fetch, {"data": {"_entities": [{"prefs": None}, {"prefs": None}, {"prefs": None}]}})
        (request,) = execution.ready()
        assert sent(request)[1]["context_0"] is None


class TestWhatClientsSee:
    def test_neither_the_argument_nor_the_machinery(self) -> None:
        schema = load_supergraph(SDL).api_schema
        assert "context" not in print_schema(schema)
        assert validate(schema, parse('{ users { orders { price(currency: "CAD") } } }'))

    def test_operators_see_what_is_told(self) -> None:
        document = parse("{ users { orders { price } } }")
        plan = plan_operation(load_supergraph(SDL), document, document.definitions[0])  # type: ignore[arg-type]
        assert plan.described()[1]["contexts"] == [{"variable": "context_0", "fields": "currency", "at": "users"}]
