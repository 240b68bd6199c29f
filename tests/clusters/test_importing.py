"""`onedoor import`: what it says, in which language, and how it exits; with the catalogue's source on a real database."""

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from clusters.cli import app
from services.catalogue.service import service
from services.kit.database import connect
from services.kit.testing.database import Template, copied, migrator_url

HEADER = "Queue Group/Line of Business,Month,Year,Calls Handled,Average Wait Time (minutes)"
LINE = "Publications queues (English + French)"
GOOD = [f"{LINE},Jan,2020,120,1.25", f"{LINE},Feb,2020,80,2.75"]
BAD = [f"{LINE},Mar,2020,-1,1", "Nobody’s line,Jan,2020,1,1"]


@pytest.fixture(autouse=True)
def catalogue(
    postgres_url: str, template_of: Callable[[str], Template], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A seeded catalogue of its own that the command finds by its variable; the terminal is English."""
    template = template_of("catalogue")

    @asynccontextmanager
    async def opened() -> AsyncIterator[str]:
        async with copied(postgres_url, template, "importing") as url:
            database = connect(url, "test")
            for seed in service.seeds:
                async with database.transaction() as db:
                    await seed(db)
            await database.close()
            yield url

    with asyncio.Runner() as runner:
        context = opened()
        url = runner.run(context.__aenter__())
        monkeypatch.setenv("CATALOGUE_DATABASE_URL", url.replace("+asyncpg", ""))
        monkeypatch.setenv("CATALOGUE_MIGRATION_DATABASE_URL", migrator_url(url))
        monkeypatch.setenv("LC_ALL", "en_CA.UTF-8")
        try:
            yield
        finally:
            runner.run(context.__aexit__(None, None, None))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "calls.csv"
    path.write_text("\n".join([HEADER, *GOOD, *BAD]) + "\n")
    return path


def onedoor(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["import", *map(str, arguments)])


class TestCounting:
    def test_it_ends_with_counts_and_with_each_reason(self, file: Path) -> None:
        done = onedoor("contact-centres", file)
        assert done.exit_code == 0, done.output
        lines = done.stdout.splitlines()
        assert lines[0].startswith("read 4, added 2, changed 0, unchanged 0, rejected 2 (")
        assert lines[1].startswith("  line 4: MALFORMED_CALLS: ")
        assert lines[2].startswith("  line 5: UNKNOWN_LINE: ")

    def test_the_second_time_nothing_is_added(self, file: Path) -> None:
        onedoor("contact-centres", file)
        assert onedoor("contact-centres", file).stdout.startswith("read 4, added 0, changed 0, unchanged 2, rejected 2")

    def test_it_speaks_french_to_a_french_terminal(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LC_ALL", "fr_CA.UTF-8")
        lines = onedoor("contact-centres", file).stdout.splitlines()
        assert lines[0].startswith("lus 4, ajoutés 2, modifiés 0, inchangés 0, rejetés 2 (")
        assert "le nombre d’appels n’est pas un nombre entier" in lines[1]

    def test_programs_are_told_the_same_as_json(self, file: Path) -> None:
        told = json.loads(onedoor("contact-centres", file, "--json").stdout)
        assert {name: told[name] for name in ("read", "added", "changed", "unchanged", "rejected")} == {
            "read": 4,
            "added": 2,
            "changed": 0,
            "unchanged": 0,
            "rejected": 2,
        }
        assert told["reasons"] == {"MALFORMED_CALLS": 1, "UNKNOWN_LINE": 1}
        assert [(r["line"], r["code"]) for r in told["rejections"]] == [(4, "MALFORMED_CALLS"), (5, "UNKNOWN_LINE")]


class TestRejects:
    def test_every_rejected_row_is_written_with_its_reason_in_both_languages(self, file: Path, tmp_path: Path) -> None:
        onedoor("contact-centres", file, "--rejects", tmp_path / "rejects.csv")
        with (tmp_path / "rejects.csv").open(newline="") as opened:
            rows = list(csv.DictReader(opened))
        assert [(row["line"], row["code"]) for row in rows] == [("4", "MALFORMED_CALLS"), ("5", "UNKNOWN_LINE")]
        assert all(row["reason_en"] and row["reason_fr"] for row in rows)
        assert rows[0]["raw"] == BAD[0]

    def test_or_as_json_lines(self, file: Path, tmp_path: Path) -> None:
        onedoor("contact-centres", file, "--rejects", tmp_path / "rejects.jsonl")
        rows = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
        assert [row["code"] for row in rows] == ["MALFORMED_CALLS", "UNKNOWN_LINE"]

    def test_a_place_that_cannot_be_written_stops_it_before_it_begins(self, file: Path, tmp_path: Path) -> None:
        done = onedoor("contact-centres", file, "--rejects", tmp_path / "nowhere" / "rejects.csv")
        assert done.exit_code == 1
        assert "cannot be written" in done.stderr
        assert onedoor("contact-centres", file).stdout.startswith("read 4, added 2")


class TestRefusing:
    @pytest.mark.parametrize("change", ["", "nobody:wrong@"])
    def test_a_database_that_refuses_is_told_without_a_stack(
        self, file: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, change: str
    ) -> None:
        scheme, _, rest = postgres_url.partition("://")
        person, _, place = rest.rpartition("@")
        host = place.partition("/")[0]
        url = f"{scheme}://{change}{host}/postgres" if "@" in change else f"{scheme}://{person}@{host}/nowhere"
        monkeypatch.delenv("CATALOGUE_MIGRATION_DATABASE_URL")
        monkeypatch.setenv("CATALOGUE_DATABASE_URL", url)
        done = onedoor("contact-centres", file)
        assert done.exit_code == 1
        assert done.stderr.startswith("onedoor: ")
        assert "Traceback" not in done.output

    @pytest.mark.parametrize(("locale", "says"), [("en_CA", "no source is called"), ("fr_CA", "aucune source")])
    def test_an_unknown_source_is_told_which_there_are(
        self, file: Path, monkeypatch: pytest.MonkeyPatch, locale: str, says: str
    ) -> None:
        monkeypatch.setenv("LC_ALL", f"{locale}.UTF-8")
        done = onedoor("census", file)
        assert done.exit_code == 1
        assert says in done.stderr
        for source in ("ontario-locations", "hsds", "dinesafe", "contact-centres"):
            assert source in done.stderr

    def test_a_file_of_another_kind_is_told_what_it_lacks(self, tmp_path: Path) -> None:
        path = tmp_path / "other.csv"
        path.write_text("a,b\n1,2\n")
        done = onedoor("contact-centres", path)
        assert done.exit_code == 1
        assert "lacks the columns" in done.stderr
        assert "Traceback" not in done.output

    def test_without_a_database_it_says_how_to_have_one(
        self, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("CATALOGUE_MIGRATION_DATABASE_URL")
        monkeypatch.delenv("CATALOGUE_DATABASE_URL")
        monkeypatch.setenv("ONEDOOR_DATA", str(tmp_path / "none"))
        done = onedoor("contact-centres", file)
        assert done.exit_code == 1
        assert "CATALOGUE_DATABASE_URL" in done.stderr

    def test_a_database_that_does_not_answer_is_told_without_a_stack(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("CATALOGUE_MIGRATION_DATABASE_URL")
        monkeypatch.setenv("CATALOGUE_DATABASE_URL", "postgresql://nobody:nothing@127.0.0.1:1/none")
        done = onedoor("contact-centres", file)
        assert done.exit_code == 1
        assert done.stderr.startswith("onedoor: ")
        assert "Traceback" not in done.output
