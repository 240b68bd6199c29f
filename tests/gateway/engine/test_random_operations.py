"""Random operations over one province whose five subgraphs use every feature: each answer is that of one plain schema.

`make fuzz N=10000` draws as many as are asked for, beginning where the last ones ended. A failing one is shown small.
"""

import os
from pathlib import Path

import pytest
from graphql import parse, validate

from tests.gateway.engine.drawer import Drawer, Drawn, in_chunks
from tests.gateway.engine.outages import lost_too_much
from tests.gateway.engine.shrink import shrunk
from tests.gateway.engine.world import World

PROVINCE = Path(__file__).parent / "province"
CHUNK = 100
COUNT = int(os.environ.get("ONEDOOR_FUZZ_OPERATIONS", "1000"))
FIRST = int(os.environ.get("ONEDOOR_FUZZ_SEED", "0"))


def province(*, faults: bool = False) -> World:
    parts = {file.stem: file.read_text(encoding="utf-8") for file in sorted(PROVINCE.glob("*.graphql"))}
    return World(parts, parts.pop("supergraph"), faults=faults)


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    return [province(), province(faults=True)]


def small(world: World, drawn: Drawn) -> str:
    """A failing operation made small, with how it fails."""
    least = shrunk(drawn, lambda d: bool(world.difference(d.text, d.variables)), world.supergraph.api_schema)
    return f"{least.text}\nvariables {least.variables}\n{world.difference(least.text, least.variables)}"


class TestRandomOperations:
    @pytest.mark.parametrize("first", in_chunks(FIRST, COUNT, CHUNK))
    def test_each_is_answered_as_by_one_schema(self, worlds: list[World], first: int) -> None:
        for seed in range(first, min(first + CHUNK, FIRST + COUNT)):
            world = worlds[seed % 2]
            kind = "mutation" if seed % 10 == 9 else "query"
            drawn = Drawer(world.supergraph.api_schema, seed).operation(kind)
            if world.difference(drawn.text, drawn.variables):
                pytest.fail(f"operation {seed}: {small(world, drawn)}")


class TestOutages:
    @pytest.mark.parametrize("away", ["accounts", "parties", "reviews", "shop", "stock"])
    def test_without_a_subgraph_only_what_depends_on_it_is_lost(self, worlds: list[World], away: str) -> None:
        for seed in range(FIRST, FIRST + 60):
            drawn = Drawer(worlds[0].supergraph.api_schema, seed).operation()
            told = lost_too_much(worlds[0], drawn.text, drawn.variables, away)
            assert told is None, f"operation {seed}: {drawn.text} {drawn.variables}\n{told}"


class TestTheTrial:
    """What is tried must be able to fail."""

    def test_operations_are_valid_and_hold_everything(self, worlds: list[World]) -> None:
        schema = worlds[0].supergraph.api_schema
        texts = [Drawer(schema, seed).operation().text for seed in range(100)]
        assert [problem for text in texts for problem in validate(schema, parse(text))] == []
        together = " ".join(texts)
        for what in (
            "@skip(if: $",
            "@include(if: false)",
            "fragment F",
            "...F",
            "... on Party",
            "... on Found",
            "__typename",
        ):
            assert what in together

    def test_a_required_value_that_was_not_sent_is_noticed(self, worlds: list[World]) -> None:
        world = worlds[0]
        document = "query($r: [_Any!]!) { _entities(representations: $r) { ... on Product { value } } }"
        for sent in ({}, {"weight": 1}):
            answer = world.answer(
                "reviews", document, {"r": [{"__typename": "Product", "sku": "Product0.sku", **sent}]}
            )
            assert "was not sent what it requires" in answer["errors"][0]["message"]

    def test_an_external_field_and_one_given_up_are_noticed(self, worlds: list[World]) -> None:
        world = worlds[0]
        for subgraph, document in (("shop", "{ latest { buyer { handle } } }"), ("accounts", "{ users { handle } }")):
            assert world.answer(subgraph, document, {})["errors"]

    def test_a_failing_operation_becomes_small(self, worlds: list[World]) -> None:
        drawn = next(
            found
            for found in (Drawer(worlds[0].supergraph.api_schema, seed).operation() for seed in range(500))
            if "rating" in found.text and len(found.text) > 500
        )
        least = shrunk(drawn, lambda d: "rating" in d.text, worlds[0].supergraph.api_schema)
        assert "rating" in least.text
        assert len(least.text) < 100
