"""What it costs a request that its operation asks something of the caller: to judge, and to find the plan that is left; and to
show an answer of which a part is denied."""

import gc
import statistics
import time
from collections.abc import Callable

import pytest
from graphql import get_operation_ast, parse, validate

from clusters.topology import SUPERGRAPH
from gateway import rights
from gateway.documents import Documents
from gateway.engine.access import Denial, Denials, Requirement
from gateway.engine.projection import Projection
from gateway.engine.supergraph import load_supergraph
from gateway.operations import Operations
from gateway.settings import Limits
from services.kit.tokens import Claims

pytestmark = pytest.mark.bench
CALLS, ROUNDS = 5_000, 15
OVERVIEW = (SUPERGRAPH.parent / "operations" / "BusinessOverview.graphql").read_text(encoding="utf-8")
LIST = "{ inspections(first: 100) { edges { cursor node { id number sector startedAt } } } }"


def median_us(call: Callable[[], object], calls: int = CALLS) -> float:
    taken = []
    for _ in range(ROUNDS):
        gc.collect()
        begun = time.process_time()
        for _ in range(calls):
            call()
        taken.append((time.process_time() - begun) / calls * 1e6)
    return statistics.median(taken)


def claims(*scopes: str) -> Claims:
    return Claims("someone", frozenset(scopes), frozenset(), "cli", "s", 2e9)


def test_judging() -> None:
    supergraph = load_supergraph(SUPERGRAPH.read_text(encoding="utf-8"))
    known = Operations(supergraph, Documents({}, only_trusted=False), Limits(), remembered=9, shows_schema=True)
    operation = known.find(OVERVIEW, None)
    values = {"businessNumber": "700000001", "service": "x", "first": 3}
    owner, stranger = claims("business:read", "inspection:read"), None

    def found(who: Claims | None) -> object:
        return operation.variant(values, denied=rights.denied(operation.asks, who, 1e9))

    floor = median_us(lambda: operation.variant(values))
    print(
        f"\n{len(operation.asks)} things asked of the caller of BusinessOverview, µs: its plan alone {floor:.2f}, for its owner "
        f"{median_us(lambda: found(owner)):.2f}, for a stranger {median_us(lambda: found(stranger)):.2f}"
    )


def test_showing() -> None:
    supergraph = load_supergraph(SUPERGRAPH.read_text(encoding="utf-8"))
    document = parse(LIST)
    node = get_operation_ast(document)
    assert node is not None
    whole = Projection(supergraph.api_schema, document, node)
    asked = Requirement("requiresScopes", (("inspection:plan",),))
    denials = Denials({("Inspection", "startedAt"): (asked,)}, {asked: Denial("FORBIDDEN")})
    less = Projection(supergraph.api_schema, document, node, denials=denials)
    assert validate(supergraph.api_schema, document) == []
    node_of = {"number": "2", "sector": "72", "startedAt": "2026-11-25T10:00:00Z"}
    edges = [{"cursor": "c", "node": {"id": str(number), **node_of}} for number in range(100)]
    data = {"inspections": {"edges": edges}}
    shown = median_us(lambda: whole.project(data, []), 200)
    denied = median_us(lambda: less.project(data, []), 200)
    print(f"\na page of 100, µs: shown {shown:.0f}, with one field of each denied {denied:.0f}")
