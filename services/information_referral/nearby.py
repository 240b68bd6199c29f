"""`Business.helpNearby`: the nearest places that help businesses, measured from the business's postal code."""

from collections import defaultdict
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import strawberry
from sqlalchemy import Float, String, cast, column, literal, select, true, values
from strawberry.dataloader import DataLoader

from services.information_referral import filters
from services.information_referral.distance import LOCATION, metres
from services.information_referral.filters import OFFER, SERVICE
from services.information_referral.models import Location, Service, ServiceAtLocation, ServiceStatus, table_of
from services.information_referral.places import PostalArea, area_of
from services.information_referral.subgraph import service
from services.kit.access_log import AccessLog
from services.kit.database import Db
from services.kit.faults import REQUIRED_FIELD_MISSING, Faulted
from services.kit.pages import LARGEST_PAGE, page_size
from services.kit.service import external, field

# The term of the Ontario taxonomy (data/ontario_services.toml) that marks help for businesses.
BUSINESS_HELP = "business"
DEFAULT_NEARBY = 3
ADDRESS = "business-address"  # the category of what is near somebody's business


@service.object_type()
class BusinessAddress:
    """The registry's address, of which this service reads the postal code."""

    postal_code: str = external()


@service.object_type()
@dataclass
class NearbyHelp:
    """A service at a place, and how far that is from the middle of the business's postal area."""

    service_id: strawberry.Private[str]
    location_id: strawberry.Private[str]
    distance_m: int

    async def service(self, db: Db) -> Service | None:
        """The service."""
        return await db.one(Service, self.service_id)

    async def location(self, db: Db) -> Location | None:
        """The place."""
        return await db.one(Location, self.location_id)


@service.extends(key="businessNumber")
class Business:
    """The registry's business, with the help that is near."""

    business_number: strawberry.ID
    address: BusinessAddress | None = external(scope="business:read")

    @field(requires="address { postalCode }", personal=ADDRESS)
    async def help_nearby(self, db: Db, log: AccessLog, first: int | None = None) -> list[NearbyHelp]:
        """The nearest places that help businesses, active ones only, nearest first."""
        size = DEFAULT_NEARBY if first is None else page_size(first)
        postal_code = self.address.postal_code if self.address else None
        if postal_code is None:  # the registry's is never null, whatever a caller pretends to be
            raise Faulted(REQUIRED_FIELD_MISSING, required="address.postalCode")
        area = area_of(postal_code, "address.postalCode")
        log.note_each(ADDRESS, [])  # whose address it is, the registry has noted, with this service as the recipient
        return (await _loader(db).load(area))[:size]


_loaders: WeakKeyDictionary[Db, DataLoader[PostalArea, list[NearbyHelp]]] = WeakKeyDictionary()


def _loader(db: Db) -> DataLoader[PostalArea, list[NearbyHelp]]:
    """One statement for all the businesses that an operation asks about at a time."""

    async def load(areas: list[PostalArea]) -> list[list[NearbyHelp]]:
        return await nearest(db, areas)

    if db not in _loaders:
        _loaders[db] = DataLoader(load_fn=load)
    return _loaders[db]


async def nearest(db: Db, areas: list[PostalArea]) -> list[list[NearbyHelp]]:
    """The places nearest to each area's middle, at most a hundred each, in the order of the areas."""
    asked = values(
        column("area", String), column("latitude", Float(53)), column("longitude", Float(53)), name="asked"
    ).data([(area.code, area.centre.latitude, area.centre.longitude) for area in areas])
    away = metres(cast(asked.c.latitude, Float(53)), cast(asked.c.longitude, Float(53)))
    close = (
        select(OFFER.service_id, OFFER.location_id, away.label("metres"))
        .join_from(table_of(ServiceAtLocation), table_of(Location), LOCATION.id == OFFER.location_id)
        .join(table_of(Service), SERVICE.id == OFFER.service_id)
        .where(SERVICE.status == ServiceStatus.ACTIVE, filters.has_term_code(BUSINESS_HELP))
        .where(LOCATION.latitude.is_not(None), LOCATION.longitude.is_not(None))
        .order_by(away, OFFER.id)
        .limit(literal(LARGEST_PAGE))
        .correlate(asked)
        .lateral("close")
    )
    statement = select(asked.c.area, close).join_from(asked, close, true()).order_by(asked.c.area, close.c.metres)
    found: dict[str, list[NearbyHelp]] = defaultdict(list)
    for row in await db.execute(statement):
        found[row.area].append(NearbyHelp(str(row.service_id), str(row.location_id), round(row.metres)))
    return [found[area.code] for area in areas]
