"""Data of another release, on a real province. The next release is a copy of this one with one more migration."""

import shutil
from importlib.metadata import version
from pathlib import Path

import pytest

from clusters.local import folder as folders
from clusters.local import postgres
from clusters.topology import ROOT
from services.kit import roles
from tests.clusters.local.conftest import PATIENCE_S, Province

pytestmark = pytest.mark.stack  # two releases of the whole province, one after the other

NEXT = "99.0.0"
MIGRATION = '''"""What the next release adds."""

import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "{head}"
branch_labels = depends_on = None


def upgrade() -> None:
    op.add_column("cluster", sa.Column("motto", sa.String(), nullable=True))
'''


@pytest.fixture
def next_release(folder: Path) -> Path:
    """The folder to start it from."""
    place = folder / "next"
    for name in ("gateway", "services", "clusters", "contracts"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    migrations = place / "services" / "catalogue" / "migrations" / "versions"
    head = max(path.name for path in migrations.glob("[0-9]*.py")).split("_")[0]
    (migrations / "next.py").write_text(MIGRATION.format(head=head))
    described = place / f"onedoor-{NEXT}.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Metadata-Version: 2.4\nName: onedoor\nVersion: {NEXT}\n")
    return place


class TestAnotherRelease:
    def test_the_next_one_migrates_the_data_forward_and_this_one_then_refuses_it(
        self, province: Province, next_release: Path
    ) -> None:
        process = province.up("catalogue")
        province.until_ready()
        assert province.query("CREATE TABLE kept AS SELECT 'yes' AS answer", "catalogue").returncode == 0
        assert province.query("SELECT motto FROM cluster", "catalogue").returncode != 0
        province.stop(process)

        process = province.up("catalogue", cwd=next_release)
        province.until_ready()
        assert province.query("SELECT motto FROM cluster LIMIT 1", "catalogue").returncode == 0
        assert province.query("SELECT version_num FROM alembic_version", "catalogue").stdout == "next\n"
        assert province.query("SELECT answer FROM kept", "catalogue").stdout == "yes\n"
        assert "is of an older release; each service migrates its own as it starts" in province.stop(process)

        said, _ = (process := province.up("catalogue")).communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
        assert f"was written by One Door {NEXT} with PostgreSQL 18; this is {version('onedoor')}" in said
        assert "Use that release, or an empty folder: onedoor up --data DIR" in said

    def test_data_of_the_time_before_roles_are_given_to_their_services(self, province: Province) -> None:
        process = province.up("catalogue")
        province.until_ready()
        rows = province.query("SELECT count(*) FROM cluster", "catalogue").stdout
        province.stop(process)
        _forget_roles(province)

        process = province.up("catalogue")
        province.until_ready()
        owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        assert province.query(owners, "catalogue").stdout == "catalogue_owner\n"
        assert province.query("SELECT count(*) FROM cluster", "catalogue").stdout == rows != "0\n"
        province.stop(process)

    def test_another_postgresql_is_refused_by_what_the_data_itself_says(self, province: Province) -> None:
        process = province.up()
        province.until_ready()
        province.stop(process)
        (province.data / "postgres" / "PG_VERSION").write_text("17\n")
        said, _ = (process := province.up()).communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
        assert f"with PostgreSQL 17; this is {version('onedoor')} with PostgreSQL {folders.POSTGRESQL_MAJOR}" in said
        assert province.leftovers() == []


def _forget_roles(province: Province) -> None:
    """Leave a service's database as the superuser's, who alone there was."""
    kinds = (roles.OWNER, *roles.LOGINS)
    port, log = int(province.env["POSTGRES_PORT"]), province.data / "logs" / "postgres.log"
    server = postgres.start(province.data / "postgres", port, log)
    try:
        names = ", ".join(roles.role("catalogue", kind) for kind in kinds)
        for statement in (
            f"ALTER DATABASE catalogue OWNER TO {postgres.USER}",
            f"REASSIGN OWNED BY catalogue_owner TO {postgres.USER}",
            f"DROP OWNED BY {names}",
        ):
            done = province.query(statement, "catalogue")
            assert done.returncode == 0, done.stderr
        server.query(f"DROP ROLE {names}")
    finally:
        server.stop()
    shutil.rmtree(province.data / "credentials")
