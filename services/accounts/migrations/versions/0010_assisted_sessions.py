"""Assisted sessions, and the acts in them that take the person's code."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "assisted_session",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("officer", sa.String(), nullable=False),
        sa.Column("citizen", sa.String(), nullable=False),
        sa.Column(
            "presence", sa.Enum("COUNTER", "PHONE", name="presence", native_enum=False, length=40), nullable=False
        ),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("idle_ends", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_session_of_citizen", "assisted_session", ["citizen", "opened_at"], unique=False)
    op.create_index(
        "uq_session_of_officer",
        "assisted_session",
        ["officer"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "proposed_act",
        sa.Column("session_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("en", sa.String(), nullable=False),
        sa.Column("fr", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("to", sa.String(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["session_id"], ["assisted_session.id"]),
        sa.PrimaryKeyConstraint("session_id", "act"),
    )


def downgrade() -> None:
    op.drop_table("proposed_act")
    op.drop_table("assisted_session")
