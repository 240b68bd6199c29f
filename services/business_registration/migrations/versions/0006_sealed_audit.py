"""Audit: entries are queued as they are added, sealed in a chain with signed heads, and kept until the day that their seal names."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

GUARD = (
    "DROP TRIGGER append_only ON access_entry",
    "DROP FUNCTION keep_access_entries",
    """CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$""",
    """CREATE OR REPLACE FUNCTION audit_queue() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO public.audit_unsealed (id, kept_in) SELECT id, TG_TABLE_NAME FROM added;
    RETURN NULL;
END $$""",
    """CREATE OR REPLACE FUNCTION audit_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM public.audit_seal WHERE entry_id = OLD.id AND keep_until < (now() AT TIME ZONE 'UTC')::date) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is kept until the day that its seal names', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$""",
    """CREATE OR REPLACE FUNCTION audit_dequeue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM public.audit_seal WHERE entry_id = OLD.id) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'an entry leaves the queue when it is sealed' USING ERRCODE = 'restrict_violation';
END $$""",
    """CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON audit_unsealed
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
    "ALTER TABLE audit_unsealed ENABLE ALWAYS TRIGGER append_only",
    "CREATE TRIGGER dequeue BEFORE DELETE ON audit_unsealed FOR EACH ROW EXECUTE FUNCTION audit_dequeue()",
    "ALTER TABLE audit_unsealed ENABLE ALWAYS TRIGGER dequeue",
    """CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seal
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
    "ALTER TABLE audit_seal ENABLE ALWAYS TRIGGER append_only",
    """CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_head
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
    "ALTER TABLE audit_head ENABLE ALWAYS TRIGGER append_only",
    """CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_day
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
    "ALTER TABLE audit_day ENABLE ALWAYS TRIGGER append_only",
    """CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON access_entry
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
    "ALTER TABLE access_entry ENABLE ALWAYS TRIGGER append_only",
    "CREATE TRIGGER keep BEFORE DELETE ON access_entry FOR EACH ROW EXECUTE FUNCTION audit_keep()",
    "ALTER TABLE access_entry ENABLE ALWAYS TRIGGER keep",
    """CREATE TRIGGER queue AFTER INSERT ON access_entry
REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION audit_queue()""",
    "ALTER TABLE access_entry ENABLE ALWAYS TRIGGER queue",
)


def upgrade() -> None:
    op.create_table(
        "audit_unsealed",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kept_in", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "audit_seal",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("keep_until", sa.Date(), nullable=False),
        sa.Column("prev", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("entry_id"),
    )
    op.create_table(
        "audit_head",
        sa.Column("count", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("count"),
    )
    op.create_table(
        "audit_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("day"),
    )
    op.create_table(
        "audit_witness",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("service", "count", "hash"),
    )
    salt = sa.Column("salt", sa.LargeBinary(), server_default=sa.text("uuid_send(gen_random_uuid())"), nullable=False)
    op.add_column("access_entry", salt)
    for statement in GUARD:
        op.execute(statement)
    # What was added before there was a queue.
    op.execute("INSERT INTO audit_unsealed (id, kept_in) SELECT id, 'access_entry' FROM access_entry")


def downgrade() -> None:
    raise NotImplementedError("the audit is never forgotten: bring back a copy of the older database instead")
