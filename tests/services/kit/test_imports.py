"""Reading CSV files of the outside world: each row by its line, and a damaged one at its own cost alone."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.kit import imports
from services.kit.imports import FileRefused, Parsed, Rejected, csv_records

HEADER = "code,name,note"


def read(path: Path, text: str, columns: Sequence[str] = ("code", "name")) -> list[tuple[int, str]]:
    """The records of a text: (line, the name it holds, or the code of its rejection)."""
    file = path / "file.csv"
    file.write_text(text, encoding="utf-8", newline="")
    found = csv_records(file, columns)
    return [(item.line, item.record["name"] if isinstance(item, Parsed) else item.code) for item in found]


class TestADamagedRow:
    @pytest.mark.parametrize(
        "damaged",
        [
            '2,"open,x',
            '2,open,"x',
            '2,"half" open,x',
            '"2,open,x',
            '2,open",x',
            '2,""open,x',
        ],
    )
    @pytest.mark.parametrize("after", ["3,three,x\n4,four,x\n", '3,"three",x\n4,"four","x"\n'])
    def test_an_unclosed_quote_costs_no_other_row(self, tmp_path: Path, damaged: str, after: str) -> None:
        found = read(tmp_path, f"{HEADER}\n1,one,x\n{damaged}\n{after}")
        assert [item for item in found if item[0] != 3] == [(2, "one"), (4, "three"), (5, "four")]

    def test_the_last_row_may_be_the_damaged_one(self, tmp_path: Path) -> None:
        assert read(tmp_path, f'{HEADER}\n1,one,x\n2,"two,x') == [(2, "one"), (3, "MALFORMED_ROW")]

    def test_too_few_or_too_many_fields(self, tmp_path: Path) -> None:
        found = read(tmp_path, f"{HEADER}\n1,one\n2,two,x,y\n3,three,x\n")
        assert found == [(2, "WRONG_FIELD_COUNT"), (3, "WRONG_FIELD_COUNT"), (4, "three")]

    def test_a_field_beyond_any_limit(self, tmp_path: Path) -> None:
        found = read(tmp_path, f"{HEADER}\n1,{'x' * (1 << 21)},x\n2,two,x\n")
        assert found == [(2, "MALFORMED_ROW"), (3, "two")]

    def test_a_quote_open_over_more_lines_than_a_row_may_have(self, tmp_path: Path) -> None:
        rows = "".join(f"{n},n{n},x\n" for n in range(2 * imports.MOST_LINES))
        found = read(tmp_path, f'{HEADER}\n0,"open,x\n{rows}')
        assert found[0] == (2, "MALFORMED_ROW")
        assert len(found) == 1 + 2 * imports.MOST_LINES

    def test_the_rejection_shows_the_line_itself(self, tmp_path: Path) -> None:
        file = tmp_path / "file.csv"
        file.write_text(f'{HEADER}\n1,"one,x\n2,two,x\n', encoding="utf-8")
        first = next(csv_records(file, ("code",)))
        assert isinstance(first, Rejected)
        assert first.raw == '1,"one,x'


class TestASoundFile:
    def test_texts_may_hold_line_breaks_quotes_and_commas(self, tmp_path: Path) -> None:
        found = read(tmp_path, f'{HEADER}\r\n1,"first\nsecond, ""third""",x\r\n\r\n2,two,x\r\n')
        assert found == [(2, 'first\nsecond, "third"'), (5, "two")]

    @settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(names=st.lists(st.text(st.sampled_from('ab ",\n'), max_size=8), max_size=8))
    def test_what_was_written_is_read(self, tmp_path: Path, names: list[str]) -> None:
        file = tmp_path / "written.csv"
        with file.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows([["code", "name"], *(["c", name] for name in names)])
        found = [item.record["name"] for item in csv_records(file, ("code",)) if isinstance(item, Parsed)]
        assert found == [name.strip() for name in names]


class TestAFileThatIsNone:
    @pytest.mark.parametrize("text", ["", "\n\n", '"code', "code,note\n1,x\n", "\x00\x01"])
    def test_is_refused_whole(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(FileRefused):
            read(tmp_path, text)
