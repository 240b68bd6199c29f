"""docs/security.md is held to the code: tests that it names exist; addresses and outgoing connections in it are all there are."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from clusters.access import access
from clusters.issuer.app import create_app
from gateway import app
from gateway.settings import Settings
from services.kit.settings import Issuer, Mode
from tests.architecture.test_layout import MODULES, ROOT, SERVICES
from tests.architecture.test_unsigned import nothing_behind
from tests.gateway.conftest import SUPERGRAPH as SMALL

DOCUMENT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NETWORK = frozenset(
    {
        *(
            "aiohttp",
            "aiosmtplib",
            "asyncpg",
            "faststream",
            "ftplib",
            "http.client",
            "httpx",
            "keycloak",
            "nats",
            "opentelemetry.exporter",
        ),
        *("requests", "smtplib", "urllib.request", "urllib3", "websockets"),
    }
)
OPENING = frozenset({"open_connection", "create_connection", "open_unix_connection", "create_async_engine"})
MENTIONS = re.compile("|".join(sorted({name.split(".")[0] for name in NETWORK} | OPENING)))


def section(title: str) -> str:
    """A section's text, by its heading."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of a section's tables, without their heads."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| --"):
            yield [cell.strip() for cell in line.strip("| ").split(" | ")]


def named(text: str) -> list[str]:
    """The tests that a text names: files, and classes or functions in them."""
    return re.findall(r"`(tests/[\w/.-]+\.py(?:::\w+)*|tests/[\w/]+/)`", text)


class TestTheChecks:
    def test_are_all_sixteen_and_each_is_shown_or_said_to_be_open(self) -> None:
        checks = {cells[0]: cells for cells in rows(section("Checks")) if cells[0].isdecimal()}
        assert list(checks) == [str(number) for number in range(1, 17)]
        assert [n for n, cells in checks.items() if not named(cells[-1])] == []

    @pytest.mark.parametrize("name", sorted(set(named(DOCUMENT))))
    def test_name_tests_that_exist(self, name: str) -> None:
        path, *inside = name.split("::")
        assert (ROOT / path).exists()
        if not inside:
            return
        scope: ast.AST = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        for wanted in inside:
            found = [n for n in ast.iter_child_nodes(scope) if getattr(n, "name", None) == wanted]
            assert found, name
            scope = found[0]


class TestTheAddresses:
    def test_are_those_that_the_parts_serve(self, tmp_path: Path) -> None:
        listed: dict[str, set[str]] = {}
        for part, addresses, *_ in rows(section("Addresses")):
            if part != "part":
                listed.setdefault(part.strip("`"), set()).update(re.findall(r"`([^`]+)`", addresses))
        assert listed == dict(served(tmp_path))


def served(folder: Path) -> Iterator[tuple[str, set[str]]]:
    """Each part and the paths that it answers."""
    for mode, part in ((Mode.PRODUCTION, "gateway"), (Mode.LOCAL, "gateway, local mode")):
        settings = Settings(SMALL, mode, issuer=Issuer("http://a", "http://a"), public_urls=("http://a/graphql",))
        yield part, {"/graphql"} | {route.path for route in app._edge(app.Gateway(settings)).routes}  # type: ignore[attr-defined]
    for name in SERVICES:
        yield name, {route.path for route in nothing_behind(name, folder).routes}  # type: ignore[attr-defined]
    issuer = create_app("http://127.0.0.1:1/realms/onedoor", access())
    yield "development issuer", {route.path for route in issuer.routes}  # type: ignore[attr-defined]


@cache
def reaches_out(code: str) -> bool:
    """Whether a module imports what opens connections, or calls it by a name that does."""
    if not MENTIONS.search(code):
        return False
    for node in ast.walk(ast.parse(code)):
        names = [node.attr] if isinstance(node, ast.Attribute) else []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        if any(name in OPENING or _parents(name) & NETWORK for name in names):
            return True
    return False


def _parents(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[:n]) for n in range(1, len(parts) + 1)}


class TestOutgoingConnections:
    def test_are_opened_where_the_document_says_and_nowhere_else(self) -> None:
        listed = {m for cells in rows(section("Outgoing connections")) for m in re.findall(r"`([\w/]+\.py)`", cells[0])}
        names = {str(path.relative_to(ROOT)): path for path in MODULES}
        found = {name for name, path in names.items() if reaches_out(path.read_text(encoding="utf-8"))}
        assert {name for name in found if not name.startswith("loadtests/")} == listed

    def test_go_to_no_address_that_is_written_in_code(self) -> None:
        """Where to connect is a setting: a literal in a call would be a target that no operator chose."""
        for path in MODULES:
            code = path.read_text(encoding="utf-8")
            if path.relative_to(ROOT).parts[0] in ("gateway", "services") and reaches_out(code):
                for call in (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)):
                    given = (*call.args, *(keyword.value for keyword in call.keywords))
                    texts = [str(one.value) for one in given if isinstance(one, ast.Constant)]
                    assert not any(re.match(r"(https?|wss?|nats|tls|postgresql)://[\w\[]", text) for text in texts), (
                        path
                    )

    @pytest.mark.parametrize(
        ("code", "does"),
        [
            ("import httpx", True),
            ("from urllib import request", True),
            ("from urllib.parse import urlsplit", False),
            ("import http.client", True),
            ("async def f(loop): await loop.create_connection(a, b, c)", True),
            ("def f(): from websockets.asyncio.client import connect", True),
            ("from starlette.requests import Request", False),
            ("from clusters.local import nats", False),
        ],
    )
    def test_are_recognised(self, code: str, does: bool) -> None:
        assert reaches_out(code) == does
