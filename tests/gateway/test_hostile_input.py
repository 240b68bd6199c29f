"""Whatever a caller sends ends in an answer or in a coded error in both languages; never a 5xx, and nothing is fetched."""

from collections.abc import Callable

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.engine import planner
from gateway.settings import Limits
from services.kit.settings import Mode
from services.kit.testing import tokens
from tests.gateway.conftest import Door, Opening, Reply

BOOK = {"data": {"book": {"title": "Waves"}}}
TEXT = '{ book(isbn: "1") { title } }'


def refused(reply: Reply, status: int, code: str) -> None:
    """The reply is that refusal, complete, in both languages."""
    assert (reply.status, reply.codes[:1]) == (status, [code])
    for error in reply.body["errors"]:
        text = error["extensions"]["text"]
        assert text["en"] and text["fr"]
        assert error["extensions"]["correlationId"] == reply.headers["x-request-id"]
    assert b"Traceback" not in reply.content


class TestBodies:
    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            (b"", 400, "BAD_REQUEST"),
            (b"{", 400, "BAD_REQUEST"),
            (b"null", 400, "BAD_REQUEST"),
            (b'"text"', 400, "BAD_REQUEST"),
            (b"\xff\xfe", 400, "BAD_REQUEST"),
            (b"{}", 400, "BAD_REQUEST"),
            (b'{"query": 1}', 400, "BAD_REQUEST"),
            (b'{"query": "  "}', 400, "BAD_REQUEST"),
            (b'{"query": "{ books { title } }", "variables": []}', 400, "BAD_REQUEST"),
            (b'{"query": "{ books { title } }", "operationName": 7}', 400, "BAD_REQUEST"),
            (b'{"query": "{ books { title } }", "extensions": "x"}', 400, "BAD_REQUEST"),
            (b'{"query": "{ book(isbn: \\"\\ud800\\") { title } }"}', 400, "BAD_REQUEST"),
            (b'[{"query": "{ books { title } }"}]', 400, "BATCH_REFUSED"),
            (b"[]", 400, "BATCH_REFUSED"),
            (b"[" * 100_000, 400, "BAD_REQUEST"),
            (b'{"query": "' + b"x" * 1_048_577 + b'"}', 413, "PAYLOAD_TOO_LARGE"),
        ],
    )
    async def test_what_is_no_request_is_refused(self, open_door: Opening, body: bytes, status: int, code: str) -> None:
        door = open_door()
        refused(await door.send("POST", body), status, code)
        assert door.subgraphs.sent == []

    @pytest.mark.parametrize(
        "content_type",
        ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx",
         "application/json; charset=utf-16"],
    )  # fmt: skip
    async def test_other_media_types_are_refused_so_that_forms_cannot_act(
        self, open_door: Opening, content_type: str
    ) -> None:
        door = open_door()
        body = orjson.dumps({"query": 'mutation { addBook(input: {isbn: "1", title: "T"}) { isbn } }'})
        refused(await door.send("POST", body, {"content-type": content_type}), 415, "UNSUPPORTED_MEDIA_TYPE")
        assert door.subgraphs.sent == []

    async def test_a_body_at_the_limit_is_read(self, open_door: Opening) -> None:
        door = open_door(books=BOOK)
        body = orjson.dumps({"query": TEXT})
        assert (await door.send("POST", body + b" " * (1_048_576 - len(body)))).body == BOOK

    async def test_an_answer_in_a_form_that_does_not_exist_is_not_given(self, open_door: Opening) -> None:
        refused(await open_door().post(TEXT, {"accept": "image/png"}), 406, "NOT_ACCEPTABLE")

    @settings(
        max_examples=150,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(st.binary(max_size=200) | st.text(max_size=100).map(lambda t: orjson.dumps({"query": _plain(t)})))
    async def test_no_bytes_break_it(self, open_door: Opening, body: bytes) -> None:
        reply = await open_door().send("POST", body)
        assert reply.status < 500
        assert reply.codes or "data" in reply.body  # it may be drawn whole


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


class TestOperations:
    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("{ book(isbn: ", "GRAPHQL_PARSE_FAILED"),
            ("{ books { title } } \u0000", "GRAPHQL_PARSE_FAILED"),
            ("\u202e{ books }", "GRAPHQL_PARSE_FAILED"),
            ("😀", "GRAPHQL_PARSE_FAILED"),
            ("{" * 9_000, "GRAPHQL_PARSE_FAILED"),
            ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
            ("{ books }", "GRAPHQL_VALIDATION_FAILED"),
            ("{ book { title } }", "GRAPHQL_VALIDATION_FAILED"),
            ("{ books(first: 99999999999999999999) { title } }", "GRAPHQL_VALIDATION_FAILED"),
            ("{ books(genre: PROSE) { title } }", "GRAPHQL_VALIDATION_FAILED"),
            ("{ ...F } fragment F on Query { ...F }", "GRAPHQL_VALIDATION_FAILED"),
            ("{ books { title } } { books { title } }", "GRAPHQL_VALIDATION_FAILED"),
            ("query A { books { title } } query B { books { title } }", "OPERATION_RESOLUTION_FAILURE"),
            ("fragment F on Book { title }", "GRAPHQL_VALIDATION_FAILED"),
            ("type Query { a: Int }", "GRAPHQL_VALIDATION_FAILED"),
            ("{ _entities(representations: []) { __typename } }", "GRAPHQL_VALIDATION_FAILED"),
            ("{ _service { sdl } }", "GRAPHQL_VALIDATION_FAILED"),
            ("{ books { title @include(if: true) @include(if: true) } }", "GRAPHQL_VALIDATION_FAILED"),
        ],
    )
    async def test_what_the_schema_does_not_have_is_refused(self, open_door: Opening, text: str, code: str) -> None:
        door = open_door()
        refused(await door.post(text, {"accept": "application/graphql-response+json"}), 400, code)
        assert door.subgraphs.sent == []

    @pytest.mark.parametrize(
        ("text", "limit"),
        [
            ("{ " + " ".join(f'a{i}: book(isbn: "{i}") {{ title }}' for i in range(29)) + " }", "aliases 29, at most 20"),
            ("{ books { " + " ".join(f"a{i}: title" for i in range(21)) + " } }", "aliases 21, at most 20"),
            ("{ ...F ...F ...F ...F } fragment F on Query { " + 'book(isbn: "1") { title } ' * 6 + "}",
             "root fields 24, at most 10"),
            ("{ books { ...A ...A ...A } } fragment A on Book { ...B ...B ...B ...B ...B } "
             "fragment B on Book { isbn title genre isbn title genre isbn title }",
             "fields, fragments spread out 121, at most 100"),
            ("{ books { title " + "@include(if: true) " * 10 + "} }", "directives in one place 10, at most 5"),
            ("{ __typename" + "@nothing" * 10 + " }", "directives in one place 10, at most 5"),
            ("{ " + "books { " * 40 + "title" + " }" * 41, "depth 41, at most 20"),
            ("{ " + "books { " * 5_000, "depth, at most 20"),
            ("{ " + "a " * 10_001 + "}", "tokens, at most 10000"),
            ("{ books { opinions { text } } }", "cost 30, at most 25"),
        ],
    )  # fmt: skip
    async def test_an_operation_over_a_limit_is_refused_before_any_fetch(
        self, open_door: Opening, text: str, limit: str
    ) -> None:
        door = open_door(limits=Limits(aliases=20, root_fields=10, fields=100, cost=25))
        reply = await door.post(text, {"accept": "application/graphql-response+json"})
        refused(reply, 400, "OPERATION_TOO_LARGE")
        (error,) = reply.body["errors"]
        assert limit in error["message"]
        assert str(error["extensions"]["limit"]["most"]) in error["extensions"]["text"]["fr"]
        assert door.subgraphs.sent == []

    async def test_fields_that_would_be_compared_too_often_are_refused(self, open_door: Opening) -> None:
        reply = await open_door().post("{ books { " + "title " * 300 + "} }")
        refused(reply, 200, "OPERATION_TOO_LARGE")
        assert "comparisons of repeated fields, at most 50000" in reply.body["errors"][0]["message"]

    async def test_what_takes_too_much_planning_is_refused(
        self, open_door: Opening, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(planner, "MOST_STEPS", 0)
        door = open_door()
        reply = await door.post("{ books { opinions { text } } }")
        refused(reply, 200, "OPERATION_TOO_LARGE")
        assert "steps of planning, at most 40000" in reply.body["errors"][0]["message"]
        assert door.subgraphs.sent == []

    async def test_a_fragment_bomb_is_measured_without_being_spread(self, open_door: Opening) -> None:
        """Each of sixty fragments spreads the next one twice: 2^60 fields."""
        bomb = "{ books { ...F0 } } " + " ".join(
            f"fragment F{i} on Book {{ a{i}: isbn ...F{i + 1} ... on Book {{ ...F{i + 1} }} }}" for i in range(60)
        )
        reply = await open_door().post(bomb + " fragment F60 on Book { isbn }")
        refused(reply, 200, "OPERATION_TOO_LARGE")

    async def test_an_unknown_operation_name_is_refused(self, open_door: Opening) -> None:
        reply = await open_door().post("query A { books { title } }", operationName="B")
        refused(reply, 200, "OPERATION_RESOLUTION_FAILURE")

    @pytest.mark.parametrize("mode", [Mode.TEST, Mode.PRODUCTION])
    async def test_the_schema_is_told_outside_production_only(self, open_door: Opening, mode: Mode) -> None:
        shown = await open_door(mode=mode).post("{ __schema { queryType { name } } }")
        hint = await open_door(mode=mode).post("{ bokos { title } }")
        if mode is Mode.PRODUCTION:
            refused(shown, 200, "GRAPHQL_VALIDATION_FAILED")
            assert b"Did you mean" not in hint.content
        else:
            assert shown.body == {"data": {"__schema": {"queryType": {"name": "Query"}}}}
            assert b"Did you mean" in hint.content


class TestVariables:
    @pytest.mark.parametrize("value", [None, 1.5, True, [], {}, ["1"], {"a": 1}])
    async def test_a_value_of_another_type_is_refused(self, open_door: Opening, value: object) -> None:
        door = open_door()
        reply = await door.post("query ($id: ID!) { book(isbn: $id) { title } }", variables={"id": value})
        refused(reply, 200, "BAD_USER_INPUT")
        assert door.subgraphs.sent == []

    @pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**63, 10**30, 1.5, "1", 1e308])
    async def test_a_number_that_is_no_int_is_refused(self, open_door: Opening, value: object) -> None:
        text = b'{"query":"query ($n: Int) { books(first: $n) { title } }","variables":{"n":%b}}'
        number = str(value).encode() if isinstance(value, int) else orjson.dumps(value)
        refused(await open_door().send("POST", text % number), 200, "BAD_USER_INPUT")

    @pytest.mark.parametrize("given", [{}, {"b": {"isbn": "1"}}, {"b": {"isbn": "1", "title": "T", "more": 1}}])
    async def test_an_input_with_missing_or_unknown_fields_is_refused(
        self, open_door: Opening, given: dict[str, object]
    ) -> None:
        door = open_door()
        reply = await door.post("mutation ($b: BookInput!) { addBook(input: $b) { isbn } }", variables=given)
        refused(reply, 200, "BAD_USER_INPUT")
        assert door.subgraphs.sent == []

    async def test_a_null_condition_is_refused(self, open_door: Opening) -> None:
        text = "query ($c: Boolean) { books { title @include(if: $c) } }"
        reply = await open_door().post(text, variables={"c": None})
        assert reply.status == 200
        assert reply.codes[0] in ("BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED")

    @pytest.mark.parametrize("value", ["x" * 10_000, "\u202eevil", "😀", "é\u0301", "\u0000", "a\nb"])
    async def test_any_text_reaches_the_service_that_owns_the_rule_unchanged(
        self, open_door: Opening, value: str
    ) -> None:
        door = open_door(books=BOOK)
        reply = await door.post("query ($id: ID!) { book(isbn: $id) { title } }", variables={"id": value})
        assert reply.body == BOOK
        assert door.subgraphs.sent[0][1]["variables"] == {"id": value}


