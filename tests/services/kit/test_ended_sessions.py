"""Sessions that have ended: whose tokens are refused, for how long, and who hears of it."""

import time
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.access import access
from services.kit.ended_sessions import LONGEST_TOKEN_S, REMEMBERED_S, SCHEMA, EndedSessions, SessionEnded
from services.kit.events import envelope_schema
from services.kit.settings import Issuer
from services.kit.testing import tokens
from services.kit.tokens import Claims, Keys, TokenRefused, Verifier

CONTRACT = envelope_schema("session.ended.v1", dict(SCHEMA))
NOW = float(int(time.time()))


def token(session: str = "s", subject: str = "ana", issued: float = NOW) -> Claims:
    return Claims(subject, frozenset(), frozenset(), "onedoor-cli", session, issued + 300, issued=issued)


def ended(session: str = "", person: str = "", at: float = NOW) -> SessionEnded:
    return SessionEnded(uuid4(), session, person, at)


def after(*ends: SessionEnded, now: float = NOW) -> EndedSessions:
    found = EndedSessions(lambda: now)
    for end in ends:
        found.end(end)
    return found


class TestATokenIsRefused:
    def test_of_the_session_that_has_ended(self) -> None:
        assert after(ended("s")).hold(token("s"))

    def test_of_any_session_of_the_person_that_had_begun(self) -> None:
        assert after(ended(person="ana")).hold(token("other", issued=NOW - 60))

    async def test_even_where_it_had_been_verified_before(self) -> None:
        verifier = tokens.verifier("onedoor")
        held = tokens.token(audience="onedoor", sid="s")
        await verifier.verify(held)
        verifier.ended.end(ended("s", at=time.time()))
        with pytest.raises(TokenRefused) as caught:
            await verifier.verify(held)
        assert caught.value.fault.code == "SESSION_ENDED"

    async def test_for_as_long_as_it_could_be_shown(self) -> None:
        now = [NOW]
        keys = Keys(tokens.published)
        verifier = Verifier(Issuer(tokens.URL, tokens.URL), "onedoor", keys, lambda: now[0])
        held = tokens.token(audience="onedoor", sid="s", exp=NOW + 300)
        verifier.ended.end(ended("s"))
        while now[0] < NOW + 300 + 30:
            with pytest.raises(TokenRefused, match="session has ended"):
                await verifier.verify(held)
            now[0] += 30
            verifier.ended.end(ended("another", at=now[0]))  # which is when old ones are forgotten
        with pytest.raises(TokenRefused, match="expired"):
            await verifier.verify(held)


class TestATokenHolds:
    @pytest.mark.parametrize("of", [token("other"), token("other", "ben"), token("", "ana")])
    def test_of_another_session(self, of: Claims) -> None:
        assert not after(ended("s", "ana")).hold(of)

    @pytest.mark.parametrize("of", [token(subject="ben"), token(issued=NOW + 1)])
    def test_of_another_person_and_of_whom_has_signed_in_again(self, of: Claims) -> None:
        assert not after(ended(person="ana")).hold(of)

    def test_of_a_session_whose_end_is_long_ago(self) -> None:
        assert not after(ended("s", at=NOW - REMEMBERED_S)).hold(token("s"))


class TestEnds:
    def test_are_forgotten_once_no_token_can_be_left(self) -> None:
        now = [NOW]
        found = EndedSessions(lambda: now[0])
        for number in range(100):
            found.end(ended(f"s{number}", at=now[0]))
            found.end(ended(person=f"p{number}", at=now[0]))
            now[0] += REMEMBERED_S / 10
        assert max(len(found._sessions), len(found._people)) <= 11

    def test_said_again_and_out_of_order_change_nothing(self) -> None:
        late, early = ended(person="ana", at=NOW), ended(person="ana", at=NOW - 100)
        found = after(late, early, late)
        assert found.hold(token(issued=NOW - 50))

    async def test_are_heard_by_those_who_live_by_the_session_and_by_nobody_else(self) -> None:
        found = EndedSessions(lambda: NOW)
        with found.watching(token("s")) as mine, found.watching(token("t", "ben")) as theirs:
            with found.watching(None) as public:
                found.end(ended("s"))
                assert (mine.done(), theirs.done(), public.done()) == (True, False, False)
            found.end(ended(person="ben"))
            assert theirs.done()
        found.end(ended("s"))  # nobody is left to be told

    async def test_are_heard_at_once_by_who_comes_too_late(self) -> None:
        with after(ended("s")).watching(token("s")) as over:
            assert over.done()

    def test_are_kept_as_long_as_the_longest_token(self) -> None:
        assert access().lives.access == LONGEST_TOKEN_S


class TestTheEvent:
    @given(
        st.builds(
            SessionEnded,
            st.uuids(),
            st.text(max_size=20),
            st.text(min_size=1, max_size=20).filter(str.strip),
            st.floats(0, 4e9).map(round).map(float),
        )
    )
    def test_says_what_has_ended_and_keeps_its_contract(self, told: SessionEnded) -> None:
        said = told if not told.session or told.session.strip() else replace(told, session="")
        jsonschema.validate(said.envelope(), CONTRACT)
        assert SessionEnded.read(said.envelope()) == said

    @pytest.mark.parametrize(
        "broken",
        [
            {},
            {"type": "other.v1"},
            {"data": None},
            {"data": {"session": None, "person": None, "endedAt": "2026-01-01T00:00:00+00:00"}},
            {"data": {"session": 7, "person": None, "endedAt": "2026-01-01T00:00:00+00:00"}},
            {"data": {"session": "s", "person": None, "endedAt": "2026-01-01T00:00:00"}},
            {"data": {"session": "s", "person": None, "endedAt": "soon"}},
            {"data": {"session": "s", "person": None, "endedAt": 7}},
            {"id": "7"},
            {"id": None},
        ],
    )
    def test_that_breaks_it_is_not_read(self, broken: dict[str, Any]) -> None:
        whole = ended("s").envelope()
        with pytest.raises(ValueError):
            SessionEnded.read({**whole, **broken} if broken else {})

    def test_is_named_so_that_it_is_taken_once(self) -> None:
        assert UUID(ended("s").envelope()["id"])
