"""The middles of postal areas that ship: computed from published places, and read back as they were written."""

import io

from services.information_referral import places
from services.information_referral.places import Point, areas_from, write_areas

NORTH_BAY = Point(46.31, -79.46)
TORONTO = Point(43.65, -79.38)


class TestComputing:
    def test_an_area_lies_in_the_middle_of_its_places_and_says_how_many_and_how_far(self) -> None:
        (area,) = areas_from([("M5V 1A1", Point(43.64, -79.40)), ("m5v2b2", Point(43.66, -79.36))])
        assert (area.code, area.centre, area.places) == ("M5V", Point(43.65, -79.38), 2)
        assert area.spread_m is not None and 1_500 < area.spread_m < 2_500

    def test_one_place_has_no_spread(self) -> None:
        (area,) = areas_from([("M5V 1A1", TORONTO)])
        assert (area.places, area.spread_m) == (1, None)

    def test_a_place_with_the_coordinates_of_another_city_does_not_count_in_a_town(self) -> None:
        near = [("P1B 1A1", NORTH_BAY)] * 4
        (area,) = areas_from([*near, ("P1B 1A1", TORONTO)])
        assert (area.centre, area.places) == (NORTH_BAY, 4)

    def test_in_the_countryside_it_does(self) -> None:
        (area,) = areas_from([("P0H 1A0", NORTH_BAY), ("P0H 1A0", NORTH_BAY), ("P0H 2Z0", TORONTO)])
        assert area.places == 3

    def test_codes_and_points_outside_ontario_are_left_out(self) -> None:
        assert list(areas_from([("H2X 1Y4", TORONTO), ("M5V 1A1", Point(45.5, -60.0)), ("nonsense", TORONTO)])) == []


class TestTheFile:
    def test_what_ships_is_read_back_as_it_was_written(self) -> None:
        shipped = places.AREAS.read_text(encoding="utf-8")
        notice = "\n".join(line[2:] for line in shipped.splitlines() if line.startswith("# "))
        written = io.StringIO()
        write_areas(places.postal_areas().values(), written, notice)
        assert written.getvalue() == shipped
