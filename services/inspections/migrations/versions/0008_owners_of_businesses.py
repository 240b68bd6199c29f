"""Since when a business that has changed hands is its owner's."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("known_business", sa.Column("owned_since", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("known_business", "owned_since")
