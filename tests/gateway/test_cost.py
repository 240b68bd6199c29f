"""What an operation costs: every rule by a figure that can be computed by hand."""

from typing import Any

import pytest
from graphql import get_operation_ast, parse

from gateway.cost import price
from gateway.documents import Documents
from gateway.engine.supergraph import Supergraph, load_supergraph
from gateway.errors import Refused
from gateway.limits import OverLimit
from gateway.operations import Operations
from gateway.settings import Limits
from gateway.weights import Weights

TYPES = """
type Query @join__type(graph: A) {
  number: Int
  weighed: Int @cost(weight: 7)
  ferry: Ferry
  ferries: [Ferry!]
  few: [Ferry] @listSize(assumedSize: 3)
  page(first: Int = 4, last: Int): [Ferry] @listSize(slicingArguments: ["first", "last"], requireOneSlicingArgument: false)
  exact(first: Int, last: Int): [Ferry] @listSize(slicingArguments: ["first", "last"], assumedSize: 6)
  connection(first: Int, page: Page): Ferries!
    @listSize(slicingArguments: ["first", "page.size"], sizedFields: ["nodes"], assumedSize: 8, requireOneSlicingArgument: false)
  find(by: Filter, all: [Filter!], dear: Int @cost(weight: 5)): Int
  vessel: Vessel
  ports: [[Port!]!] @listSize(assumedSize: 2)
}
type Mutation @join__type(graph: A) { launch(by: Filter): Ferry }
input Page @join__type(graph: A) { size: Int }
input Filter @join__type(graph: A) { name: String length: Int @cost(weight: 4) or: [Filter!] port: Port }
enum Port @join__type(graph: A) @cost(weight: 2) { NORTH @join__enumValue(graph: A) }
type Ferries @join__type(graph: A) { nodes: [Ferry] count: Int }
interface Vessel @join__type(graph: A) { name: String ports: [Port!] draught: Int }
type Ferry implements Vessel @join__implements(graph: A, interface: "Vessel") @join__type(graph: A) {
  name: String
  port: Port
  ports: [Port!]
  draught: Int @cost(weight: 30)
  captain: Person
}
type Barge implements Vessel @join__implements(graph: A, interface: "Vessel") @join__type(graph: A) {
  name: String ports: [Port!] draught: Int
}
type Person @join__type(graph: A) @cost(weight: 3) { name: String }
"""
HEAD = """
schema
  @link(url: "https://specs.apollo.dev/link/v1.0")
  @link(url: "https://specs.apollo.dev/join/v0.3", for: EXECUTION)
  @link(url: "https://specs.apollo.dev/cost/v0.1", import: %s)
{ query: Query mutation: Mutation }
enum join__Graph { A @join__graph(name: "a", url: "http://127.0.0.1:1") }
"""


def loaded(types: str = TYPES, imports: str = '["@cost", "@listSize"]') -> Supergraph:
    return load_supergraph(HEAD % imports + types)


FLEET = loaded()


def cost(text: str, supergraph: Supergraph = FLEET, list_size: int = 10, **variables: Any) -> float:
    """The cost of an operation whose conditions are among the variables."""
    document = parse(text)
    node = get_operation_ast(document)
    assert node is not None
    conditions = {name: value for name, value in variables.items() if isinstance(value, bool)}
    found = price(Weights(supergraph.document, supergraph.api_schema), document, node, conditions, list_size)
    return found if isinstance(found, float) else found(variables)


class TestFields:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("{ number }", 0),
            ("{ __typename }", 0),
            ("{ __schema { types { name } } }", 0),
            ("{ weighed }", 7),
            ("{ ferry { name } }", 1),
            ("{ ferry { name port } }", 1 + 2),
            ("{ ferry { captain { name } } }", 1 + 3),
            ("{ a: ferry { name } b: ferry { name } }", 2),
            ("mutation { launch { name } }", 10 + 1),
        ],
    )
    def test_an_object_costs_one_and_a_leaf_nothing_unless_its_owner_weighs_it(self, text: str, expected: int) -> None:
        assert cost(text) == expected

    def test_through_an_interface_a_field_costs_what_its_dearest_implementer_says(self) -> None:
        assert cost("{ vessel { draught } }") == 1 + 30
        assert cost("{ vessel { ... on Barge { draught } } }") == 1

    def test_fragments_add_up_and_are_measured_once_each(self) -> None:
        bomb = " ".join(f"fragment F{i} on Ferry {{ ...F{i + 1} ... on Ferry {{ ...F{i + 1} }} }}" for i in range(60))
        text = f"{{ ferry {{ ...F0 }} }} {bomb} fragment F60 on Ferry {{ captain {{ name }} }}"
        assert cost(text) == float(3 * 2**60)  # and one that a float of this size does not see

    def test_what_is_skipped_costs_nothing(self) -> None:
        text = "query ($all: Boolean!) { ferry @include(if: $all) { name } weighed @skip(if: $all) number }"
        assert (cost(text, all=True), cost(text, all=False)) == (1, 7)


