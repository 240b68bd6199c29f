"""The data folder: where it is, and what is said when it cannot be used."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from clusters.local import folder as folders
from clusters.local.folder import Folder, FolderUnusable, explain, locate, prepare

NOBODY = 65_534


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    yield


class TestWhereItIs:
    def test_the_option_wins_over_the_variable(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(folders.VARIABLE, str(folder / "variable"))
        assert locate(folder / "option").path == folder / "option"
        assert locate().path == folder / "variable"

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
    def test_a_place_that_postgresql_cannot_reach_is_replaced_and_that_is_said(self, folder: Path) -> None:
        closed = folder / "closed"
        closed.mkdir(mode=0o700)
        moved = locate(closed / "data")
        assert moved.path.parent == Path("/var/tmp")
        assert str(closed / "data") in moved.note
        assert locate(closed / "data") == moved


class TestWhatStandsInTheWay:
    def test_a_folder_that_may_not_be_written_names_the_remedy(self, folder: Path) -> None:
        closed = folder / "closed"
        closed.mkdir(mode=0o500)
        if is_root := os.geteuid() == 0:
            os.seteuid(NOBODY)
        try:
            with pytest.raises(FolderUnusable, match=r"cannot be written .* onedoor up --data DIR"):
                prepare(Folder(closed / "data"))
        finally:
            if is_root:
                os.seteuid(0)

    def test_a_file_in_its_place_is_named(self, folder: Path) -> None:
        (folder / "data").write_text("a file")
        with pytest.raises(FolderUnusable, match=r"data cannot be used"):
            prepare(Folder(folder / "data"))

    def test_a_nearly_full_disk_is_refused_before_anything_starts(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - 2**20, 2**20))
        with pytest.raises(FolderUnusable, match=r"1 MiB free and 300 MiB are needed"):
            prepare(Folder(folder / "data"))

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    def test_a_disk_that_fills_while_running_is_explained(self, folder: Path, number: int) -> None:
        assert "is full" in explain(OSError(number, "no space"), folder)

    def test_an_unreadable_release_file_counts_as_the_oldest(self, folder: Path) -> None:
        (folder / "release.json").write_text("\x00 not json")
        (folder / "postgres").mkdir()
        assert "older release" in " ".join(prepare(Folder(folder)))
        assert prepare(Folder(folder)) == []


class TestLogs:
    def test_a_long_log_is_put_aside_and_a_short_one_goes_on(self, folder: Path) -> None:
        place = Folder(folder)
        prepare(place)
        with place.log("gateway").open("wb") as long:
            long.truncate((folders.LONG_LOG_MIB + 1) * 2**20)
        place.log("issuer").write_text("short")
        prepare(place)
        assert sorted(path.name for path in place.logs.iterdir()) == ["gateway.log.1", "issuer.log"]
