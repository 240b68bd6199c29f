"""How often each gateway answers a valid operation wrongly: random ones on random supergraphs with strict subgraphs, asked of
ours and of the best that can be had; the judge is the same data behind one schema.

`BENCH_SUPERGRAPHS`, `BENCH_OPERATIONS` (of each) and `BENCH_SEED` say how many and from where. `HIVE_ROUTER` names the binary of
Hive Router, which is then asked too. What ours answers otherwise than most of the others is printed, and whether they are right.
"""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from signal import SIGKILL
from typing import Any

import httpx
import orjson
import pytest
from graphql import GraphQLError, parse

from clusters.local.processes import StartFailed
from tests.bench.gateways.contestants import (
    OURS,
    Command,
    elsewhere,
    ours,
    peers,
    running,
)
from tests.gateway.engine.composer import Composer
from tests.gateway.engine.drawer import Drawer, Drawn
from tests.gateway.engine.splitter import Splitter
from tests.gateway.engine.world import World

pytestmark = pytest.mark.bench
SUPERGRAPHS = int(os.environ.get("BENCH_SUPERGRAPHS", "3"))
OPERATIONS = int(os.environ.get("BENCH_OPERATIONS", "100"))
SEED = int(os.environ.get("BENCH_SEED", "0"))
PATIENCE_S = 2.0
NOTHING = object()  # no answer, or none that is JSON


@dataclass
class Tally:
    """Of each gateway: operations asked, those answered wrongly, supergraphs that it does not load."""

    asked: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    alone: int = 0
    no_majority: int = 0
    told: list[str] = field(default_factory=list)

    def count(self, world: World, drawn: Drawn, expected: object, answers: dict[str, object]) -> None:
        """Take up what was answered to one operation."""
        for name, data in answers.items():
            self.asked[name] += 1
            self.wrong[name] += data != expected
        others = [data for name, data in answers.items() if name != OURS]
        most = next((data for data in others if others.count(data) > len(others) / 2), NOTHING)
        if most is NOTHING:
            self.no_majority += 1
        elif answers[OURS] != most:
            self.alone += 1
        if answers[OURS] != expected:
            sdl = "\n".join(f"== subgraph {name}\n{text}" for name, text in world.subgraphs.items())
            judged = "most of the others too" if most == expected else "the others do not agree with the judge either"
            self.told.append(
                f"{sdl}\n== operation\n{drawn.text}\n{drawn.variables}\nexpected {expected}\ngot {answers[OURS]}\n({judged})"
            )

    def table(self) -> str:
        """Lines for people."""
        lines = [f"{'':32}{'asked':>8}{'wrong':>8}{'share':>8}{'supergraphs refused':>22}"]
        for name, asked in self.asked.items():
            wrong = self.wrong[name]
            lines.append(f"{name:32}{asked:>8}{wrong:>8}{wrong / asked:>8.1%}{self.refused[name]:>22}")
        lines.append(
            f"ours differed from the majority of the others in {self.alone}; there was none in {self.no_majority}"
        )
        return "\n".join(lines)


@contextmanager
def serving(world: World) -> Iterator[str]:
    """The address of a world's strict subgraphs, each at its name."""
    one_at_a_time = threading.Lock()

    class Subgraph(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
            try:
                with one_at_a_time:
                    answer = world.answer(self.path[1:], body["query"], body.get("variables"))
            except (AssertionError, GraphQLError) as refused:
                answer = {"errors": [{"message": str(refused)}]}
            data = orjson.dumps(answer)
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Subgraph)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def worlds(composer: Composer) -> Iterator[World]:
    """Random supergraphs that compose. Those with labels are left out: each gateway is told of them otherwise."""
    seed, found = SEED, 0
    while found < SUPERGRAPHS:
        subgraphs = Splitter(seed).subgraphs()
        sdl = None if any("label:" in text for text in subgraphs.values()) else composer.compose(subgraphs)[0]
        if sdl is not None:
            found += 1
            yield World(subgraphs, sdl, seed)
        seed += 1


class Asked:
    """A gateway on one supergraph. It is started again when an operation has ended or stopped it, which some do."""

    def __init__(self, name: str, command: Command, supergraph: Path, http: httpx.Client) -> None:
        """Raises StartFailed where it does not load the supergraph."""
        self.name, self._command, self._supergraph, self._http = name, command, supergraph, http
        self._running = ExitStack()
        self._start()

    def _start(self) -> None:
        (self._one,) = self._running.enter_context(running({self.name: self._command}, self._supergraph))

    def data(self, drawn: Drawn) -> object:
        """What it answers to an operation, NOTHING where that is no GraphQL answer."""
        try:
            answer = self._http.post(self._one.url, json={"query": drawn.text, "variables": drawn.variables})
            return answer.json().get("data")
        except (httpx.HTTPError, ValueError):
            os.kill(self._one.pid, SIGKILL)  # one that is in a loop hears nothing else
            self.close()
            self._start()
            return NOTHING

    def close(self) -> None:
        self._running.close()


class TestRightAnswers:
    def test_ours_is_never_wrong(self, issuer: str, tmp_path: Path) -> None:
        commands = {OURS: ours(issuer), **peers()}
        tally = Tally()
        with Composer() as composer, httpx.Client(timeout=PATIENCE_S) as http:
            for number, world in enumerate(worlds(composer), 1):
                folder = tmp_path / str(number)
                folder.mkdir()
                self._try(world, commands, folder, http, tally)
                print(f"supergraph {number} of {SUPERGRAPHS}: {dict(tally.wrong)} wrong", flush=True)
        print("\n\n".join(tally.told))
        print(tally.table())
        assert tally.wrong[OURS] == tally.refused[OURS] == 0

    def _try(self, world: World, commands: dict[str, Command], folder: Path, http: httpx.Client, tally: Tally) -> None:
        with ExitStack() as ending:
            address = ending.enter_context(serving(world))
            supergraph = folder / "supergraph.graphql"
            supergraph.write_text(elsewhere(world.sdl, lambda name: f"{address}/{name}"), encoding="utf-8")
            found: list[Asked] = []
            for name, command in commands.items():
                try:
                    found.append(Asked(name, command, supergraph, http))
                    ending.callback(found[-1].close)
                except StartFailed:
                    tally.refused[name] += 1
            schema = world.supergraph.api_schema
            for number in range(OPERATIONS):
                kind = "mutation" if schema.mutation_type and number % 5 == 4 else "query"
                drawn = Drawer(schema, world.seed * 1000 + number).operation(kind)
                expected, errors, _ = world.whole(parse(drawn.text), drawn.variables)
                assert not errors, errors
                truth = orjson.loads(orjson.dumps(expected))
                tally.count(world, drawn, truth, {one.name: one.data(drawn) for one in found})
