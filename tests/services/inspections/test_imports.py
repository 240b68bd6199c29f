"""The importer `dinesafe` on invented rows: what is taken, what is rejected and why, and that a second time changes nothing."""

import asyncio
import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from services.inspections import imports
from services.inspections.imports import COLUMNS, SEVERITIES, DineSafe, importer, visit_row
from services.kit.database import Db
from services.kit.imports import FileRefused, Outcomes, Parsed, Rejected, Report, import_file
from tests.services.inspections.conftest import Cast, Json

HEADER = ("Rec #", *COLUMNS, "Establishment Status", "Min. Inspections Per Year")
SHOWN = """id name kind address latitude longitude visits { on infractions {
    details { en fr } law section severity action outcome finedCents } }"""
Make = Callable[..., Path]


def row(**changes: str) -> dict[str, str]:
    """A visit that found nothing, with changes by short names."""
    names = {
        "premises": "Establishment ID",
        "visit": "Inspection ID",
        "name": "Establishment Name",
        "kind": "Establishment Type",
        "address": "Establishment Address",
        "day": "Inspection Date",
    }
    return {
        "Rec #": "1",
        "Establishment ID": "501",
        "Inspection ID": "9001",
        "Establishment Name": "THE PAPER LANTERN",
        "Establishment Type": "Restaurant",
        "Establishment Address": "1 IMAGINARY RD",
        "Latitude": "43.65",
        "Longitude": "-79.38",
        "Establishment Status": "Pass",
        "Min. Inspections Per Year": "2",
        "Infraction Details": "",
        "Inspection Date": "2011-03-31",
        "Severity": "",
        "Action": "",
        "Outcome": "",
        "Amount Fined": "",
        **{names.get(name, name): value for name, value in changes.items()},
    }


