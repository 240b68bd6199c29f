"""What somebody learns who does not know the schema and guesses at it, in production: no name that was not guessed whole."""

import re
from collections.abc import Iterator

import orjson
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    is_specified_scalar_type,
)

from clusters.topology import SUPERGRAPH
from gateway.app import Gateway
from gateway.engine.supergraph import load_supergraph
from gateway.settings import Settings
from services.kit.settings import Mode
from tests.gateway.conftest import Answers, Door

SCHEMA = load_supergraph(SUPERGRAPH.read_text(encoding="utf-8")).api_schema
TYPES = {n: t for n, t in SCHEMA.type_map.items() if not n.startswith("__") and not is_specified_scalar_type(t)}


def names() -> set[str]:
    """Every name in the schema that says something, apart from the words of the envelope itself."""
    found = set(TYPES)
    for declared in TYPES.values():
        if isinstance(declared, GraphQLEnumType):
            found |= set(declared.values)
        elif isinstance(declared, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            found |= set(declared.fields)
        if isinstance(declared, GraphQLObjectType):
            found |= {name for field in declared.fields.values() for name in field.args}
    return {name for name in found if len(name) > 4}


def misspelt(name: str) -> Iterator[str]:
    """What is near a name: a letter less, more, or another."""
    yield name[:-1]
    yield name + name[-1]
    yield name[0] + "x" + name[2:]


def probes() -> Iterator[str]:
    """Operations that are wrong in one near name: fields, arguments, types, values, input fields and variables."""
    assert SCHEMA.query_type
    for name in SCHEMA.query_type.fields:
        yield from (f"{{ {near} }}" for near in misspelt(name))
        yield from (f"{{ {name} {{ {near} }} }}" for near in ("nam", "titl", "idd", "nodes", "edgess", "curso"))
    for name, field in SCHEMA.query_type.fields.items():
        for argument in field.args:
            yield from (f"{{ {name}({near}: 1) }}" for near in misspelt(argument))
    for name, declared in TYPES.items():
        if isinstance(declared, GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType):
            yield from (f"{{ ... on {near} {{ id }} }}" for near in misspelt(name))
        yield from (f"query ($a: {near}) {{ __typename }}" for near in misspelt(name))


@pytest.fixture(scope="module")
def door() -> Door:
    settings = Settings(SUPERGRAPH, Mode.PRODUCTION)
    return Door(Gateway(settings).pipeline, Answers({}), settings)


def learnt(content: bytes, asked: str) -> set[str]:
    """Names of the schema that errors quote, and that were not in what was asked."""
    quoted = " ".join(
        re.findall(r"'[^']*'|\"[^\"]*\"", " ".join(e["message"] for e in orjson.loads(content)["errors"]))
    )
    return (set(re.findall(r"\w+", quoted)) & names()) - set(re.findall(r"\w+", asked))


class TestGuesses:
    async def test_a_near_name_is_answered_by_no_other_name(self, door: Door) -> None:
        tried = 0
        for asked in probes():
            reply = await door.post(asked)
            assert reply.body.get("errors"), asked
            assert learnt(reply.content, asked) == set(), reply.content
            assert b"Did you mean" not in reply.content
            tried += 1
        assert tried > 500
        assert door.subgraphs.sent == []

    @pytest.mark.parametrize("value", ["CORPORATIO", "corporation", "", 7])
    async def test_a_wrong_value_of_a_variable_is_answered_by_no_right_one(self, door: Door, value: object) -> None:
        text = 'query ($t: LegalType!) { nameCheck(name: "x", legalType: $t) { __typename } }'
        reply = await door.send("POST", orjson.dumps({"query": text, "variables": {"t": value}}))
        legal_type = SCHEMA.type_map["LegalType"]
        assert isinstance(legal_type, GraphQLEnumType)
        assert reply.codes == ["BAD_USER_INPUT"]
        assert not any(name in reply.content.decode() for name in legal_type.values)

    async def test_an_unknown_field_of_an_input_is_answered_by_no_known_one(self, door: Door) -> None:
        text = "mutation ($i: DraftApplicationInput!) { draftApplication(input: $i) { __typename } }"
        declared = SCHEMA.type_map["DraftApplicationInput"]
        assert isinstance(declared, GraphQLInputObjectType)
        for field in declared.fields:
            for near in misspelt(field):
                reply = await door.send("POST", orjson.dumps({"query": text, "variables": {"i": {near: "x"}}}))
                assert b"Did you mean" not in reply.content

    @pytest.mark.parametrize(
        "text",
        [
            "{ __schema { types { name } } }",
            '{ __type(name: "Business") { name } }',
            "{ ...F } fragment F on Query { __schema { __typename } }",
        ],
    )
    async def test_the_schema_is_not_told(self, door: Door, text: str) -> None:
        reply = await door.post(text)
        assert set(reply.codes) == {"GRAPHQL_VALIDATION_FAILED"}
        assert "data" not in reply.body
