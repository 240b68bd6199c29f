"""First tables"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


# The history of an inspection is only added to, whoever writes: the database refuses the rest.
APPEND_ONLY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$
"""
GUARD = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
"""


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("inspection_number", start=100_001)))
    op.create_table(
        "checklist",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("title", postgresql.JSONB(), nullable=False),
        sa.Column("sector", postgresql.JSONB(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_checklist_code"), "checklist", ["code"], unique=False)
    op.create_table(
        "imported_row",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "known_business",
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sector", sa.String(), nullable=False),
        sa.Column("registered_by", sa.String(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(op.f("ix_known_business_registered_by"), "known_business", ["registered_by"], unique=False)
    op.create_table(
        "premises",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("described_on", sa.Date(), nullable=False),
        sa.Column("described_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_premises_name"), "premises", ["name"], unique=False)
    op.create_table(
        "inspection",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("business_number", sa.String(), nullable=False),
        sa.Column("sector", sa.String(), nullable=False),
        sa.Column(
            "reason",
            sa.Enum(
                "FIRST", "ROUTINE", "COMPLAINT", "FOLLOW_UP", name="inspectionreason", native_enum=False, length=40
            ),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "SCHEDULED",
                "STARTED",
                "RECORDED",
                "REVIEWED",
                "CLOSED",
                "CANCELLED",
                name="inspectionstatus",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("scheduled_for", sa.Date(), nullable=False),
        sa.Column("checklist_id", sa.String(), nullable=False),
        sa.Column("assigned_to", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("not_applicable", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("first_contact", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("scheduled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["business_number"],
            ["known_business.number"],
        ),
        sa.ForeignKeyConstraint(
            ["checklist_id"],
            ["checklist.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    op.create_index(op.f("ix_inspection_assigned_to"), "inspection", ["assigned_to"], unique=False)
    op.create_index(op.f("ix_inspection_business_number"), "inspection", ["business_number"], unique=False)
    op.create_index("ix_inspection_by_date", "inspection", ["scheduled_for", "id"], unique=False)
    op.create_index("ix_inspection_by_status", "inspection", ["status", "scheduled_for", "id"], unique=False)
    op.create_index(
        "uq_first_inspection",
        "inspection",
        ["business_number"],
        unique=True,
        postgresql_where=sa.text("reason = 'FIRST'"),
    )
    op.create_table(
        "premises_visit",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("premises_id", sa.String(), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["premises_id"],
            ["premises.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_premises_visit_premises_id"), "premises_visit", ["premises_id"], unique=False)
    op.create_table(
        "finding",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("inspection_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("item_code", sa.String(), nullable=False),
        sa.Column("law", postgresql.JSONB(), nullable=False),
        sa.Column("section", sa.String(), nullable=False),
        sa.Column(
            "severity",
            sa.Enum("MINOR", "SIGNIFICANT", "CRUCIAL", name="severity", native_enum=False, length=40),
            nullable=False,
        ),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("corrected_on_the_spot", sa.Boolean(), nullable=False),
        sa.Column("correct_by", sa.Date(), nullable=True),
        sa.Column("corrected_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["inspection_id"],
            ["inspection.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("inspection_id", "round", "item_code"),
    )
    op.create_index(op.f("ix_finding_inspection_id"), "finding", ["inspection_id"], unique=False)
    op.create_table(
        "infraction",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("visit_id", sa.String(), nullable=False),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.Column("law", sa.String(), nullable=True),
        sa.Column("section", sa.String(), nullable=True),
        sa.Column(
            "severity",
            sa.Enum("MINOR", "SIGNIFICANT", "CRUCIAL", name="severity", native_enum=False, length=40),
            nullable=True,
        ),
        sa.Column("action", sa.String(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("fined_cents", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["visit_id"],
            ["premises_visit.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_infraction_visit_id"), "infraction", ["visit_id"], unique=False)
    op.create_table(
        "review",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("inspection_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column(
            "decision",
            sa.Enum("APPROVED", "SENT_BACK", name="reviewdecision", native_enum=False, length=40),
            nullable=False,
        ),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("reviewer", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["inspection_id"],
            ["inspection.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_review_inspection_id"), "review", ["inspection_id"], unique=False)
    op.create_table(
        "transition",
        sa.Column("inspection_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "SCHEDULED",
                "STARTED",
                "RECORDED",
                "REVIEWED",
                "CLOSED",
                "CANCELLED",
                name="inspectionstatus",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("remark", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["inspection_id"],
            ["inspection.id"],
        ),
        sa.PrimaryKeyConstraint("inspection_id", "position"),
    )
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
    op.execute(APPEND_ONLY)
    op.execute(GUARD.format(table="transition"))
    op.execute(GUARD.format(table="review"))


def downgrade() -> None:
    op.drop_index("ix_outbox_unsent", table_name="outbox", postgresql_where=sa.text("sent_at IS NULL"))
    op.drop_table("outbox")
    op.drop_index("ix_inbox_unfinished", table_name="inbox", postgresql_where=sa.text("finished_at IS NULL"))
    op.drop_index("ix_inbox_dead", table_name="inbox", postgresql_where=sa.text("dead"))
    op.drop_table("inbox")
    op.drop_index(op.f("ix_idempotency_key_created_at"), table_name="idempotency_key")
    op.drop_table("idempotency_key")
    op.drop_table("transition")
    op.drop_index(op.f("ix_review_inspection_id"), table_name="review")
    op.drop_table("review")
    op.drop_index(op.f("ix_infraction_visit_id"), table_name="infraction")
    op.drop_table("infraction")
    op.drop_index(op.f("ix_finding_inspection_id"), table_name="finding")
    op.drop_table("finding")
    op.drop_index(op.f("ix_premises_visit_premises_id"), table_name="premises_visit")
    op.drop_table("premises_visit")
    op.drop_index("uq_first_inspection", table_name="inspection", postgresql_where=sa.text("reason = 'FIRST'"))
    op.drop_index("ix_inspection_by_status", table_name="inspection")
    op.drop_index("ix_inspection_by_date", table_name="inspection")
    op.drop_index(op.f("ix_inspection_business_number"), table_name="inspection")
    op.drop_index(op.f("ix_inspection_assigned_to"), table_name="inspection")
    op.drop_table("inspection")
    op.drop_index(op.f("ix_premises_name"), table_name="premises")
    op.drop_table("premises")
    op.drop_index(op.f("ix_known_business_registered_by"), table_name="known_business")
    op.drop_table("known_business")
    op.drop_table("imported_row")
    op.drop_index(op.f("ix_checklist_code"), table_name="checklist")
    op.drop_table("checklist")
    op.execute("DROP FUNCTION refuse_change")
    op.execute(sa.schema.DropSequence(sa.Sequence("inspection_number")))
