"""Variables that do not fit: each is named with its place, and what would fit is said in both languages."""

from typing import Any

import pytest
from graphql import GraphQLError, GraphQLScalarType, OperationDefinitionNode, build_schema, get_variable_values, parse
from hypothesis import given
from hypothesis import strategies as st

from services.kit.language import Language
from services.kit.variables import LONGEST_PATH, misfits

SCHEMA = build_schema("""
scalar Date
enum Colour { RED GREEN }
input Place { street: String! floor: Int }
input Near @oneOf { code: String place: Place }
type Query { f(n: Int!, m: Float, b: Boolean, i: ID, d: Date, c: Colour, p: Place, l: [Place!], near: Near): Int }
""")
QUERY = """query ($n: Int!, $m: Float, $b: Boolean = true, $i: ID, $d: Date, $c: Colour, $p: Place, $l: [Place!], $near: Near) {
  f(n: $n, m: $m, b: $b, i: $i, d: $d, c: $c, p: $p, l: $l, near: $near)
}"""
(OPERATION,) = parse(QUERY).definitions
assert isinstance(OPERATION, OperationDefinitionNode)
DEFINITIONS = OPERATION.variable_definitions or ()


def _date(value: Any) -> Any:
    if value != "2026-11-25":
        raise GraphQLError("no date")
    return value


date = SCHEMA.type_map["Date"]
assert isinstance(date, GraphQLScalarType)
date.coerce_input_value = _date


class TestMisfits:
    @pytest.mark.parametrize(
        ("given", "path", "english"),
        [
            ({"n": None}, "n", "a value is needed"),
            ({}, "n", "a value is needed"),
            ({"n": "1"}, "n", "a whole number from -2147483648"),
            ({"n": 2**31}, "n", "a whole number from -2147483648"),
            ({"n": 1, "m": "x"}, "m", "send a number"),
            ({"n": 1, "b": 1}, "b", "send true or false"),
            ({"n": 1, "i": 1.5}, "i", "send a text"),
            ({"n": 1, "d": "yesterday"}, "d", "a date such as 2026-11-25"),
            ({"n": 1, "c": "BLUE"}, "c", "one of RED, GREEN"),
            ({"n": 1, "p": "King Street"}, "p", "an object with named fields"),
            ({"n": 1, "p": {"floor": 2}}, "p.street", "a value is needed"),
            ({"n": 1, "p": {"street": 5}}, "p.street", "send a text"),
            ({"n": 1, "p": {"street": "King", "flor": 2}}, "p.flor", "this field is unknown"),
            ({"n": 1, "l": [{"street": "King"}, {"street": None}]}, "l.1.street", "a value is needed"),
            ({"n": 1, "l": {"street": 5}}, "l.street", "send a text"),
            ({"n": 1, "near": {}}, "near", "exactly one of code, place"),
            ({"n": 1, "near": {"code": "x", "place": {"street": "K"}}}, "near", "exactly one of code, place"),
        ],
    )  # fmt: skip
    def test_are_named_with_their_place_and_remedy(self, given: dict[str, Any], path: str, english: str) -> None:
        (found,) = misfits(SCHEMA, DEFINITIONS, given, 5)
        assert found.path == path
        assert english in found.remedy.en
        assert found.remedy.fr != found.remedy.en
        error = found.as_error("r", Language.FR)
        assert error["extensions"]["field"] == path
        assert error["message"] == error["extensions"]["text"]["fr"]
        assert error["locations"][0]["line"] == 1

    def test_no_more_are_told_than_asked_for(self) -> None:
        assert len(misfits(SCHEMA, DEFINITIONS, {"n": 1, "l": [{"street": 5}] * 50}, 3)) == 3

    def test_a_callers_own_name_is_not_repeated_without_end(self) -> None:
        (found,) = misfits(SCHEMA, DEFINITIONS, {"n": 1, "p": {"street": "K", "x" * 10_000: 1}}, 5)
        assert len(found.path) == LONGEST_PATH

    @given(
        st.fixed_dictionaries(
            {},
            optional={
                name: st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(
                    ["RED", "2026-11-25", {}, {"street": "K"}, {"street": 1}, [{"street": "K"}], [None], {"code": "x"}]
                )
                for name in "nmbidcpl"
            } | {"near": st.sampled_from([None, {}, {"code": "x"}, {"code": None}, 5])},
        )
    )  # fmt: skip
    def test_are_found_exactly_where_the_library_finds_some(self, given: dict[str, Any]) -> None:
        values = get_variable_values(SCHEMA, DEFINITIONS, given)
        assert bool(misfits(SCHEMA, DEFINITIONS, given, 5)) == isinstance(values, list)
