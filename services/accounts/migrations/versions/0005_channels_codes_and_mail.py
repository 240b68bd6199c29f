"""Channels, the codes that verify them, and the letters that wait to be sent."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "channel",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_channel_subject"), "channel", ["subject"], unique=False)
    op.create_index("uq_channel", "channel", ["subject", sa.literal_column("lower(address)")], unique=True)
    op.create_table(
        "mail",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("language", sa.Enum("EN", "FR", name="language", native_enum=False, length=40), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("useless_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("act"),
        info={"app": ("SELECT", "INSERT", "UPDATE"), "retention": ("SELECT", "DELETE")},
    )
    op.create_index(
        "ix_mail_waiting", "mail", ["next_try_at"], unique=False, postgresql_where=sa.text("done_at IS NULL")
    )
    op.create_table(
        "one_time_code",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_code_of_act", "one_time_code", ["subject", "act", "made_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_code_of_act", table_name="one_time_code")
    op.drop_table("one_time_code")
    op.drop_index("ix_mail_waiting", table_name="mail", postgresql_where=sa.text("done_at IS NULL"))
    op.drop_table("mail")
    op.drop_index("uq_channel", table_name="channel")
    op.drop_index(op.f("ix_channel_subject"), table_name="channel")
    op.drop_table("channel")
