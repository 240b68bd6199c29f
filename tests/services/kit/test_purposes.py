"""Purposes: what each covers, what is told to whoever lacks one, and the case that a statutory one asks for."""

from typing import Any

import pytest

from services.kit.context import Chosen
from services.kit.language import Words
from services.kit.purposes import DEFAULTS, problem, purposes

OFFICER, INSPECTOR, CITIZEN = frozenset({"counter_officer"}), frozenset({"inspector"}), frozenset({"citizen"})
COUNTER, CONDUCT, STATUTORY = "registration-counter", "inspection-conduct", "statutory-investigation"
REASON = "Complaint about vermin"


def told(chosen: Chosen, roles: frozenset[str], category: str = "application", to: str = "", kind: str = "") -> Any:
    """The code of what is told, and the codes of the purposes that would do; None where nothing is."""
    found = problem(chosen, roles, kind, [category], [to] if to else [])
    if found is None:
        return None
    listed: Any = found.values.get("purposes", [])
    return found.fault.code, [purpose["code"] for purpose in listed]


class TestAPurpose:
    def test_covers_its_roles_and_categories(self) -> None:
        assert told(Chosen(COUNTER), OFFICER) is None
        assert told(Chosen(COUNTER), OFFICER | CITIZEN) is None

    @pytest.mark.parametrize(
        ("code", "roles", "category", "to"),
        [
            (COUNTER, INSPECTOR, "application", ""),
            (COUNTER, OFFICER, "inspections", ""),
            (CONDUCT, INSPECTOR, "business-address", "information_referral"),
            ("no-such", OFFICER, "application", ""),
            ("representation", CITIZEN, "application", ""),
        ],
        ids=["another role", "other data", "another recipient", "unknown", "without a delegation"],
    )
    def test_covers_nothing_else(self, code: str, roles: frozenset[str], category: str, to: str) -> None:
        assert told(Chosen(code), roles, category, to)[0] == "PURPOSE_NOT_COVERING"

    def test_that_nobody_chose_is_asked_for_with_those_that_would_do(self) -> None:
        required = "PURPOSE_REQUIRED"
        assert told(Chosen(), OFFICER) == (required, [COUNTER, "registration-verification"])
        assert told(Chosen("self-service"), OFFICER) == (required, [COUNTER, "registration-verification"])
        assert told(Chosen(), OFFICER, "business-address", "information_referral") == (
            required, [COUNTER, "business-advice"],
        )  # fmt: skip
        assert told(Chosen(), CITIZEN) == (required, [])

    def test_is_named_in_both_languages_with_its_legal_basis(self) -> None:
        found = problem(Chosen(), INSPECTOR, "", ["inspections"], [])
        assert found is not None
        assert "inspection-conduct (Conducting an inspection)" in found.words.en
        assert "inspection-conduct (Effectuer une inspection)" in found.words.fr
        listed: Any = found.values["purposes"]
        assert "c. H.7" in listed[0]["basis"]["en"]
        assert "chap. H.7" in listed[0]["basis"]["fr"]

    @pytest.mark.parametrize(("kind", "role"), [("delegation", CITIZEN), ("assisted", OFFICER)])
    def test_under_a_grant_is_that_of_its_kind(self, kind: str, role: frozenset[str]) -> None:
        assert told(Chosen(), role, kind=kind) is None
        assert told(Chosen(DEFAULTS[kind]), role, kind=kind) is None
        assert told(Chosen(COUNTER), OFFICER, kind=kind)[0] == "PURPOSE_NOT_COVERING"


class TestAnInvestigation:
    def test_goes_on_with_a_case_and_a_reason(self) -> None:
        assert told(Chosen(STATUTORY, "HPPA-2026/0117", REASON), INSPECTOR, "inspections") is None

    @pytest.mark.parametrize("case", ["", "12", "no digit here", "HPPA", "-2026-1", "2" * 41, "2026 0117"])
    def test_names_a_case_that_could_be_one(self, case: str) -> None:
        found = problem(Chosen(STATUTORY, case, REASON), INSPECTOR, "", ["inspections"], [])
        assert found is not None
        assert (found.fault.code, found.field) == ("CASE_REQUIRED", "case")

    @pytest.mark.parametrize("reason", ["", "vermin", " " * 20, "x" * 30, "a b"])
    def test_says_why_in_words(self, reason: str) -> None:
        found = problem(Chosen(STATUTORY, "2026-0117", reason), INSPECTOR, "", ["inspections"], [])
        assert found is not None
        assert (found.fault.code, found.field) == ("CASE_REQUIRED", "reason")

    def test_is_the_only_one_whose_entries_appear_later(self) -> None:
        assert [p.code for p in purposes().values() if p.disclosure_delay_days] == [STATUTORY]


class TestTheFile:
    def test_says_everything_twice(self) -> None:
        for purpose in purposes().values():
            for words in (purpose.words, purpose.basis):
                assert isinstance(words, Words)
                assert words.en
                assert words.fr
                assert words.en != words.fr

    def test_lets_ones_own_affairs_cover_nobody_elses(self) -> None:
        assert not purposes()["self-service"].roles
