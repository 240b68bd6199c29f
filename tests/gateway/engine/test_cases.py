"""Each named case: its plan is the one that was read and found good, its answer that of the same data behind one schema."""

import hashlib
import os
import random
import subprocess
import sys
from typing import Any

import pytest
from graphql import DocumentNode, OperationDefinitionNode, parse, print_ast, validate

from gateway.engine.planner import plan_operation
from gateway.engine.supergraph import load_supergraph
from tests.gateway.engine import case_files
from tests.gateway.engine.case_files import Case

CASES = {name: case_files.read(name) for name in case_files.names()}
ASKED = [(name, number) for name, case in CASES.items() for number in range(len(case.operations))]


@pytest.mark.parametrize(("name", "number"), ASKED)
class TestCases:
    def test_plan_and_answer_are_as_written(self, name: str, number: int) -> None:
        case = CASES[name]
        asked = case.operations[number]
        world = case.world(asked)
        assert validate(world.supergraph.api_schema, parse(asked.text)) == []
        assert case_files.answered(world, asked) == (asked.plan, asked.answer)

    def test_the_answer_is_that_of_one_schema(self, name: str, number: int) -> None:
        case = CASES[name]
        asked = case.operations[number]
        if case.away:  # what a subgraph does not know, one schema cannot say; these answers were judged by hand
            return
        world = case.world(asked)
        assert world.difference(asked.text, asked.variables) is None


def plans(case: Case, sdl: str) -> list[str]:
    """The plans of all operations of a case, on a supergraph."""
    supergraph = load_supergraph(sdl)
    found = []
    for asked in case.operations:
        document = parse(asked.text)
        node = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
        conditions = {"yes": True, "no": False}
        found.append(str(plan_operation(supergraph, document, node, conditions, asked.labels)))
    return found


def shuffled(sdl: str, seed: int) -> str:
    """The same supergraph with definitions, directives, members and fields in another order."""
    chance = random.Random(seed)

    def mixed(node: Any) -> Any:
        changes = {key: getattr(node, key) for key in node.keys if key != "loc"}
        for key in ("directives", "fields", "types", "interfaces", "values"):
            items = [mixed(item) for item in changes.get(key) or ()]
            if items:
                chance.shuffle(items)
                changes[key] = tuple(items)
        return type(node)(**changes)

    definitions = [mixed(node) for node in parse(sdl, no_location=True).definitions]
    chance.shuffle(definitions)
    return print_ast(DocumentNode(definitions=tuple(definitions)))


class TestDeterminism:
    @pytest.mark.parametrize("name", CASES)
    def test_a_supergraph_in_another_order_gives_the_same_plans(self, name: str) -> None:
        case = CASES[name]
        expected = plans(case, case.supergraph)
        for seed in range(3):
            assert plans(case, shuffled(case.supergraph, seed)) == expected

    def test_plans_are_the_same_under_every_hash_seed(self) -> None:
        told = set()
        for seed in ("0", "1", "42"):
            done = subprocess.run(
                [sys.executable, "-m", "tests.gateway.engine.test_cases"],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
                timeout=120,
            )
            told.add(done.stdout)
        assert len(told) == 1
        assert len(told.pop().strip()) == 64


if __name__ == "__main__":
    everything = "\n".join(text for case in CASES.values() for text in plans(case, case.supergraph))
    print(hashlib.sha256(everything.encode()).hexdigest())
