"""Random operations with @defer: their parts, put together, are what one schema gives in the same parts and, where nothing is
lost to a null, what the operation gives without @defer; and the first part waits for nothing that is deferred."""

import os

import pytest
from graphql import parse, validate

from gateway.incremental import Form
from tests.gateway.engine.drawer import Drawer, in_chunks
from tests.gateway.engine.in_parts import delivered, difference
from tests.gateway.engine.test_random_operations import province
from tests.gateway.engine.world import World

CHUNK = 50
COUNT = int(os.environ.get("ONEDOOR_FUZZ_OPERATIONS", "500"))
FIRST = int(os.environ.get("ONEDOOR_FUZZ_SEED", "0"))


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    return [province(), province(faults=True)]


class TestRandomDeferredOperations:
    @pytest.mark.parametrize("first", in_chunks(FIRST, COUNT, CHUNK))
    async def test_each_comes_in_the_parts_of_one_schema(self, worlds: list[World], first: int) -> None:
        for seed in range(first, min(first + CHUNK, FIRST + COUNT)):
            world = worlds[seed % 2]
            kind = "mutation" if seed % 10 == 9 else "query"
            drawn = Drawer(world.supergraph.api_schema, seed, defers=True).operation(kind)
            problem = await difference(world, drawn, seed)
            if problem:
                pytest.fail(f"operation {seed}: {drawn.text}\nvariables {drawn.variables}\n{problem}")


class TestTheTrial:
    """What is tried must be able to fail."""

    async def test_operations_are_valid_and_much_is_deferred(self, worlds: list[World]) -> None:
        world = worlds[0]
        drawn = [Drawer(world.supergraph.api_schema, seed, defers=True).operation() for seed in range(0, 200, 2)]
        assert [p for d in drawn for p in validate(world.supergraph.api_schema, parse(d.text))] == []
        together = " ".join(d.text for d in drawn)
        for what in ('@defer(label: "d1")', "@defer {", "if: $maybe", "@defer(if: false)"):
            assert what in together
        plans = [delivered(world, parse(d.text), d.variables, Form.DRAFT) for d in drawn]
        assert sum(len(parts) > 1 for parts, _ in plans) > 20
        assert sum(" deferred " in plan for _, plan in plans) > 20
