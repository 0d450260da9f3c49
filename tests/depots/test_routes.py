"""Lines over the globe: what lies along them, and how far from them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from depots.geography import Box
from depots.routes import PART_KM, Line, OppositePoints, Point, distance_km

HAMBURG, FRANKFURT, BASEL = Point(53.55, 9.99), Point(50.11, 8.68), Point(47.56, 7.59)


def points() -> st.SearchStrategy[Point]:
    return st.builds(Point, st.floats(-89, 89), st.floats(-180, 180))


def is_in(box: Box, place: Point) -> bool:
    return box.south <= place.latitude <= box.north and any(
        west <= place.longitude <= east for west, east in box.meridians
    )


def test_hamburg_to_basel_is_687_kilometres_and_frankfurt_lies_ten_beside_it() -> None:
    line = Line((HAMBURG, BASEL))

    found = line.position(*FRANKFURT, within_km=20)

    assert line.length_km == pytest.approx(687.2, abs=0.1)
    assert found is not None
    assert found.along_km == pytest.approx(392.8, abs=0.2)
    assert found.apart_km == pytest.approx(9.99, abs=0.05)
    assert line.position(*FRANKFURT, within_km=9) is None


@settings(max_examples=200, deadline=None)
@given(st.lists(points(), min_size=2, max_size=5), st.floats(0, 1), points(), st.floats(1, 300))
def test_whatever_lies_near_a_line_is_found_and_lies_in_one_of_its_boxes(
    given_points: list[Point], share: float, other: Point, apart_km: float
) -> None:
    """Against the plainest way to say it: many points along the line, and the distance to each."""
    assume(all(distance_km(a, b) < 19_000 for a, b in pairwise(given_points)))
    line = Line(tuple(given_points))
    on_it = line.at(share * line.length_km)
    # A place near that point, on the way to any other.
    way = distance_km(on_it, other)
    assume(1 < way < 19_000)
    place = Line((on_it, other)).at(min(way, apart_km * 0.99))

    found = line.position(*place, within_km=apart_km)

    assert found is not None
    assert found.apart_km <= distance_km(on_it, place) + 1e-6
    assert distance_km(line.at(found.along_km), place) == pytest.approx(found.apart_km, abs=1e-3)
    assert any(is_in(box, place) for box in line.boxes(apart_km))


def test_a_long_line_is_looked_at_in_parts_that_stay_few() -> None:
    near, far = Line((HAMBURG, FRANKFURT)), Line((Point(0, 0), Point(0, 170)))

    assert len(near.boxes(20)) == pytest.approx(near.length_km / PART_KM, abs=1)
    assert len(far.boxes(20)) <= 66


def test_points_close_together_are_thinned_and_the_ends_are_kept() -> None:
    many = [Point(50 + number / 10_000, 8) for number in range(10_001)]

    line = Line.thinned(many)

    assert (line.points[0], line.points[-1]) == (many[0], many[-1])
    assert len(line.points) < 450
    assert line.length_km == pytest.approx(distance_km(many[0], many[-1]), abs=0.01)


def test_there_is_no_one_way_to_the_other_side_of_the_globe() -> None:
    with pytest.raises(OppositePoints):
        Line((Point(10, 20), Point(-10, -160)))


def test_the_date_line_is_no_border_for_a_route() -> None:
    line = Line((Point(0, 179), Point(0, -179)))

    assert line.length_km == pytest.approx(222.4, abs=0.1)
    for longitude in (180, -180):
        assert line.position(0.1, longitude, within_km=20) == pytest.approx((111.2, 11.1), abs=0.1)
    assert any(is_in(box, Point(0.1, -179.9)) for box in line.boxes(20))


def test_a_line_that_goes_nowhere_is_a_point() -> None:
    line = Line((HAMBURG, HAMBURG))

    assert line.length_km == 0
    assert line.position(53.6, 9.99, within_km=10) is not None
