"""What accounts hold when they open in local mode: the demo owner's profile and address, known for a month."""

import os
from datetime import timedelta
from uuid import NAMESPACE_URL, uuid5

from sqlmodel import select

from services.accounts.models import ChannelRecord, Profile, service
from services.kit.columns import now
from services.kit.database import Db
from services.kit.language import Language

OWNER = str(uuid5(NAMESPACE_URL, "onedoor:owner"))
ADDRESS = "owner@example.ca"


@service.seed
async def demo_owner(db: Db) -> None:
    """Know the demo owner by an address that codes can be sent to; never in production."""
    if os.environ.get("ONEDOOR_MODE", "production") == "production":
        return
    if await db.first(select(Profile).where(Profile.subject == OWNER)):
        return
    a_month_ago = now() - timedelta(days=30)
    db.add(Profile(subject=OWNER, language=Language.EN, changed_at=a_month_ago))
    db.add(ChannelRecord(subject=OWNER, address=ADDRESS, added_at=a_month_ago, verified_at=a_month_ago))
