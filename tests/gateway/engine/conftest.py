"""The town's supergraph, read once."""

from pathlib import Path

import pytest

from gateway.engine.supergraph import Supergraph, load_supergraph


@pytest.fixture(scope="session")
def town() -> Supergraph:
    """People, items, lending and prices of an invented town."""
    return load_supergraph((Path(__file__).parent / "town" / "supergraph.graphql").read_text(encoding="utf-8"))
