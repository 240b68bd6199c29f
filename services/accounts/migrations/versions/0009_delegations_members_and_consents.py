"""Delegations, the businesses and members that they concern, and consents."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "consent",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("offices", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("categories", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("begins", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("begins < ends", name="ck_consent_period"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_consent_subject"), "consent", ["subject"], unique=False)
    op.create_table(
        "delegation",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "OFFERED",
                "ACCEPTED",
                "REFUSED",
                "WITHDRAWN",
                "REVOKED",
                "ENDED",
                name="state",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("grantor", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("business", sa.String(), nullable=False),
        sa.Column("parent", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("scopes", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("may_pass_on", sa.Boolean(), nullable=False),
        sa.Column("begins", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends", sa.DateTime(timezone=True), nullable=False),
        sa.Column("offered_as", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("code_digest", sa.LargeBinary(), nullable=True),
        sa.Column("open_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("person", sa.String(), nullable=True),
        sa.Column("firm", sa.String(), nullable=False),
        sa.Column("accepted_as", sa.String(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'OFFERED') = (code_digest IS NOT NULL)", name="ck_delegation_open"),
        sa.CheckConstraint("begins < ends", name="ck_delegation_period"),
        sa.ForeignKeyConstraint(
            ["parent"],
            ["delegation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code_digest"),
    )
    op.create_index(op.f("ix_delegation_firm"), "delegation", ["firm"], unique=False)
    op.create_index("ix_delegation_grantor", "delegation", ["grantor", "offered_at"], unique=False)
    op.create_index(op.f("ix_delegation_parent"), "delegation", ["parent"], unique=False)
    op.create_index("ix_delegation_person", "delegation", ["person"], unique=False)
    op.create_index("ix_delegation_subject", "delegation", ["subject"], unique=False)
    op.create_table(
        "known_business",
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(op.f("ix_known_business_owner"), "known_business", ["owner"], unique=False)
    op.create_table(
        "firm_member",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("business", sa.String(), nullable=False),
        sa.Column("known_as", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=True),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("code_digest", sa.LargeBinary(), nullable=True),
        sa.Column("open_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("invited_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "ended_at IS NOT NULL OR (person IS NULL) = (code_digest IS NOT NULL)", name="ck_member_joined"
        ),
        sa.ForeignKeyConstraint(
            ["business"],
            ["known_business.number"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code_digest"),
    )
    op.create_index(op.f("ix_firm_member_business"), "firm_member", ["business"], unique=False)
    op.create_index(op.f("ix_firm_member_person"), "firm_member", ["person"], unique=False)
    op.create_index(
        "uq_member", "firm_member", ["business", "person"], unique=True, postgresql_where=sa.text("ended_at IS NULL")
    )


def downgrade() -> None:
    op.drop_index("uq_member", table_name="firm_member", postgresql_where=sa.text("ended_at IS NULL"))
    op.drop_index(op.f("ix_firm_member_person"), table_name="firm_member")
    op.drop_index(op.f("ix_firm_member_business"), table_name="firm_member")
    op.drop_table("firm_member")
    op.drop_index(op.f("ix_known_business_owner"), table_name="known_business")
    op.drop_table("known_business")
    op.drop_index("ix_delegation_subject", table_name="delegation")
    op.drop_index("ix_delegation_person", table_name="delegation")
    op.drop_index(op.f("ix_delegation_parent"), table_name="delegation")
    op.drop_index("ix_delegation_grantor", table_name="delegation")
    op.drop_index(op.f("ix_delegation_firm"), table_name="delegation")
    op.drop_table("delegation")
    op.drop_index(op.f("ix_consent_subject"), table_name="consent")
    op.drop_table("consent")
