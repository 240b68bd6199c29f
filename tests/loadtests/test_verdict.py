"""A run is judged by the promises in the file, and the judgement sets the exit code."""

from dataclasses import replace
from pathlib import Path

import pytest

from loadtests import promises
from loadtests.verdict import FAILED, PASSED, SATURATED, Measured, judge

PROMISES = replace(
    promises.read(),
    latency_ms={"default": 500.0, "CheckName": 100.0},
    max_error_ratio=0.01,
    max_generator_cpu_percent=90,
)


class TestJudging:
    def test_a_run_that_kept_every_promise_passes(self) -> None:
        verdict = judge([Measured("CheckName", 100, 0, 99.0)], 40, PROMISES)
        assert (verdict.exit_code, verdict.reasons) == (PASSED, ())

    def test_an_operation_slower_than_its_own_line_fails_and_is_named(self) -> None:
        verdict = judge([Measured("CheckName", 100, 0, 101.0), Measured("FindServices", 100, 0, 400.0)], 40, PROMISES)
        assert verdict.exit_code == FAILED
        assert verdict.reasons == ("CheckName: p95 101 ms, promised 100 ms",)

    def test_an_operation_without_a_line_is_held_to_the_default(self) -> None:
        assert judge([Measured("FindServices", 10, 0, 501.0)], 40, PROMISES).exit_code == FAILED

    def test_too_many_errors_fail_even_when_all_was_fast(self) -> None:
        assert judge([Measured("CheckName", 100, 2, 5.0)], 40, PROMISES).exit_code == FAILED

    def test_a_saturated_generator_is_reported_instead_of_latencies(self) -> None:
        verdict = judge([Measured("CheckName", 100, 0, 9000.0)], 97, PROMISES)
        assert verdict.exit_code == SATURATED
        assert "97%" in verdict.reasons[0]

    def test_errors_count_even_when_the_generator_was_saturated(self) -> None:
        assert judge([Measured("CheckName", 100, 50, 9.0)], 97, PROMISES).exit_code == FAILED

    def test_a_run_without_a_request_has_failed(self) -> None:
        assert judge([], 0, PROMISES).exit_code == FAILED


class TestPromises:
    def test_every_kind_of_user_has_a_weight(self) -> None:
        assert set(promises.read().weights) == {"Citizen", "BusinessOwner", "Officer", "Inspector"}

    def test_a_missing_entry_is_named(self, tmp_path: Path) -> None:
        broken = tmp_path / "thresholds.toml"
        broken.write_text("[rates]\neveryday = 1\n")
        with pytest.raises(KeyError, match="shapes"):
            promises.read(broken)
