"""What the register holds when it opens in local mode: a few businesses of the demo owner, filed like any other."""

import os
from uuid import NAMESPACE_URL, uuid5

from sqlmodel import select

from services.business_registration.applications import enter
from services.business_registration.filing import file
from services.business_registration.models import ApplicationRecord, ApplicationStatus, BusinessRecord, LegalType
from services.business_registration.subgraph import service
from services.kit.database import Db

OWNER = str(uuid5(NAMESPACE_URL, "onedoor:owner"))
# name, type, sector, street, city, postal code
BUSINESSES = (
    ("Northern Lights Bakery Inc.", LegalType.NAMED_CORPORATION, "72", "12 Elgin Street", "Sudbury", "P3E 3N4"),
    ("Maple & Birch Carpentry", LegalType.SOLE_PROPRIETORSHIP, "23", "340 Princess Street", "Kingston", "K7L 1B6"),
    ("Boulangerie du Lac inc.", LegalType.NAMED_CORPORATION, "72", "88, rue Murray", "Ottawa", "K1N 5M5"),
)


@service.seed
async def demo_businesses(db: Db) -> None:
    """File the demo owner's businesses once; never in production."""
    if os.environ.get("ONEDOOR_MODE", "production") == "production":
        return
    if await db.first(select(BusinessRecord).where(BusinessRecord.registered_by == OWNER).limit(1)):
        return
    for name, legal_type, sector, street, city, postal_code in BUSINESSES:
        draft = ApplicationRecord(
            applicant=OWNER,
            status=ApplicationStatus.DRAFT.value,
            legal_type=legal_type.value,
            name=name,
            sector=sector,
            street=street,
            city=city,
            postal_code=postal_code,
            partners=[],
        )
        await enter(db, draft, ApplicationStatus.DRAFT)
        await file(db, draft, acknowledged=True)
