"""The gateway's keys: made once, changed in three steps during which every signature finds its key."""

import stat
from pathlib import Path

import pytest

from clusters.keys import PRIVATE, PUBLIC, KeysRefused, Step, take
from services.kit.signing_keys import public_keys, signing_key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    take(Step.MAKE, tmp_path)
    return tmp_path


def signs(folder: Path) -> str:
    return signing_key((folder / PRIVATE).read_bytes()).id


def known(folder: Path) -> set[str]:
    return set(public_keys((folder / PUBLIC).read_bytes()))


class TestKeys:
    def test_are_made_once(self, folder: Path) -> None:
        before = (folder / PRIVATE).read_bytes()
        (folder / PUBLIC).unlink()
        (only,) = take(Step.MAKE, folder)
        assert (folder / PRIVATE).read_bytes() == before
        assert (signs(folder), known(folder)) == (only, {only})

    def test_are_their_owners_alone(self, folder: Path) -> None:
        held = [path for path in folder.rglob("*") if path.is_file()]
        assert {stat.S_IMODE(path.stat().st_mode) for path in held} == {0o600}

    def test_are_changed_while_the_one_that_signs_is_always_known(self, folder: Path) -> None:
        old = signs(folder)
        take(Step.PUBLISH, folder)
        assert (signs(folder), len(known(folder))) == (old, 2)
        for _ in "ab":  # again changes nothing
            take(Step.ACTIVATE, folder)
            assert signs(folder) != old
            assert (len(known(folder)), old in known(folder)) == (2, True)
        for _ in "ab":
            take(Step.WITHDRAW, folder)
            assert known(folder) == {signs(folder)}
        assert signs(folder) != old

    def test_a_step_out_of_turn_is_refused_and_changes_nothing(self, folder: Path) -> None:
        with pytest.raises(KeysRefused, match="publish one"):
            take(Step.ACTIVATE, folder)
        take(Step.PUBLISH, folder)
        before = known(folder)
        with pytest.raises(KeysRefused, match="under way"):
            take(Step.PUBLISH, folder)
        assert known(folder) == before

    @pytest.mark.parametrize("step", Step)
    def test_that_cannot_be_read_are_left_alone(self, folder: Path, step: Step) -> None:
        (folder / PRIVATE).write_text("{}")
        with pytest.raises(KeysRefused, match="onedoor keys make"):
            take(step, folder)
        assert (folder / PRIVATE).read_text() == "{}"
