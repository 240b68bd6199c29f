"""What one request costs each gateway in processor time: ours, and the best that can be had, in one interleaved run.

The three shapes of `operations.graphql` over four subgraphs that cost next to nothing. Each gateway has its whole pipeline
on; in-flight de-duplication is off everywhere, to subgraphs as well. A round loads one gateway after the other; the figures
are medians of the rounds. `HIVE_ROUTER` names the binary of Hive Router, which is then measured too, `BENCH_PYTHON` the
interpreter that ours runs on: an image's is built with optimisations that one built by hand may lack. `BENCH_CONNECTIONS` says
how many requests are under way at once.
"""

import asyncio
import os
import statistics
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from graphql import parse, print_ast, separate_operations

from gateway.http1 import Origin
from services.kit.testing import tokens
from tests.bench.gateways.contestants import (
    COMPILED,
    OURS,
    Command,
    Contestant,
    compiled_into,
    ours,
    peers,
    running,
)
from tests.bench.gateways.subgraphs import FOLDER

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
CONNECTIONS = int(os.environ.get("BENCH_CONNECTIONS", "4"))
REQUESTS = {"Heavy": 150, "Small": 800, "Single": 1_200}  # in a round, of one gateway
WARM_UP = {"Heavy": 300, "Small": 1_500, "Single": 1_500}
GOALS = {
    "Hive Gateway, Rust planner": {"Heavy": 4, "Small": 4, "Single": 5},
    "Apollo Gateway": {"Heavy": 12, "Small": 10, "Single": 9},
}
pytestmark = pytest.mark.bench
Figures = dict[tuple[str, str], list[float]]  # gateway and shape → milliseconds of processor time a request, per round


def bodies() -> dict[str, bytes]:
    """The request of each shape."""
    apart = separate_operations(parse((FOLDER / "operations.graphql").read_text()))
    return {name: orjson.dumps({"query": print_ast(document)}) for name, document in apart.items()}


async def load(one: Contestant, body: bytes, headers: bytes, requests: int, connections: int = CONNECTIONS) -> bytes:
    """Send a number of requests over a few connections. Returns the last answer's body."""
    origin = Origin(one.url, connections, 1 << 26, connections)
    left, last = iter(range(requests)), b""

    async def work() -> None:
        nonlocal last
        for _ in left:
            answer = await origin.post(body, headers, asyncio.get_running_loop().time() + 60)
            assert answer.status == 200, answer.body
            last = answer.body

    await asyncio.gather(*(work() for _ in range(connections)))
    origin.close()
    return last


async def measured(contestants: Sequence[Contestant], headers: bytes) -> Figures:
    """Warm all up, hold their answers to be alike, then measure round by round."""
    shapes, figures = bodies(), Figures()
    for name, body in shapes.items():
        answers = [orjson.loads(await load(one, body, headers, WARM_UP[name])) for one in contestants]
        assert all("errors" not in answer for answer in answers), (name, [a.get("errors") for a in answers])
        assert all(answer["data"] == answers[0]["data"] for answer in answers), name
        print(f"{name}: {len(orjson.dumps(answers[0]))} bytes", flush=True)
    for number in range(ROUNDS):
        for name, body in shapes.items():
            for one in contestants:
                before = one.cpu_ns()
                await load(one, body, headers, REQUESTS[name])
                figures.setdefault((one.name, name), []).append((one.cpu_ns() - before) / REQUESTS[name] / 1e6)
        print(f"round {number + 1} of {ROUNDS}", flush=True)
    return figures


class TestGateways:
    def test_processor_time_of_a_request(self, supergraph: Path, issuer: str, tmp_path: Path) -> None:
        compiled = {COMPILED: ours(issuer, tree=tmp_path)} if compiled_into(tmp_path) else {}
        commands: dict[str, Command] = {
            OURS: ours(issuer),
            **compiled,
            **(peers() if os.environ.get("BENCH_PEERS", "1") == "1" else {}),
        }
        headers = f"Authorization: Bearer {_token(issuer)}\r\n".encode()
        with running(commands, supergraph) as contestants:
            figures = asyncio.run(measured(contestants, headers))
            memory = {one.name: one.resident_bytes() / 1e6 for one in contestants}
        print(table(figures, memory))
        drawn = draw(figures, Path("reports"))
        print(f"picture: {drawn}")
        assert memory[OURS] <= 150


def _token(issuer: str) -> str:
    return tokens.token("openid", audience="onedoor", iss=issuer, exp=4_000_000_000)


def table(figures: Figures, memory: dict[str, float]) -> str:
    """Milliseconds of processor time a request, how many times ours that is, and memory."""
    lines = [
        f"{'CPU ms a request (times ours)':32}" + "".join(f"{shape:>20}" for shape in REQUESTS) + f"{'memory':>12}"
    ]
    for name in dict.fromkeys(name for name, _ in figures):
        medians = [(statistics.median(figures[name, s]), statistics.median(figures[OURS, s])) for s in REQUESTS]
        cells = "".join(f"{mine:>10.3f} ({mine / base:>5.2f}x)" for mine, base in medians)
        lines.append(f"{name:32}{cells}{memory[name]:>9.0f} MB")
    best = COMPILED if (COMPILED, "Heavy") in figures else OURS
    for name, goals in GOALS.items():
        for shape, goal in goals.items():
            if (name, shape) in figures:
                ratio = statistics.median(figures[name, shape]) / statistics.median(figures[best, shape])
                held = "held" if ratio >= goal else "MISSED"
                lines.append(f"goal: {shape} of {best} at most 1/{goal} of {name}: {held} (1/{ratio:.1f})")
    return "\n".join(lines)


def draw(figures: Figures, folder: Path) -> Path:
    """One picture: bars of processor time by shape, the best and worst round as whiskers."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(name for name, _ in figures))
    plot, axes = pyplot.subplots(1, len(REQUESTS), figsize=(11, 0.55 * len(names) + 1.6), sharey=True)
    for axis, shape in zip(axes, REQUESTS, strict=True):
        rounds = [figures[name, shape] for name in names]
        middles = [statistics.median(r) for r in rounds]
        below = [middle - min(r) for middle, r in zip(middles, rounds, strict=True)]
        above = [max(r) - middle for middle, r in zip(middles, rounds, strict=True)]
        colours = ["#0b6e4f" if name in (OURS, COMPILED) else "#9aa5b1" for name in names]
        axis.barh(names, middles, xerr=[below, above], color=colours)
        axis.bar_label(axis.containers[-1], [f" {m:.2f}" for m in middles], padding=6)
        axis.set_title(shape)
        axis.set_xlim(0, max(map(max, rounds)) * 1.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].invert_yaxis()
    plot.supxlabel("processor time of one request, ms (median of rounds; best and worst)")
    plot.tight_layout()
    folder.mkdir(exist_ok=True)
    plot.savefig(folder / "gateways.png", dpi=120)
    return folder / "gateways.png"
