"""What it costs to know who asks, in microseconds a request: at the gateway, for a known token, a new one, and a proof of a key.

Beside each stands the floor of the same run: what a signature takes that nobody can avoid.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.jwk import RSAKey

from gateway.callers import Callers
from gateway.exchange import Exchange
from gateway.settings import Settings
from services.kit.dpop import Prover
from services.kit.settings import Issuer, Mode
from services.kit.testing import tokens
from services.kit.tokens import Keys, Verifier

ROUNDS, CALLS = 15, 60
URL = "https://api.example.ca/graphql"
KEY = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig", "alg": "RS256"})  # as Keycloak signs
KNOWN_MOST_US = 250.0


async def published() -> dict[str, Any]:
    return {"keys": [KEY.as_dict(private=False)]}


def token(number: int, **claims: Any) -> str:
    now = int(time.time())
    payload = {
        "iss": tokens.URL,
        "sub": tokens.subject_of("owner"),
        "aud": ["onedoor", "business-registration", "information-referral", "inspections", "catalogue", "accounts"],
        "azp": "onedoor-cli",
        "typ": "Bearer",
        "iat": now,
        "exp": now + 300,
        "jti": str(number),
        "sid": "5f5e0a0f-8b6e-4a0e-9b0e-0d6d0c1b2a3f",
        "acr": "1",
        "auth_time": now,
        "scope": "openid business:read business:register inspection:read",
        "realm_access": {"roles": ["citizen"]},
        **claims,
    }
    header = {"alg": "RS256", "kid": "rsa", "typ": "at+jwt"}
    return jws.serialize_compact(header, orjson.dumps(payload), KEY, algorithms=["RS256"])


async def nowhere(_: Any) -> None:
    """The answer is not looked at."""


def exchange(headers: dict[str, str]) -> Exchange:
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Exchange({"type": "http", "method": "POST", "query_string": b"", "headers": lines}, nowhere)


async def spent(callers: Callers, exchanges: list[Exchange]) -> float:
    """Microseconds of processor time a request takes to be known."""
    gc.collect()
    begun = time.process_time()
    for one in exchanges:
        await callers.identify(one)
    taken = (time.process_time() - begun) * 1e6 / len(exchanges)
    assert all(one.claims is not None for one in exchanges)
    return taken


def floor_us(sign: Callable[[], Callable[[], object]]) -> float:
    check = sign()
    begun = time.process_time()
    for _ in range(CALLS):
        check()
    return (time.process_time() - begun) * 1e6 / CALLS


def p256() -> Callable[[], object]:
    key = ec.generate_private_key(ec.SECP256R1())
    signature, public = key.sign(b"x" * 300, ec.ECDSA(hashes.SHA256())), key.public_key()
    return lambda: public.verify(signature, b"x" * 300, ec.ECDSA(hashes.SHA256()))


@pytest.mark.bench
async def test_who_asks() -> None:
    issuer, keys = Issuer(tokens.URL, tokens.URL), Keys(published)
    settings = Settings(Path("unread"), Mode.TEST, public_urls=(URL,))
    callers = Callers(Verifier(issuer, "onedoor", keys), settings)
    prover, numbers = Prover(), iter(range(10**9))
    bound = token(next(numbers), cnf={"jkt": prover.thumbprint})
    plain = {"authorization": f"Bearer {token(next(numbers))}"}
    await callers.identify(exchange(plain))
    await callers.identify(exchange(prover.headers("POST", URL, bound)))
    kinds: dict[str, Callable[[], Iterator[dict[str, str]]]] = {
        "a known token": lambda: (plain for _ in range(CALLS)),
        "a new token": lambda: ({"authorization": f"Bearer {token(next(numbers))}"} for _ in range(CALLS)),
        "a known token with its proof": lambda: (prover.headers("POST", URL, bound) for _ in range(CALLS)),
    }
    found: dict[str, list[float]] = {name: [] for name in (*kinds, "floor: one ES256", "making a proof")}
    for _ in range(ROUNDS):
        for name, headers in kinds.items():
            found[name].append(await spent(callers, [exchange(one) for one in headers()]))
        found["floor: one ES256"].append(floor_us(p256))
        found["making a proof"].append(floor_us(lambda: lambda: prover.proof("POST", URL, bound)))
    print(f"\n{'who asks, µs of processor time':32} {'median':>8} {'least':>8}")
    for name, values in found.items():
        print(f"{name:32} {statistics.median(values):8.1f} {min(values):8.1f}")
    assert statistics.median(found["a known token"]) < KNOWN_MOST_US
