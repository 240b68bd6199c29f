"""Dates and moments are read in one form each; what is in another is refused in words a developer understands."""

from datetime import UTC, date, datetime, timedelta

import pytest
from graphql import GraphQLError

from services.kit.moments import read_date, read_moment


class TestDates:
    def test_are_read(self) -> None:
        assert read_date("2028-02-29") == date(2028, 2, 29)

    @pytest.mark.parametrize(
        "value", ["", "2026-02-30", "20261125", "2026-W48-3", "2026-11-25T00:00:00Z", "٢٠٢٦-١١-٢٥", "x" * 10_000, "\x00", 5, None]
    )  # fmt: skip
    def test_other_forms_are_refused(self, value: object) -> None:
        with pytest.raises(GraphQLError, match="such as 2026-11-25"):
            read_date(value)


class TestMoments:
    def test_are_read_with_their_offset(self) -> None:
        assert read_moment("2026-11-25T14:30:00Z") == datetime(2026, 11, 25, 14, 30, tzinfo=UTC)
        assert read_moment("2026-11-25T14:30-05:00").utcoffset() == timedelta(hours=-5)
        assert read_moment("2026-11-25T14:30:00.250+00:00").microsecond == 250_000

    @pytest.mark.parametrize(
        "value",
        ["", "yesterday", "2026-11-25", "2026-11-25T14:30:00", "2026-11-25T25:00:00Z", "2026-11-25T10:00:00+99:00",
         "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
         "2026-11-25 14:30:00Z", "٢٠٢٦-١١-٢٥T10:00:00Z", "\x00", 5, None, []],
    )  # fmt: skip
    def test_a_moment_without_an_offset_and_other_forms_are_refused(self, value: object) -> None:
        with pytest.raises(GraphQLError, match="its offset"):
            read_moment(value)
