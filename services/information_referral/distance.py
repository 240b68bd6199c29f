"""Distance in PostgreSQL: metres from a point, and a box around it that an index can find."""

import math
from typing import Any

from sqlalchemy import ColumnElement, Float, and_, cast, func

from services.information_referral.models import Location, table_of
from services.information_referral.places import EARTH_RADIUS_M, Point

_METRES_PER_DEGREE = math.pi * EARTH_RADIUS_M / 180
LOCATION = table_of(Location).c


def metres(latitude: Any, longitude: Any) -> ColumnElement[float]:
    """Haversine from a point (values or columns, degrees) to a location, as `places.distance_m` computes it."""
    half_lat = func.radians(LOCATION.latitude - latitude) / 2
    half_lon = func.radians(LOCATION.longitude - longitude) / 2
    h = func.power(func.sin(half_lat), 2) + func.cos(func.radians(latitude)) * func.cos(
        func.radians(LOCATION.latitude)
    ) * func.power(func.sin(half_lon), 2)
    return cast(2 * EARTH_RADIUS_M * func.asin(func.least(1.0, func.sqrt(h))), Float(53))


def within_box(point: Point, distance_m: int) -> ColumnElement[bool]:
    """Locations in the box that holds every place within a distance of the point. Ontario has no pole and no date line."""
    north = distance_m / _METRES_PER_DEGREE
    narrowest = math.cos(math.radians(min(89.0, abs(point.latitude) + north)))
    east = min(180.0, north / narrowest)
    return and_(
        LOCATION.latitude.between(point.latitude - north, point.latitude + north),
        LOCATION.longitude.between(point.longitude - east, point.longitude + east),
    )
