"""The context of a call: written and read without loss, as the standard's library reads it, and refused in any other form."""

from typing import Any

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.context import SELF, Chosen, Context, ContextRefused, choice, read, unsigned
from services.kit.language import Language

WHOLE = Context(
    *("r1", "0a", "f1", "licensing", "grant-7", Language.FR, 1_700_000_000_000, ("inspections", "catalogue")),
    *("2026-7", 'Où ? "Ici", 100 %'),
)
HEADER = (
    'rid="r1", op="0a", fetch="f1", purpose="licensing", authority="grant-7", case="2026-7", '
    'reason=%"O%c3%b9 ? %22Ici%22, 100 %25", lang=fr, deadline=1700000000000, for=("inspections" "catalogue")'
)

plain = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'), max_size=200)
contexts = st.builds(
    Context,
    rid=plain.filter(bool),
    op=plain,
    fetch=plain.filter(bool),
    purpose=plain,
    authority=plain.filter(bool),
    language=st.sampled_from(Language),
    deadline_ms=st.integers(0, 10**15 - 1),
    recipients=st.lists(plain, max_size=4).map(tuple),
    case=plain,
    reason=st.text(max_size=200).filter(str.isprintable),
)


class TestAContext:
    def test_is_a_dictionary_of_its_members(self) -> None:
        assert WHOLE.header() == HEADER
        assert read(HEADER) == WHOLE

    @given(contexts)
    def test_is_read_as_it_was_written(self, context: Context) -> None:
        assert read(context.header()) == context

    @given(contexts)
    def test_is_read_alike_by_a_library_of_the_standard(self, context: Context) -> None:
        """RFC 8941."""
        members: Any = http_sf.parse(context.header().encode(), tltype="dictionary")
        found = {name: value for name, (value, _) in members.items()}
        assert [str(found[name]) for name in ("rid", "op", "fetch", "purpose", "authority", "lang")] == [
            context.rid, context.op, context.fetch, context.purpose, context.authority, context.language.value,
        ]  # fmt: skip
        assert (found.get("case", ""), str(found.get("reason", ""))) == (context.case, context.reason)
        assert found["deadline"] == context.deadline_ms
        assert tuple(name for name, _ in found["for"]) == context.recipients

    @pytest.mark.parametrize("text", ['a"b', "a\\b", "é", "a\nb", "x" * 201])
    def test_cannot_hold_what_would_end_a_text(self, text: str) -> None:
        with pytest.raises(ValueError, match="fits no context"):
            Context(purpose=text).header()

    def test_may_have_members_that_nobody_here_knows(self) -> None:
        assert read(HEADER + ", more=1, other=(), another=x") == WHOLE

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "rid",
            HEADER + ",",
            HEADER + ", ",
            HEADER + "\n",
            HEADER + ', rid="r2"',
            HEADER.replace('"r1"', "r1"),
            HEADER.replace('"r1"', '""'),
            HEADER.replace('fetch="f1", ', ""),
            HEADER.replace("lang=fr", "lang=de"),
            HEADER.replace("lang=fr", 'lang="fr"'),
            HEADER.replace("%c3%b9", "%c3"),
            HEADER.replace("%c3%b9", "%00"),
            HEADER.replace("%c3%b9", "%C3%B9"),
            HEADER.replace("1700000000000", "-1"),
            HEADER.replace("1700000000000", "1.5"),
            HEADER.replace("1700000000000", "1" * 16),
            HEADER.replace('" "', '""'),
            HEADER.replace("for=(", "for=[("),
            HEADER.replace(", ", "; "),
            HEADER.upper(),
        ],
    )
    def test_of_any_other_form_is_refused(self, header: str) -> None:
        with pytest.raises(ContextRefused):
            read(header)


class TestPlainHeaders:
    def test_tell_the_same_where_nothing_is_signed(self) -> None:
        headers = {
            b"accept-language": "fr-CA",
            b"onedoor-deadline": "1700000000000",
            b"onedoor-purpose": "licensing",
            b"onedoor-authority": "grant-7",
        }
        found = Context("r1", "", "", "licensing", "grant-7", Language.FR, 1_700_000_000_000)
        assert unsigned(headers, "r1") == found

    @pytest.mark.parametrize("value", ["", "a b", 'a"', "-", "x" * 101, "é", "²"])
    def test_that_cannot_be_read_count_as_absent_but_nobody_acts_for_themselves_by_mistake(self, value: str) -> None:
        headers = dict.fromkeys((b"onedoor-deadline", b"onedoor-purpose", b"onedoor-authority"), value)
        assert unsigned(headers, "r1") == Context("r1", authority="")
        assert unsigned({}, "r1") == Context("r1", authority=SELF)


class TestAChosenPurpose:
    @pytest.mark.parametrize(
        ("header", "chosen"),
        [
            ("", Chosen()),
            ("inspection-conduct", Chosen("inspection-conduct")),
            ('a; case="2026-7"; reason="Complaint about vermin"', Chosen("a", "2026-7", "Complaint about vermin")),
            ('a;reason=%"O%c3%b9 ?";case="2026-7"', Chosen("a", "2026-7", "Où ?")),
        ],
    )
    def test_is_a_code_with_a_case_and_a_reason(self, header: str, chosen: Chosen) -> None:
        assert choice(header) == chosen
        assert choice(chosen.header()) == chosen

    @pytest.mark.parametrize(
        "header",
        ["A", "é", "a b", "a; case", 'a; case="1"; case="2"', 'a; more="1"', 'a; case="1" x', 'a; reason="é"', "a" * 65,
         'a; reason=%"%ff"', 'a; reason=%"%0a"', f'a; reason=%"{"x" * 201}"', '"a"', 'a, b', 'a; case="\\""'],
    )  # fmt: skip
    def test_of_any_other_form_is_none(self, header: str) -> None:
        assert choice(header) is None
