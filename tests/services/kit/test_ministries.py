"""Which ministry owns a service, and which ones the groups of a token name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.catalogue.cluster_folder import read_folder
from services.kit import ministries
from tests.architecture.test_layout import SERVICES


@pytest.fixture(autouse=True)
def unread() -> Iterator[None]:
    """The cluster files are read anew."""
    ministries.owners.cache_clear()
    yield
    ministries.owners.cache_clear()


class TestTheOwner:
    def test_of_each_service_is_the_one_that_the_catalogue_reads(self) -> None:
        read = {s.name: s.owner for cluster in read_folder(ministries.folder()) for s in cluster.subgraphs}
        assert ministries.owners() == read
        assert read.keys() == set(SERVICES)

    def test_of_several_ministries_services_is_found(self) -> None:
        assert ministries.owned({"labour", "management-board"}) == ["inspections", "catalogue", "accounts"]
        assert ministries.owned(frozenset()) == ministries.owned({"education", ""}) == []

    def test_is_read_where_the_catalogue_reads(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CLUSTERS_DIR", str(tmp_path))
        (tmp_path / "one.toml").write_text('[[subgraphs]]\nname = "water"\nowner = "environment"\n')
        assert ministries.owners() == {"water": "environment"}

    @pytest.mark.parametrize(
        "written", [None, "subgraphs = []", "[[subgraphs", '[[subgraphs]]\nname = "water"\n', "\ud800"], ids=ascii
    )
    def test_that_cannot_be_read_is_an_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str | None
    ) -> None:
        monkeypatch.setenv("CLUSTERS_DIR", str(tmp_path))
        if written is not None:
            (tmp_path / "one.toml").write_bytes(written.encode("utf-8", "surrogatepass"))
        with pytest.raises((ValueError, KeyError)):
            ministries.owners()
