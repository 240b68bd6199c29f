"""`onedoor mail`: the letters that local mode would have sent."""

import json
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clusters.cli import app
from clusters.local import letters
from clusters.topology import Unknown


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two letters, and one that is being written."""
    for name, title in (("aa11", "Your code: 1234 5678"), ("bb22", "Votre délégation a pris fin")):
        message = EmailMessage()
        message["To"], message["Subject"], message["Date"] = (
            "baker@example.ca",
            title,
            "Sun, 29 Nov 2026 12:00:00 +0000",
        )
        message.set_content("Bonjour,\n\nÀ bientôt.")
        (tmp_path / f"{name}.eml").write_bytes(message.as_bytes(policy=SMTP))
    (tmp_path / ".cc33.part").write_bytes(b"To: ba")
    return tmp_path


class TestLetters:
    def test_are_told_for_programs(self, folder: Path) -> None:
        done = CliRunner().invoke(app, ["mail", "--folder", str(folder), "--json"])
        told = json.loads(done.stdout)
        assert {one["name"]: one["title"] for one in told} == {
            "aa11": "Your code: 1234 5678",
            "bb22": "Votre délégation a pris fin",
        }

    def test_are_listed_a_line_each(self, folder: Path) -> None:
        done = CliRunner().invoke(app, ["mail", "--folder", str(folder)])
        assert len(done.stdout.splitlines()) == 2 and "baker@example.ca  Your code: 1234 5678" in done.stdout

    def test_are_shown_whole_by_how_their_names_begin(self, folder: Path) -> None:
        assert "À bientôt." in CliRunner().invoke(app, ["mail", "bb", "--folder", str(folder)]).stdout

    def test_are_none_before_the_first(self, tmp_path: Path) -> None:
        assert letters.read(tmp_path / "nowhere") == []

    def test_are_refused_by_a_name_that_none_has(self, folder: Path) -> None:
        with pytest.raises(Unknown):
            letters.read(folder, "zz")
