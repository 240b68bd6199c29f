"""Random supergraphs: a plain schema split over two to six strict subgraphs answers like the plain schema; and when one
of them does not answer, nothing is lost that did not depend on it; and a caller who may not see everything is answered as by a
plain schema that refuses.

`ONEDOOR_FUZZ_SUPERGRAPHS` and `ONEDOOR_FUZZ_SEED` say how many and from where. A failing one is shown small, as SDLs and an
operation that can be put into `tests/gateway/engine/cases`.
"""

import os
from collections.abc import Iterator, Mapping

import pytest
from graphql import parse, validate

from gateway.engine.supergraph import SupergraphRefused
from tests.gateway.engine import case_files
from tests.gateway.engine.composer import Composer
from tests.gateway.engine.drawer import Drawer, Drawn
from tests.gateway.engine.in_parts import difference
from tests.gateway.engine.outages import lost_too_much
from tests.gateway.engine.shrink import least_subgraphs, shrunk
from tests.gateway.engine.splitter import Splitter
from tests.gateway.engine.test_random_operations import PROVINCE
from tests.gateway.engine.test_rights import caller, sprinkled
from tests.gateway.engine.world import World

pytestmark = pytest.mark.stack
CHUNK, OPERATIONS, DEFERRED, DENIED = 20, 20, 5, 10
COUNT = int(os.environ.get("ONEDOOR_FUZZ_SUPERGRAPHS", "200"))
FIRST = int(os.environ.get("ONEDOOR_FUZZ_SEED", "0"))
LABELS = (frozenset({"percent(30)"}), frozenset({"later"}), frozenset[str]())


@pytest.fixture(scope="module")
def composer() -> Iterator[Composer]:
    with Composer() as composer:
        yield composer


def world(composer: Composer, subgraphs: Mapping[str, str], seed: int, *, lost: bool = True) -> World | None:
    """The world of subgraphs, in some of which rows are lost; None where they do not compose, or promise what cannot be: values
    of no type, or an argument of an interface that the composed implementer lacks."""
    sdl, _ = composer.compose(subgraphs)
    if sdl is None:
        return None
    try:
        made = World(subgraphs, sdl, seed, labels=LABELS[seed % 3], faults=seed % 2 == 1, lost=lost and seed % 5 < 2)
    except SupergraphRefused as refused:
        if "argument" in str(refused) and "does not provide it" in str(refused):
            return None
        pytest.fail(f"what composes is refused: {refused}\n{subgraphs}")
    return made if made.is_possible else None


def small(composer: Composer, found: World, seed: int, drawn: Drawn) -> str:
    """A failing split and operation made small."""

    def fails(subgraphs: Mapping[str, str]) -> bool:
        tried = world(composer, subgraphs, seed)
        if tried is None or validate(tried.supergraph.api_schema, parse(least.text)):
            return False
        return bool(tried.difference(least.text, least.variables))

    least = shrunk(drawn, lambda d: bool(found.difference(d.text, d.variables)), found.supergraph.api_schema)
    subgraphs = least_subgraphs(found.subgraphs, fails)
    last = world(composer, subgraphs, seed)
    told = last.difference(least.text, least.variables) if last else None
    texts = "\n".join(f"== subgraph {name}\n{sdl}" for name, sdl in subgraphs.items())
    return f"{texts}\n== operation\n{least.text}\n{least.variables}\n{told}"


class TestRandomSupergraphs:
    @pytest.mark.parametrize("first", range(0, COUNT, CHUNK))
    def test_each_answers_like_the_plain_schema(self, composer: Composer, first: int) -> None:
        tried, seed = 0, FIRST + first * 10  # not every draw composes
        while tried < min(CHUNK, COUNT - first):
            found = world(composer, Splitter(seed).subgraphs(), seed)
            if found is not None:
                tried += 1
                self._try(composer, found, seed)
            seed += 1
        assert seed < FIRST + first * 10 + CHUNK * 10  # most do

    def _try(self, composer: Composer, found: World, seed: int) -> None:
        schema = found.supergraph.api_schema
        for number in range(OPERATIONS):
            kind = "mutation" if schema.mutation_type and number % 5 == 4 else "query"
            drawn = Drawer(schema, seed * 1000 + number).operation(kind)
            if found.difference(drawn.text, drawn.variables):
                pytest.fail(f"split {seed}, operation {number}:\n{small(composer, found, seed, drawn)}")
            asked = sorted({subgraph for subgraph, _ in found.sent})
            if kind == "query" and not found.faults and asked:
                away = asked[number % len(asked)]
                told = lost_too_much(found, drawn.text, drawn.variables, away)
                assert told is None, f"split {seed}, operation {number}: {drawn.text} {drawn.variables}\n{told}"

    @pytest.mark.parametrize("first", range(0, COUNT, CHUNK))
    async def test_each_answers_in_the_parts_of_the_plain_schema(self, composer: Composer, first: int) -> None:
        tried, seed = 0, FIRST + first * 10
        while tried < min(CHUNK, COUNT - first):
            found = world(composer, Splitter(seed).subgraphs(), seed, lost=False)
            tried += found is not None
            for number in range(DEFERRED if found is not None else 0):
                assert found is not None
                drawn = Drawer(found.supergraph.api_schema, seed * 1000 + number, defers=True).operation()
                told = await difference(found, drawn, number)
                assert told is None, f"split {seed}, operation {number}: {drawn.text} {drawn.variables}\n{told}"
            seed += 1

    @pytest.mark.parametrize("first", range(0, COUNT, CHUNK))
    def test_each_answers_like_one_that_refuses(self, composer: Composer, first: int) -> None:
        tried, seed = 0, FIRST + first * 10
        while tried < min(CHUNK, COUNT - first):
            plain = world(composer, Splitter(seed).subgraphs(), seed, lost=False)
            tried += plain is not None
            if plain is not None:
                sdl, stated = sprinkled(plain.sdl, seed, plain.identifying)
                found = World(plain.subgraphs, sdl, seed, labels=plain.labels, stated=stated)
                for number in range(DENIED):
                    found.may(caller(seed * 1000 + number))
                    kind = "mutation" if found.supergraph.api_schema.mutation_type and number % 5 == 4 else "query"
                    drawn = Drawer(found.supergraph.api_schema, seed * 1000 + number).operation(kind)
                    told = found.difference(drawn.text, drawn.variables)
                    assert told is None, f"split {seed}, operation {number}: {drawn.text} {drawn.variables}\n{told}"
            seed += 1


class TestWhatIsCommitted:
    def test_the_province_is_what_its_subgraphs_compose_to(self, composer: Composer) -> None:
        parts = {file.stem: file.read_text(encoding="utf-8") for file in sorted(PROVINCE.glob("*.graphql"))}
        supergraph = parts.pop("supergraph")
        assert composer.compose(parts) == (supergraph, [])

    @pytest.mark.parametrize("name", case_files.names())
    def test_a_case_is_what_its_subgraphs_compose_to(self, composer: Composer, name: str) -> None:
        case = case_files.read(name)
        assert composer.compose(case.subgraphs) == (case.supergraph, [])
