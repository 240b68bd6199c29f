"""The kit's own tables, alike in every service's database: one metadata that each service migrates beside its own."""

from sqlalchemy import MetaData

METADATA = MetaData()
