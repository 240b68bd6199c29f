"""First tables"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("business_number", start=70_000_001, maxvalue=79_999_999)))
    op.execute(sa.schema.CreateSequence(sa.Sequence("corporation_number", start=9_000_001, maxvalue=9_999_999)))
    op.create_table(
        "application",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("applicant", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("legal_type", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sector", sa.String(), nullable=False),
        sa.Column("street", sa.String(), nullable=False),
        sa.Column("city", sa.String(), nullable=False),
        sa.Column("postal_code", sa.String(), nullable=False),
        sa.Column("partners", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("business_number", sa.String(), nullable=True),
        sa.Column("name_decision", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("similar_acknowledged", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_application_applicant"), "application", ["applicant"], unique=False)
    op.create_index(op.f("ix_application_business_number"), "application", ["business_number"], unique=False)
    op.create_table(
        "business",
        sa.Column("business_number", sa.String(), nullable=False),
        sa.Column("legal_name", sa.String(), nullable=False),
        sa.Column("legal_type", sa.String(), nullable=False),
        sa.Column("sector", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("registered_by", sa.String(), nullable=False),
        sa.Column("street", sa.String(), nullable=False),
        sa.Column("city", sa.String(), nullable=False),
        sa.Column("postal_code", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("business_number"),
    )
    op.create_index(op.f("ix_business_registered_by"), "business", ["registered_by"], unique=False)
    op.create_table(
        "application_status",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["application.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_application_status_application_id"), "application_status", ["application_id"], unique=False
    )
    op.create_table(
        "held_name",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("identical_key", sa.String(), nullable=False),
        sa.Column("phonetic", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("stems", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("legal_type", sa.String(), nullable=False),
        sa.Column("blocks", sa.Boolean(), nullable=False),
        sa.Column("business_number", sa.String(), nullable=True),
        sa.Column("reservation", sa.Uuid(), nullable=True),
        sa.Column("reserved_by", sa.String(), nullable=True),
        sa.Column("reserved_until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(business_number IS NULL) = (reserved_until IS NOT NULL)", name="ck_name_has_one_holder"),
        sa.ForeignKeyConstraint(
            ["business_number"],
            ["business.business_number"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("reservation"),
    )
    op.create_index(op.f("ix_held_name_business_number"), "held_name", ["business_number"], unique=False)
    op.create_index(op.f("ix_held_name_identical_key"), "held_name", ["identical_key"], unique=False)
    op.create_index(op.f("ix_held_name_reserved_by"), "held_name", ["reserved_by"], unique=False)
    op.create_index("ix_name_phonetic", "held_name", ["phonetic"], unique=False, postgresql_using="gin")
    op.create_index("ix_name_stems", "held_name", ["stems"], unique=False, postgresql_using="gin")
    op.create_index("uq_blocking_name", "held_name", ["identical_key"], unique=True, postgresql_where=sa.text("blocks"))
    op.create_table(
        "program_status",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("business_number", sa.String(), nullable=False),
        sa.Column("program", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("account_number", sa.String(), nullable=True),
        sa.Column("reason", postgresql.JSONB(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["application.id"],
        ),
        sa.ForeignKeyConstraint(
            ["business_number"],
            ["business.business_number"],
        ),
        sa.PrimaryKeyConstraint("request_id"),
        sa.UniqueConstraint("application_id", "program"),
    )
    op.create_index(op.f("ix_program_status_application_id"), "program_status", ["application_id"], unique=False)
    op.create_index(op.f("ix_program_status_business_number"), "program_status", ["business_number"], unique=False)
    op.create_table(
        "idempotency_key",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("mutation", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("input_hash", sa.Text(), nullable=False),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("caller", "mutation", "key"),
    )
    op.create_index(op.f("ix_idempotency_key_created_at"), "idempotency_key", ["created_at"], unique=False)
    op.create_table(
        "inbox",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("envelope", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dead", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_inbox_dead", "inbox", ["position"], unique=False, postgresql_where=sa.text("dead"))
    op.create_index(
        "ix_inbox_unfinished",
        "inbox",
        ["subject", "position"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("trace", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("ix_outbox_unsent", "outbox", ["seq"], unique=False, postgresql_where=sa.text("sent_at IS NULL"))


def downgrade() -> None:
    op.execute(sa.schema.DropSequence(sa.Sequence("corporation_number")))
    op.execute(sa.schema.DropSequence(sa.Sequence("business_number")))
    op.drop_index("ix_outbox_unsent", table_name="outbox", postgresql_where=sa.text("sent_at IS NULL"))
    op.drop_table("outbox")
    op.drop_index("ix_inbox_unfinished", table_name="inbox", postgresql_where=sa.text("finished_at IS NULL"))
    op.drop_index("ix_inbox_dead", table_name="inbox", postgresql_where=sa.text("dead"))
    op.drop_table("inbox")
    op.drop_index(op.f("ix_idempotency_key_created_at"), table_name="idempotency_key")
    op.drop_table("idempotency_key")
    op.drop_index(op.f("ix_program_status_business_number"), table_name="program_status")
    op.drop_index(op.f("ix_program_status_application_id"), table_name="program_status")
    op.drop_table("program_status")
    op.drop_index("uq_blocking_name", table_name="held_name", postgresql_where=sa.text("blocks"))
    op.drop_index("ix_name_stems", table_name="held_name", postgresql_using="gin")
    op.drop_index("ix_name_phonetic", table_name="held_name", postgresql_using="gin")
    op.drop_index(op.f("ix_held_name_reserved_by"), table_name="held_name")
    op.drop_index(op.f("ix_held_name_identical_key"), table_name="held_name")
    op.drop_index(op.f("ix_held_name_business_number"), table_name="held_name")
    op.drop_table("held_name")
    op.drop_index(op.f("ix_application_status_application_id"), table_name="application_status")
    op.drop_table("application_status")
    op.drop_index(op.f("ix_business_registered_by"), table_name="business")
    op.drop_table("business")
    op.drop_index(op.f("ix_application_business_number"), table_name="application")
    op.drop_index(op.f("ix_application_applicant"), table_name="application")
    op.drop_table("application")
