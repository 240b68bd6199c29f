"""The security audit: what the door refused and what happened at the issuer, sealed like access entries."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

GUARD = (
    """CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON security_event
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
    "ALTER TABLE security_event ENABLE ALWAYS TRIGGER append_only",
    "CREATE TRIGGER keep BEFORE DELETE ON security_event FOR EACH ROW EXECUTE FUNCTION audit_keep()",
    "ALTER TABLE security_event ENABLE ALWAYS TRIGGER keep",
    """CREATE TRIGGER queue AFTER INSERT ON security_event
REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION audit_queue()""",
    "ALTER TABLE security_event ENABLE ALWAYS TRIGGER queue",
)


def upgrade() -> None:
    op.create_table(
        "security_event",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), server_default=sa.text("uuid_send(gen_random_uuid())"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    op.create_index("ix_security_event_last_at", "security_event", ["last_at", "id"])
    for statement in GUARD:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("the audit is never forgotten: bring back a copy of the older database instead")
