"""Places in Ontario: coordinates that can be true, postal codes, and the point that stands for a postal code."""

import csv
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean, median
from typing import TextIO

from services.kit.faults import BAD_USER_INPUT, Fault, Faulted
from services.kit.language import Words

AREAS = Path(__file__).parent / "data" / "postal_areas.csv"
EARTH_RADIUS_M = 6_371_008.8
OUTLIER_M = 20_000
# Ontario's extreme points, a little outward: Middle Island, Hudson Bay, the Manitoba border, Pointe-Fortune.
SOUTH, NORTH, WEST, EAST = 41.6, 57.0, -95.2, -74.3
_POSTAL_CODE = re.compile(r"([A-CEGHJ-NPR-TVXY]\d[A-CEGHJ-NPR-TV-Z])(\d[A-CEGHJ-NPR-TV-Z]\d)")
_ONTARIO = frozenset("KLMNP")

POSTAL_CODE_MALFORMED = Fault(
    "POSTAL_CODE_MALFORMED",
    400,
    Words(
        "This is not an Ontario postal code. Write it like P3E 4N1: it begins with K, L, M, N or P.",
        "Ce n’est pas un code postal de l’Ontario. Écrivez-le comme P3E 4N1; il commence par K, L, M, N ou P.",
    ),
)
POSTAL_CODE_UNKNOWN = Fault(
    "POSTAL_CODE_UNKNOWN",
    400,
    Words(
        "We do not know where postal codes in {area} are. Give another postal code nearby, or a latitude and longitude.",
        "Nous ignorons où se trouvent les codes postaux {area}. Donnez-en un autre à proximité, ou des coordonnées.",
    ),
)


@dataclass(frozen=True, slots=True)
class Point:
    """Degrees, WGS 84."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class PostalArea:
    """A forward sortation area: the mean of the known places in it, how many they are, and how far the farthest of
    them lies from that mean, in metres. The distance says how precise the point is; one place alone says nothing."""

    code: str
    centre: Point
    places: int
    spread_m: int | None


def is_in_ontario(point: Point) -> bool:
    """Whether coordinates can be in Ontario at all. False for what is no number."""
    return SOUTH <= point.latitude <= NORTH and WEST <= point.longitude <= EAST


def distance_m(a: Point, b: Point) -> float:
    """Great-circle distance in metres (haversine, mean Earth radius; within 0.5 %)."""
    lat1, lat2 = math.radians(a.latitude), math.radians(b.latitude)
    half_lat, half_lon = (lat2 - lat1) / 2, math.radians(b.longitude - a.longitude) / 2
    h = math.sin(half_lat) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(h)))


def canadian_postal_code(text: str) -> str | None:
    """A postal code as `A1A 1A1`, or None for what is none. Case, spaces and hyphens do not matter."""
    match = _POSTAL_CODE.fullmatch(re.sub(r"[\s-]", "", text[:20]).upper())
    return f"{match[1]} {match[2]}" if match else None


def normal_postal_code(text: str) -> str | None:
    """The same, for Ontario's alone."""
    code = canadian_postal_code(text)
    return code if code and code[0] in _ONTARIO else None


def area_of(postal_code: str, field: str = "postalCode") -> PostalArea:
    """The area of a postal code. Raises Faulted POSTAL_CODE_MALFORMED or POSTAL_CODE_UNKNOWN."""
    code = normal_postal_code(postal_code)
    if code is None:
        raise Faulted(POSTAL_CODE_MALFORMED, field=field)
    area = postal_areas().get(code[:3])
    if area is None:
        raise Faulted(POSTAL_CODE_UNKNOWN, field=field, area=code[:3])
    return area


def ontario_point(latitude: float, longitude: float, field: str = "near") -> Point:
    """A point in Ontario. Raises Faulted BAD_USER_INPUT."""
    point = Point(latitude, longitude)
    if not is_in_ontario(point):
        raise Faulted(
            BAD_USER_INPUT,
            field=field,
            detail_en=f"latitude must be from {SOUTH} to {NORTH} and longitude from {WEST} to {EAST}, in Ontario",
            detail_fr=f"la latitude doit être de {SOUTH} à {NORTH} et la longitude de {WEST} à {EAST}, en Ontario",
        )
    return point


@cache
def postal_areas() -> dict[str, PostalArea]:
    """The areas that ship, by their three characters."""
    with AREAS.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return {
            row["area"]: PostalArea(
                row["area"],
                Point(float(row["latitude"]), float(row["longitude"])),
                int(row["places"]),
                int(row["spread_m"]) if row["spread_m"] else None,
            )
            for row in rows
        }


def areas_from(places: Iterable[tuple[str, Point]]) -> Iterator[PostalArea]:
    """The areas of places given as (postal code, point), sorted. Codes outside Ontario are left out.

    Published coordinates are sometimes those of another city, so in a town's area (second character not 0) a place
    farther than OUTLIER_M from the median does not count.
    """
    found: dict[str, list[Point]] = {}
    for postal_code, point in places:
        code = normal_postal_code(postal_code)
        if code is not None and is_in_ontario(point):
            found.setdefault(code[:3], []).append(point)
    for area, points in sorted(found.items()):
        middle = Point(median(p.latitude for p in points), median(p.longitude for p in points))
        near = [p for p in points if area[1] == "0" or distance_m(middle, p) <= OUTLIER_M] or [middle]
        centre = Point(round(fmean(p.latitude for p in near), 5), round(fmean(p.longitude for p in near), 5))
        spread = round(max(distance_m(centre, p) for p in near)) if len(near) > 1 else None
        yield PostalArea(area, centre, len(near), spread)


def write_areas(areas: Iterable[PostalArea], file: TextIO, notice: str) -> None:
    """The areas as the file that ships: the notice as comments, then CSV."""
    file.writelines(f"# {line}\n" for line in notice.splitlines())
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(("area", "latitude", "longitude", "places", "spread_m"))
    for area in areas:
        spread = "" if area.spread_m is None else area.spread_m
        rows.writerow((area.code, area.centre.latitude, area.centre.longitude, area.places, spread))
