"""Supergraphs that Federation 1 composed (join v0.1) are served like any other."""

from pathlib import Path

import pytest
from graphql import parse, print_schema

from gateway.engine.planner import plan_operation
from gateway.engine.supergraph import load_supergraph
from tests.gateway.engine.drawer import Drawer
from tests.gateway.engine.world import World

FOLDER = Path(__file__).parent / "federation_1"
PARTS = {file.stem: file.read_text(encoding="utf-8") for file in sorted(FOLDER.glob("*.graphql"))}
SDL = PARTS.pop("supergraph")


def plan(text: str) -> str:
    document = parse(text)
    return str(plan_operation(load_supergraph(SDL), document, document.definitions[0]))  # type: ignore[arg-type]


class TestFederation1:
    def test_the_owner_gives_what_no_graph_is_told_for_and_others_by_their_own_keys(self) -> None:
        assert plan("{ me { name liked { title } } }") == (
            "1: a\n"
            "  query { me { name email } }\n"
            "2: c after 1\n"
            "  query($representations: [_Any!]!) { _entities(representations: $representations) "
            "{ ... on User { liked { id } } } }\n"
            "  $representations += User { email } at me\n"
            "3: b after 2\n"
            "  query($representations: [_Any!]!) { _entities(representations: $representations) { ... on Post { title } } }\n"
            "  $representations += Post { id } at me.liked"
        )

    def test_what_is_provided_needs_no_second_request(self) -> None:
        assert plan("{ posts { author { id name } } }") == "1: b\n  query { posts { author { id name } } }"

    def test_what_is_required_is_fetched_before(self) -> None:
        assert plan("{ posts(first: 1) { by { rank } } }").endswith("$representations += User { id name } at posts.by")

    def test_clients_see_no_machinery(self) -> None:
        text = print_schema(load_supergraph(SDL).api_schema)
        assert "join" not in text
        assert "core" not in text

    @pytest.mark.parametrize("seed", range(0, 200, 20))
    def test_random_operations_are_answered_as_by_one_schema(self, seed: int) -> None:
        world = World(PARTS, SDL, seed, faults=seed % 40 == 0)
        for number in range(seed, seed + 20):
            drawn = Drawer(world.supergraph.api_schema, number).operation("mutation" if number % 10 == 9 else "query")
            assert world.difference(drawn.text, drawn.variables) is None, drawn.text
