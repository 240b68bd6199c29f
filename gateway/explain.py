"""Explanations for operators: with the header `Onedoor-Explain`, an answer carries its plan, its cost and what was fetched.

Only for a token with the right to see the system's state: a plan names services, and how much they were asked.
"""

from typing import Any

import orjson

from gateway.access_log import in_milliseconds
from gateway.engine.plan import Plan
from gateway.errors import Refused
from gateway.exchange import Exchange
from gateway.operations import Operation
from services.kit import faults

HEADER = b"onedoor-explain"
RIGHT = "operations:read"


def asked(exchange: Exchange) -> bool:
    """Whether an explanation is asked for. Raises Refused FORBIDDEN when the caller lacks the right."""
    if HEADER not in exchange.headers:
        return False
    if exchange.claims is None or RIGHT not in exchange.claims.scopes:
        raise Refused(faults.FORBIDDEN if exchange.claims else faults.UNAUTHENTICATED, scope=RIGHT)
    return True


def explained(body: bytes, exchange: Exchange, operation: Operation, plan: Plan) -> bytes:
    """The JSON of an answer, with the explanation under `extensions.onedoor`."""
    told: dict[str, Any] = {
        "operation": operation.name,
        "document": operation.document_hash,
        "cost": exchange.cost,
        "fetched": in_milliseconds(exchange.fetches),
        "plan": plan.described(),
    }
    return body[:-1] + b',"extensions":' + orjson.dumps({"onedoor": told}) + b"}"