class TestLists:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("{ ferries { name } }", 10),
            ("{ ferries { ports } }", 10 * (1 + 10 * 2)),
            ("{ few { name } }", 3),
            ("{ ports }", 2 * 2),
            ("{ page { name } }", 4),
            ("{ page(first: 20) { name } }", 20),
            ("{ page(first: 20, last: 30) { name } }", 30),
            ("{ page(first: null) { name } }", 10),
            ("{ page(first: -5) { name } }", 0),
            ("{ exact(last: 9) { captain { name } } }", 9 * (1 + 3)),
            ("{ connection { count } }", 1),
            ("{ connection { nodes { name } } }", 1 + 8),
            ("{ connection(first: 5) { nodes { name } } }", 1 + 5),
            ("{ connection(first: 5) { ...N } } fragment N on Ferries { nodes { name } }", 1 + 5),
            ("{ connection(page: {size: 12}) { nodes { name } } }", 1 + 1 + 12),
        ],
    )  # fmt: skip
    def test_a_list_costs_its_length_times_what_one_costs(self, text: str, expected: int) -> None:
        assert cost(text) == expected

    def test_variables_decide_lengths_too(self) -> None:
        text = (
            "query ($n: Int, $p: Page) { page(first: $n) { captain { name } } connection(page: $p) { nodes { name } } }"
        )
        assert cost(text, n=2, p={"size": 3}) == 2 * 4 + (1 + 1 + 3)
        assert cost(text, n=1000, p={"size": 3}) == 1000 * 4 + (1 + 1 + 3)
        assert cost(text) == 10 * 4 + (1 + 8)

    @pytest.mark.parametrize("arguments", ["(first: 1, last: 2)", "", "(first: null)"])
    def test_where_one_slicing_argument_is_required_none_and_two_are_refused(self, arguments: str) -> None:
        with pytest.raises(Refused) as refused:
            cost(f"{{ exact{arguments} {{ name }} }}")
        assert refused.value.fault.code == "BAD_USER_INPUT"
        assert refused.value.values["field"] == "Query.exact"

    def test_so_they_are_when_they_come_by_variables(self) -> None:
        text = "query ($f: Int, $l: Int) { exact(first: $f, last: $l) { name } }"
        assert cost(text, f=3) == 3
        with pytest.raises(Refused):
            cost(text, f=3, l=3)


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ('(by: {name: "a"})', 1),
            ("(by: {length: 3})", 1 + 4),
            ("(by: {or: [{length: 1}, {}]})", 1 + (1 + 4) + 1),
            ("(by: {port: NORTH})", 1 + 2),
            ("(by: null)", 0),
            ("(dear: 1)", 5),
            ("(all: [{}, {}, {}])", 3),
        ],
    )  # fmt: skip
    def test_an_input_object_costs_one_and_each_of_its_values_its_weight(self, arguments: str, expected: int) -> None:
        assert cost(f"{{ find{arguments} }}") == expected

    def test_variables_cost_what_literals_cost(self) -> None:
        text = "query ($by: Filter, $all: [Filter!], $n: Int) { find(by: $by, all: $all, dear: $n) }"
        assert cost(text, by={"length": 3, "or": [{"length": 1}, {}]}, all=[{}, {}], n=1) == (5 + 5 + 1) + 2 + 5
        assert cost(text) == 0


class TestNames:
    def test_directives_that_were_renamed_at_import_are_found(self) -> None:
        types = TYPES.replace("@cost", "@price").replace("@listSize", "@length")
        imports = '[{name: "@cost", as: "@price"}, {name: "@listSize", as: "@length"}]'
        assert cost("{ weighed few { name } }", loaded(types, imports)) == 7 + 3

    def test_directives_that_were_not_imported_carry_their_prefix(self) -> None:
        supergraph = loaded(TYPES.replace("@listSize", "@cost__listSize"), "[]")
        assert cost("{ weighed few { name } }", supergraph) == 7 + 3


class TestTheLimit:
    @pytest.fixture
    def operations(self) -> Operations:
        return Operations(FLEET, Documents({}, only_trusted=False), Limits(cost=100), remembered=9, shows_schema=False)

    def test_the_limit_itself_is_allowed_and_one_more_is_not(self, operations: Operations) -> None:
        operations.find("{ page(first: 100) { name } }", None).variant({})
        with pytest.raises(OverLimit) as refused:
            operations.find("{ page(first: 101) { name } }", None).variant({})
        assert (refused.value.limit, refused.value.most, refused.value.found) == ("cost", 100, 101)

    def test_a_known_operation_is_measured_anew_by_its_variables(self, operations: Operations) -> None:
        operation = operations.find("query ($n: Int) { page(first: $n) { name } }", None)
        operation.variant({"n": 100})
        for _ in range(2):
            with pytest.raises(OverLimit):
                operation.variant({"n": 101})
        operation.variant({"n": 5})
