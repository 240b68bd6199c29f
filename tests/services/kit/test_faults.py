"""The catalogue of faults: stable codes, both languages, nothing internal."""

import re
from string import Formatter

import pytest

from services.kit import faults
from services.kit.language import Language, request_language

ALL = [value for value in vars(faults).values() if isinstance(value, faults.Fault)]


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


class TestTheCatalogue:
    @pytest.mark.parametrize("fault", ALL, ids=lambda fault: f"{fault.code}-{fault.status}")
    def test_each_has_a_code_a_status_and_different_words(self, fault: faults.Fault) -> None:
        assert re.fullmatch(r"[A-Z][A-Z_]+", fault.code)
        assert 400 <= fault.status < 600
        assert fault.words.en != fault.words.fr

    @pytest.mark.parametrize("fault", ALL, ids=lambda fault: f"{fault.code}-{fault.status}")
    def test_french_words_quote_nothing_english(self, fault: faults.Fault) -> None:
        assert not placeholders(fault.words.fr) & {"detail", "detail_en"}

    @pytest.mark.parametrize("fault", ALL, ids=lambda fault: f"{fault.code}-{fault.status}")
    def test_french_punctuation_stands_as_french_wants_it(self, fault: faults.Fault) -> None:
        assert not re.search(r"\w[:!?](?!\w)|'", fault.words.fr)

    def test_gives_for_a_code_that_several_have_the_one_that_is_declared_first(self) -> None:
        assert faults.CATALOGUE["BAD_USER_INPUT"] is faults.BAD_USER_INPUT
        assert faults.CATALOGUE.keys() == {fault.code for fault in ALL}


class TestAnError:
    def test_speaks_the_language_of_the_request_and_carries_both(self) -> None:
        reset = request_language.set(Language.FR)
        try:
            error = faults.as_error(faults.FORBIDDEN, "id-7", {"scope": "water:read"})
        finally:
            request_language.reset(reset)
        assert error["message"] == error["extensions"]["text"]["fr"]
        assert "water:read" in error["extensions"]["text"]["en"]
        assert error["extensions"]["correlationId"] == "id-7"
        assert "field" not in error["extensions"]

    def test_names_the_field_when_there_is_one(self) -> None:
        values = {"detail_en": "x", "detail_fr": "y"}
        error = faults.as_error(faults.BAD_USER_INPUT, "id", values, field="first")
        assert error["extensions"]["field"] == "first"

    def test_gives_the_english_detail_of_a_document_by_itself(self) -> None:
        error = faults.as_error(faults.PARSE_FAILED, "id", {"detail": "Unexpected <EOF>."}, language=Language.FR)
        assert error["extensions"]["detail"] == "Unexpected <EOF>."
        assert "Unexpected" not in error["message"]

    def test_of_a_bug_tells_a_number_and_nothing_else(self) -> None:
        assert "id-9" in faults.as_error(faults.INTERNAL, "id-9")["message"]

    def test_raised_says_its_words(self) -> None:
        assert faults.Faulted(faults.FORBIDDEN, scope="a:b").words.en.endswith("a:b.")
