"""The projection's fast form gives what its careful form gives, whatever the subgraphs answered."""

import copy
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from graphql import get_operation_ast, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.engine.execution import Execution
from gateway.engine.planner import plan_operation
from gateway.engine.projection import Projection
from tests.gateway.engine import town_data
from tests.gateway.engine.test_answers import EXAMPLES
from tests.gateway.engine.wire import read, written

TOWN = town_data.supergraph()
Slot = tuple[Any, Any]  # a list or an object, and an index or a key in it


def answered(text: str) -> tuple[Projection, dict[str, Any]]:
    """How an operation of the town is shown, and its merged data."""
    document = parse(text)
    operation = get_operation_ast(document)
    assert operation is not None
    execution = Execution(plan_operation(TOWN, document, operation, {}))
    while not execution.done:
        for request in execution.ready():
            execution.receive(request.fetch, read(request, town_data.answer_of(request, [])))
    return Projection(TOWN.api_schema, document, operation), execution.data


def slots(value: Any) -> Iterator[Slot]:
    """Every place in a tree that holds a value."""
    for key, held in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield value, key
        yield from slots(held)


class TestBothForms:
    @pytest.mark.parametrize("repeats", [False, True], ids=["once", "repeated"])
    @pytest.mark.parametrize("text", EXAMPLES.values(), ids=EXAMPLES.keys())
    def test_they_agree_on_what_is_right(self, text: str, repeats: bool) -> None:
        projection, data = answered(text)
        errors: list[dict[str, Any]] = []
        fast = orjson.dumps(projection.project(data, errors, repeats=repeats))
        assert fast == orjson.dumps(projection.carefully(data, errors))
        assert errors == []

    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_they_agree_on_what_is_damaged(self, draw: st.DataObject) -> None:
        projection, data = answered(draw.draw(st.sampled_from(list(EXAMPLES.values()))))
        data = copy.deepcopy(data)
        places = list(slots(data))
        for held, key in draw.draw(st.lists(st.sampled_from(places), max_size=3)) if places else ():
            held[key] = draw.draw(st.sampled_from([None, "x", 7, [], [None], {}, {"__typename": "Nobody"}, "Film"]))
        fast: list[dict[str, Any]] = []
        careful: list[dict[str, Any]] = []
        shown = orjson.dumps(projection.project(data, fast, repeats=draw.draw(st.booleans())))
        assert shown == orjson.dumps(projection.carefully(data, careful))
        assert fast == careful

    def test_what_several_places_share_is_shown_in_each(self) -> None:
        projection, data = answered("{ people { friends { name } } }")
        friend = data["people"][0]["friends"][0]
        for person in data["people"]:
            person["friends"] = [friend, friend]
        shown = written(projection.project(data, []))
        assert shown == {"people": [{"friends": [{"name": friend["name"]}] * 2}] * len(data["people"])}
