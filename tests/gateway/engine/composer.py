"""Composes many sets of subgraphs in one Node process: a start costs more than a composition."""

import json
import subprocess
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from clusters import node
from clusters.compose import CONTRACTS


class Composer:
    """A composition process; a context manager."""

    def __enter__(self) -> Self:
        folder = CONTRACTS / "compose"
        runtime = node.find()
        runtime.install(folder)
        self._process = subprocess.Popen(
            [*runtime.node, str(folder / "compose.mjs"), "--lines"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def compose(self, subgraphs: Mapping[str, str]) -> tuple[str | None, list[str]]:
        """The supergraph of SDLs by name, or None and the problems."""
        request = [{"name": n, "url": f"http://{n}.test/graphql", "typeDefs": t} for n, t in sorted(subgraphs.items())]
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer.get("supergraph"), [f"{e['code']}: {e['message']}" for e in answer.get("errors", ())]
