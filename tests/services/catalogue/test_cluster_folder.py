"""A cluster file that cannot be used is told apart: which file, which line, what to do; in both languages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.catalogue.cluster_folder import MOST_PROBLEMS, ClusterFilesRefused, Problem, read_folder

ROOT = Path(__file__).parents[3]
NAME = 'name = { en = "Fishing licence", fr = "Permis de pêche" }'


def problems(folder: Path) -> tuple[Problem, ...]:
    with pytest.raises(ClusterFilesRefused) as refused:
        read_folder(folder)
    for problem in refused.value.problems:
        assert problem.words.en != problem.words.fr
    return refused.value.problems


def edited(folder: Path, old: str, new: str) -> Problem:
    """The one problem of the small file after an edit."""
    path = folder / "river.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    (only,) = problems(folder)
    assert only.file == "river.toml"
    return only


class TestTheRepositorysOwn:
    def test_the_seven_files_are_sound(self) -> None:
        assert len(read_folder(ROOT / "clusters")) == 7

    def test_every_service_of_the_repository_has_an_owner_in_some_cluster(self) -> None:
        owned = {s.name for cluster in read_folder(ROOT / "clusters") for s in cluster.subgraphs}
        assert owned == {p.parent.name for p in ROOT.glob("services/*/service.py")} - {"kit"}


class TestOneEntry:
    @pytest.mark.parametrize(
        ("old", "new", "line", "says", "dit"),
        [
            ('unit = "MINUTES"', "unit = MINUTES", 24, "not TOML", "pas du TOML"),
            ("percent = 80", "percent = 80\npercent = 81", 26, "not TOML", "pas du TOML"),
            ("2020-01-01", "2020-02-30", 18, "not TOML", "pas du TOML"),
            ("percent = 80", "percentage = 1\npercent = 80", 25, "percentage: remove this key", "retirez cette clé"),
            (NAME, 'name = { en = "Fishing licence" }', 13, "name.fr: add this key", "ajoutez cette clé"),
            (NAME, 'name = { fr = "Permis de pêche" }', 13, "name.en: add this key", "ajoutez cette clé"),
            ('fr = "Permis de pêche"', 'fr = " "', 13, "name.fr: it is empty", "ce texte est vide"),
            (NAME, 'name = "Fishing licence"', 13, '{ en = "…", fr = "…" }', "pour un texte"),
            (NAME, NAME.replace('"Fishing licence"', "5"), 13, "between quotation marks", "entre guillemets"),
            ("percent = 80", 'percent = "80"', 25, "a whole number without quotation", "un nombre entier sans"),
            ("percent = 80", "percent = true", 25, "a whole number", "un nombre entier"),
            ("percent = 80", "percent = 180", 25, "at most 100", "au plus 100"),
            ("percent = 80", "", 20, "percent: add this key", "ajoutez cette clé"),
            ("target = 2", 'target = "soon"', 23, "a number without quotation", "un nombre sans"),
            ("target = 2", "target = -2", 23, "more than 0", "dépasser 0"),
            ("target = 2", "target = nan", 23, "a number that is one", "un nombre véritable"),
            ('unit = "MINUTES"', 'unit = "DECADES"', 24, "or 'CALENDAR_DAYS'", "ou 'CALENDAR_DAYS'"),
            ('"COUNTER"', '"PIGEON"', 12, "or 'KIOSK'", "ou 'KIOSK'"),
            ('["ONLINE", "COUNTER"]', '"ONLINE"', 12, "write a list", "écrivez une liste"),
            ('["ONLINE", "COUNTER"]', "[]", 12, "at least 1 entries", "au moins 1"),
            ("2020-01-01", "1999-01-01", 18, "in order of their date", "par ordre de date"),
            ("2020-01-01", "2020-01-01T10:00:00Z", 18, "the day alone", "le jour seul"),
            ("cents = 1500", "cents = -1", 18, "at least 0", "au moins 0"),
            ("cents = 1500", "cents = 99999999999", 18, "at most 2147483647", "au plus 2147483647"),
            ('code = "river"', 'code = "River!"', 1, "lower-case letters", "minuscules"),
            (
                'ministry = "water"',
                'ministry = "air"',
                11,
                "air is no ministry of this cluster",
                "ministère de ce groupe",
            ),
            ('"A licence to fish."', f'"{"x" * 10_000}"', 14, "at most 600", "600 caractères"),
            ('en = "River"', 'en = "Ri\\u0000ver"', 2, "U+0000 is not allowed", "n’est pas permis"),
            ('en = "River"', 'en = "Ri\\u202Ever"', 2, "U+202E is not allowed", "n’est pas permis"),
            ('en = "River"', 'en = "Ri\\uD800ver"', 2, "not TOML", "pas du TOML"),
            ("percent = 80", f"percent = {'9' * 5000}", 0, "too many digits", "trop de chiffres"),
            ("percent = 80", f"percent = {'[' * 5000}{']' * 5000}", 0, "too deeply", "trop imbriquée"),
        ],
    )
    def test_it_is_told_with_its_line_and_its_remedy(
        self, folder: Path, old: str, new: str, line: int, says: str, dit: str
    ) -> None:
        problem = edited(folder, old, new)
        assert (problem.line, says in problem.words.en, dit in problem.words.fr) == (line, True, True), str(problem)

    def test_what_a_multi_line_text_says_is_no_key(self, folder: Path) -> None:
        edit = '"""\npercent = 4\n"""'
        path = folder / "river.toml"
        path.write_text(path.read_text().replace('"A licence to fish."', edit))
        assert edited(folder, "percent = 80", "percent = 180").line == 27

    def test_a_file_of_windows_is_read_alike(self, folder: Path) -> None:
        path = folder / "river.toml"
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
        assert read_folder(folder)[0].code == "river"


class TestAWholeFile:
    def test_all_its_problems_are_told_at_once(self, folder: Path) -> None:
        path = folder / "river.toml"
        path.write_text(path.read_text().replace("percent = 80", "percent = 0").replace("target = 2", "target = 0"))
        assert [p.line for p in problems(folder)] == [23, 25]

    def test_an_empty_one_is_told_what_it_lacks(self, folder: Path) -> None:
        (folder / "river.toml").write_text("")
        assert {p.words.en for p in problems(folder)} == {
            f"{key}: add this key" for key in ("code", "name", "vision", "ministries")
        }

    def test_one_that_is_not_utf8_is_told_the_line(self, folder: Path) -> None:
        path = folder / "river.toml"
        path.write_bytes(path.read_bytes().replace("Rivière".encode(), "Rivière".encode("latin-1")))
        (only,) = problems(folder)
        assert (only.line, only.words.en) == (2, "not UTF-8; save it as UTF-8")

    def test_a_huge_one_is_refused_unread(self, folder: Path) -> None:
        with (folder / "river.toml").open("wb") as file:
            file.truncate(1 << 34)  # sparse: 16 GiB that take no room
        (only,) = problems(folder)
        assert "larger than 1 MiB" in only.words.en

    def test_one_that_cannot_be_read_is_named(self, folder: Path) -> None:
        (folder / "lake.toml").mkdir()
        (only,) = problems(folder)
        assert (only.file, only.line) == ("lake.toml", 0)
        assert "cannot be read" in only.words.en

    def test_of_a_thousand_problems_the_first_are_told(self, folder: Path) -> None:
        path = folder / "river.toml"
        text = path.read_text()
        path.write_text(text + text[text.index("[[services]]") :] * 1200)
        assert path.stat().st_size < 1 << 20
        assert len(problems(folder)) == MOST_PROBLEMS


class TestSeveralFiles:
    @pytest.fixture
    def two(self, folder: Path) -> Path:
        """A second file whose codes all differ, with the ministry in common."""
        text = (folder / "river.toml").read_text()
        for name in ("river", "fishing-licence", "licence-line", "Fish line", "Boat line"):
            text = text.replace(f'"{name}"', f'"{name.replace("i", "o")}"')
        (folder / "rover.toml").write_text(text)
        return folder

    def rover(self, two: Path, old: str, new: str) -> Problem:
        path = two / "rover.toml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))
        (only,) = problems(two)
        assert only.file == "rover.toml"
        return only

    def test_a_ministry_can_be_in_two(self, two: Path) -> None:
        assert [c.ministries[0].code for c in read_folder(two)] == ["water", "water"]

    @pytest.mark.parametrize(
        ("old", "new", "line", "says"),
        [
            ('"rover"', '"river"', 1, "the cluster river is already at river.toml:1;"),
            ("foshong-locence", "fishing-licence", 10, "the service fishing-licence is already at river.toml:10;"),
            ("locence-lone", "licence-line", 21, "the standard licence-line is already at river.toml:21;"),
            ("Fosh lone", "Fish line", 26, "the line Fish line is already at river.toml:26;"),
            ("Ministry of Water", "Ministry of Waters", 7, "water is named otherwise in another place"),
        ],
    )
    def test_a_code_that_stands_elsewhere_is_told_with_both_places(
        self, two: Path, old: str, new: str, line: int, says: str
    ) -> None:
        problem = self.rover(two, old, new)
        assert problem.line == line
        assert says in problem.words.en

    def test_a_ministry_that_stands_twice_in_one_is_told(self, folder: Path) -> None:
        path = folder / "river.toml"
        text = path.read_text()
        start, end = text.index("[[ministries]]"), text.index("[[services]]")
        path.write_text(text[:end] + text[start:end] + text[end:])
        (only,) = problems(folder)
        assert (only.line, only.words.en) == (10, "water stands twice in this file; remove one")


class TestAFolder:
    def test_an_empty_one_says_which_variable_names_it(self, tmp_path: Path) -> None:
        (only,) = problems(tmp_path / "nowhere")
        assert "CLUSTERS_DIR" in only.words.en

    def test_roles_and_scopes_are_no_cluster(self, folder: Path) -> None:
        (folder / "access.toml").write_text('[roles]\nx = ["y"]\n')
        assert len(read_folder(folder)) == 1


class TestTheStart:
    def test_a_bad_file_stops_it_with_its_line_alone(self, folder: Path) -> None:
        path = folder / "river.toml"
        path.write_text(path.read_text().replace("percent = 80", 'percent = "80"'))
        given = {
            "CLUSTERS_DIR": str(folder),
            "CATALOGUE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
            "NATS_URL": "nats://127.0.0.1:1",
            "ISSUER_URL": "http://127.0.0.1:1/realms/onedoor",
            "ONEDOOR_MODE": "test",
            "PORT": "0",
        }
        command = [sys.executable, "-m", "services.kit.serve", "catalogue"]
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **given}, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 1
        assert done.stderr.startswith("river.toml:25: services.0.standards.0.percent: write a whole number")
        assert len(done.stderr.splitlines()) == 1
