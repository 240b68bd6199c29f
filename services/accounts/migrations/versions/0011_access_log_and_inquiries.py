"""What services tell of accesses, for the people whose data they are, and their questions about them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "known_access",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *(
            sa.Column(name, sa.String(), nullable=False)
            for name in (
                *("act", "actor", "role", "subject", "business", "category"),
                *("purpose", "authority", "kind", "operation"),
            )
        ),
        sa.Column("recipients", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("case_number", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("shown_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("keep_until", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_known_access_subject", "known_access", ["subject", "at", "id"])
    op.create_index(
        "ix_known_access_business", "known_access", ["business", "at", "id"], postgresql_where=sa.text("business <> ''")
    )
    op.create_index("ix_known_access_kept", "known_access", ["keep_until"])
    op.create_table(
        "access_inquiry",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("question", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due", sa.Date(), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("answered_by", sa.String(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_access_inquiry_asked", "access_inquiry", ["asked_by", "asked_at"])
    op.create_index(
        "uq_access_inquiry_open",
        "access_inquiry",
        ["entry_id"],
        unique=True,
        postgresql_where=sa.text("answered_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("access_inquiry")
    op.drop_table("known_access")
