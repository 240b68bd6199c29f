"""Every audit of GraphQL over HTTP, by the package that wrote them, against a running gateway."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters import node
from clusters.local.observe import is_ready
from clusters.local.processes import end, free_port, spawn, wait_until

pytestmark = pytest.mark.stack
HERE = Path(__file__).parent
SUPERGRAPH = HERE.parent / "gateway" / "supergraph.graphql"


@pytest.fixture(scope="module")
def gateway_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway by itself: no audit asks a subgraph anything."""
    port, log = free_port(), tmp_path_factory.mktemp("gateway") / "gateway.log"
    env = {name: value for name, value in os.environ.items() if name != "ISSUER_URL"}
    command = [sys.executable, "-m", "clusters", "gateway", "--supergraph", str(SUPERGRAPH), "--port", str(port)]
    process = spawn(command, log, env=env)
    try:
        wait_until(lambda: is_ready(f"127.0.0.1:{port}"), process, "the gateway", log, patience_s=60)
        yield f"http://127.0.0.1:{port}/graphql"
    finally:
        end(process, signal.SIGTERM, patience_s=20)


def test_all_61_audits_pass(gateway_url: str) -> None:
    runtime = node.find()
    runtime.install(HERE / "node")
    done = subprocess.run(
        [*runtime.node, str(HERE / "node" / "audit.mjs"), gateway_url], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    audits = json.loads(done.stdout)
    assert [f"{a['id']} {a['name']}: {a.get('reason')}" for a in audits if a["status"] != "ok"] == []
    assert len(audits) == 61
