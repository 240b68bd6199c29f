"""The sample service, on which these tests stand, is what a ministry's developer writes for a whole small service."""

import subprocess
import sys
from pathlib import Path

SAMPLE = Path(__file__).parents[1] / "sample_service" / "service.py"
MOST_LINES = 100  # blank ones, comments and docstrings included


class TestTheSample:
    def test_it_is_at_most_a_hundred_lines_as_the_formatter_has_them(self) -> None:
        command = [sys.executable, "-m", "ruff", "format", "--check", str(SAMPLE)]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0
        assert len(SAMPLE.read_text().splitlines()) <= MOST_LINES
