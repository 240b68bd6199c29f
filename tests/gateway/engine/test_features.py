"""What a supergraph is written with: features by whatever name, directives of others, and what is refused by name."""

import re
from typing import Any

import pytest
from graphql import OperationDefinitionNode, introspection_from_schema, parse, print_schema, validate

from gateway.engine.api_schema import Contract
from gateway.engine.planner import plan_operation
from gateway.engine.supergraph import Supergraph, SupergraphRefused, load_supergraph
from tests.gateway.engine import case_files
from tests.gateway.engine.test_contracts import TAGGED

SPECS = "https://specs.apollo.dev"


def linked(*links: str, body: str = "", graphs: str = "") -> str:
    """A supergraph with further features: an object of which each field may carry something."""
    joined = f'@link(url: "{SPECS}/link/v1.0") @link(url: "{SPECS}/join/v0.5", for: EXECUTION)'
    return f"""schema {joined} {" ".join(f"@link({link})" for link in links)} {{ query: Query }}
{graphs}
enum join__Graph {{ A @join__graph(name: "a", url: "http://a/") B @join__graph(name: "b", url: "http://b/") }}
type Query @join__type(graph: A) @join__type(graph: B) {{ me: User @join__field(graph: A) }}
type User @join__type(graph: A, key: "id") @join__type(graph: B, key: "id") {{ id: ID! {body} }}
"""


def shown(sdl: str, contract: Contract | None = None) -> str:
    return print_schema(load_supergraph(sdl, contract or Contract()).api_schema)


def documents(supergraph: Supergraph, text: str) -> list[str]:
    document = parse(text)
    assert validate(supergraph.api_schema, document) == []
    node: Any = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return [fetch.document for fetch in plan_operation(supergraph, document, node).fetches]


class TestNames:
    """As Apollo's composition writes them where a subgraph imports them under other names."""

    def test_what_is_inaccessible_by_another_name_is_not_shown(self) -> None:
        imported = (
            f'url: "{SPECS}/inaccessible/v0.2", import: [{{name: "@inaccessible", as: "@hidden"}}], for: SECURITY'
        )
        assert "secret" not in shown(linked(imported, body="secret: Int @hidden"))
        by_namespace = f'url: "{SPECS}/inaccessible/v0.2", as: "hidden", for: SECURITY'
        assert "secret" not in shown(linked(by_namespace, body="secret: Int @hidden"))

    def test_a_contract_goes_by_tags_of_another_name(self) -> None:
        imported = f'url: "{SPECS}/tag/v0.3", import: [{{name: "@tag", as: "@label"}}]'
        sdl = linked(imported, body='secret: Int @label(name: "internal")')
        assert "secret" in shown(sdl)
        assert "secret" not in shown(sdl, Contract(exclude=frozenset({"internal"})))

    def test_a_directive_of_others_is_not_taken_for_a_feature_of_its_name(self) -> None:
        sdl = linked(
            'url: "https://ministry.example/tag/v1.0", import: ["@tag"]', body='open: Int @tag(name: "internal")'
        )
        assert "open" in shown(sdl, Contract(exclude=frozenset({"internal"})))

    def test_without_a_link_the_usual_names_hold(self) -> None:
        assert "secret" not in shown(linked(body="secret: Int @inaccessible"))

    def test_helper_types_of_features_are_not_shown(self) -> None:
        links = [
            f'url: "{SPECS}/{name}/v0.1", for: SECURITY'
            for name in ("requiresScopes", "policy", "context", "authenticated")
        ]
        helpers = "scalar requiresScopes__Scope scalar policy__Policy scalar context__ContextFieldValue"
        text = shown(linked(*links, body='x: Int @requiresScopes(scopes: [["a"]])', graphs=helpers))
        assert "scalar" not in text
        renamed = f'url: "{SPECS}/requiresScopes/v0.1", as: "rights", for: SECURITY'
        assert "scalar" not in shown(linked(renamed, graphs="scalar rights__Scope"))


