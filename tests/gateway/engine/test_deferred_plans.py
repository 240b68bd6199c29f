"""Plans with @defer as texts: what is fetched for the first part, what apart for which fragment."""

import pytest
from graphql import OperationDefinitionNode, parse

from gateway.engine.defer import Defers
from gateway.engine.planner import plan_operation
from gateway.engine.supergraph import Supergraph, load_supergraph
from tests.gateway.engine import case_files


def planned(graph: Supergraph, text: str, **conditions: bool) -> str:
    document = parse(text)
    operation = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return str(plan_operation(graph, document, operation, conditions, defers=Defers(conditions)))


def heads(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith(" ")]


class TestWhatIsFetchedApart:
    def test_a_field_of_another_subgraph(self, town: Supergraph) -> None:
        text = '{ person(id: "1") { name ... @defer(label: "loans") { loans { due } } } }'
        assert planned(town, text) == (
            "1: people\n"
            '  query { person(id: "1") { name id } }\n'
            "2: lending after 1 deferred loans\n"
            "  query($representations: [_Any!]!) { _entities(representations: $representations) "
            "{ ... on Person { loans { due } } } }\n"
            "  $representations += Person { id } at person"
        )

    def test_a_field_of_the_same_subgraph_by_the_key(self, town: Supergraph) -> None:
        text = planned(town, '{ person(id: "1") { name ... @defer { born } } }')
        assert heads(text) == ["1: people", "2: people after 1 deferred #1"]
        assert '  query { person(id: "1") { name id } }' in text

    def test_a_root_field_by_a_request_that_waits_for_nothing(self, town: Supergraph) -> None:
        text = planned(town, '{ person(id: "1") { name } ... @defer { people { name } } }')
        assert heads(text) == ["1: people", "2: people deferred #1"]

    def test_what_two_fragments_share_once_for_both(self, town: Supergraph) -> None:
        text = """{ person(id: "1") { name
            ... @defer(label: "a") { loans { id due } } ... @defer(label: "b") { loans { id } } } }"""
        asked = heads(planned(town, text))
        assert "2: lending after 1 deferred a, b" in asked
        assert not any(head.endswith("deferred b") for head in asked)

    def test_a_fragment_within_another_after_it(self, town: Supergraph) -> None:
        text = '{ person(id: "1") { ... @defer(label: "a") { loans { id item { ... on Book @defer(label: "b") { title } } } } } }'
        assert heads(planned(town, text)) == [
            "1: people",
            "2: lending after 1 deferred a",
            "3: items after 2 deferred b",
        ]

    def test_what_a_later_mutation_waits_for_is_not_deferred(self, town: Supergraph) -> None:
        text = """mutation { rename(id: "1", name: "A") { ... @defer { loans { id } } }
            again: rename(id: "2", name: "B") { born } }"""
        found = planned(town, text)
        (second,) = (head for head in heads(found) if "deferred" not in head and " after " in head)
        deferred = next(head.partition(":")[0] for head in heads(found) if "deferred" in head)
        assert deferred not in second.partition(" after ")[2].split(", ")


class TestWhatIsNot:
    @pytest.mark.parametrize(
        "text",
        [
            '{ person(id: "1") { name loans { due } ... @defer { loans { due } } } }',
            '{ person(id: "1") { ... @defer { loans { due } } name loans { due } } }',
            '{ person(id: "1") { name loans { due } ... @defer(if: false) { name } } }',
            'query ($no: Boolean!) { person(id: "1") { name loans { due } ... @defer(if: $no) { born @skip(if: true) } } }',
        ],
    )
    def test_what_is_asked_for_at_once_too_or_by_no_condition(self, town: Supergraph, text: str) -> None:
        assert "deferred" not in planned(town, text, no=False)

    def test_a_field_of_a_value_without_a_key_comes_with_it(self, town: Supergraph) -> None:
        text = planned(town, '{ person(id: "1") { address { city ... @defer { street } } } }')
        assert text == '1: people\n  query { person(id: "1") { address { city street } } }'


class TestContexts:
    def test_what_is_told_from_above_the_way_there_leaves_that_way_as_it_is(self) -> None:
        graph = load_supergraph(case_files.read("contexts-nested").supergraph)
        text = planned(graph, "{ shops { owner { friend { __typename ... @defer { greeting } } } } }")
        assert heads(text) == ["1: a", "2: b after 1", "3: a after 2", "4: a after 1, 3 deferred #1"]
