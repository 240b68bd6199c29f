"""Shapes are data: stages, as multiples of the everyday rate."""

import pytest

from loadtests import promises

PROMISES = promises.read()


class TestShapes:
    def test_the_surge_is_twenty_six_ordinary_days_at_once(self) -> None:
        rates = [stage.rate for stage in PROMISES.stages("surge")]
        assert max(rates) == 26 * PROMISES.everyday_rate

    @pytest.mark.parametrize("shape", ["smoke", "everyday", "monday_morning", "surge"])
    def test_stages_follow_one_another_and_end(self, shape: str) -> None:
        ends = [stage.until_s for stage in PROMISES.stages(shape)]
        assert ends == sorted(ends)
        assert ends[-1] <= 300

    def test_a_smoke_run_takes_thirty_seconds(self) -> None:
        assert PROMISES.stages("smoke")[-1].until_s == 30

    def test_an_unknown_shape_is_refused_with_those_there_are(self) -> None:
        with pytest.raises(ValueError, match="smoke, everyday, monday_morning, surge"):
            PROMISES.stages("tsunami")