class TestMethods:
    async def test_get_answers_queries(self, open_door: Opening) -> None:
        door = open_door(books=BOOK)
        assert (await door.send("GET", query="query=%7Bbook(isbn:%221%22)%7Btitle%7D%7D")).body == BOOK

    async def test_get_never_changes_anything(self, open_door: Opening) -> None:
        door = open_door()
        reply = await door.send("GET", query="query=mutation%7BaddBook(input:%7Bisbn:1,title:%221%22%7D)%7Bisbn%7D%7D")
        refused(reply, 405, "METHOD_NOT_ALLOWED")
        assert reply.headers["allow"] == "POST"
        assert door.subgraphs.sent == []

    @pytest.mark.parametrize(
        "query", ["", "query=%ff", "query=%7Bbooks%7D&variables=%7B", "&" * 200, "query=a&a=b" * 101]
    )
    async def test_an_address_that_cannot_be_read_is_refused(self, open_door: Opening, query: str) -> None:
        assert (await open_door().send("GET", query=query)).status in (200, 400)

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
    async def test_other_methods_are_refused(self, open_door: Opening, method: str) -> None:
        refused(await open_door().send(method), 405, "METHOD_NOT_ALLOWED")


WRONG_TOKENS: dict[str, Callable[[], str]] = {
    "a letter": lambda: "x",
    "three letters": lambda: "a.b.c",
    "ended": lambda: tokens.token(audience="onedoor", exp=1),
    "to come": lambda: tokens.token(audience="onedoor", nbf=4_000_000_000),
    "for another": lambda: tokens.token(audience="inspections"),
    "by another": lambda: tokens.token(audience="onedoor", iss="http://elsewhere.test"),
    "of another kind": lambda: tokens.token(audience="onedoor", typ="ID"),
    "of nobody": lambda: tokens.token(audience="onedoor", sub=None),
    "altered": lambda: tokens.token(audience="onedoor")[:-4] + "AAAA",
    "unsigned": lambda: "eyJhbGciOiJub25lIn0." + tokens.token(audience="onedoor").split(".")[1] + ".",
    "long": lambda: "x" * 20_000,
}


