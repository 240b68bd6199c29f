"""What settings say about a supergraph: which progressive overrides hold, and which contract is served."""

from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.documents import Documents
from gateway.engine.api_schema import Contract
from gateway.engine.supergraph import SupergraphRefused, load_supergraph
from gateway.operations import Operations
from gateway.settings import Limits, gateway_settings
from tests.gateway.engine.test_contracts import TAGGED
from tests.gateway.engine.test_contracts import TestProgressiveOverrides as Overrides

ENV = {"SUPERGRAPH": "x.graphql", "ONEDOOR_MODE": "test"}


@pytest.fixture(scope="module")
def operations() -> Operations:
    supergraph = load_supergraph(Overrides.TEXT)
    return Operations(supergraph, Documents({}, only_trusted=False), Limits(), remembered=9, shows_schema=True)


class TestRollouts:
    def test_a_quarter_of_the_requests_goes_the_new_way(self, operations: Operations) -> None:
        held = [operations.labels(f"request-{number}", frozenset()) for number in range(4_000)]
        share = sum("percent(25.5)" in labels for labels in held) / len(held)
        assert 0.22 < share < 0.29

    def test_the_same_request_always_goes_the_same_way(self, operations: Operations) -> None:
        assert len({operations.labels("one-and-the-same", frozenset()) for _ in range(20)}) == 1

    def test_labels_of_the_settings_hold_for_all_and_unknown_ones_for_none(self, operations: Operations) -> None:
        for number in range(20):
            labels = operations.labels(f"request-{number}", frozenset({"new-y", "unknown"}))
            assert "new-y" in labels
            assert "unknown" not in labels

    def test_each_way_has_its_own_plan(self, operations: Operations) -> None:
        operation = operations.find("{ one { x y } }", None)
        (old, _), (new, _) = operation.variant({}), operation.variant({}, frozenset({"new-y"}))
        assert {fetch.subgraph for fetch in old.plan.fetches} == {"a"}
        assert {fetch.subgraph for fetch in new.plan.fetches} == {"a", "b"}
        assert operation.variant({})[0] is old


class TestSettings:
    def test_tags_and_labels_are_words(self) -> None:
        found = gateway_settings(
            {**ENV, "CONTRACT_INCLUDE": "public, partners", "CONTRACT_EXCLUDE": "internal", "OVERRIDE_LABELS": "a b"}
        )
        assert found.contract == Contract(frozenset({"public", "partners"}), frozenset({"internal"}))
        assert found.override_labels == {"a", "b"}
        assert gateway_settings(ENV).contract == Contract()
        assert gateway_settings(ENV).supergraph == Path("x.graphql")

    def test_a_gateway_serves_its_contract_and_refuses_an_empty_one(self, tmp_path: Path) -> None:
        file = tmp_path / "supergraph.graphql"
        file.write_text(TAGGED, encoding="utf-8")
        env = {**ENV, "SUPERGRAPH": str(file)}
        served = Gateway(gateway_settings({**env, "CONTRACT_EXCLUDE": "internal"})).supergraph
        assert "Audit" not in served.api_schema.type_map
        assert "Audit" in Gateway(gateway_settings(env)).supergraph.api_schema.type_map
        with pytest.raises(SupergraphRefused, match="Query"):
            Gateway(gateway_settings({**env, "CONTRACT_INCLUDE": "nowhere"}))
