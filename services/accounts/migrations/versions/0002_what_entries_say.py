"""What an access entry says beside who and what: on whose behalf, in which office, by which operation, for whom, when shown."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("access_entry", sa.Column("authority", sa.Text(), server_default="self", nullable=False))
    for name in ("kind", "role", "operation", "business", "case_number", "reason"):
        op.add_column("access_entry", sa.Column(name, sa.Text(), server_default="", nullable=False))
    op.add_column("access_entry", sa.Column("recipients", sa.ARRAY(sa.Text()), server_default="{}", nullable=False))
    shown_after = sa.Column("shown_after", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
    op.add_column("access_entry", shown_after)
    # Wider, no row changed: two businesses of one person, read by one fetch, are two entries.
    op.drop_constraint("uq_access_entry", "access_entry")
    key = ["subject", "fetch_id", "actor", "act", "purpose", "category", "business"]
    op.create_unique_constraint("uq_access_entry", "access_entry", key)


def downgrade() -> None:
    raise NotImplementedError("what entries say is never forgotten: bring back a copy of the older database instead")
