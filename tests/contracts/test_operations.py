"""The named operations that front end, journey and load tests use: valid against the supergraph, and plannable."""

from pathlib import Path

import pytest
from graphql import OperationDefinitionNode, parse, validate

from clusters.topology import SUPERGRAPH
from gateway.engine.planner import plan_operation
from gateway.engine.supergraph import Supergraph, load_supergraph

OPERATIONS = sorted((SUPERGRAPH.parent / "operations").glob("*.graphql"))


@pytest.fixture(scope="module")
def supergraph() -> Supergraph:
    return load_supergraph(SUPERGRAPH.read_text(encoding="utf-8"))


class TestOperations:
    @pytest.mark.parametrize("path", OPERATIONS, ids=lambda p: p.stem)
    def test_each_fits_the_supergraph_and_can_be_planned(self, path: Path, supergraph: Supergraph) -> None:
        document = parse(path.read_text(encoding="utf-8"))
        assert validate(supergraph.api_schema, document) == []
        (operation,) = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
        assert operation.name is not None
        assert operation.name.value == path.stem
        assert plan_operation(supergraph, document, operation, {}).fetches

    def test_one_query_sees_four_services(self, supergraph: Supergraph) -> None:
        document = parse((SUPERGRAPH.parent / "operations" / "BusinessOverview.graphql").read_text(encoding="utf-8"))
        (operation,) = document.definitions
        assert isinstance(operation, OperationDefinitionNode)
        plan = plan_operation(supergraph, document, operation, {})
        asked = [fetch.subgraph for fetch in plan.fetches]
        assert sorted(asked) == [
            "business_registration",
            "catalogue",
            "catalogue",
            "information_referral",
            "inspections",
        ]

    def test_every_service_is_in_the_supergraph(self, supergraph: Supergraph) -> None:
        from clusters.topology import SERVICES

        assert set(supergraph.subgraphs) == {service.name for service in SERVICES}
