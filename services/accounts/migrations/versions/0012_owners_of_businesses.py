"""Since when a business that has changed hands is its owner's."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("known_business", sa.Column("owned_since", sa.DateTime(timezone=True), nullable=True))
    op.create_index(op.f("ix_delegation_business"), "delegation", ["business"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_delegation_business"), table_name="delegation")
    op.drop_column("known_business", "owned_since")
