"""Writes `town/supergraph.graphql` from the four subgraphs: run by hand after changing one."""

from pathlib import Path

from clusters.compose import compose
from services.catalogue.cluster_file import SubgraphEntry

TOWN = Path(__file__).parent / "town"
NAMES = ("people", "items", "lending", "prices")


def composed() -> str:
    """The supergraph of the subgraphs as they are."""
    parts = [
        (
            SubgraphEntry.model_validate({"name": name, "url": f"http://127.0.0.1:1/{name}", "owner": "town"}),
            (TOWN / f"{name}.graphql").read_text(encoding="utf-8"),
        )
        for name in NAMES
    ]
    return compose(parts)


if __name__ == "__main__":
    (TOWN / "supergraph.graphql").write_text(composed(), encoding="utf-8")
