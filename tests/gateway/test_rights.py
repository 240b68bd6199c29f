"""Who may see what at the front door: what a caller may not see is neither asked for nor shown, and said as its owner says it."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import structlog
from graphql import get_introspection_query

from gateway import rights
from gateway.callers import Callers
from gateway.engine.access import Access, Denial, Requirement
from gateway.engine.supergraph import Supergraph, load_supergraph
from services.kit import faults
from services.kit.testing import tokens
from services.kit.tokens import Claims
from tests.gateway.conftest import SDL, Door, Opening, Wired, http, playing
from tests.gateway.test_defer import DRAFT

GUARDED = (
    SDL.replace("  grade: Float @join", '  grade: Float @requiresScopes(scopes: [["grade:read"]]) @join')
    .replace("  genre: Genre @join", "  genre: Genre @authenticated @join")
    .replace(
        "  addBook(input: BookInput!): Book @join",
        '  addBook(input: BookInput!): Book @policy(policies: [["second_factor"]]) @join',
    )
    .replace(
        "  bookAdded(genre: Genre): Book @join",
        '  bookAdded(genre: Genre): Book @policy(policies: [["second_factor"]]) @join',
    )
    .replace("  best: Opinion @join", '  best: Opinion @policy(policies: [["nobody_knows"]]) @join')
    .replace("  firm: Book! @join", '  firm: Book! @requiresScopes(scopes: [["firm:read"]]) @join')
)
BOOK = {"data": {"book": {"title": "Waves", "isbn": "1"}}}
GRADE = {"data": {"_entities": [{"grade": 4.5}]}}
READ = '{ book(isbn: "1") { title grade } }'
ADD = 'mutation { addBook(input: {isbn: "1", title: "x"}) { title } }'
ASKS = {"accept": "text/event-stream"}
NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def supergraph() -> Supergraph:
    """The library, some of which not everybody may see."""
    return load_supergraph(GUARDED)


@pytest.fixture
def door(open_door: Opening) -> Door:
    return open_door(books=BOOK, opinions=GRADE)


def bearer(*scopes: str, **claims: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {tokens.token(*scopes, audience='onedoor', **claims)}"}


def just_now(ago_s: int = 0, acr: str = "2") -> dict[str, Any]:
    return {"acr": acr, "auth_time": int(time.time()) - ago_s}


def told(reply: Any) -> list[tuple[str, tuple[Any, ...]]]:
    return [(error["extensions"]["code"], tuple(error["path"])) for error in reply.body["errors"]]


class TestAField:
    async def test_that_is_denied_is_null_with_an_error_and_not_fetched(self, door: Door) -> None:
        reply = await door.post(READ)
        assert reply.status == 200
        assert reply.body["data"] == {"book": {"title": "Waves", "grade": None}}
        assert told(reply) == [("UNAUTHENTICATED", ("book", "grade"))]
        assert [name for name, _ in door.subgraphs.sent] == ["books"]
        assert "grade" not in str(door.subgraphs.sent)

    async def test_names_the_scope_that_is_missing_in_both_languages(self, door: Door) -> None:
        reply = await door.post(READ, {**bearer("grade:write"), "accept-language": "fr"})
        (error,) = reply.body["errors"]
        assert error["message"] == "Vous n’y êtes pas autorisé. Le droit qui manque : grade:read."
        assert error["extensions"]["text"]["en"] == "You may not do this. The right that is missing: grade:read."
        assert error["extensions"]["correlationId"] == reply.headers["x-request-id"]
        assert error["extensions"].keys() == {"code", "text", "correlationId"}

    async def test_is_answered_to_who_holds_what_it_asks_for(self, door: Door) -> None:
        reply = await door.post(READ, bearer("grade:read"))
        assert reply.body == {"data": {"book": {"title": "Waves", "grade": 4.5}}}

    async def test_that_cannot_be_null_takes_the_whole_with_it_and_nothing_is_fetched(self, door: Door) -> None:
        reply = await door.post('{ book(isbn: "1") { title } firm { title } }', bearer())
        assert (reply.body["data"], told(reply)) == (None, [("FORBIDDEN", ("firm",))])
        assert door.subgraphs.sent == []

    async def test_of_a_policy_that_nobody_knows_is_denied_to_everybody(self, door: Door) -> None:
        reply = await door.post("{ best { text } }", bearer("nobody_knows", **just_now()))
        assert told(reply) == [("FORBIDDEN", ("best",))]
        assert "nobody_knows" in reply.body["errors"][0]["message"]
        assert door.subgraphs.sent == []

    async def test_in_a_deferred_part_is_told_there(self, door: Door) -> None:
        text = '{ book(isbn: "1") { title ... @defer(label: "later") { grade } } }'
        reply = await door.post(text, {"accept": DRAFT, **bearer()})
        content = reply.content.decode()
        assert content.count('"FORBIDDEN"') == 1
        assert content.index('"title":"Waves"') < content.index('"FORBIDDEN"')
        assert [name for name, _ in door.subgraphs.sent] == ["books"]

    async def test_is_still_in_the_schema_that_can_be_asked_for(self, door: Door) -> None:
        reply = await door.post('{ __type(name: "Book") { fields { name } } }')
        assert {"name": "grade"} in reply.body["data"]["__type"]["fields"]
        whole = await door.post(get_introspection_query(), bearer())
        assert whole.body["data"]["__schema"]["queryType"]["name"] == "Query"


class TestAMutation:
    @pytest.mark.parametrize(
        ("headers", "code"),  # made when the test runs: a token is good for five minutes
        [
            (dict, "UNAUTHENTICATED"),
            (lambda: bearer("everything"), "STEP_UP_REQUIRED"),
            (lambda: bearer(**just_now(acr="1")), "STEP_UP_REQUIRED"),
            (lambda: bearer(**just_now(400)), "STEP_UP_REQUIRED"),
        ],
        ids=["nobody", "password alone", "said to be", "long ago"],
    )
    async def test_that_is_denied_is_not_done(
        self, door: Door, headers: Callable[[], dict[str, str]], code: str
    ) -> None:
        reply = await door.post(ADD, headers())
        assert (reply.body["data"], told(reply)) == ({"addBook": None}, [(code, ("addBook",))])
        assert door.subgraphs.sent == []

    async def test_says_how_to_step_up(self, door: Door) -> None:
        (error,) = (await door.post(ADD, bearer())).body["errors"]
        assert (error["extensions"]["acrValues"], error["extensions"]["maxAge"]) == ("2", 300)

    async def test_is_done_after_a_second_factor(self, open_door: Opening) -> None:
        door = open_door(books={"data": {"addBook": {"title": "x"}}})
        assert (await door.post(ADD, bearer(**just_now(200)))).body == {"data": {"addBook": {"title": "x"}}}

    async def test_of_which_the_owner_alone_says_no_is_told_in_the_same_words(self, open_door: Opening) -> None:
        said = faults.as_error(faults.STEP_UP_REQUIRED, "id", {})
        door = open_door(books={"data": {"addBook": None}, "errors": [{**said, "path": ["addBook"]}]})
        (owners,) = (await door.post(ADD, bearer(**just_now()))).body["errors"]
        (ours,) = (await door.post(ADD, bearer())).body["errors"]
        for error in (owners, ours):
            error["extensions"].pop("correlationId")
            error["extensions"].pop("service", None)
        assert owners == ours


class TestASubscription:
    async def test_that_is_denied_is_refused_before_it_begins(self, wired: Wired) -> None:
        wired.gateway.callers = Callers(tokens.verifier("onedoor"), wired.gateway.settings)
        wired.gateway.serve(load_supergraph(GUARDED))
        text = "subscription { bookAdded { title } }"
        stranger = await wired.door.post(text, ASKS)
        assert (stranger.status, stranger.codes) == (401, ["UNAUTHENTICATED"])
        reply = await wired.door.post(text, {**ASKS, **bearer()})
        assert (reply.status, reply.codes) == (401, ["STEP_UP_REQUIRED"])
        challenge = 'Bearer error="insufficient_user_authentication", acr_values="2", max_age=300'
        assert reply.headers["www-authenticate"] == challenge
        assert wired.books.requests == []

    async def test_leaves_out_of_its_events_what_is_denied(self, wired: Wired) -> None:
        wired.gateway.callers = Callers(tokens.verifier("onedoor"), wired.gateway.settings)
        wired.gateway.serve(load_supergraph(GUARDED))
        event = b'event: next\ndata: {"data":{"bookAdded":{"title":"Waves","isbn":"1"}}}\n\nevent: complete\ndata:\n\n'
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        wired.books.play = playing(head + event, None)
        reply = await wired.door.post("subscription { bookAdded { title grade } }", {**ASKS, **bearer(**just_now())})
        content = reply.content.decode()
        assert '"data":{"bookAdded":{"title":"Waves","grade":null}}' in content
        assert content.count('"FORBIDDEN"') == 1
        assert wired.opinions.requests == []


class TestOneDocument:
    async def test_is_planned_once_for_all_who_may_see_the_same(self, door: Door, supergraph: Supergraph) -> None:
        operation = door.app._operations.find(READ, None)  # type: ignore[attr-defined] # the pipeline's
        for scopes in ((), ("a:a",), ("b:b",), ("grade:read",), ("grade:read", "a:a")):
            await door.post(READ, bearer(*scopes))
        await door.post(READ)
        assert len(operation._variants) == 3  # all, all but the grade, and a stranger's, who is told to sign in

    async def test_without_anything_guarded_asks_nothing_of_anybody(
        self, door: Door, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def judged(*_: object) -> None:
            raise AssertionError

        monkeypatch.setattr(rights, "denied", judged)
        assert (await door.post('{ book(isbn: "1") { title } }')).codes == []

    async def test_that_anybody_is_denied_a_part_of_is_kept_for_its_caller_alone(self, wired: Wired) -> None:
        hinted = GUARDED.replace(
            "  book(isbn: ID!): Book @join", "  book(isbn: ID!): Book @cacheControl(maxAge: 60) @join"
        )
        needs = "@join__field(graph: BOOKS) @join__field(graph: OPINIONS, external: true)"
        derived = hinted.replace(
            "  title: String! @join__field(graph: BOOKS)", f"  title: String! @authenticated {needs}"
        ).replace(
            "  opinions: [Opinion!] @join__field(graph: OPINIONS)",
            '  shout: String @join__field(graph: OPINIONS, requires: "title")',
        )
        wired.gateway.callers = Callers(tokens.verifier("onedoor"), wired.gateway.settings)
        wired.gateway.serve(load_supergraph(derived))
        wired.books.play = playing(http(b'{"data":{"book":{"__typename":"Book","isbn":"1","title":"Waves"}}}'))
        wired.opinions.play = playing(http(b'{"data":{"_entities":[{"shout":"WAVES"}]}}'))
        text = '{ book(isbn: "1") { shout } }'
        reply = await wired.door.post(text, bearer())
        assert reply.body == {"data": {"book": {"shout": "WAVES"}}}
        assert reply.headers["cache-control"] == "max-age=60, private"
        assert (await wired.door.post(text)).codes == ["UNAUTHENTICATED"]
        assert len(wired.opinions.requests) == 1


class TestACaller:
    ANN = Claims("ann", frozenset({"a", "b"}), frozenset(), "", "", NOW + 300)

    @pytest.mark.parametrize(
        ("any_of", "missing"),
        [
            ((("a",),), None),
            ((("a", "b"),), None),
            ((("c",), ("b",)), None),
            ((("a", "c"),), "c"),
            ((("d", "e"), ("b", "c")), "c"),
            (((),), None),
            ((), rights.NOBODY),
        ],
    )
    def test_meets_one_of_several_alternatives_whole(self, any_of: Any, missing: str | None) -> None:
        asked = Requirement("requiresScopes", any_of)
        expected = () if missing is None else ((asked, Denial("FORBIDDEN", missing)),)
        assert rights.denied((asked,), self.ANN, NOW) == expected

    def test_who_has_not_signed_in_is_asked_to(self) -> None:
        asked = tuple(
            Requirement(kind, (("second_factor",),)) for kind in ("authenticated", "requiresScopes", "policy")
        )
        assert [denial for _, denial in rights.denied(asked, None, NOW)] == [Denial("UNAUTHENTICATED")] * 3
        assert rights.denied(asked[:1], self.ANN, NOW) == ()

    def test_who_acts_for_another_is_asked_for_no_more_than_a_citizen_has(self) -> None:
        officer, asked = (
            replace(self.ANN, scopes=frozenset({"business:read-all"})),
            [("inspection:read",), ("business:read-all",)],
        )
        needs = [Requirement("requiresScopes", (names,)) for names in asked]
        assert [denial.missing for _, denial in rights.denied(tuple(needs), officer, NOW)] == ["inspection:read"]
        found = rights.denied(tuple(needs), officer, NOW, for_another=True)
        assert [denial.missing for _, denial in found] == ["business:read-all"]
        assert [denial.code for _, denial in rights.denied(tuple(needs), None, NOW, for_another=True)] == [
            "UNAUTHENTICATED"
        ] * 2

    def test_meets_one_of_several_policies(self) -> None:
        fresh = replace(self.ANN, assurance="2", authenticated_at=NOW)
        either = Requirement("policy", (("nobody_knows",), ("second_factor",)))
        assert rights.denied((either,), fresh, NOW) == ()
        assert rights.denied((either,), self.ANN, NOW) == ((either, Denial("FORBIDDEN", "nobody_knows")),)
        assert rights.denied((Requirement("policy", ()),), fresh, NOW)[0][1].code == "FORBIDDEN"


class TestLoading:
    def test_tells_which_policies_nobody_knows(self, supergraph: Supergraph) -> None:
        with structlog.testing.capture_logs() as logged:
            rights.tell_unknown(Access(supergraph))
        assert logged == [{"event": "policies_unknown", "policies": ["nobody_knows"], "log_level": "warning"}]
