"""What `onedoor compose` makes of hints about caching and people: through the real composition, which needs Node."""

import pytest

from clusters.compose import CompositionRefused, compose
from gateway.engine.supergraph import load_supergraph
from gateway.hints import Hints
from services.catalogue.cluster_file import SubgraphEntry

pytestmark = pytest.mark.stack

HEAD = """
extend schema
  @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@composeDirective"])
  @link(url: "https://onedoor.example/cacheControl/v1.0", import: ["@cacheControl"])
  @link(url: "https://onedoor.example/personalData/v1.0", import: ["@personalData"])
  @composeDirective(name: "@cacheControl")
  @composeDirective(name: "@personalData")
directive @cacheControl(maxAge: Int, scope: CacheControlScope, inheritMaxAge: Boolean) on FIELD_DEFINITION | OBJECT
directive @personalData(category: String) on FIELD_DEFINITION | OBJECT
enum CacheControlScope { PUBLIC PRIVATE }
"""


def composed(**subgraphs: str) -> str:
    entries = [
        (SubgraphEntry.model_validate({"name": name, "url": f"http://127.0.0.1:1/{name}", "owner": "m1"}), HEAD + sdl)
        for name, sdl in subgraphs.items()
    ]
    return compose(entries)


class TestHints:
    def test_reach_the_supergraph(self) -> None:
        sdl = composed(
            parks='type Query { park: Park @cacheControl(maxAge: 60) } type Park @key(fields: "id") { id: ID! }'
        )
        assert Hints(load_supergraph(sdl).document).keeps

    def test_that_would_keep_what_is_about_people_are_refused_in_a_sentence(self) -> None:
        """Though the two hints are of two owners, who need not know of one another."""
        with pytest.raises(CompositionRefused) as refused:
            composed(
                parks='type Query { park: Park @cacheControl(maxAge: 60) } type Park @key(fields: "id") { id: ID! }',
                keepers='type Park @key(fields: "id") { id: ID! keeper: String @personalData(category: "identity") }',
            )
        (problem,) = refused.value.problems
        assert "PERSONAL_DATA_CACHED (Park.keeper)" in problem
        assert "@cacheControl(maxAge: 0)" in problem


class TestProblems:
    @pytest.mark.parametrize(
        ("where", "subgraphs"),
        [
            (
                "(parks; Park.fee)",
                {"parks": 'type Query { park: Park } type Park @key(fields: "id") { id: ID! fee: Fee }'},
            ),
            ("(parks; Query.park)", {"parks": "type Query { park(at: Place): Int }"}),
            (
                "(parks; Park.number)",
                {"parks": 'type Query { park: Park } type Park @key(fields: "number") { id: ID! }'},
            ),
            (
                "(parks, trails; Park.name)",
                {
                    "parks": 'type Query { park: Park } type Park @key(fields: "id") { id: ID! name: String }',
                    "trails": 'type Park @key(fields: "id") { id: ID! name: Int }',
                },
            ),
        ],
        ids=["an unknown type", "an unknown type of an argument", "a key of no field", "two types for one field"],
    )
    def test_are_told_by_service_type_and_field(self, where: str, subgraphs: dict[str, str]) -> None:
        with pytest.raises(CompositionRefused) as refused:
            composed(**subgraphs)
        assert all(where in problem for problem in refused.value.problems)

    def test_of_a_text_that_is_no_schema_are_told_by_service_and_line(self) -> None:
        with pytest.raises(CompositionRefused, match=r"INVALID_SDL \(parks\): \[parks\] line \d+, column \d+"):
            composed(parks="type Query { park: Int ")
