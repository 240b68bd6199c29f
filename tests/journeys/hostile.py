"""Values that nobody should send, for every variable of every registered operation, and what each answer must be like."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    parse,
    print_schema,
    type_from_ast,
)
from hypothesis import strategies as st

from clusters.topology import SUPERGRAPH
from gateway.engine.supergraph import load_supergraph

OPERATIONS = {path.stem: path.read_text() for path in sorted((SUPERGRAPH.parent / "operations").glob("*.graphql"))}
SCHEMA: GraphQLSchema = build_schema(print_schema(load_supergraph(SUPERGRAPH.read_text()).api_schema))

TEXTS = (
    "", "\t\n", "x" * 10_000, "\x00", "a\x07b", "\x1b[31mred", "\u0085", "\u202etxt.exe", "\u2066a\u2069", "\u200b", "\ufeff",
    "😀", "👩\u200d🚀🏳️\u200d🌈", "مرحبا بالعالم", "שלום עולם", "日本語",
    "Z̴̨͝a̵͜l̶g̸ó̷", "'; DROP TABLE business; --", "<script>alert(1)</script>",
    "../../etc/passwd", "%00%0a", "{{7*7}}", "null", "-1", "1e400", "\\", "%", "a:b & !c | (", "2026-02-30", "\ufffe", "ﷺ" * 50,
)  # fmt: skip
NUMBERS = (-1, 0, -(2**31), 2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63, 2**64, 10**30, 1.5, -0.0, 1e308, 5e-324)
MOMENTS = (
    "", "yesterday", "2026-02-30", "2026-13-01", "0000-00-00", "10000-01-01", "0001-01-01", "9999-12-31", "2026-11-25T25:00:00Z",
    "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "2026-11-25T10:00:00+99:00", "20261125", "x" * 10_000, "\x00",
    "٢٠٢٦-١١-٢٥",
)  # fmt: skip
WRONG_TYPES: tuple[Any, ...] = (None, True, 7, 1.5, [], [[]], {"a": 1}, ["text"])

# What must never be seen by a caller: stacks, SQL, addresses, the insides of libraries.
LEAKS = re.compile(
    r"Traceback|File \"|\.py\b|sqlalchemy|asyncpg|psycopg|pydantic|strawberry|SELECT .* FROM|INSERT INTO|relation \"|127\.0\.0\.1"
    r"|localhost|postgres|nats://|\binvalid literal|NoneType|object has no attribute|KeyError|ValueError|<class "
)


def operation_of(text: str) -> OperationDefinitionNode:
    """The one operation of a text."""
    (node,) = (d for d in parse(text).definitions if isinstance(d, OperationDefinitionNode))
    return node


def variable_types(text: str) -> dict[str, Any]:
    """The types of an operation's variables."""
    definitions = operation_of(text).variable_definitions or ()
    return {d.variable.name.value: type_from_ast(SCHEMA, d.type) for d in definitions}


def fitting(expected: Any, known: dict[str, Any], name: str = "") -> Any:
    """A value of a type that its service would take; `known` holds those of certain names."""
    if isinstance(expected, GraphQLNonNull):
        return fitting(expected.of_type, known, name)
    if isinstance(expected, GraphQLList):
        return [fitting(expected.of_type, known, name)]
    if isinstance(expected, GraphQLInputObjectType):
        return {inner: fitting(field.type, known, inner) for inner, field in expected.fields.items()}
    if isinstance(expected, GraphQLEnumType):
        return known.get(name, next(iter(expected.values)))
    usual = {"Int": 1, "Float": 0.5, "Boolean": False, "Date": "2027-01-15", "DateTime": "2026-11-25T10:00:00-05:00"}
    return known.get(name, usual.get(expected.name, "text"))


def spoiled(value: Any, expected: Any) -> Iterator[Any]:
    """Copies of a fitting value, each with one place in it replaced by something that nobody should send."""
    if isinstance(expected, GraphQLNonNull):
        expected = expected.of_type
    yield from WRONG_TYPES
    if isinstance(expected, GraphQLList):
        yield value * 500
        yield from ([inner] for inner in spoiled(value[0], expected.of_type))
    elif isinstance(expected, GraphQLInputObjectType):
        yield {**value, "more": 1}
        for name, inner in expected.fields.items():
            yield {other: kept for other, kept in value.items() if other != name}
            yield from ({**value, name: bad} for bad in spoiled(value[name], inner.type))
    elif not isinstance(expected, GraphQLEnumType):
        yield from {"Int": NUMBERS, "Float": NUMBERS, "Boolean": (), "Date": MOMENTS, "DateTime": MOMENTS}.get(
            expected.name, TEXTS
        )


def anything(expected: Any) -> st.SearchStrategy[Any]:
    """Mostly values of a type, whole ranges of them; sometimes of another."""
    if isinstance(expected, GraphQLNonNull):
        return anything(expected.of_type)
    if isinstance(expected, GraphQLList):
        return st.lists(anything(expected.of_type), max_size=4)
    if isinstance(expected, GraphQLInputObjectType):
        return st.fixed_dictionaries({name: anything(field.type) for name, field in expected.fields.items()})
    if isinstance(expected, GraphQLEnumType):
        return st.sampled_from([*expected.values, "NONE_OF_THEM"])
    any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(TEXTS)
    numbers = st.integers(-(2**31), 2**31 - 1) | st.sampled_from(NUMBERS)
    moments = st.datetimes().map(lambda m: m.isoformat() + "Z") | st.dates().map(str) | st.sampled_from(MOMENTS)
    usual = {"Int": numbers, "Float": numbers | st.floats(allow_nan=False, allow_infinity=False), "Boolean": st.booleans(),
             "Date": moments, "DateTime": moments}  # fmt: skip
    return usual.get(expected.name, any_text) | st.sampled_from(WRONG_TYPES)


@dataclass(frozen=True)
class Judged:
    """An answer that was found complete: the codes of its errors and refusals, and whether the caller was told yes."""

    codes: list[str] = field(default_factory=list)

    @property
    def told_no(self) -> bool:
        return bool(self.codes)


def judged(answer: httpx.Response, language: str = "fr") -> Judged:
    """Hold an answer to what every answer owes its caller. Raises AssertionError showing it."""
    shown = answer.text[:2000]
    assert answer.status_code < 500, shown
    assert not LEAKS.search(answer.text), (LEAKS.search(answer.text), shown)
    body = answer.json()
    codes = []
    for error in body.get("errors", ()):
        extensions = error["extensions"]
        text = extensions["text"]
        assert text["en"] and text["fr"] and text["en"] != text["fr"], shown
        assert error["message"] == text[language], shown
        assert extensions["correlationId"] == answer.headers["x-request-id"], shown
        assert extensions["code"] not in ("INTERNAL_FAULT", "SUBGRAPH_ERROR", "SUBGRAPH_MALFORMED"), shown
        if extensions["code"] == "BAD_USER_INPUT":
            assert extensions["field"], shown
        codes.append(extensions["code"])
    for value in (body.get("data") or {}).values():
        if isinstance(value, dict) and value.get("__typename") == "Refused":
            assert value["code"] and value["message"]["en"] and value["message"]["fr"], shown
            assert value["message"]["in"] == value["message"][language], shown
            assert value["field"] or value["code"] != "INVALID_INPUT", shown
            codes.append(value["code"])
    if answer.status_code >= 400:
        assert codes, shown
    return Judged(codes)