def infraction(
    details: str = "Leave the soup uncovered O. REG  562/90 SEC. 59(C)(II)", **changes: str
) -> dict[str, str]:
    """A visit that found something."""
    found = {"Infraction Details": details, "Severity": "C - Crucial", "Action": "Notice to Comply"}
    return row(**{**found, **changes})


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a file of rows."""

    def write(*rows: Mapping[str, str], header: Sequence[str] = HEADER) -> Path:
        path = tmp_path / "dinesafe.csv"
        with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            writer = csv.DictWriter(file, header, quoting=csv.QUOTE_ALL, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write


async def imported(cast: Cast, path: Path, by: DineSafe = importer) -> Report:
    return await import_file(by, path, cast.client.database)


async def shown(cast: Cast, premises: str = "dinesafe-501") -> Json:
    found: Json = (await cast.nobody.ask(f'{{ premises(id: "{premises}") {{ {SHOWN} }} }}'))["premises"]
    return found


def counts(report: Report) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.rejected


class TestWhatIsTaken:
    async def test_a_visit_with_what_it_found(self, cast: Cast, make: Make) -> None:
        fined = {"Action": "Ticket", "Outcome": "Conviction - Fined & Probationary Order", "Amount Fined": "1562.5"}
        await imported(cast, make(infraction(), infraction("Post no notice", Severity="NA - Not Applicable", **fined)))
        assert await shown(cast) == {
            "id": "dinesafe-501",
            "name": "THE PAPER LANTERN",
            "kind": "Restaurant",
            "address": "1 IMAGINARY RD",
            "latitude": 43.65,
            "longitude": -79.38,
            "visits": [
                {
                    "on": "2011-03-31",
                    "infractions": [
                        {
                            "details": {"en": "Leave the soup uncovered O. REG 562/90 SEC. 59(C)(II)", "fr": None},
                            "law": "O. Reg. 562/90",
                            "section": "59(c)(ii)",
                            "severity": "CRUCIAL",
                            "action": "NOTICE_TO_COMPLY",
                            "outcome": None,
                            "finedCents": None,
                        },
                        {
                            "details": {"en": "Post no notice", "fr": None},
                            "law": None,
                            "section": None,
                            "severity": None,
                            "action": "TICKET",
                            "outcome": "CONVICTION_FINED_PROBATIONARY_ORDER",
                            "finedCents": 156250,
                        },
                    ],
                }
            ],
        }

    async def test_a_visit_that_found_nothing(self, cast: Cast, make: Make) -> None:
        await imported(cast, make(row(Latitude="", Longitude="")))
        found = await shown(cast)
        assert (found["latitude"], found["visits"]) == (None, [{"on": "2011-03-31", "infractions": []}])

    async def test_premises_are_no_businesses_and_no_inspections_of_the_registry(self, cast: Cast, make: Make) -> None:
        await imported(cast, make(infraction()))
        seen = await cast.inspector.ask("{ inspections { edges { node { id } } } }")
        assert seen["inspections"]["edges"] == []

    async def test_the_latest_visit_describes_the_premises_whatever_the_order_of_files(
        self, cast: Cast, make: Make
    ) -> None:
        new = row(visit="9002", day="2011-09-01", name="THE NEW LANTERN")
        old = row(visit="9001", day="2008-09-01", name="THE OLD LANTERN")
        for rows in ((new,), (old,), (old, new), (new, old)):
            await imported(cast, make(*rows))
            assert (await shown(cast))["name"] == "THE NEW LANTERN"
        assert [visit["on"] for visit in (await shown(cast))["visits"]] == ["2011-09-01", "2008-09-01"]

    async def test_premises_are_found_by_a_part_of_their_name(self, cast: Cast, make: Make) -> None:
        await imported(cast, make(row(), row(premises="502", visit="9002", name="100% PURE_TEA")))
        text = "query ($n: String) { inspectedPremises(name: $n) { edges { node { name } } } }"

        async def names(part: str) -> list[str]:
            found = (await cast.nobody.ask(text, n=part))["inspectedPremises"]
            return [edge["node"]["name"] for edge in found["edges"]]

        assert await names("lantern") == ["THE PAPER LANTERN"]
        assert await names("0%") == ["100% PURE_TEA"]
        assert await names("%_%") == []
        assert len(await names("")) == 2


class TestASecondTime:
    async def test_everything_is_unchanged(self, cast: Cast, make: Make) -> None:
        path = make(infraction(), infraction("Other"), row(visit="9002"))
        first, again = await imported(cast, path), await imported(cast, path)
        assert (counts(first), counts(again)) == ((3, 0, 0, 0), (0, 0, 3, 0))

    async def test_another_record_number_is_no_change(self, cast: Cast, make: Make) -> None:
        await imported(cast, make(infraction()))
        report = await imported(cast, make({**infraction(), "Rec #": "777", "Establishment Status": "Closed"}))
        assert counts(report) == (0, 0, 1, 0)

    async def test_a_corrected_row_changes_what_it_says(self, cast: Cast, make: Make) -> None:
        await imported(cast, make(infraction(Outcome="Pending")))
        settled = {"Outcome": "Conviction - Fined", "Amount Fined": "60"}
        report = await imported(cast, make(infraction(**settled)))
        (found,) = (await shown(cast))["visits"][0]["infractions"]
        assert counts(report) == (0, 1, 0, 0)
        assert (found["outcome"], found["finedCents"]) == ("CONVICTION_FINED", 6000)

    async def test_a_row_that_stands_twice_in_a_file_is_taken_once(self, cast: Cast, make: Make) -> None:
        report = await imported(cast, make(infraction(), infraction()))
        assert counts(report) == (1, 0, 1, 0)
        assert len((await shown(cast))["visits"][0]["infractions"]) == 1

    async def test_after_a_crash_half_way_the_next_run_goes_on(self, shared: Cast, make: Make) -> None:
        path = make(*(row(visit=str(9000 + n), premises=str(500 + n % 3)) for n in range(10)))

        class Crashing(DineSafe):
            batch_size = 4
            batches = 0

            async def write(self, db: Db, batch: Sequence[Parsed[Any]]) -> Outcomes:
                done = await super().write(db, batch)
                self.batches += 1
                if self.batches == 2:
                    raise ConnectionError("the database went away")
                return done

        with pytest.raises(ConnectionError):
            await imported(shared, path, Crashing())
        assert await _rows(shared) == 4
        assert counts(await imported(shared, path)) == (6, 0, 4, 0)

    async def test_two_imports_at_once_end_with_each_row_once(self, shared: Cast, make: Make) -> None:
        path = make(*(infraction(visit=str(9000 + n), premises=str(500 + n % 7)) for n in range(60)))

        class Small(DineSafe):
            batch_size = 7

        reports = await asyncio.gather(*(imported(shared, path, Small()) for _ in range(3)))
        assert [report.rejected for report in reports] == [0, 0, 0]
        assert await _rows(shared) == 60


async def _rows(cast: Cast) -> int:
    reader = cast.client.database.reader()
    try:
        count: int = (await reader.execute(text("SELECT count(*) FROM premises_visit"))).scalar_one()
    finally:
        await reader.session.close()
    return count


class TestWhatIsRejected:
    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"premises": ""}, "MALFORMED_ID"),
            ({"premises": "-1"}, "MALFORMED_ID"),
            ({"visit": "9" * 13}, "MALFORMED_ID"),
            ({"visit": "١٢٣"}, "MALFORMED_ID"),
            ({"visit": "1e3"}, "MALFORMED_ID"),
            ({"name": ""}, "MALFORMED_TEXT"),
            ({"name": "x" * 10_000}, "MALFORMED_TEXT"),
            ({"kind": " "}, "MALFORMED_TEXT"),
            ({"address": "x" * 301}, "MALFORMED_TEXT"),
            ({"Infraction Details": "x" * 1001, "Severity": "M - Minor"}, "MALFORMED_TEXT"),
            ({"day": "31/03/2011"}, "MALFORMED_DATE"),
            ({"day": "2011-02-30"}, "MALFORMED_DATE"),
            ({"day": "2999-01-01"}, "MALFORMED_DATE"),
            ({"day": "0001-01-01"}, "MALFORMED_DATE"),
            ({"day": "20110331"}, "MALFORMED_DATE"),
            ({"Latitude": "nan"}, "MALFORMED_COORDINATES"),
            ({"Latitude": "inf"}, "MALFORMED_COORDINATES"),
            ({"Latitude": "-79.38", "Longitude": "43.65"}, "MALFORMED_COORDINATES"),
            ({"Longitude": "1" * 400}, "MALFORMED_COORDINATES"),
            ({"Severity": "M - Minor"}, "INCOMPLETE_INFRACTION"),
            ({"Infraction Details": "Leave the soup uncovered"}, "INCOMPLETE_INFRACTION"),
            ({"Infraction Details": "Leave the soup", "Severity": "X - Worst"}, "UNKNOWN_SEVERITY"),
            ({"Amount Fined": "-5"}, "MALFORMED_AMOUNT"),
            ({"Amount Fined": "$60"}, "MALFORMED_AMOUNT"),
            ({"Amount Fined": "9" * 400}, "MALFORMED_AMOUNT"),
            ({"name": "THE\u0000LANTERN"}, "HOSTILE_CHARACTER"),
            ({"name": "\u202eNRETNAL"}, "HOSTILE_CHARACTER"),
            ({"name": "CAF\udce9"}, "NOT_UTF8"),
        ],
    )
    async def test_a_row_never_the_file(self, cast: Cast, make: Make, changes: dict[str, str], code: str) -> None:
        report = await imported(cast, make(row(), {**row(), **row(**changes)}, row(premises="502", visit="9002")))
        (rejected,) = report.rejections
        assert (rejected.line, rejected.code) == (3, code)
        assert rejected.reason.en != rejected.reason.fr
        assert counts(report) == (2, 0, 0, 1)

    async def test_a_row_with_too_few_fields(self, cast: Cast, make: Make) -> None:
        path = make(row())
        path.write_text(path.read_text() + '"1","2"\n' + "x" * 500_000 + "\n")
        report = await imported(cast, path)
        assert [rejected.code for rejected in report.rejections] == ["WRONG_FIELD_COUNT", "WRONG_FIELD_COUNT"]

    async def test_text_that_looks_like_code_is_text(self, cast: Cast, make: Make) -> None:
        name = "Robert'); DROP TABLE premises;-- =cmd|' /C calc'!A0 🦄 مطعم"
        await imported(cast, make(row(name=name)))
        assert (await shown(cast))["name"] == name

    @given(st.dictionaries(st.sampled_from(COLUMNS), st.text(max_size=30)))
    def test_whatever_a_row_holds_it_is_taken_or_rejected_with_a_reason(self, changes: dict[str, str]) -> None:
        found = visit_row(Parsed(7, {**infraction(), **changes}))
        assert isinstance(found, Parsed) or (found.line, bool(found.code and found.reason.fr)) == (7, True)

    @given(st.sampled_from(list(SEVERITIES)), st.decimals(0, 999_999, places=2))
    def test_amounts_keep_every_cent(self, severity: str, amount: Any) -> None:
        found = visit_row(Parsed(1, infraction(Severity=severity, **{"Amount Fined": str(amount)})))
        assert not isinstance(found, Rejected)
        assert found.record.fined_cents == int(amount * 100)


class TestAFileThatIsNone:
    async def test_lacks_columns(self, cast: Cast, make: Make) -> None:
        with pytest.raises(FileRefused, match="Severity"):
            await imported(cast, make(row(), header=[name for name in HEADER if name != "Severity"]))

    @pytest.mark.parametrize("content", [b"", b"\n\n", b"\x00\x01\x02", b"%PDF-1.4", b"\xff\xfe" * 50])
    async def test_is_empty_or_something_else(self, cast: Cast, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "file.csv"
        path.write_bytes(content)
        with pytest.raises(FileRefused):
            await imported(cast, path)

    async def test_is_not_there(self, cast: Cast, tmp_path: Path) -> None:
        with pytest.raises(FileRefused):
            await imported(cast, tmp_path / "none.csv")


class TestTheSource:
    def test_the_status_that_never_varies_is_not_read(self) -> None:
        assert "Establishment Status" not in COLUMNS
        assert imports.SOURCE == "dinesafe"
