"""Federated answers equal those of the same data behind one schema, example by example; what fails nulls only its own."""

import pytest
from graphql import OperationDefinitionNode, parse, validate

from gateway.engine.execution import Execution
from gateway.engine.planner import plan_operation
from gateway.engine.projection import Projection
from gateway.engine.supergraph import Supergraph, load_supergraph
from tests.gateway.engine import case_files
from tests.gateway.engine.town_data import federated, whole

EXAMPLES = {
    "one subgraph": "{ people { name born } currency }",
    "entity call": '{ person(id: "1") { name loans { due } } }',
    "key fetched silently": "{ people { loans { id } } }",
    "requires": '{ item(id: "a") { ... on Book { postage } } }',
    "chained requires": '{ item(id: "a") { ... on Book { delivered } } }',
    "nested requires": "{ people { reminder } }",
    "provides": '{ item(id: "a") { author { name } } }',
    "interface": "{ items { id title __typename } }",
    "interface object": "{ items { readers { name } } }",
    "interface object from a type": '{ item(id: "c") { ... on Film { readers { id } minutes } } }',
    "union": "{ found { __typename ... on Person { name } ... on Book { price } ... on Film { onLoan } } }",
    "union of entities elsewhere": "{ loans { item { __typename ... on Book { title } ... on Film { minutes } } } }",
    "two ways to one type": '{ person(id: "2") { card { balance holder { born } } works { title } } }',
    "fragments": "{ people { ...P } } fragment P on Person { name friends { ...Q } } fragment Q on Person { id born }",
    "aliases": '{ a: person(id: "1") { x: name } b: person(id: "2") { x: born } }',
    "alias that takes another field's name": "{ people { name: born born: name } }",
    "aliases with other arguments": "{ one: items(first: 1) { id } films: items(kind: FILM) { id title } }",
    "same field twice": "{ people { address { city } address { street } } }",
    "typename of the root": "{ __typename hello }",
    "null from an owner": '{ person(id: "9") { name loans { id } } }',
    "null inside a requires": '{ person(id: "3") { name reminder } }',
    "shared root field": "{ hello currency }",
    "shared value type": '{ person(id: "1") { address { city street } } }',
    "cycle": '{ person(id: "3") { friends { friends { friends { name } } } } }',
}


class TestExamples:
    @pytest.mark.parametrize("text", EXAMPLES.values(), ids=EXAMPLES.keys())
    def test_the_answer_is_that_of_one_schema(self, town: Supergraph, text: str) -> None:
        assert validate(town.api_schema, parse(text)) == []
        data, errors, _ = federated(town, text)
        assert data == whole(town, text)
        assert errors == []

    @pytest.mark.parametrize("yes", [True, False])
    def test_conditions(self, town: Supergraph, yes: bool) -> None:
        text = """query ($yes: Boolean!) { people { name @include(if: $yes) loans @skip(if: $yes) { due }
            ... @include(if: $yes) { reminder } } }"""
        data, errors, sent = federated(town, text, {"yes": yes})
        assert data == whole(town, text, {"yes": yes})
        assert errors == []
        assert all("@include" not in body["query"] and "@skip" not in body["query"] for _, body in sent)

    def test_variables_go_where_they_are_used(self, town: Supergraph) -> None:
        text = "query ($id: ID!, $n: Int) { person(id: $id) { name } items(first: $n) { title } }"
        data, _, sent = federated(town, text, {"id": "1", "n": 2})
        assert data == whole(town, text, {"id": "1", "n": 2})
        by_name = dict(sent)
        assert by_name["people"]["variables"] == {"id": "1"}
        assert by_name["items"]["variables"] == {"n": 2}

    def test_mutations_run_in_their_order(self, town: Supergraph) -> None:
        text = """mutation { rename(id: "1", name: "Al") { name loans { id } } addBook(book: {title: "T"}) { title price }
            again: rename(id: "2", name: "Bee") { born } }"""
        data, errors, sent = federated(town, text)
        assert data == whole(town, text)
        assert errors == []
        mutations = [name for name, body in sent if body["query"].startswith("mutation")]
        assert mutations == ["people", "items", "people"]

    def test_entities_are_asked_for_once_each(self, town: Supergraph) -> None:
        _, _, sent = federated(town, "{ people { friends { loans { id } } } }")
        (lending,) = [body for name, body in sent if name == "lending"]
        asked = lending["variables"]["representations"]
        assert sorted(r["id"] for r in asked) == ["1", "2", "3"]

    def test_nothing_to_look_up_sends_nothing(self, town: Supergraph) -> None:
        _, _, sent = federated(town, '{ person(id: "9") { loans { id } } }')
        assert [name for name, _ in sent] == ["people"]


class TestFailures:
    def test_a_subgraph_that_is_away_nulls_its_fields_and_says_of_which_entity(self, town: Supergraph) -> None:
        text = '{ person(id: "1") { name reminder } currency }'
        data, errors, _ = federated(town, text, failing=frozenset({"lending"}))
        assert data == {"person": {"name": "Ada", "reminder": None}, "currency": "CAD"}
        assert [error["path"] for error in errors] == [["person"]]

    def test_a_non_null_field_takes_its_parent_with_it(self, town: Supergraph) -> None:
        text = '{ person(id: "1") { name loans { id } } currency }'
        data, errors, _ = federated(town, text, failing=frozenset({"lending"}))
        assert data == {"person": None, "currency": "CAD"}
        assert errors

    def test_paths_are_the_clients_own(self, town: Supergraph) -> None:
        text = '{ who: person(id: "1") { mates: friends { note: reminder } } }'
        _, errors, _ = federated(town, text, failing=frozenset({"lending"}))
        assert [error["path"] for error in errors] == [["who", "mates", 0], ["who", "mates", 1]]

    @pytest.mark.parametrize(
        ("text", "told", "place"),
        [
            (
                "{ first { ... on Plant { names } ... on Rock { names } } }",
                ["first", "names__1", 0],
                ["first", "names", 0],
            ),
            ("{ __typename: first { id: __typename } }", ["___typename"], ["__typename"]),
            ("{ first { ... on Plant { age } } }", ["first", "id"], ["first"]),
            ("{ first { ... on Plant { age } } }", ["first", 7, {}], ["first"]),
            ("{ first { ... on Plant { age } } }", ["nothing"], None),
        ],
    )
    def test_what_a_subgraph_says_is_told_where_the_client_asked(
        self, text: str, told: list[object], place: list[object] | None
    ) -> None:
        graph = load_supergraph(case_files.read("types-that-differ").supergraph)
        document = parse(text)
        (operation,) = document.definitions
        assert isinstance(operation, OperationDefinitionNode)
        execution = Execution(plan_operation(graph, document, operation))
        (request,) = execution.ready()
        first = {"__typename": "Plant", "names": ["a"]}
        answer = {"data": {"first": first, "___typename": first}, "errors": [{"message": "No.", "path": told}]}
        execution.receive(request.fetch, answer)
        Projection(graph.api_schema, document, operation).project(execution.data, execution.errors)
        assert [error.get("path") for error in execution.errors] == [place]

    def test_what_depends_on_it_is_not_asked(self, town: Supergraph) -> None:
        text = '{ item(id: "a") { title ... on Book { delivered isbn } } }'
        data, _, sent = federated(town, text, failing=frozenset({"lending"}))
        assert data == {"item": {"title": "Waves", "delivered": None, "isbn": "x"}}
        assert "prices" not in [name for name, _ in sent]