class TestDirectivesOfOthers:
    def test_a_composed_directive_is_accepted_and_not_shown(self) -> None:
        assert "stamp" not in print_schema(load_supergraph(TAGGED).api_schema)

    def test_one_for_operations_too_that_a_feature_brings_is_not_for_clients(self) -> None:
        sdl = linked(
            'url: "https://ministry.example/live/v1.0", import: ["@live"]', graphs="directive @live on FIELD | OBJECT"
        )
        assert validate(load_supergraph(sdl).api_schema, parse("{ me { id @live } }"))

    def test_those_for_operations_that_all_subgraphs_have_go_along_with_their_fields(self) -> None:
        graphs = "directive @trace(as: Form = A, n: Int) on FIELD | QUERY | OBJECT enum Form { A B @inaccessible }"
        supergraph = load_supergraph(linked(graphs=graphs, body="far: Int @join__field(graph: B) near(x: Int): Int"))
        assert "directive @trace(as: Form = A, n: Int) on FIELD | QUERY\n" in print_schema(supergraph.api_schema)
        text = "query($n: Int) @trace { me @trace(n: $n) { id @skip(if: false) @trace near(x: 1) @trace(as: A) far @trace } }"
        assert documents(supergraph, text) == [
            "query($n: Int) { me @trace(n: $n) { id @trace near(x: 1) @trace(as: A) } }",
            "query($representations: [_Any!]!) { _entities(representations: $representations) { ... on User { far @trace } } }",
        ]
        assert validate(supergraph.api_schema, parse("{ me { id @trace(as: B) } }"))


class TestRefusals:
    @pytest.mark.parametrize("feature", ["connect", "source", "elsewhere"])
    def test_a_feature_that_is_not_supported_is_refused_by_name(self, feature: str) -> None:
        link = f'schema @link(url: "https://specs.apollo.dev/{feature}/v0.1", for: EXECUTION)'
        with pytest.raises(SupergraphRefused, match=feature):
            load_supergraph(TAGGED.replace("schema", link, 1))

    def test_an_argument_from_a_context_that_nothing_sets_is_refused_with_its_field(self) -> None:
        argument = '[{name: "a", type: "Int", context: "A__c", selection: " { id }"}]'
        text = TAGGED.replace("at: String", f"at: String @join__field(graph: B, contextArguments: {argument})")
        with pytest.raises(SupergraphRefused, match=r"Audit\.at\(a:\) reads the context A__c"):
            load_supergraph(text)

    def test_a_mutation_that_sets_a_context_is_refused(self) -> None:
        text = TAGGED.replace("{ query: Query }", "{ query: Query mutation: Audit }").replace(
            "type Audit", 'type Audit @context(name: "A__c")'
        )
        with pytest.raises(SupergraphRefused, match="Audit sets the context A__c"):
            load_supergraph(text)

    @pytest.mark.parametrize("version", ["v0.0", "v0.6", "v1.0"])
    def test_another_version_of_join_is_refused(self, version: str) -> None:
        with pytest.raises(SupergraphRefused, match=re.escape(version)):
            load_supergraph(TAGGED.replace("join/v0.5", f"join/{version}"))

    @pytest.mark.parametrize("name", ["inaccessible", "authenticated", "requiresScopes", "policy", "context"])
    def test_another_version_of_what_must_be_kept_to_is_refused(self, name: str) -> None:
        with pytest.raises(SupergraphRefused, match=f"{name}/v9"):
            load_supergraph(linked(f'url: "{SPECS}/{name}/v9.0", for: SECURITY'))

    def test_another_version_of_what_only_tells_is_not(self) -> None:
        load_supergraph(linked(f'url: "{SPECS}/tag/v9.0"', f'url: "{SPECS}/cacheTag/v0.1"'))

    def test_a_known_name_of_somebody_else_is_refused_where_it_must_be_kept_to(self) -> None:
        with pytest.raises(SupergraphRefused, match=re.escape("https://ministry.example/authenticated/v1.0")):
            load_supergraph(linked('url: "https://ministry.example/authenticated/v1.0", for: SECURITY'))

    def test_join_by_another_name_is_refused(self) -> None:
        with pytest.raises(SupergraphRefused, match="join"):
            load_supergraph(linked(f'url: "{SPECS}/join/v0.5", as: "merge", for: EXECUTION'))


class TestInaccessible:
    HIDDEN = ("SECRET", "Secret", "Hidden", "Ghost", "Internal", "rank", "secret", "inner", "hidden", "context", "join")
    PROBES = (
        "{ items(kind: SECRE) { kind } }",
        "{ items(filter: {secre: 1}, secre: 1) { ran inne nam } hidde { id } }",
        "{ any { ... on Ghos { id } ... on Hidde { id } } }",
        "query($s: Secre, $t: Interna) { items(secre: $s) { id } }",
        "{ items { parts { cost(ran: 1) } } }",
    )

    def test_neither_introspection_nor_a_suggestion_tells_of_it(self) -> None:
        schema = load_supergraph(case_files.read("inaccessible-everywhere").supergraph).api_schema
        told = [str(introspection_from_schema(schema))]
        for probe in self.PROBES:
            problems = validate(schema, parse(probe))
            assert problems
            told += [problem.message for problem in problems]
        for name in self.HIDDEN:
            assert not [text for text in told if re.search(rf"\b{name}\b", text)]
