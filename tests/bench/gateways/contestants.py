"""The gateways that are measured, each started as a process of its own on the same supergraph, and what they cost."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM
from urllib.request import urlopen

import orjson

from clusters import node
from clusters.local.processes import end, free_port, spawn, wait_until

PEERS = Path(__file__).parent / "peers"
ROOT = Path(__file__).parents[3]
OURS = "One Door"
COMPILED = "One Door, compiled"  # as its image has it
PYTHON = os.environ.get("BENCH_PYTHON", sys.executable)
NODE_MAJOR = 22  # Hive Gateway asks for it
# What services hear of a caller.
PASSED_ON = [
    "authorization",
    "accept-language",
    "x-request-id",
    "onedoor-deadline",
    "onedoor-purpose",
    "onedoor-authority",
]


@dataclass(frozen=True, slots=True)
class Contestant:
    """A running gateway: where it answers and its process id."""

    name: str
    url: str
    pid: int

    def cpu_ns(self) -> int:
        """Processor time of the process, its threads and children so far, in nanoseconds, as the scheduler counts it."""
        return sum(_cpu_ns(pid) for pid in [self.pid, *_below(self.pid)])

    def resident_bytes(self) -> int:
        """Resident memory of the process and its children, in bytes."""
        pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in [self.pid, *_below(self.pid)])
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def _cpu_ns(pid: int) -> int:
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def cpu_ns_below(pid: int) -> dict[int, int]:
    """Processor time of each process that another has started, in nanoseconds."""
    return {child: _cpu_ns(child) for child in _below(pid)}


def _below(pid: int) -> list[int]:
    children = [int(c) for t in Path(f"/proc/{pid}/task").glob("*/children") for c in t.read_text().split()]
    return children + [further for child in children for further in _below(child)]


Command = Callable[[Path, int], tuple[list[str], Mapping[str, str], Path]]


def ours(issuer: str, workers: int = 1, tree: Path = ROOT) -> Command:
    """Our gateway with tokens verified by an issuer’s keys; its access log goes where everybody’s output goes. `tree` is where
    its code lies."""

    def command(supergraph: Path, port: int) -> tuple[list[str], Mapping[str, str], Path]:
        env = {
            "SUPERGRAPH": str(supergraph),
            "PORT": str(port),
            "ISSUER_URL": issuer,
            "ONEDOOR_MODE": "test",
            "WORKERS": str(workers),
            "PYTHONPATH": str(tree),
        }
        return [PYTHON, "-m", "gateway"], env, tree

    return command


def elsewhere(supergraph: str, address: Callable[[str], str]) -> str:
    """The supergraph with each subgraph at the address that its name gives."""
    graph = re.compile(r'@join__graph\(name: "(\w+)", url: "[^"]*"\)')
    return graph.sub(lambda m: f'@join__graph(name: "{m[1]}", url: "{address(m[1])}")', supergraph)


def compiled_into(tree: Path) -> bool:
    """Compile our gateway into a folder. Returns False where there is no C compiler."""
    if shutil.which("gcc") is None:
        return False
    for folder in ("gateway", "services", "clusters"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    command = [sys.executable, "-m", "gateway.compiling", str(tree)]
    subprocess.run(command, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, capture_output=True, check=True)
    return True


def apollo(supergraph: Path, port: int) -> tuple[list[str], Mapping[str, str], Path]:
    """Apollo Gateway, in Apollo Server."""
    return [*_node().node, str(PEERS / "apollo.mjs"), str(supergraph), str(port)], {"NODE_ENV": "production"}, PEERS


def hive(*flags: str) -> Command:
    """Hive Gateway; flags choose its planner."""

    def command(supergraph: Path, port: int) -> tuple[list[str], Mapping[str, str], Path]:
        program = PEERS / "node_modules" / "@graphql-hive" / "gateway" / "dist" / "bin.js"
        options = ["-c", str(PEERS / "hive.mjs"), "-h", "127.0.0.1", "-p", str(port), "--disable-websockets"]
        return (
            [*_node().node, str(program), "supergraph", str(supergraph), *options, *flags],
            {"NODE_ENV": "production"},
            PEERS,
        )

    return command


def hive_router(binary: str) -> Command:
    """Hive Router with one worker. It reads its settings in its working folder."""

    def command(supergraph: Path, port: int) -> tuple[list[str], Mapping[str, str], Path]:
        settings = {
            "supergraph": {"source": "file", "path": str(supergraph)},
            "http": {"host": "127.0.0.1", "port": port, "workers": 1},
            "traffic_shaping": {"all": {"dedupe_enabled": False}},
            "headers": {"all": {"request": [{"propagate": {"named": PASSED_ON}}]}},
            "subscriptions": {"enabled": True},
            "authorization": {"directives": {"enabled": False}},  # it refuses @policy to everybody; owners judge
            "error_masking": {"enabled": False},  # services tell callers nothing that they may not know
            "log": {"level": "error"},
        }
        folder = supergraph.parent / f"hive-router-{port}"
        folder.mkdir()
        (folder / "router.config.yaml").write_bytes(orjson.dumps(settings))  # JSON is YAML
        return [binary], {}, folder

    return command


def peers() -> dict[str, Command]:
    """The best that can be had, by name: from npm, and Hive Router where `HIVE_ROUTER` names its binary."""
    binary = os.environ.get("HIVE_ROUTER")
    return {
        "Apollo Gateway": apollo,
        "Hive Gateway, JIT": hive("--jit"),
        "Hive Gateway, Rust planner": hive("--hive-router-runtime"),
        **({"Hive Router": hive_router(binary)} if binary else {}),
    }


def _node() -> node.Node:
    return node.find(NODE_MAJOR)


@contextmanager
def running(commands: Mapping[str, Command], supergraph: Path) -> Iterator[list[Contestant]]:
    """All of them, started and ready, while the block lasts. Raises StartFailed with the last words of one that is not."""
    if any(name not in (OURS, COMPILED) for name in commands):
        _node().install(PEERS)
    with ExitStack() as ending:
        found = []
        for name, command in commands.items():
            port = free_port()
            arguments, env, folder = command(supergraph, port)
            log = supergraph.parent / f"{name.replace(' ', '-')}-{port}.log"
            process = spawn(["env", "-C", str(folder), *arguments], log, env={**os.environ, **env})
            ending.callback(end, process, SIGTERM, 10)
            url = f"http://127.0.0.1:{port}/graphql"
            wait_until(lambda url=url: _answers(url), process, name, log, patience_s=60)  # type: ignore[misc] # bound now
            found.append(Contestant(name, url, process.pid))
        yield found


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}?query=%7B__typename%7D", timeout=2) as answer:
            return int(answer.status) < 500
    except OSError as error:
        return getattr(error, "code", 500) < 500
