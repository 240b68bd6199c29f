"""What of a supergraph clients see: contracts by @tag, @inaccessible, and progressive @override."""

import re

import pytest
from graphql import parse, print_schema, validate

from gateway.engine.api_schema import Contract
from gateway.engine.planner import plan_operation
from gateway.engine.supergraph import Supergraph, SupergraphRefused, load_supergraph

HEAD = """schema @link(url: "https://specs.apollo.dev/link/v1.0")
  @link(url: "https://specs.apollo.dev/join/v0.5", for: EXECUTION)
  @link(url: "https://specs.apollo.dev/tag/v0.3")
  @link(url: "https://ministry.example/stamp/v1.0", import: ["@stamp"]) { query: Query }
directive @stamp(by: String) on FIELD_DEFINITION
enum join__Graph { A @join__graph(name: "a", url: "http://a/") B @join__graph(name: "b", url: "http://b/") }
"""
TAGGED = (
    HEAD
    + """
type Query @join__type(graph: A) @join__type(graph: B) {
  person(id: ID!, by: Internal @tag(name: "internal")): Person @join__field(graph: A) @tag(name: "public") @stamp(by: "x")
  audit: Audit @join__field(graph: B) @tag(name: "internal")
  found: Found @join__field(graph: A)
}
type Person @join__type(graph: A, key: "id") @join__type(graph: B, key: "id") {
  id: ID! @tag(name: "public")
  name(form: Form): String @join__field(graph: A) @tag(name: "public")
  secret: Int @join__field(graph: B) @tag(name: "internal")
  code: Int @join__field(graph: B)
}
type Audit @join__type(graph: B) { at: String lines: [Line!] }
type Line @join__type(graph: B) @tag(name: "public") { text: String }
union Found @join__type(graph: A) @join__unionMember(graph: A, member: "Person")
  @join__unionMember(graph: A, member: "Staff") = Person | Staff
type Staff @join__type(graph: A) @tag(name: "internal") { badge: String }
input Internal @join__type(graph: A) { reason: String }
enum Form @join__type(graph: A) {
  SHORT @join__enumValue(graph: A)
  FULL @join__enumValue(graph: A) @tag(name: "internal")
}
"""
)


def seen(supergraph: Supergraph) -> dict[str, set[str]]:
    """The fields of each object type that clients see."""
    text = print_schema(supergraph.api_schema)
    types = re.findall(r"^type (\w+) \{\n(.*?)^\}", text, re.M | re.S)
    return {name: set(re.findall(r"^  (\w+)", body, re.M)) for name, body in types}


class TestContracts:
    def test_without_one_everything_is_seen(self) -> None:
        whole = seen(load_supergraph(TAGGED))
        assert whole.keys() == {"Query", "Person", "Audit", "Line", "Staff"}
        assert whole["Person"] == {"id", "name", "secret", "code"}

    def test_excluded_tags_take_fields_members_values_and_arguments_away(self) -> None:
        supergraph = load_supergraph(TAGGED, Contract(exclude=frozenset({"internal"})))
        assert seen(supergraph) == {"Query": {"person", "found"}, "Person": {"id", "name", "code"}}
        text = print_schema(supergraph.api_schema)
        assert "FULL" not in text
        assert "by:" not in text
        assert "Internal" not in text  # nothing leads there any more
        assert "union Found = Person\n" in text

    def test_included_tags_leave_only_what_carries_them_and_what_it_needs(self) -> None:
        supergraph = load_supergraph(TAGGED, Contract(include=frozenset({"public"})))
        assert seen(supergraph) == {"Query": {"person"}, "Person": {"id", "name"}}

    def test_both_together_are_both_kept_to(self) -> None:
        both = Contract(frozenset({"public", "internal"}), frozenset({"internal"}))
        assert seen(load_supergraph(TAGGED, both)) == {"Query": {"person"}, "Person": {"id", "name"}}

    def test_what_is_left_out_cannot_be_asked_for(self) -> None:
        supergraph = load_supergraph(TAGGED, Contract(exclude=frozenset({"internal"})))
        assert validate(supergraph.api_schema, parse('{ person(id: "1") { secret } }'))

    def test_one_that_leaves_nothing_is_refused(self) -> None:
        with pytest.raises(SupergraphRefused, match="Query"):
            load_supergraph(TAGGED, Contract(include=frozenset({"nowhere"})))

    def test_one_that_would_break_an_interface_is_refused_by_name(self) -> None:
        text = (
            HEAD
            + """
type Query @join__type(graph: A) { node: Node }
interface Node @join__type(graph: A) { id: ID! }
type Person implements Node @join__type(graph: A) @join__implements(graph: A, interface: "Node") {
  id: ID! @tag(name: "internal")
  name: String
}
"""
        )
        with pytest.raises(SupergraphRefused, match=r"Node\.id"):
            load_supergraph(text, Contract(exclude=frozenset({"internal"})))


