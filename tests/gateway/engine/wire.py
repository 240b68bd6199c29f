"""Between the engine and the wire in tests: answers are read from JSON and written as JSON, as the gateway does it."""

from typing import Any
from unittest.mock import patch

import orjson

from gateway.engine import reading
from gateway.engine.execution import Request


def read(request: Request, answer: object) -> Any:
    """What the engine makes of a subgraph's answer; small ones are read as large ones are."""
    with patch.object(reading, "SMALL_BYTES", 0):
        return request.loads(orjson.dumps(answer))


def written(data: object) -> Any:
    """What a client reads of projected data."""
    return orjson.loads(reading.dumps(data))
