"""Times as people write them, on days when the clocks change too."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bookings.moments import MomentUnclear, in_zone, local_text, read

BERLIN = ZoneInfo("Europe/Berlin")


def moment(text: str) -> datetime:
    return in_zone(read(text), BERLIN)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2030-01-15T11:00", datetime(2030, 1, 15, 10, tzinfo=UTC)),
        ("2030-07-15T11:00", datetime(2030, 7, 15, 9, tzinfo=UTC)),
        (" 2030-01-15 11:00 ", datetime(2030, 1, 15, 10, tzinfo=UTC)),
        ("2030-01-15T11:00:59", datetime(2030, 1, 15, 10, tzinfo=UTC)),
        ("2030-01-15T11:00Z", datetime(2030, 1, 15, 11, tzinfo=UTC)),
        ("2030-01-15T11:00-05:00", datetime(2030, 1, 15, 16, tzinfo=UTC)),
        ("2026-10-25T02:30+02:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25T02:30+01:00", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
    ],
)
def test_a_wall_clock_is_the_places_and_an_offset_is_believed(text: str, utc: datetime) -> None:
    assert moment(text) == utc


def test_a_time_the_clocks_skip_is_refused_with_the_one_that_follows() -> None:
    with pytest.raises(MomentUnclear, match=r"02:30 does not exist on 29 March .* Take 03:30"):
        moment("2026-03-29T02:30")


def test_a_time_that_comes_twice_is_refused_with_both_ways_to_write_it() -> None:
    with pytest.raises(MomentUnclear, match=r"2026-10-25T02:30\+02:00 .* 2026-10-25T02:30\+01:00"):
        moment("2026-10-25T02:30")


@pytest.mark.parametrize(
    "text", ["soon", "", "2030-13-01T00:00", "0001-01-01T00:00", "9999-12-31T23:59-12:00", "12"]
)
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(MomentUnclear, match="as in 2026-11-23T11:00"):
        moment(text)


def test_a_form_shows_a_time_that_comes_twice_with_its_offset() -> None:
    twice = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)

    assert local_text(twice, BERLIN) == "2026-10-25T02:30+01:00"
    assert in_zone(read(local_text(twice, BERLIN)), BERLIN) == twice
    assert local_text(datetime(2030, 1, 15, 10, tzinfo=UTC), BERLIN) == "2030-01-15T11:00"
