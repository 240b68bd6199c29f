"""The shape of the repository, as rules that a machine can read."""

import ast
import re
import subprocess
import tomllib
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP_FOLDERS = ("gateway", "services", "clusters", "contracts", "loadtests", "tests", "docs")
PACKAGES = ("gateway", "services", "clusters", "loadtests")
NAMELESS = {"utils", "util", "helpers", "helper", "manager", "managers", "base", "common", "misc"}
README_LINES = 70  # a page
SERVICES = sorted(p.parent.name for p in ROOT.glob("services/*/service.py") if p.parent.name != "kit")


def tracked(pattern: str) -> list[Path]:
    """Files under version control, or about to be, whose path matches."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in done.stdout.splitlines() if (path := ROOT / name).exists()]


MODULES = [p for p in tracked("*.py") if p.relative_to(ROOT).parts[0] in PACKAGES and "versions" not in p.parts]


class TestFolders:
    @pytest.mark.parametrize("folder", TOP_FOLDERS)
    def test_each_says_on_a_page_what_lives_there(self, folder: str) -> None:
        lines = (ROOT / folder / "README.md").read_text().splitlines()
        assert 5 <= len(lines) <= README_LINES

    def test_the_top_level_holds_what_it_always_held(self) -> None:
        allowed = {
            *(*TOP_FOLDERS, ".ci"),
            *(".gitignore", ".dockerignore", "CHANGELOG.md", "Dockerfile", "LICENSE", "Makefile", "README.md"),
            *("docker-compose.yml", "pyproject.toml", "uv.lock"),
        }
        assert {p.relative_to(ROOT).parts[0] for p in tracked(".")} <= allowed

    def test_commands_of_the_repository_can_be_executed(self) -> None:
        assert [p.name for p in sorted((ROOT / ".ci").iterdir()) if not p.stat().st_mode & 0o111] == []


class TestDecisions:
    def test_each_has_a_number_of_its_own_and_says_it(self) -> None:
        records = sorted((ROOT / "docs" / "decisions").glob("*.md"))
        numbers = [record.name[:4] for record in records]
        assert len(set(numbers)) == len(numbers)
        for record in records:
            assert record.read_text().startswith(f"# {int(record.name[:4])}. "), record.name


class TestDependencies:
    def test_each_that_the_project_names_has_its_line_of_reason(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        named = [*project["project"]["dependencies"], *chain(*project["dependency-groups"].values())]
        packages = {re.split(r"[<>=!~;\[ ]", requirement)[0] for requirement in named}
        table = (ROOT / "docs" / "dependencies.md").read_text()
        listed = re.findall(r"[\w*.-]+", " ".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)))
        assert [
            p for p in sorted(packages) if not any(fnmatch(p, pattern) for pattern in listed if len(pattern) > 1)
        ] == []


class TestModules:
    @pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
    def test_each_opens_by_saying_what_belongs_there(self, path: Path) -> None:
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree) or not tree.body

    def test_none_has_a_name_that_says_nothing(self) -> None:
        assert [str(p.relative_to(ROOT)) for p in MODULES if {p.stem, p.parent.name} & NAMELESS] == []

    def test_packages_initialise_nothing(self) -> None:
        """What is imported is what was asked for: a lean process would otherwise pay for a package's contents."""
        full = [p for p in MODULES if p.name == "__init__.py" and len(ast.parse(p.read_text()).body) > 1]
        assert [str(p.relative_to(ROOT)) for p in full] == []


class TestGroups:
    @pytest.mark.xdist_group("a group")
    def test_of_tests_are_told_to_who_hands_them_out(self, request: pytest.FixtureRequest) -> None:
        """By their names: where pytest and pytest-xdist disagree about those, each worker starts a province of its own."""
        assert request.node.nodeid.endswith("@a group") == request.config.getoption("loadgroup", False)


class TestServices:
    def test_there_are_services(self) -> None:
        assert SERVICES

    @pytest.mark.parametrize("name", SERVICES)
    def test_each_migrates_its_own_database(self, name: str) -> None:
        assert list((ROOT / "services" / name / "migrations" / "versions").glob("*.py"))

    @pytest.mark.parametrize("name", SERVICES)
    def test_each_is_a_part_of_the_province_and_promises_its_schema(self, name: str) -> None:
        from clusters.topology import BY_NAME, Kind

        assert BY_NAME[name].kind is Kind.SERVICE
        assert (ROOT / "contracts" / "subgraphs" / f"{name}.graphql").exists()
