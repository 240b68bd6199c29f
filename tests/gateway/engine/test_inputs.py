"""Inputs mean to subgraphs what they mean to one schema: each kind of value as literal and as variable, in every position.

The judge is the GraphQL library on the schema that clients see, on the same data: a field's value tells the arguments it got.
"""

import itertools
from typing import Any

import orjson
import pytest
from graphql import get_operation_ast, get_variable_values, parse, validate

from tests.gateway.engine import case_files
from tests.gateway.engine.world import World

ABSENT: Any = object()
# by argument: its type, and values as literal and as JSON
VALUES: dict[str, tuple[str, list[tuple[str, Any]]]] = {
    "int": ("Int", [("0", 0), ("-2147483648", -(2**31)), ("2147483647", 2**31 - 1), ("null", None)]),
    "must": ("Int!", [("1", 1)]),
    "float": ("Float", [("1", 1), ("1e3", 1e3), ("-0.25", -0.25), ("1.7976931348623157e308", 1.7976931348623157e308)]),
    "text": ("String", [('""', ""), ('"é\\u00e9\\n\\"$v\\""', 'éé\n"$v"'), ('"""\n  block\n    "x"\n"""', 'block\n  "x"')]),
    "flag": ("Boolean", [("true", True), ("false", False), ("null", None)]),
    "id": ("ID", [('"1"', "1"), ("1", 1), ("12345678901234567890123", "12345678901234567890123"), ("-1", -1)]),
    "level": ("Level", [("LOW", "LOW"), ("HIGH", "HIGH"), ("null", None)]),
    "any": (
        "Json",
        [
            ("{a: [1, 2.5, null, true, {b: LOW}]}", {"a": [1, 2.5, None, True, {"b": "LOW"}]}),
            ("[]", []), ('"x"', "x"), ("null", None), ("9007199254740993", 9007199254740993), ("1", 1), ("{}", {}),
        ],
    ),
    "list": ("[Int]", [("1", 1), ("[1]", [1]), ("[]", []), ("[null, 2]", [None, 2]), ("null", None)]),
    "grid": ("[[Int!]!]", [("1", 1), ("[1, 2]", [[1], [2]]), ("[[1], [2, 3]]", [[1], [2, 3]]), ("[]", []), ("[[]]", [[]])]),
    "deep": (
        "Deep",
        [
            ("{}", {}), ("{n: 1, s: null}", {"n": 1, "s": None}), ("null", None),
            ("{more: {level: HIGH, more: []}}", {"more": {"level": "HIGH", "more": []}}),
            ("{grid: 1, f: 2, id: 3, any: {n: null}}", {"grid": 1, "f": 2, "id": 3, "any": {"n": None}}),
            ("{choice: {text: \"x\"}, b: false}", {"choice": {"text": "x"}, "b": False}),
        ],
    ),
    "choice": ("Choice", [("{number: 1}", {"number": 1}), ('{text: ""}', {"text": ""}), ("null", None)]),
}  # fmt: skip
EACH = [(name, literal, value) for name, (_, values) in VALUES.items() for literal, value in values]


@pytest.fixture(scope="module")
def world() -> World:
    case = case_files.read("inputs")
    return World(case.subgraphs, case.supergraph, plain=True)


def both(argument: str) -> str:
    """A selection that gives an argument to a field of each subgraph."""
    return f"{{ thing {{ a({argument}) b({argument}) }} }}"


def accepted(world: World, text: str, variables: dict[str, Any]) -> bool:
    document, schema = parse(text), world.supergraph.api_schema
    node = get_operation_ast(document)
    assert node is not None
    if validate(schema, document):
        return False
    return not isinstance(get_variable_values(schema, node.variable_definitions or (), variables), list)


def alike(world: World, text: str, variables: dict[str, Any] | None = None) -> str:
    """What a field of the gateway's answer tells it got; fails where the judge's answer is another."""
    given = orjson.loads(orjson.dumps(variables or {}))  # as it comes from the wire
    assert accepted(world, text, given), text
    assert world.difference(text, given) is None
    data, _, _ = world.federated(parse(text), given)
    assert data is not None
    assert data["thing"]["a"].replace(".a", ".b", 1) == data["thing"]["b"]
    return str(data["thing"]["a"])


@pytest.mark.parametrize(("name", "literal", "value"), EACH)
class TestEachValue:
    def test_as_literal_and_as_variable_it_means_the_same(
        self, world: World, name: str, literal: str, value: Any
    ) -> None:
        kind = VALUES[name][0]
        told = alike(world, both(f"{name}: {literal}"))
        if name != "float":  # 1 and 1.0 are the same number in other letters
            assert alike(world, f"query($v: {kind}) {both(f'{name}: $v')}", {"v": value}) == told
        assert alike(world, f"query($v: {kind} = {literal}) {both(f'{name}: $v')}") == told

    def test_it_overrules_a_default_of_the_variable(self, world: World, name: str, literal: str, value: Any) -> None:
        kind, values = VALUES[name]
        text = f"query($v: {kind} = {values[0][0]}) {both(f'{name}: $v')}"
        assert alike(world, text, {"v": value}) == alike(
            world, f"query($v: {kind}) {both(f'{name}: $v')}", {"v": value}
        )


