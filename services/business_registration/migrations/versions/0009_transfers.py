"""Businesses that are handed over: offers, and the history of owners."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    states = ("OFFERED", "ACCEPTED", "WITHDRAWN", "LAPSED")
    op.create_table(
        "business_transfer",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("business_number", sa.String(), nullable=False),
        sa.Column("state", sa.Enum(*states, name="transferstate", native_enum=False, length=40), nullable=False),
        sa.Column("offered_by", sa.String(), nullable=False),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code_digest", sa.LargeBinary(), nullable=True),
        sa.Column("open_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_by", sa.String(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'OFFERED') = (code_digest IS NOT NULL)", name="ck_transfer_open"),
        sa.CheckConstraint("(state = 'OFFERED') = (ended_at IS NULL)", name="ck_transfer_ended"),
        sa.CheckConstraint("(state = 'ACCEPTED') = (taken_by IS NOT NULL)", name="ck_transfer_taken"),
        sa.ForeignKeyConstraint(["business_number"], ["business.business_number"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code_digest"),
    )
    op.create_index(
        op.f("ix_business_transfer_business_number"), "business_transfer", ["business_number"], unique=False
    )
    op.create_index(op.f("ix_business_transfer_offered_by"), "business_transfer", ["offered_by"], unique=False)
    op.create_index(op.f("ix_business_transfer_taken_by"), "business_transfer", ["taken_by"], unique=False)
    open_one = sa.text("state = 'OFFERED'")
    op.create_index(
        "uq_open_transfer", "business_transfer", ["business_number"], unique=True, postgresql_where=open_one
    )


def downgrade() -> None:
    op.drop_table("business_transfer")
