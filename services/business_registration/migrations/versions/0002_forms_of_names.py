"""Names by form and by version of the rules; former names; reservations of names in two forms.

Rows that are there get an empty version: the service computes their keys anew at its next start (see `rekeying`).
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("held_name", sa.Column("words", sa.ARRAY(sa.String()), nullable=False, server_default="{}"))
    op.add_column("held_name", sa.Column("rule_version", sa.String(), nullable=False, server_default=""))
    op.alter_column("held_name", "words", server_default=None)
    op.alter_column("held_name", "rule_version", server_default=None)
    op.add_column("held_name", sa.Column("former_until", sa.DateTime(timezone=True), nullable=True))
    op.drop_constraint("held_name_reservation_key", "held_name", type_="unique")
    op.create_index(op.f("ix_held_name_reservation"), "held_name", ["reservation"], unique=False)
    op.create_index(op.f("ix_held_name_rule_version"), "held_name", ["rule_version"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_held_name_rule_version"), table_name="held_name")
    op.drop_index(op.f("ix_held_name_reservation"), table_name="held_name")
    op.create_unique_constraint("held_name_reservation_key", "held_name", ["reservation"])
    op.drop_column("held_name", "former_until")
    op.drop_column("held_name", "rule_version")
    op.drop_column("held_name", "words")
