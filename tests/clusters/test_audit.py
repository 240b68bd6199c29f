"""`onedoor audit` as an auditor meets it: export, verify offline, expire; its exit codes and its words in both languages."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from uuid import UUID

import orjson
import pytest
from sqlalchemy import insert
from sqlalchemy.engine import make_url
from typer.testing import CliRunner, Result

from clusters import audit, keys
from services.kit import access_log, database, roles
from services.kit.audit.announcing import Announcer
from services.kit.audit.sealer import Sealer
from services.kit.signing_keys import first_key
from services.kit.testing.database import Template, administer, app_url, made, url_of

NAME = "catalogue"
NOW = datetime.now(UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Credentials: the service's key, and the public ones."""
    keys.of_audit(tmp_path, NAME)
    return tmp_path


@pytest.fixture
def held(
    folder: Path,
    postgres_url: str,
    template_of: Callable[[str], Template],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:
    """A database with four sealed entries, one of which has had its time; the file outside that holds its head."""
    template = template_of(NAME)
    copy = Template(f"audit_{token_hex(6)}", NAME)
    asyncio.run(made(postgres_url, copy.name, NAME, template.name))
    url, outside = app_url(postgres_url, copy), folder / "heads.jsonl"

    async def fill() -> None:
        opened = database.connect(url, "test", pool_size=2)
        said = {"actor": "clerk", "act": "READ", "subject": "ann", "category": "c", "request_id": "r"}
        rows = [{**said, "fetch_id": str(n), "at": NOW - timedelta(days=4000 * (n == 0))} for n in range(4)]
        async with opened.transaction() as db:
            await db.execute(insert(access_log.entries), rows)
        key = first_key((folder / NAME / keys.AUDIT).read_bytes())
        await Sealer(opened, NAME, [access_log.SEALED], lambda: key).seal_some()
        await Announcer(opened, NAME, lambda: key, outside).announce()
        await opened.close()

    asyncio.run(fill())
    retention = url_of(postgres_url, copy.name, roles.role(NAME, roles.RETENTION))
    for variable, address in (("CATALOGUE_DATABASE_URL", url), ("CATALOGUE_RETENTION_DATABASE_URL", retention)):
        plain = make_url(address).set(drivername="postgresql").render_as_string(hide_password=False)
        monkeypatch.setenv(variable, plain)
    yield outside
    asyncio.run(administer(postgres_url, f'DROP DATABASE "{copy.name}" WITH (FORCE)'))


def run(*arguments: object, language: str = "en_CA.UTF-8") -> Result:
    return CliRunner(env={"LC_ALL": language}).invoke(audit.app, [str(each) for each in arguments])


class TestAnAudit:
    def test_is_exported_expired_and_verified_by_the_keys_and_heads_of_others(self, folder: Path, held: Path) -> None:
        file, public = folder / "out.jsonl", folder / keys.AUDIT_PUBLIC
        assert orjson.loads(run("expire", NAME, "--json").output)["access_entry"] == 1
        assert run("export", NAME, file).output == f"4 seals are in {file}.\n"
        assert file.stat().st_mode & 0o777 == 0o600
        done = run("verify", file, "--keys", public, "--heads", held)
        assert (done.exit_code, done.output.splitlines()[-1]) == (0, "The chain holds.")
        assert "1 contents have had their time" in done.output
        told = orjson.loads(run("verify", file, "--keys", public, "--heads", held, "--json").output)
        assert (told["holds"], told["seals"], told["witnesses"], told["unsigned"], told["expired"]) == (
            True,
            4,
            1,
            None,
            1,
        )

    def test_that_nobody_signed_to_its_end_is_told_apart(self, folder: Path, held: Path) -> None:
        run("export", NAME, file := folder / "out.jsonl")
        done = run("verify", file, language="fr_CA.UTF-8")
        assert (done.exit_code, done.output.splitlines()[-1]) == (audit.UNSIGNED, "La chaîne tient.")
        assert "Aucune signature vérifiée ne couvre les sceaux 1 à 4." in done.output

    @pytest.mark.parametrize(("language", "said"), [("en_CA.UTF-8", "Seal 3 (entry"), ("fr_CA.UTF-8", "Le sceau 3 (")])
    def test_that_was_altered_names_the_row_in_the_language_of_the_terminal(
        self, folder: Path, held: Path, language: str, said: str
    ) -> None:
        run("export", NAME, file := folder / "out.jsonl")
        lines = file.read_bytes().splitlines(keepends=True)
        at = next(i for i, line in enumerate(lines) if line.startswith(b"[3,"))
        file.write_bytes(b"".join([*lines[:at], lines[at].replace(b"ann", b"bob"), *lines[at + 1 :]]))
        done = run("verify", file, language=language)
        assert (done.exit_code, said in done.output) == (1, True)
        assert orjson.loads(run("verify", file, "--json").output)["finding"]["kind"] == "ALTERED"

    def test_signed_by_an_older_key_still_verifies(self, folder: Path, held: Path) -> None:
        run("export", NAME, file := folder / "out.jsonl")
        assert run("renew-key", NAME, folder).exit_code == 0
        assert run("verify", file, "--keys", folder / keys.AUDIT_PUBLIC).exit_code == 0


class TestARefusal:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("export", "lakes", "x"), "no service is called lakes"),
            (("export", "inspections", "x"), "INSPECTIONS_DATABASE_URL"),
            (("expire", "inspections"), "INSPECTIONS_RETENTION_DATABASE_URL"),
        ],
        ids=["service", "database", "retention"],
    )
    def test_says_what_is_wrong_and_what_to_do(
        self, arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        done = run(*arguments)
        assert (done.exit_code, said in done.output) == (1, True)

    def test_of_keys_that_are_none_names_the_file(self, tmp_path: Path) -> None:
        (bad := tmp_path / "keys.json").write_text("{}")
        (file := tmp_path / "out.jsonl").write_text("")
        done = run("verify", file, "--keys", bad)
        assert (done.exit_code, str(bad) in done.output) == (1, True)


class TestASample:
    def test_lists_the_looks_under_a_statute_to_review(self, tmp_path: Path) -> None:
        said = {"purpose": "statutory-investigation", "actor": "inspector", "subject": "ann", "category": "inspections"}
        case = {
            "case_number": "HPPA-2026/0117",
            "reason": "Complaint about vermin",
            "at": "2026-11-29T15:04:05.000000+00:00",
        }
        entries = [{"id": str(UUID(int=n)), **said, **case} for n in range(60)]
        file = tmp_path / "out.jsonl"
        file.write_bytes(b"\n".join(orjson.dumps([1, e["id"], "", "", "", "", "", e]) for e in entries))
        lines = run("sample", file).output.splitlines()
        assert 0 < len(lines) < 20
        assert set(lines) == {"2026-11-29T15:04Z  inspector → ann  inspections  HPPA-2026/0117  Complaint about vermin"}
        assert len(orjson.loads(run("sample", file, "--json").output)) == len(lines)

    def test_of_something_else_is_refused_in_the_language_of_the_terminal(self, tmp_path: Path) -> None:
        file = tmp_path / "out.jsonl"
        file.write_text("not JSON")
        done = run("sample", file, language="fr_CA.UTF-8")
        assert (done.exit_code, "n’est pas une exportation d’audit" in done.output) == (1, True)
