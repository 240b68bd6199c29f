"""Plans as texts: what is fetched, in which order, with what; the same in every process."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from graphql import OperationDefinitionNode, parse

from gateway.engine.planner import TooManyWays, plan_operation
from gateway.engine.supergraph import Supergraph, SupergraphRefused, load_supergraph
from tests.gateway.engine import adversaries

TOWN = Path(__file__).parent / "town" / "supergraph.graphql"

WIDE = """{ items { title readers { name loans { item { ... on Book { delivered price } } } } }
  found { __typename ... on Person { card { balance } reminder } } }"""


def planned(graph: Supergraph, text: str, **conditions: bool) -> str:
    document = parse(text)
    operation = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return str(plan_operation(graph, document, operation, conditions))


class TestPlans:
    def test_one_subgraph_is_asked_once(self, town: Supergraph) -> None:
        assert planned(town, "{ people { name } hello }") == "1: people\n  query { people { name } hello }"

    def test_a_requirement_is_fetched_before_what_needs_it(self, town: Supergraph) -> None:
        text = planned(town, '{ item(id: "a") { ... on Book { delivered } } }')
        assert [line for line in text.splitlines() if not line.startswith(" ")] == [
            "1: items",
            "2: lending after 1",
            "3: prices after 1, 2",
        ]
        assert "$representations += Book { id pages grams } at item" in text
        assert "$representations += Book { id postage } at item" in text

    def test_what_does_not_depend_runs_side_by_side(self, town: Supergraph) -> None:
        text = planned(town, '{ person(id: "1") { loans { id } works { id } } currency }')
        heads = [line for line in text.splitlines() if not line.startswith(" ")]
        assert heads[:2] == ["1: people", "2: prices"]
        assert all(head.endswith("after 1") for head in heads[2:])

    def test_a_provided_field_is_not_fetched_again(self, town: Supergraph) -> None:
        text = planned(town, '{ item(id: "a") { ... on Book { author { name } } } }')
        assert text.count("\n") == 1

    def test_fragments_are_spread(self, town: Supergraph) -> None:
        text = planned(
            town, "query { people { ...P } } fragment P on Person { name ...Q } fragment Q on Person { born }"
        )
        assert text == "1: people\n  query { people { name born } }"

    def test_a_condition_that_is_false_costs_nothing(self, town: Supergraph) -> None:
        operation = "query ($yes: Boolean!) { people { name loans @include(if: $yes) { id } } }"
        assert planned(town, operation, yes=False) == "1: people\n  query { people { name } }"
        assert "2: lending after 1" in planned(town, operation, yes=True)

    @pytest.mark.parametrize(
        "text", ["{ __typename }", "{ __schema { queryType { name } } }", "{ hello @skip(if: true) }"]
    )
    def test_what_the_door_knows_itself_is_asked_of_no_subgraph(self, town: Supergraph, text: str) -> None:
        assert planned(town, text) == "Nothing to fetch"

    def test_a_plan_is_the_same_under_every_hash_seed(self) -> None:
        script = (
            "from pathlib import Path; from graphql import parse\n"
            "from gateway.engine.planner import TooManyWays, plan_operation\n"
            "from gateway.engine.supergraph import load_supergraph\n"
            f"graph = load_supergraph(Path({str(TOWN)!r}).read_text())\n"
            f"document = parse({WIDE!r})\n"
            "print(plan_operation(graph, document, document.definitions[0], {}))"
        )
        told = set()
        for seed in ("0", "1", "42"):
            env = {**os.environ, "PYTHONHASHSEED": seed}
            done = subprocess.run(
                [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True, timeout=60
            )
            told.add(done.stdout)
        assert len(told) == 1
        assert "after" in told.pop()

    def test_a_wide_and_deep_operation_is_planned_in_bounded_work(self, town: Supergraph) -> None:
        deep = "{ id name loans { id } works { id } reminder card { balance } friends "
        text = "{ people " + deep * 12 + "{ id }" + " }" * 12 + " }"
        began = time.process_time()
        planned(town, text)
        assert time.process_time() - began < 20  # a bound against explosion, no measure of speed

    @pytest.mark.parametrize("adversary", adversaries.ALL, ids=lambda a: a.__name__)
    def test_what_was_made_to_be_hard_is_planned_in_bounded_work(
        self, adversary: Callable[[], tuple[str, str]]
    ) -> None:
        sdl, text = adversary()
        began = time.process_time()
        assert planned(load_supergraph(sdl), text)
        assert time.process_time() - began < 10  # make bench measures; this is a bound against explosion

    @pytest.mark.parametrize("adversary", adversaries.TOO_HARD, ids=lambda a: a.__name__)
    def test_what_would_take_too_much_planning_is_refused_and_forgotten(
        self, adversary: Callable[[], tuple[str, str]]
    ) -> None:
        sdl, text = adversary()
        graph = load_supergraph(sdl)
        began = time.process_time()
        with pytest.raises(TooManyWays):
            planned(graph, text)
        assert time.process_time() - began < 10
        assert planned(graph, "{ start { __typename } }") == planned(load_supergraph(sdl), "{ start { __typename } }")


class TestSupergraphs:
    def test_what_is_no_supergraph_is_refused(self) -> None:
        for text in ("", "not graphql {", "type Query { a: Int }"):
            with pytest.raises(SupergraphRefused):
                load_supergraph(text)

    def test_an_unknown_feature_that_execution_needs_is_refused_by_name(self) -> None:
        text = TOWN.read_text(encoding="utf-8").replace(
            "schema ", 'schema @link(url: "https://specs.example/teleport/v0.1", for: EXECUTION) ', 1
        )
        assert "teleport" in text
        with pytest.raises(SupergraphRefused, match="teleport"):
            load_supergraph(text)

    def test_its_identity_is_that_of_its_text(self, town: Supergraph) -> None:
        text = TOWN.read_text(encoding="utf-8")
        assert load_supergraph(text).id == town.id
        assert load_supergraph(text + "\n# another\n").id != town.id
