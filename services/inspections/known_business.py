"""The businesses that the registry announced, as far as inspections need them, and whose each is."""

from datetime import datetime

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col

from services.inspections.events import BusinessPartyChanged
from services.inspections.rows import Row
from services.inspections.subgraph import service
from services.kit.columns import moment
from services.kit.database import Db


class KnownBusiness(Row, table=True):
    """What this service keeps of a business: enough to schedule a visit, and to know whose it is. `registered_by` is its owner,
    who registered it, or took it over at `owned_since`."""

    __tablename__ = "known_business"

    number: str = Field(primary_key=True)
    name: str
    sector: str
    registered_by: str = Field(index=True)
    registered_at: datetime = moment()
    owned_since: datetime | None = moment(default=None, nullable=True)


@service.on(BusinessPartyChanged)
async def pass_to_another(event: BusinessPartyChanged, db: Db) -> None:
    """Have a business be its new owner's. The latest change stands, whatever comes again or late, its registration included."""
    known = KnownBusiness(
        number=event.business_number,
        name=event.legal_name,
        sector=event.sector,
        registered_by=event.owner,
        registered_at=event.registered_at,
        owned_since=event.changed_at,
    )
    put = insert(KnownBusiness).values(**known.model_dump())
    changed = {"registered_by": put.excluded.registered_by, "owned_since": put.excluded.owned_since}
    is_later = func.coalesce(col(KnownBusiness.owned_since) < put.excluded.owned_since, True)
    await db.execute(put.on_conflict_do_update(index_elements=["number"], set_=changed, where=is_later))
