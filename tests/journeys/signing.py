"""Signs a call as the gateway of a running province does, for tests that go to a service directly."""

import time
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex

from services.kit.context import Context
from services.kit.language import Language
from services.kit.signatures import sign
from services.kit.signing_keys import signing_key


def signed(
    env: Mapping[str, str],
    target: str,
    body: bytes,
    token: str | None = None,
    *,
    at: float | None = None,
    context: Context | None = None,
    language: Language = Language.EN,
) -> dict[str, str]:
    """The headers of a POST of JSON to a service. `env` are the province's variables."""
    key = signing_key(Path(env["SIGNING_KEYS"]).read_bytes())
    now = time.time()
    told = context or Context(token_hex(16), fetch=token_hex(16), language=language, deadline_ms=int((now + 15) * 1000))
    given = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token is not None else {})}
    authorization = given["authorization"].encode() if token is not None else None
    lines = sign(key, "POST", target, body, told.header(), authorization, now if at is None else at)
    return given | dict(line.split(": ", 1) for line in lines.decode().split("\r\n") if line)
