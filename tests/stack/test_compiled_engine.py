"""The compiled engine, as the image has it: a copy of this tree compiled, and all tests of the engine run on it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE_S = 900
pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled copy of what the engine and its tests are made of."""
    tree = tmp_path_factory.mktemp("compiled")
    for folder in ("gateway", "services", "clusters", "contracts", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / folder, tree / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tree)
    done = run(tree, "-m", "gateway.compiling", str(tree))
    assert done.returncode == 0, done.stdout + done.stderr
    return tree


def run(tree: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Python in a tree, which sees that tree's modules."""
    env = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    env = {name: value for name, value in env.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )


class TestCompiledEngine:
    def test_it_is_what_a_process_of_that_tree_runs(self, compiled: Path) -> None:
        asked = "from gateway.compiling import MODULES, is_compiled; from importlib import import_module as load\n"
        asked += "print(is_compiled(), all(load(f'gateway.engine.{m}').__file__.endswith('.so') for m in MODULES))"
        assert run(compiled, "-c", asked).stdout.split() == ["True", "True"]

    def test_this_process_runs_the_plain_one(self) -> None:
        from gateway.compiling import is_compiled

        assert not is_compiled()

    def test_all_tests_of_the_engine_pass_on_it(self, compiled: Path) -> None:
        done = run(compiled, "-m", "pytest", "-p", "no:cacheprovider", "-n", "2", "tests/gateway/engine")
        assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-2_000:]
        assert " passed" in done.stdout
        assert " failed" not in done.stdout

    def test_a_command_without_a_tree_says_how_it_is_used(self) -> None:
        done = run(ROOT, "-m", "gateway.compiling")
        assert done.returncode == 1
        assert "gateway.compiling TREE" in done.stderr
