from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from depots.wall_clock import MomentUnclear, local_text, read_moment

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2030-01-15T11:00", datetime(2030, 1, 15, 10, tzinfo=UTC)),
        (" 2030-07-15 11:00:30 ", datetime(2030, 7, 15, 9, 0, 30, tzinfo=UTC)),
        ("2030-01-15T11:00Z", datetime(2030, 1, 15, 11, tzinfo=UTC)),
        ("2030-01-15t11:00:00.5z", datetime(2030, 1, 15, 11, 0, 0, 500_000, tzinfo=UTC)),
        ("2030-01-15T11:00-03:30", datetime(2030, 1, 15, 14, 30, tzinfo=UTC)),
        ("2030-01-15T11:00+0100", datetime(2030, 1, 15, 10, tzinfo=UTC)),
        ("2030-10-27T02:30+02:00", datetime(2030, 10, 27, 0, 30, tzinfo=UTC)),
        ("2030-10-27T02:30+01:00", datetime(2030, 10, 27, 1, 30, tzinfo=UTC)),
        ("2030-10-27 02:30 first", datetime(2030, 10, 27, 0, 30, tzinfo=UTC)),
        ("2030-10-27 02:30 second", datetime(2030, 10, 27, 1, 30, tzinfo=UTC)),
        ("2030-10-27T02:30+01:00 first", datetime(2030, 10, 27, 1, 30, tzinfo=UTC)),
        ("2030-01-15 11:00 second", datetime(2030, 1, 15, 10, tzinfo=UTC)),
        ("2030-03-31T03:00", datetime(2030, 3, 31, 1, tzinfo=UTC)),
    ],
)
def test_a_time_is_the_wall_clocks_unless_it_says_its_offset(text, moment):
    assert read_moment(text, BERLIN) == moment


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "2030-03-31T02:00",
            "does not exist on 31 March in Europe/Berlin: the clocks go forward. Take 03:00",
        ),
        (
            "2030-10-27T02:00",
            "Write 2030-10-27T02:00+02:00 for the first or 2030-10-27T02:00+01:00 for the second",
        ),
        ("2030-10-27T02:59:59", "comes twice on 27 October"),
        ("2030-02-29T10:00", "not a time"),
        ("2030-01-15 11:00 third", "not a time"),
        ("2030-03-31 02:00 second", "does not exist"),
        ("2030-01-15T24:30", "not a time"),
        ("2030-01-15", "not a time"),
        ("11:00", "not a time"),
        ("", "not a time"),
        ("tomorrow", "not a time"),
        ("٢٠٣٠-01-15T11:00", "not a time"),
        ("2030-01-15T11:00+99:00", "not a time"),
        ("0001-01-01T00:00+05:00", "too far"),
        ("9999-12-31T23:59-05:00", "too far"),
    ],
)
def test_a_text_that_names_no_moment_or_two_is_refused(text, words):
    with pytest.raises(MomentUnclear, match=words.replace("+", r"\+")):
        read_moment(text, BERLIN)


def test_a_form_shows_a_time_that_comes_twice_with_its_offset():
    twice = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)

    assert local_text(twice, BERLIN) == "2026-10-25T02:30+01:00"
    assert read_moment(local_text(twice, BERLIN), BERLIN) == twice
    assert local_text(datetime(2030, 1, 15, 10, tzinfo=UTC), BERLIN) == "2030-01-15T11:00"
