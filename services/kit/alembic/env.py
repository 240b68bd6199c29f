"""The Alembic environment of every service: the connection and the metadata come from `services.kit.migrate`."""

from typing import Any, Literal

from alembic import context
from sqlmodel.sql.sqltypes import AutoString

from services.kit.text import TextType


def render(kind: str, item: Any, autogenerate: Any) -> str | Literal[False]:
    """A migration is a record: it names PostgreSQL's types, not the code's, which may change after it."""
    if kind == "type" and isinstance(item, AutoString):
        return "sa.String()"
    if kind == "type" and isinstance(item, TextType):
        autogenerate.imports.add("from sqlalchemy.dialects import postgresql")
        return "postgresql.JSONB()"
    return False


attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=attributes["metadata"],
    compare_type=True,
    render_item=render,
)
with context.begin_transaction():
    context.run_migrations()