class TestProgressiveOverrides:
    TEXT = (
        HEAD
        + """
type Query @join__type(graph: A) { one: One }
type One @join__type(graph: A, key: "id") @join__type(graph: B, key: "id") {
  id: ID!
  x: Int @join__field(graph: B, override: "a", overrideLabel: "percent(25.5)")
    @join__field(graph: A, overrideLabel: "percent(25.5)")
  y: Int @join__field(graph: B, override: "a", overrideLabel: "new-y") @join__field(graph: A, overrideLabel: "new-y")
}
"""
    )

    def test_a_share_of_requests_is_rolled_out_always_the_same_ones(self) -> None:
        supergraph = load_supergraph(self.TEXT)
        assert supergraph.labels == {"percent(25.5)", "new-y"}
        assert supergraph.rolled_out(0) == {"percent(25.5)"}
        assert supergraph.rolled_out(25.49) == {"percent(25.5)"}
        assert supergraph.rolled_out(25.5) == frozenset()

    @pytest.mark.parametrize(
        ("labels", "asked"),
        [
            ((), {"a": "one { x y }"}),
            (("new-y",), {"a": "one { x id }", "b": "{ y }"}),
            (("percent(25.5)",), {"a": "one { id y }", "b": "{ x }"}),
            (("percent(25.5)", "new-y", "unknown"), {"a": "one { id }", "b": "{ x y }"}),
        ],
    )
    def test_who_is_asked_follows_the_labels(self, labels: tuple[str, ...], asked: dict[str, str]) -> None:
        document = parse("{ one { x y } }")
        plan = plan_operation(
            load_supergraph(self.TEXT),
            document,
            document.definitions[0],  # type: ignore[arg-type] # an operation
            {},
            frozenset(labels),
        )
        assert {fetch.subgraph for fetch in plan.fetches} == asked.keys()
        for fetch in plan.fetches:
            assert asked[fetch.subgraph] in fetch.document


class TestNarrowerTypes:
    def test_a_union_that_is_one_of_its_members_in_a_subgraph_tells_its_type_there(self) -> None:
        text = (
            HEAD
            + """
union Media @join__type(graph: A) @join__type(graph: B) @join__unionMember(graph: A, member: "Book")
  @join__unionMember(graph: B, member: "Book") = Book
type Query @join__type(graph: A) @join__type(graph: B) {
  book: Media @join__field(graph: A, type: "Book") @join__field(graph: B, type: "Media")
}
type Book @join__type(graph: A) @join__type(graph: B) {
  a: Int @join__field(graph: A)
  b: Int @join__field(graph: B)
}
"""
        )
        document = parse("{ book { ... on Book { a } } }")
        plan = plan_operation(load_supergraph(text), document, document.definitions[0])  # type: ignore[arg-type] # an operation
        assert [fetch.document for fetch in plan.fetches] == ["query { book { __typename a } }"]


class TestUnresolvable:
    def test_a_field_that_no_key_leads_to_is_named(self) -> None:
        from gateway.engine.planner import NoResolvablePath

        text = TestProgressiveOverrides.TEXT.replace('graph: B, key: "id"', 'graph: B, key: "id", resolvable: false')
        document = parse("{ one { y } }")
        with pytest.raises(NoResolvablePath, match=r"One\.y"):
            plan_operation(load_supergraph(text), document, document.definitions[0], {}, frozenset({"new-y"}))  # type: ignore[arg-type] # an operation
