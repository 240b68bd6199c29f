"""Equal values at one place of an answer become one object, where nothing can make them differ later."""

from collections import defaultdict
from typing import Any

from gateway.engine.plan import Entities, Fetch, Input, Lookup, Narrowed, Plan

KEY = (Input("id", "id"),)


def plan(*paths: tuple[str | Narrowed, ...]) -> Plan:
    """A plan whose first request gives a tree, in which later ones look entities up at the paths."""
    later = (
        Fetch(n, "b", "query", "{}", (), (1,), (Lookup("_entities", "r", (Entities(path, "T", KEY, ("id",)),)),))
        for n, path in enumerate(paths, 2)
    )
    return Plan((Fetch(1, "a", "query", "{}", (), ()), *later))


def shared(answer: dict[str, Any], *paths: tuple[str | Narrowed, ...]) -> dict[str, Any]:
    point = plan(*paths).points.get((1, ""))
    if point is not None:
        point.share(answer, defaultdict(dict))
    return answer


class TestWhatIsShared:
    def test_equal_values_become_one(self) -> None:
        data = shared({"visits": [{"at": {"id": "1"}}, {"at": {"id": "2"}}, {"at": {"id": "1"}}]}, ("visits", "at"))
        first, second, third = (visit["at"] for visit in data["visits"])
        assert first is third
        assert first is not second

    def test_in_lists_of_lists(self) -> None:
        data = shared({"rows": [[{"id": "1"}], [{"id": "1"}, None]]}, ("rows",))
        assert data["rows"][0][0] is data["rows"][1][0]
        assert data == {"rows": [[{"id": "1"}], [{"id": "1"}, None]]}

    def test_below_what_is_shared_already(self) -> None:
        owner = {"id": "9"}
        data = shared(
            {"a": [{"id": "1", "owner": dict(owner)}, {"id": "1", "owner": dict(owner)}, {"id": "2", "owner": owner}]},
            ("a",),
            ("a", "owner"),
        )
        assert data["a"][0] is data["a"][1]
        assert data["a"][0]["owner"] is data["a"][2]["owner"]


class TestWhatIsNot:
    def test_values_that_differ_in_anything(self) -> None:
        data = shared({"a": [{"id": "1", "n": 1}, {"id": "1", "n": True}, {"id": "1", "n": 1.0}]}, ("a",))
        assert len({id(value) for value in data["a"]}) == 3

    def test_values_at_other_places(self) -> None:
        data = shared({"a": {"id": "1"}, "b": {"id": "1"}}, ("a",), ("b",))
        assert data["a"] is not data["b"]

    def test_values_nobody_looks_up(self) -> None:
        data = shared({"a": [{"w": 1}, {"w": 1}]}, ("b",))
        assert data["a"][0] is not data["a"][1]

    def test_a_place_that_is_reached_only_for_some_types(self) -> None:
        """Two types of parent give owners that look alike; what is looked up for one of them is not the other's."""
        data = shared(
            {"all": [{"__typename": "X", "owner": {"id": "1"}}, {"__typename": "Y", "owner": {"id": "1"}}]},
            ("all", "owner"),
            ("all", Narrowed(frozenset({"X"})), "owner"),
        )
        assert data["all"][0]["owner"] is not data["all"][1]["owner"]

    def test_the_answers_of_two_requests(self) -> None:
        """Also of one operation, at one time: what is merged into one of them is another caller's."""
        point = plan(("a",)).points[1, ""]
        answers = [{"a": {"id": "1"}}, {"a": {"id": "1"}}]
        for answer in answers:
            point.share(answer, defaultdict(dict))
        assert answers[0]["a"] is not answers[1]["a"]
