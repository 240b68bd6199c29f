"""Behaviours are taken whole or refused with the field and the remedy, in both languages."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.programs.behaviour import (
    LONGEST_DELAY_S,
    MOST_FAILURES,
    PROGRAMS,
    REASONS,
    Behaviour,
    BehaviourRefused,
    Behaviours,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=8,
)


class TestTaking:
    def test_all_approve_until_told_otherwise(self) -> None:
        assert Behaviours().shown() == {name: {"refuse": None, "fail": 0, "delay_s": 0.0} for name in PROGRAMS}

    def test_each_program_has_its_own(self) -> None:
        held = Behaviours()
        held.change(
            {"BUSINESS_NAME": {"refuse": "INFORMATION_MISSING"}, "WORKERS_COMPENSATION": {"fail": 2, "delay_s": 1}}
        )
        assert held.of("BUSINESS_NAME") == Behaviour(refuse="INFORMATION_MISSING")
        assert held.of("WORKERS_COMPENSATION") == Behaviour(fail=2, delay_s=1.0)
        assert held.of("EMPLOYER_HEALTH_TAX") == Behaviour()

    def test_what_is_not_named_approves_again(self) -> None:
        held = Behaviours()
        held.change({"BUSINESS_NAME": {"fail": 3}})
        held.change({})
        assert held.of("BUSINESS_NAME") == Behaviour()

    def test_what_is_shown_can_be_taken_back(self) -> None:
        held, other = Behaviours(), Behaviours()
        held.change({"RETAIL_SALES_TAX": {"refuse": "ACCOUNT_IN_ARREARS", "fail": 1, "delay_s": 2.5}})
        other.change(held.shown())
        assert other.shown() == held.shown()

    def test_failures_end(self) -> None:
        held = Behaviours()
        held.change({"BUSINESS_NAME": {"fail": 1, "refuse": "INFORMATION_MISSING", "delay_s": 3}})
        for _ in range(2):
            held.failed("BUSINESS_NAME")
        assert held.of("BUSINESS_NAME") == Behaviour("INFORMATION_MISSING", 0, 3.0)


class TestRefusing:
    @pytest.mark.parametrize(
        ("wanted", "field"),
        [
            (None, "body"),
            ([], "body"),
            ("APPROVE", "body"),
            ({"LOTTERY": {}}, "LOTTERY"),
            ({"L" * 10_000: {}}, "L" * 60),
            ({"BUSINESS_NAME": None}, "BUSINESS_NAME"),
            ({"BUSINESS_NAME": {"approve": True}}, "BUSINESS_NAME"),
            ({"BUSINESS_NAME": {"refuse": "BECAUSE"}}, "BUSINESS_NAME.refuse"),
            ({"BUSINESS_NAME": {"refuse": ["ACCOUNT_IN_ARREARS"]}}, "BUSINESS_NAME.refuse"),
            ({"BUSINESS_NAME": {"refuse": {}}}, "BUSINESS_NAME.refuse"),
            ({"BUSINESS_NAME": {"refuse": False}}, "BUSINESS_NAME.refuse"),
            ({"BUSINESS_NAME": {"fail": -1}}, "BUSINESS_NAME.fail"),
            ({"BUSINESS_NAME": {"fail": True}}, "BUSINESS_NAME.fail"),
            ({"BUSINESS_NAME": {"fail": 1.5}}, "BUSINESS_NAME.fail"),
            ({"BUSINESS_NAME": {"fail": MOST_FAILURES + 1}}, "BUSINESS_NAME.fail"),
            ({"BUSINESS_NAME": {"delay_s": -0.1}}, "BUSINESS_NAME.delay_s"),
            ({"BUSINESS_NAME": {"delay_s": "1"}}, "BUSINESS_NAME.delay_s"),
            ({"BUSINESS_NAME": {"delay_s": float("nan")}}, "BUSINESS_NAME.delay_s"),
            ({"BUSINESS_NAME": {"delay_s": 10**400}}, "BUSINESS_NAME.delay_s"),
            ({"BUSINESS_NAME": {"delay_s": LONGEST_DELAY_S + 1}}, "BUSINESS_NAME.delay_s"),
        ],
    )
    def test_it_names_the_field_and_the_remedy(self, wanted: Any, field: str) -> None:
        with pytest.raises(BehaviourRefused) as refused:
            Behaviours().change(wanted)
        assert refused.value.field == field
        assert refused.value.words.en.startswith(f"{field}: ")
        assert refused.value.words.en != refused.value.words.fr

    def test_one_bad_entry_changes_nothing(self) -> None:
        held = Behaviours()
        with pytest.raises(BehaviourRefused):
            held.change({"BUSINESS_NAME": {"fail": 3}, "WORKERS_COMPENSATION": {"fail": "3"}})
        assert held.shown() == Behaviours().shown()

    @given(
        JSON | st.dictionaries(st.sampled_from(PROGRAMS), JSON | st.fixed_dictionaries({"refuse": JSON, "fail": JSON}))
    )
    def test_no_value_whatever_makes_it_fail(self, wanted: Any) -> None:
        held = Behaviours()
        try:
            held.change(wanted)
        except BehaviourRefused:
            assert held.shown() == Behaviours().shown()
        assert all(behaviour["refuse"] in (None, *REASONS) for behaviour in held.shown().values())
