"""The risk model's properties: bounded, explained, and never lowered by more or graver findings."""

import math
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.inspections.data_files import BadData
from services.inspections.risk import Assessment, Known, Visit, assess, model
from services.inspections.severity import Severity

TODAY = date(2026, 11, 24)
SEVERITIES = st.sampled_from(Severity)
DAYS = st.dates(date(1950, 1, 1), date(2100, 1, 1))
SECTORS = st.sampled_from(["11", "23", "44", "54", "62", "72", "", "99", "🧾"])
VISITS = st.lists(st.builds(Visit, DAYS, st.lists(SEVERITIES, max_size=8)), max_size=6)
KNOWN = st.builds(Known, SECTORS, DAYS, VISITS, st.lists(SEVERITIES, max_size=12))


def score(known: Known) -> Assessment:
    return assess(known, TODAY, model())


def odds(known: Known) -> float:
    """The unrounded log-odds."""
    return math.fsum(factor.contribution for factor in score(known).factors)


def graver(severity: Severity) -> Severity:
    return Severity.SIGNIFICANT if severity is Severity.MINOR else Severity.CRUCIAL


class TestAScore:
    @given(KNOWN)
    def test_lies_between_0_and_100_and_has_the_band_of_its_height(self, known: Known) -> None:
        found = score(known)
        bands = model().bands
        assert 0 <= found.score <= 100
        assert found.band == (
            "HIGH" if found.score >= bands["HIGH"] else "MODERATE" if found.score >= bands["MODERATE"] else "LOW"
        )

    @given(KNOWN)
    def test_is_the_sum_of_its_factors(self, known: Known) -> None:
        assert score(known).score == round(100 / (1 + math.exp(-odds(known))), 1)

    @given(KNOWN)
    def test_does_not_depend_on_the_order_of_visits_and_findings(self, known: Known) -> None:
        turned = Known(known.sector, known.registered_on, known.visits[::-1], known.open[::-1])
        assert score(turned).score == score(known).score

    @given(KNOWN, SEVERITIES)
    def test_is_not_lowered_by_one_more_open_finding(self, known: Known, severity: Severity) -> None:
        more = Known(known.sector, known.registered_on, known.visits, [*known.open, severity])
        assert odds(more) >= odds(known)

    @given(KNOWN, st.data())
    def test_is_not_lowered_by_a_graver_finding(self, known: Known, data: st.DataObject) -> None:
        assume(known.open or any(visit.findings for visit in known.visits))
        places: list[tuple[int | None, int]] = [(None, n) for n in range(len(known.open))]
        places += [(v, n) for v, visit in enumerate(known.visits) for n in range(len(visit.findings))]
        where, index = data.draw(st.sampled_from(places))
        if where is None:
            changed = Known(known.sector, known.registered_on, known.visits, _graver_at(known.open, index))
        else:
            visits = list(known.visits)
            visits[where] = Visit(visits[where].on, _graver_at(visits[where].findings, index))
            changed = Known(known.sector, known.registered_on, visits, known.open)
        assert odds(changed) >= odds(known)

    @given(DAYS, st.lists(SEVERITIES, min_size=1, max_size=5), st.integers(0, 3000), st.integers(1, 3000))
    def test_a_past_visit_weighs_less_as_years_pass(
        self, registered: date, findings: list[Severity], ago: int, longer: int
    ) -> None:
        def history(days: int) -> float:
            visits = [Visit(TODAY - timedelta(days=days), findings)]
            return score(Known("72", registered, visits)).factors[4].contribution

        assert history(ago) >= history(ago + longer) >= 0

    def test_a_year_without_a_visit_raises_it_up_to_two(self) -> None:
        def waited(years: float) -> float:
            since = TODAY - timedelta(days=round(years * 365.25))
            return score(Known("72", since)).factors[3].contribution

        assert waited(0) == 0
        assert waited(1) == pytest.approx(0.56, abs=0.01)
        assert waited(2) == pytest.approx(1.12, abs=0.01)
        assert waited(30) == 1.12

    def test_crucial_findings_that_stay_open_make_it_high(self) -> None:
        visits = [Visit(TODAY, [Severity.CRUCIAL] * 3)]
        calm, alarmed = Known("72", TODAY), Known("72", TODAY, visits, [Severity.CRUCIAL] * 3)
        assert (score(calm).band, score(alarmed).band) == ("LOW", "HIGH")


class TestTheModelsFile:
    def test_labels_every_factor(self) -> None:
        assert {factor.code for factor in score(Known("72", TODAY)).factors} == set(model().labels)

    def test_weighs_graver_findings_more(self) -> None:
        for weights in (model().history, model().open):
            assert 0 < weights.MINOR < weights.SIGNIFICANT < weights.CRUCIAL

    def test_says_file_and_remedy_when_it_is_bad(self, tmp_path: Path) -> None:
        for content in ("version = ", 'version = "1"', "\udc80"):
            file = tmp_path / "risk.toml"
            file.write_text(content, encoding="utf-8", errors="surrogateescape")
            with pytest.raises(BadData, match=r"risk\.toml: .*correct the file"):
                model(file)
            model.cache_clear()


def _graver_at(severities: Sequence[Severity], index: int) -> list[Severity]:
    changed = list(severities)
    changed[index] = graver(changed[index])
    return changed
