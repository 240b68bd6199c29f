"""What parts sign in with, as files: made once, closed to others, and what the data stores are told of them."""

import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from clusters import broker, credentials
from clusters.local import postgres
from services.kit import roles


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "credentials"


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


class TestTheFolder:
    def test_is_closed_to_everybody_else(self, folder: Path) -> None:
        credentials.prepare(folder, ["lakes", "rivers"])
        held = [folder, *folder.rglob("*")]
        assert {stat.S_IMODE(path.stat().st_mode) for path in held if path.is_dir()} == {0o700}
        assert {stat.S_IMODE(path.stat().st_mode) for path in held if path.is_file()} == {0o600}

    def test_keeps_what_is_there_and_adds_what_is_missing(self, folder: Path) -> None:
        credentials.prepare(folder, ["lakes"])
        before = contents(folder / "lakes")
        credentials.prepare(folder, ["lakes", "rivers"])
        assert contents(folder / "lakes") == before
        assert set(contents(folder / "rivers")) == set(before)

    def test_holds_no_password_twice_and_tells_the_server_none(self, folder: Path) -> None:
        credentials.prepare(folder, ["lakes", "rivers"])
        held = contents(folder)
        told = held.pop(str(credentials.ROLES_FILE)) + held.pop(str(credentials.USERS_FILE))
        words = [text.strip().rpartition(":")[2] for name, text in held.items() if not name.endswith(".json")]
        assert len(words) == len(set(words)) == 2 * len(roles.LOGINS) + len(broker.traffic(["lakes", "rivers"])) + 1
        assert not any(word in told for word in words)


@pytest.mark.stack
class TestTheScript:
    @pytest.fixture
    def service(self, postgres_url: str) -> Iterator[str]:
        name = f"ferries_{token_hex(4)}"
        yield name
        psql(postgres_url, "-c", f"DROP DATABASE {name} WITH (FORCE)")
        psql(postgres_url, "-c", f"DROP ROLE {', '.join(roles.role(name, k) for k in (roles.OWNER, *roles.LOGINS))}")

    def test_lets_the_services_roles_into_its_database_again_and_again(
        self, folder: Path, postgres_url: str, service: str
    ) -> None:
        """With the passwords that the folder holds then, and with them only."""
        place = postgres_url.rpartition("@")[2].replace("/postgres", f"/{service}")
        for _ in range(2):
            credentials.prepare(folder, [service])
            for _ in range(2):
                assert psql(postgres_url, "-f", str(folder / credentials.ROLES_FILE)) == ""
            for kind in roles.LOGINS:
                file = credentials.password_file(folder, service, kind)
                found = psql(f"postgresql://{service}_{kind}@{place}?passfile={file}", "-c", "SELECT current_user")
                assert found == roles.role(service, kind)
                file.unlink()


def psql(url: str, *what: str) -> str:
    program = postgres.reachable_programs(postgres.unprivileged_user()) / "psql"
    command = [str(program), "-XqAtw", "-v", "ON_ERROR_STOP=1", "-d", url, *what]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
