"""What the benches of gateways share."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from signal import SIGTERM
from typing import Any
from urllib.request import urlopen

import orjson
import pytest

from clusters.compose import compose
from clusters.local.processes import end, free_port, spawn, wait_until
from services.catalogue.cluster_file import SubgraphEntry
from services.kit.testing import tokens
from tests.bench.gateways.subgraphs import FOLDER, NAMES


@pytest.fixture(scope="module")
def supergraph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The supergraph of running subgraphs."""
    folder, port = tmp_path_factory.mktemp("gateways"), free_port()
    log = folder / "subgraphs.log"
    server = spawn([sys.executable, "-m", "tests.bench.gateways.subgraphs", str(port)], log, env=dict(os.environ))
    try:
        wait_until(partial(_answers, f"http://127.0.0.1:{port}/"), server, "subgraphs", log, patience_s=20)
        parts = [
            (
                SubgraphEntry.model_validate(
                    {"name": name, "url": f"http://127.0.0.1:{port}/{name}", "owner": "bench"}
                ),
                (FOLDER / "subgraphs" / f"{name}.graphql").read_text(),
            )
            for name in NAMES
        ]
        file = folder / "supergraph.graphql"
        file.write_text(compose(parts))
        yield file
    finally:
        end(server, SIGTERM, 5)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """The address of an issuer that publishes the test key."""
    document = orjson.dumps(asyncio.run(tokens.published()))

    class Published(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Published)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
