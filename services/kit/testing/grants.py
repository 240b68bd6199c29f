"""Grants for tests, put in place as a service keeps those that are announced to it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from services.kit import grants
from services.kit.caller import Kind
from services.kit.database import Database
from services.kit.grants import Grant, Revision
from services.kit.testing import tokens


def delegation(subject: str, *actors: str, **changes: Any) -> Grant:
    """A delegation in force by which people may act for another, all by their usernames; whatever is to be otherwise is given."""
    now, subject = datetime.now(UTC), tokens.subject_of(subject)
    usual: dict[str, Any] = {
        "id": f"grant-{uuid4()}",
        "rev": 1,
        "kind": Kind.DELEGATION,
        "grantor": subject,
        "actors": tuple(map(tokens.subject_of, actors)),
        "subject": subject,
        "begins": now - timedelta(minutes=1),
        "ends": now + timedelta(hours=1),
        "scopes": ("business:read", "business:register", "inspection:read"),
        "purposes": ("representation",),
    }
    return Grant(**usual | changes)


def assisted(subject: str, officer: str, *acts: str, **changes: Any) -> Grant:
    """An assisted session in force, in which an officer acts for a person who has agreed to some acts."""
    until = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    said = {"kind": Kind.ASSISTED, "purposes": ("assisted-service",)}
    agreed = tuple({"act": act, "until": until} for act in acts)
    return delegation(subject, officer, **{**said, "confirmed": agreed, **changes})


async def keep(database: Database, grant: Grant) -> str:
    """Keep a revision at a service. Returns the grant's id, the authority by which it is used."""
    async with database.transaction() as db:
        await grants.keep(db, [Revision(grant.rev, grant)])
    return grant.id