class TestCallers:
    @pytest.mark.parametrize("wrong", WRONG_TOKENS)
    async def test_a_token_that_is_not_valid_here_is_refused(self, open_door: Opening, wrong: str) -> None:
        door, token = open_door(), WRONG_TOKENS[wrong]()
        reply = await door.post(TEXT, {"authorization": f"Bearer {token}"})
        refused(reply, 401, "UNAUTHENTICATED")
        assert reply.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
        assert token == "x" or token.encode() not in reply.content
        assert door.subgraphs.sent == []

    async def test_a_valid_token_travels_unchanged(self, open_door: Opening) -> None:
        door, token = open_door(books=BOOK), tokens.token(audience="onedoor")
        assert (await door.post(TEXT, {"authorization": f"Bearer {token}"})).body == BOOK
        assert f"authorization: Bearer {token}\r\n".encode() in door.subgraphs.headers

    async def test_no_token_is_the_public(self, open_door: Opening) -> None:
        door = open_door(books=BOOK)
        assert (await door.post(TEXT)).body == BOOK
        assert b"authorization" not in door.subgraphs.headers


class TestLanguages:
    @pytest.mark.parametrize(
        ("accepted", "told"),
        [("", "en"), ("fr", "fr"), ("fr-CA,fr;q=0.9,en;q=0.1", "fr"), ("en;q=0.5, fr;q=0.4", "en"), ("de", "en"),
         ("\r\n", "en"), ("*;q=x", "en")],
    )  # fmt: skip
    async def test_errors_speak_the_callers_language(self, open_door: Opening, accepted: str, told: str) -> None:
        reply = await open_door().send("POST", b"{", {"accept-language": accepted})
        error = reply.body["errors"][0]
        assert error["message"] == error["extensions"]["text"][told]
        assert reply.headers["content-language"] == told


async def test_a_door_remembers_few_operations(open_door: Opening) -> None:
    door: Door = open_door(books=BOOK)
    for number in range(10):
        assert (await door.post(f'query Q{number} {{ book(isbn: "1") {{ title }} }}')).body == BOOK
    assert len(door.app._operations._known) <= 3  # type: ignore[attr-defined]
