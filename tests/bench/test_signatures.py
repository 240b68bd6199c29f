"""What trust between the door and the services costs: a signature at one end, its verification at the other."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusters.keys import PRIVATE, PUBLIC, Step, take
from gateway.engine.plan import Fetch
from gateway.exchange import Exchange
from gateway.signing import Signer
from services.kit.gate import Gate
from services.kit.signatures import sign, verify
from services.kit.signing_keys import KeyFile, public_keys, signing_key

CALLS, ROUNDS = 500, 15
TARGET = "http://127.0.0.1:8101/graphql"
BODY = b'{"query":"' + b"x" * 500 + b'"}'
TOKEN = b"Bearer " + b"t" * 900  # as long as Keycloak's
GOALS_MS = {"sign": 0.06, "verify": 0.16}
pytestmark = pytest.mark.bench


def median_ms(call: Callable[[], object]) -> float:
    """Milliseconds of processor time of a call: the median of some rounds."""
    taken = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(CALLS):
            call()
        taken.append((time.process_time() - begun) / CALLS * 1000)
    return statistics.median(taken)


async def _nowhere(_: object) -> None:
    """No answer is written."""


def test_a_signature(tmp_path: Path) -> None:
    take(Step.MAKE, tmp_path)
    key, known = signing_key((tmp_path / PRIVATE).read_bytes()), public_keys((tmp_path / PUBLIC).read_bytes())
    exchange = Exchange({"method": "POST", "headers": [(b"authorization", TOKEN)]}, _nowhere)
    exchange.document = "0" * 64
    fetch = Fetch(1, "inspections", "query", "{ __typename }", (), ())
    signer, gate = Signer(tmp_path / PRIVATE), Gate(KeyFile(tmp_path / PUBLIC, public_keys), TARGET)
    lines = signer.of(exchange, fetch, 15)("POST", TARGET, BODY)
    headers = [(b"authorization", TOKEN), *_split(lines)]
    context = dict(headers)[b"onedoor-context"].decode()
    scopes = [_scope([(b"authorization", TOKEN), *_split(signer.of(exchange, fetch, 15)("POST", TARGET, BODY))])
              for _ in range(CALLS * ROUNDS)]  # fmt: skip
    waiting = iter(scopes)
    now = time.time()
    found = {
        "sign": median_ms(lambda: sign(key, "POST", TARGET, BODY, context, TOKEN, now)),
        "verify": median_ms(lambda: verify("POST", TARGET, headers, BODY, known, now)),
        "a fetch at the gateway, its context and nonce included": median_ms(
            lambda: signer.of(exchange, fetch, 15)("POST", TARGET, BODY)
        ),
        "a call at the service, its context and nonce included": median_ms(lambda: gate.admit(next(waiting), BODY)),
    }
    print()
    for what, ms in found.items():
        goal = GOALS_MS.get(what)
        judged = "" if goal is None else f" (goal: at most {goal}: {'held' if ms <= goal else 'MISSED'})"
        print(f"{what}: {ms:.3f} ms{judged}")


def _split(lines: bytes) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, _, value in (line.partition(b": ") for line in lines.split(b"\r\n") if line)]


def _scope(headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {"method": "POST", "query_string": b"", "headers": headers}
