"""One subgraph does not answer: what did not depend on it stands, what is lost is null, and an error says where.

What may be lost at most is judged by a plan whose requests are not merged: all that it asks of others without waiting for the
one that is away has to be there.
"""

from typing import Any
from unittest.mock import patch

from graphql import get_operation_ast, parse

from gateway.engine import planner
from gateway.engine.execution import MOST_LOCATED, Execution
from gateway.engine.merge import numbered
from gateway.engine.plan import Fetch, Plan
from gateway.engine.projection import Projection
from gateway.engine.supergraph import Supergraph
from tests.gateway.engine.wire import read, written
from tests.gateway.engine.world import Json, World

AWAY = {"message": "It is away.", "extensions": {"code": "SUBGRAPH_UNAVAILABLE"}}
Place = tuple[str | int, ...]


def lost_too_much(world: World, text: str, variables: Json, subgraph: str) -> str | None:
    """How the answer to a query without a subgraph is wrong; None where it is as it should be."""
    document = parse(text)
    operation = get_operation_ast(document)
    assert operation is not None
    conditions = world.conditions(document, operation, variables)
    projection = Projection(world.supergraph.api_schema, document, operation, conditions)

    def answered(plan: Plan, away: str) -> tuple[Any, list[Json]]:
        execution = Execution(plan, variables)
        while not execution.done:
            for request in execution.ready():
                if request.fetch.subgraph == away:
                    execution.fail(request.fetch, AWAY)
                else:
                    execution.receive(request.fetch, read(request, world.serve(request)))
        errors = list(execution.errors)
        return written(projection.project(execution.data, errors)), errors

    plan = planner.plan_operation(world.supergraph, document, operation, conditions, world.labels)
    view = Supergraph.under(world.supergraph, world.labels)
    with patch.object(planner, "merged", lambda drafts: numbered({draft.id: draft for draft in drafts})):
        unmerged = planner.Planner(view).plan(document, operation, conditions)
    everything, _ = answered(plan, "")
    least, _ = answered(Plan(_apart(unmerged, subgraph)), "")
    found, errors = answered(plan, subgraph)
    told = f"{everything}\nwithout {subgraph} {found}\nat least {least}\nerrors {errors[:5]}\n{plan}"
    if not _within(found, everything) or not _within(least, found):
        return told
    if len(errors) >= MOST_LOCATED:  # the rest is not told
        return None
    places = [tuple(error.get("path", ())) for error in errors]
    for place in _gone(everything, found, ()):
        if not any(place[: len(other)] == other[: len(place)] for other in places):
            return f"nothing is told of {place}: {told}"
    return None


def _apart(plan: Plan, subgraph: str) -> tuple[Fetch, ...]:
    """The fetches that neither ask a subgraph nor wait for one that does."""
    lost: set[int] = set()
    for fetch in plan.fetches:
        if fetch.subgraph == subgraph or lost.intersection(fetch.after):
            lost.add(fetch.id)
    return tuple(fetch for fetch in plan.fetches if fetch.id not in lost)


def _within(less: Any, more: Any) -> bool:
    """Whether one answer is another with nulls in it."""
    if isinstance(less, dict) and isinstance(more, dict):
        return less.keys() <= more.keys() and all(_within(held, more[key]) for key, held in less.items())
    if isinstance(less, list) and isinstance(more, list):
        return len(less) == len(more) and all(_within(*pair) for pair in zip(less, more, strict=True))
    return less is None or bool(less == more)


def _gone(whole: Any, found: Any, place: Place) -> list[Place]:
    """Where an answer has nulls that another has not."""
    if isinstance(whole, dict) and isinstance(found, dict):
        return [p for key, held in found.items() for p in _gone(whole[key], held, (*place, key))]
    if isinstance(whole, list) and isinstance(found, list):
        return [p for i, pair in enumerate(zip(whole, found, strict=True)) for p in _gone(*pair, (*place, i))]
    return [place] if found is None and whole is not None else []
