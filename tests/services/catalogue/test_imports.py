"""`contact-centres`: monthly calls and waits of telephone lines become measured results of the standards they count for."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from services.catalogue.imports import LineMonth, importer
from services.catalogue.models import MeasuredResult
from services.catalogue.service import service
from services.kit.database import Database
from services.kit.imports import FileRefused, Parsed, Report, import_file
from services.kit.testing.client import Client
from tests.services.catalogue.conftest import loaded

HEADER = "Queue Group/Line of Business,Month,Year,Calls Handled,Average Wait Time (minutes)"
JANUARY, FEBRUARY = "Fish line,Jan,2020,120,1.25", "Fish line,Feb,2020,80,2.75"


@pytest.fixture
async def river(database: Database, folder: Path) -> Database:
    """A catalogue whose one standard counts the lines *Fish line* and *Boat line*."""
    await loaded(database, folder)
    return database


async def imported(database: Database, path: Path, *rows: str | bytes, header: str = HEADER) -> Report:
    content = b"\n".join(row if isinstance(row, bytes) else row.encode() for row in (header, *rows))
    (path / "calls.csv").write_bytes(content + b"\n")
    return await import_file(importer, path / "calls.csv", database)


def counts(report: Report) -> tuple[int, int, int, int, int]:
    return report.read, report.added, report.changed, report.unchanged, report.rejected


async def results(database: Database) -> Any:
    text = """{ governmentService(code: "fishing-licence") { standards {
        results { month line value volume target met } achieved { months monthsMet percent met } } } }"""
    answer = await Client(service, database).run(text)
    assert not answer.errors, answer.body
    return answer.data["governmentService"]["standards"][0]


async def kept(database: Database) -> list[MeasuredResult]:
    async with database.transaction() as db:
        return await db.all(select(MeasuredResult))


class TestImporting:
    async def test_a_month_becomes_a_result_beside_its_target(self, river: Database, tmp_path: Path) -> None:
        assert counts(await imported(river, tmp_path, JANUARY, FEBRUARY)) == (2, 2, 0, 0, 0)
        found = await results(river)
        line = {"line": "Fish line", "target": 2.0}
        assert found["results"] == [
            {**line, "month": "2020-02-01", "value": 2.75, "volume": 80, "met": False},
            {**line, "month": "2020-01-01", "value": 1.25, "volume": 120, "met": True},
        ]
        assert found["achieved"] == {"months": 2, "monthsMet": 1, "percent": 50.0, "met": False}

    async def test_the_same_file_again_changes_nothing(self, river: Database, tmp_path: Path) -> None:
        await imported(river, tmp_path, JANUARY, FEBRUARY)
        before = [row.published_at for row in await kept(river)]
        assert counts(await imported(river, tmp_path, JANUARY, FEBRUARY)) == (2, 0, 0, 2, 0)
        assert [row.published_at for row in await kept(river)] == before

    async def test_a_corrected_month_is_published_anew(self, river: Database, tmp_path: Path) -> None:
        await imported(river, tmp_path, JANUARY, FEBRUARY)
        corrected = FEBRUARY.replace("2.75", "1.5")
        assert counts(await imported(river, tmp_path, JANUARY, corrected)) == (2, 0, 1, 1, 0)
        assert (await results(river))["achieved"]["met"]

    async def test_a_target_that_moves_leaves_the_past_as_it_was(
        self, river: Database, folder: Path, tmp_path: Path
    ) -> None:
        await imported(river, tmp_path, JANUARY)
        path = folder / "river.toml"
        path.write_text(path.read_text().replace("target = 2", "target = 1"))
        await loaded(river, folder)
        await imported(river, tmp_path, JANUARY, FEBRUARY)
        assert [(r["month"], r["target"]) for r in (await results(river))["results"]] == [
            ("2020-02-01", 1.0),
            ("2020-01-01", 2.0),
        ]

    async def test_spaces_in_a_lines_name_do_not_matter(self, river: Database, tmp_path: Path) -> None:
        report = await imported(river, tmp_path, " Fish   line ,Jan,2020,120,1.25")
        assert counts(report) == (1, 1, 0, 0, 0)

    async def test_a_month_that_comes_twice_in_a_file_counts_once(self, river: Database, tmp_path: Path) -> None:
        rows = (JANUARY, JANUARY, JANUARY.replace("1.25", "1.5"))
        report = await imported(river, tmp_path, *rows)
        assert counts(report) == (3, 1, 0, 0, 2)
        assert [(r.line, r.code) for r in report.rejections] == [(3, "REPEATED_MONTH"), (4, "REPEATED_MONTH")]
        assert "line 2" in report.rejections[0].reason.en
        assert [r["value"] for r in (await results(river))["results"]] == [1.25]
        assert counts(await imported(river, tmp_path, *rows)) == (3, 0, 0, 1, 2)

    async def test_more_rows_than_a_batch_holds_are_all_taken(self, river: Database, tmp_path: Path) -> None:
        months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
        rows = [f"Fish line,{month},{year},5,1" for year in range(1950, 2000) for month in months]
        assert len(rows) > importer.batch_size
        assert counts(await imported(river, tmp_path, *rows)) == (len(rows), len(rows), 0, 0, 0)


class TestRejecting:
    @pytest.mark.parametrize(
        ("row", "code"),
        [
            ("Lost line,Jan,2020,1,1", "UNKNOWN_LINE"),
            (",Jan,2020,1,1", "MALFORMED_LINE_NAME"),
            (f"{'x' * 10_000},Jan,2020,1,1", "MALFORMED_LINE_NAME"),
            ("Fish line,Janvember,2020,1,1", "MALFORMED_MONTH"),
            ("Fish line,,2020,1,1", "MALFORMED_MONTH"),
            ("Fish line,Jan,20,1,1", "MALFORMED_MONTH"),
            ("Fish line,Jan,٢٠٢٠,1,1", "MALFORMED_MONTH"),
            ("Fish line,Jan,-2020,1,1", "MALFORMED_MONTH"),
            ("Fish line,Jan,2020,,1", "MALFORMED_CALLS"),
            ("Fish line,Jan,2020,-1,1", "MALFORMED_CALLS"),
            ("Fish line,Jan,2020,1.5,1", "MALFORMED_CALLS"),
            ("Fish line,Jan,2020,9999999999,1", "MALFORMED_CALLS"),
            (f"Fish line,Jan,2020,{'9' * 5000},1", "MALFORMED_CALLS"),
            ("Fish line,Jan,2020,²,1", "MALFORMED_CALLS"),
            ("Fish line,Jan,2020,1,", "MALFORMED_WAIT"),
            ("Fish line,Jan,2020,1,nan", "MALFORMED_WAIT"),
            ("Fish line,Jan,2020,1,1e9", "MALFORMED_WAIT"),
            ("Fish line,Jan,2020,1,-0.1", "MALFORMED_WAIT"),
            ("Fish line,Jan,2020,1,1441", "MALFORMED_WAIT"),
            ("Fish line,Jan,2020,1", "WRONG_FIELD_COUNT"),
            ("Fish line,Jan,2020,1,1,1", "WRONG_FIELD_COUNT"),
            ("Fish line\x00,Jan,2020,1,1", "HOSTILE_CHARACTER"),
            ("Fish\u202e line,Jan,2020,1,1", "HOSTILE_CHARACTER"),
            (b"Fish line\xff,Jan,2020,1,1", "NOT_UTF8"),
            ("🐟,Jan,2020,1,1", "UNKNOWN_LINE"),
        ],
    )
    async def test_a_bad_row_is_rejected_with_its_line_and_the_others_are_taken(
        self, river: Database, tmp_path: Path, row: str | bytes, code: str
    ) -> None:
        report = await imported(river, tmp_path, JANUARY, row, FEBRUARY)
        assert counts(report) == (3, 2, 0, 0, 1)
        (rejected,) = report.rejections
        assert (rejected.line, rejected.code) == (3, code)
        assert rejected.reason.en != rejected.reason.fr

    async def test_a_line_is_taken_once_a_standard_names_it(
        self, river: Database, folder: Path, tmp_path: Path
    ) -> None:
        row = "Lost line,Jan,2020,1,1"
        assert (await imported(river, tmp_path, row)).rejected == 1
        path = folder / "river.toml"
        path.write_text(path.read_text().replace('"Boat line"', '"Lost line"'))
        await loaded(river, folder)
        assert (await imported(river, tmp_path, row)).added == 1

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"", "empty"),
            (b"\n\n", "empty"),
            (b"a,b,c\n1,2,3\n", "lacks the columns"),
            (HEADER.encode() + b"\n", "holds no record"),
            (b"\x00\x01\xff\xfe", "lacks the columns"),
            (b"PK\x03\x04 a workbook, not its sheet", "lacks the columns"),
        ],
    )
    async def test_a_file_of_another_kind_is_refused_and_changes_nothing(
        self, river: Database, tmp_path: Path, content: bytes, says: str
    ) -> None:
        path = tmp_path / "other.csv"
        path.write_bytes(content)
        with pytest.raises(FileRefused) as refused:
            await import_file(importer, path, river)
        assert says in refused.value.words.en
        assert refused.value.words.fr != refused.value.words.en
        assert await kept(river) == []

    async def test_a_catalogue_that_never_started_takes_nothing_and_says_why(
        self, database: Database, tmp_path: Path
    ) -> None:
        with pytest.raises(FileRefused, match="start it once"):
            await imported(database, tmp_path, JANUARY)

    async def test_a_file_that_is_not_there_is_refused(self, river: Database, tmp_path: Path) -> None:
        with pytest.raises(FileRefused):
            await import_file(importer, tmp_path / "none.csv", river)


class TestTheRepositorysLines:
    async def test_each_line_counts_for_one_standard_of_a_service(self, client: Client) -> None:
        """The real names of the published file, as the cluster files give them."""
        month = date(2020, 1, 1)
        names = ("General Inquiry queues (English + French)", "Publications queues (English + French)")
        async with client.database.transaction() as db:
            batch = [Parsed(n, LineMonth(name, month, 10, 1.0)) for n, name in enumerate(names, 2)]
            done = await importer.write(db, batch)
        assert (done.added, list(done.rejected)) == (2, [])
