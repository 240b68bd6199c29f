"""Single records by id, for anyone."""

import strawberry

from services.information_referral.models import Location, Organization, Service
from services.information_referral.subgraph import service as subgraph
from services.kit.database import Db


@subgraph.query()
async def service(db: Db, id: strawberry.ID) -> Service | None:
    """A service, whatever its state; null when there is none."""
    return await Service.find(db, id)


@subgraph.query()
async def organization(db: Db, id: strawberry.ID) -> Organization | None:
    """An organization; null when there is none."""
    return await Organization.find(db, id)


@subgraph.query()
async def location(db: Db, id: strawberry.ID) -> Location | None:
    """A location; null when there is none."""
    return await Location.find(db, id)
