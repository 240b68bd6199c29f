"""`make setup` where something is missing: a sentence with the remedy, in the person's language. It needs no network here:
what it would fetch is refused before."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clusters.topology import ROOT

# A Python that some distributions ship: it makes environments without pip, and has neither pip nor ensurepip.
BARE = f"""#!/bin/sh
case "$*" in
    *"-m pip"*|*"-m ensurepip"*) echo "No module named pip" >&2; exit 1 ;;
    "-m venv --without-pip .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *) exec {sys.executable} "$@" ;;
esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with no more than the set-up needs to begin."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "setup", tmp_path / ".ci" / "setup")
    (tmp_path / "bin").mkdir()
    for tool in ("bash", "cut", "date", "dirname", "rm", "sh", "mkdir", "cp"):
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / "bin" / tool).symlink_to(found)
    return tmp_path


def set_up(clone: Path, lang: str = "C.UTF-8") -> "subprocess.CompletedProcess[str]":
    env = {"PATH": str(clone / "bin"), "LANG": lang}
    return subprocess.run([clone / ".ci" / "setup"], env=env, capture_output=True, text=True, check=False, timeout=60)


class TestWhatIsMissing:
    @pytest.mark.parametrize(
        ("lang", "said"), [("C.UTF-8", "needs Python 3.11 and none"), ("fr_CA.UTF-8", "a besoin de Python 3.11")]
    )
    def test_without_python_it_names_what_is_needed(self, clone: Path, lang: str, said: str) -> None:
        done = set_up(clone, lang)
        assert done.returncode == 1
        assert said in done.stderr
        assert "make setup PYTHON=/" in done.stderr

    @pytest.mark.parametrize(
        ("lang", "said"), [("C.UTF-8", "neither pip nor ensurepip"), ("fr_CA.UTF-8", "ni pip ni ensurepip")]
    )
    def test_with_a_python_that_can_install_nothing_it_names_the_package(
        self, clone: Path, lang: str, said: str
    ) -> None:
        python = clone / "bin" / "python3.11"
        python.write_text(BARE)
        python.chmod(0o755)
        done = set_up(clone, lang)
        assert done.returncode == 1
        assert said in done.stderr
        assert "apt-get install python3.11-venv" in done.stderr
        assert "No module" not in done.stderr
