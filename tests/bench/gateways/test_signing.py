"""What signing adds to a request at the gateway, beside the same gateway without: trust's share, in processor time."""

import asyncio
import statistics
from collections.abc import Mapping
from pathlib import Path

import pytest

from clusters.keys import PRIVATE, Step, take
from tests.bench.gateways.contestants import OURS, Command, ours, running
from tests.bench.gateways.test_gateways import REQUESTS, _token, measured

SIGNING = f"{OURS}, signing"
pytestmark = pytest.mark.bench


def signing(command: Command, keys: Path) -> Command:
    """A gateway that signs."""

    def with_keys(supergraph: Path, port: int) -> tuple[list[str], Mapping[str, str], Path]:
        arguments, env, folder = command(supergraph, port)
        return arguments, {**env, "SIGNING_KEYS": str(keys / PRIVATE)}, folder

    return with_keys


def test_trusts_share_of_a_request(supergraph: Path, issuer: str, tmp_path: Path) -> None:
    take(Step.MAKE, tmp_path)
    headers = f"Authorization: Bearer {_token(issuer)}\r\n".encode()
    with running({OURS: ours(issuer), SIGNING: signing(ours(issuer), tmp_path)}, supergraph) as both:
        figures = asyncio.run(measured(both, headers))
    for shape in REQUESTS:
        plain, signed = (statistics.median(figures[name, shape]) for name in (OURS, SIGNING))
        print(
            f"{shape}: {plain:.3f} ms of processor time a request, signing {signed - plain:.3f} more ({signed / plain:.2f}x)"
        )
