"""What a field needs from a subgraph that is away: the field is null, and an error says so where the client sees the loss."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.engine.execution import Execution
from gateway.engine.normalise import held_as
from gateway.engine.plan import Entities, Fetch, Input, Lookup, Plan

AWAY = {"message": "It is away.", "extensions": {"code": "SUBGRAPH_UNAVAILABLE"}}
ROOT = Fetch(1, "files", "query", "query { files { id parts { id } } }", (), ())
PARTS = Fetch(
    2,
    "weights",
    "query",
    "query($r: [_Any!]!) { _entities(representations: $r) { ... on Part { weight } } }",
    (),
    (1,),
    (Lookup("_entities", "r", (Entities(("files", "parts"), "Part", (Input("id", "id"),), ("id",)),)),),
)
FILES = Fetch(
    3,
    "files",
    "query",
    "query($r: [_Any!]!) { _entities(representations: $r) { ... on File { postage } } }",
    (),
    (1, 2),
    (
        Lookup(
            "_entities",
            "r",
            (
                Entities(
                    ("files",),
                    "File",
                    (Input("id", "id"), Input("parts", "parts", (Input("weight", "weight"),))),
                    ("id",),
                ),
            ),
        ),
    ),
)
STAMPS = Fetch(
    4,
    "stamps",
    "query",
    "query($r: [_Any!]!) { _entities(representations: $r) { ... on File { stamp } } }",
    (),
    (3,),
    (
        Lookup(
            "_entities",
            "r",
            (Entities(("files",), "File", (Input("id", "id"), Input("postage", "postage")), ("id",)),),
        ),
    ),
)


@pytest.fixture
def execution() -> Execution:
    """Two files are known; what their postage depends on is not."""
    run = Execution(Plan((ROOT, PARTS, FILES, STAMPS)))
    (request,) = run.ready()
    run.receive(request.fetch, {"data": {"files": [{"id": "1", "parts": [{"id": "a"}]}, {"id": "2", "parts": []}]}})
    return run


def paths(execution: Execution) -> list[Any]:
    return [error["path"] for error in execution.errors]


class TestAFieldWhoseInputsDidNotArrive:
    def test_is_told_of_at_the_value_that_it_belongs_to(self, execution: Execution) -> None:
        (request,) = execution.ready()
        execution.fail(request.fetch, AWAY)
        execution.ready()
        assert paths(execution) == [["files", 0, "parts", 0], ["files", 0]]
        assert execution.errors[1]["extensions"] == AWAY["extensions"]

    def test_is_asked_for_where_they_are_not_needed(self, execution: Execution) -> None:
        (request,) = execution.ready()
        execution.fail(request.fetch, AWAY)
        (request,) = execution.ready()
        assert b'{"id":"2","parts":[],"__typename":"File"}' in request.body
        assert b'"id":"1"' not in request.body

    def test_takes_along_what_is_computed_from_it(self, execution: Execution) -> None:
        (request,) = execution.ready()
        execution.fail(request.fetch, AWAY)
        (request,) = execution.ready()
        execution.receive(request.fetch, {"data": {"_entities": [{"postage": 3}]}})
        (request,) = execution.ready()
        assert b'{"id":"2","postage":3,"__typename":"File"}' in request.body
        assert b'"id":"1"' not in request.body
        assert paths(execution) == [["files", 0, "parts", 0], ["files", 0]]

    def test_is_told_of_under_the_keys_of_the_client(self) -> None:
        run = Execution(Plan((_under(ROOT), _under(PARTS), _under(FILES))))
        (request,) = run.ready()
        run.receive(request.fetch, {"data": {held_as("__typename", "files"): [{"id": "1", "parts": [{"id": "a"}]}]}})
        (request,) = run.ready()
        run.fail(request.fetch, AWAY)
        run.ready()
        assert paths(run) == [["__typename", 0, "parts", 0], ["__typename", 0]]


def _under(fetch: Fetch) -> Fetch:
    """A fetch of an operation that calls its files `__typename`."""
    lookups = tuple(
        replace(
            lookup,
            entities=tuple(
                replace(one, path=(held_as("__typename", "files"), *one.path[1:])) for one in lookup.entities
            ),
        )
        for lookup in fetch.lookups
    )
    return replace(fetch, lookups=lookups)
