"""The place of each revision of a grant among all that were told, so that only what follows is asked for."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("grants", sa.Column("seq", sa.BigInteger(), server_default="0", nullable=False))
    op.alter_column("grants", "seq", server_default=None)
    op.create_index("ix_grants_seq", "grants", ["seq"])


def downgrade() -> None:
    op.drop_column("grants", "seq")