class TestAbsence:
    @pytest.mark.parametrize("name", [name for name in VALUES if name != "must"])
    def test_an_absent_variable_leaves_the_argument_out_and_null_does_not(self, world: World, name: str) -> None:
        text = f"query($v: {VALUES[name][0]}) {both(f'{name}: $v')}"
        assert alike(world, text) == alike(world, "{ thing { a b } }")
        assert alike(world, text, {"v": None}) == alike(world, both(f"{name}: null"))

    def test_a_nullable_variable_in_a_place_with_a_default_that_must_not_be_null(self, world: World) -> None:
        text = f"query($v: Int) {both('must: $v')}"
        assert alike(world, text) == alike(world, "{ thing { a b } }")
        document = parse(text)
        data, errors, _ = world.federated(document, {"v": None})
        assert data == world.whole(document, {"v": None})[0] == {"thing": None}
        assert [error["path"] for error in errors] == [["thing", "a"]]


INSIDE = {
    "deep: {n: $v}": ("Int! = 4", [ABSENT, 1]),
    "deep: {s: $v}": ("String", [ABSENT, None, "x"]),
    "deep: {s: $v, n: 2, more: [{}, {s: $v}]}": ("String = \"d\"", [ABSENT, None, "x"]),
    "deep: {more: $v}": ("[Deep!]", [ABSENT, None, [], {"n": 1}, [{"more": {}}]]),
    "deep: {level: $v}": ("Level = HIGH", [ABSENT, None, "LOW"]),
    "deep: {any: {x: $v, y: [$v]}}": ("Json", [None, 1, [1.5], {"z": None}]),
    "deep: {choice: {number: $v}}": ("Int!", [1]),
    "list: [$v, 2, $v]": ("Int", [ABSENT, None, 1]),
    "list: $v": ("[Int!]", [ABSENT, None, 1, [1, 2]]),
    "grid: [$v]": ("[Int!]!", [1, [], [1, 2]]),
    "grid: [[$v], $w]": ("Int!, $w: [Int!]!", [1]),
    "any: $v": ("Json", [ABSENT, None, 0, False, "", [], {}]),
}  # fmt: skip


class TestInside:
    """Variables in lists and input objects: what is absent is not null there either."""

    @pytest.mark.parametrize(
        ("argument", "kind", "value"), [(a, kind, value) for a, (kind, values) in INSIDE.items() for value in values]
    )
    def test_it_means_what_it_means_to_one_schema(self, world: World, argument: str, kind: str, value: Any) -> None:
        variables = {} if value is ABSENT else {"v": value}
        alike(world, f"query($v: {kind}) {both(argument)}", {**variables, "w": [7]} if "$w" in kind else variables)


class TestRefused:
    """What the client's schema does not admit reaches no subgraph."""

    @pytest.mark.parametrize(
        ("kind", "argument", "value"),
        [
            ("Int", "int: $v", "1"), ("Int", "int: $v", 2**31), ("Int", "int: $v", 1.5), ("Int", "int: $v", True),
            ("Float", "float: $v", "1"), ("Float", "float: $v", True), ("String", "text: $v", 1),
            ("Boolean", "flag: $v", 0), ("Boolean", "flag: $v", "true"), ("ID", "id: $v", 1.5), ("ID", "id: $v", True),
            ("Level", "level: $v", "MID"), ("Level", "level: $v", "low"), ("Level", "level: $v", 0),
            ("[Int]", "list: $v", ["1"]), ("[[Int!]!]", "grid: $v", [[None]]), ("[[Int!]!]", "grid: $v", [1, None]),
            ("Deep", "deep: $v", {"n": None}), ("Deep", "deep: $v", {"unknown": 1}), ("Deep", "deep: $v", []),
            ("Choice", "choice: $v", {}), ("Choice", "choice: $v", {"number": 1, "text": "x"}),
            ("Choice", "choice: $v", {"number": None}), ("Int!", "must: $v", None), ("Int!", "must: $v", ABSENT),
        ],
    )  # fmt: skip
    def test_a_variable_of_the_wrong_kind(self, world: World, kind: str, argument: str, value: Any) -> None:
        assert not accepted(world, f"query($v: {kind}) {both(argument)}", {} if value is ABSENT else {"v": value})

    @pytest.mark.parametrize(
        "argument",
        ["int: 1.0", "int: 2147483648", "int: \"1\"", "float: \"1\"", "text: LOW", "flag: 0", "id: 1.5", "level: \"LOW\"",
         "level: MID", "list: [\"1\"]", "grid: [[null]]", "deep: {n: null}", "deep: {unknown: 1}", "must: null", "choice: {}",
         "choice: {number: 1, text: null}", "unknown: 1"],
    )  # fmt: skip
    def test_a_literal_of_the_wrong_kind(self, world: World, argument: str) -> None:
        assert not accepted(world, both(argument), {})


class TestMerging:
    def test_one_field_by_several_values_is_several_and_by_one_value_one(self, world: World) -> None:
        pairs = itertools.combinations(["list: [1]", "list: 1", 'deep: {s: "1"}', "deep: {}", "any: {a: 1, b: 2}"], 2)
        for number, (one, other) in enumerate(pairs):
            text = (
                f"{{ thing {{ x{number}: a({one}) y: a({other}) b({one}) z: b({other}) }} thing {{ y: a({other}) }} }}"
            )
            assert world.difference(text, {}) is None
