"""Regulation (EC) No 561/2006, sentence by sentence, and what follows from it for any way a truck may take."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookings.rules.driving_times import (
    EXTENDED_DAY,
    FULL_BREAK,
    Breaks,
    DrivingTooLong,
    Duty,
    Limits,
    least_time,
    next_break,
)


def of(text: str) -> timedelta:
    hours, minutes = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


def after(*course: str, limits: Limits | None = None) -> Duty:
    """`d4:30` is driving, `r0:45` rest."""
    duty = Duty(limits=limits or Limits())
    for part in course:
        duty = duty.driven(of(part[1:])) if part[0] == "d" else duty.rested(of(part[1:]))
    return duty


# Each line: what the driver did since the last daily rest, and how long she may drive on at once.
ARTICLE_7 = [
    # "After a driving period of four and a half hours a driver shall take an uninterrupted break of not less than 45 minutes,
    (["d4:29"], "0:01"),
    (["d4:30"], "0:00"),
    (["d4:30", "r0:44"], "0:00"),
    (["d4:30", "r0:45"], "4:30"),
    (["d2:00", "r0:45"], "4:30"),
    (["d1:30", "r0:10", "d3:00"], "0:00"),
    # unless he takes a rest period."
    (["d4:30", "r11:00"], "4:30"),
    # "This break may be replaced by a break of at least 15 minutes followed by a break of at least 30 minutes each distributed
    # over the period in such a way as to comply with the provisions of the first paragraph."
    (["d2:00", "r0:15"], "2:30"),
    (["d2:00", "r0:15", "d2:30"], "0:00"),
    (["d2:00", "r0:15", "d2:30", "r0:29"], "0:00"),
    (["d2:00", "r0:15", "d2:30", "r0:30"], "4:30"),
    (["d2:00", "r0:14", "d2:30", "r0:30"], "0:00"),
    (["d2:00", "r0:30", "d2:30", "r0:15"], "0:00"),  # in this order alone
    (["d2:00", "r0:15", "d2:00", "r0:15", "d0:30", "r0:15"], "0:00"),
    (
        ["d2:00", "r0:15", "d2:30", "r0:30", "d2:00", "r0:30"],
        "2:30",
    ),  # the parts belong to one driving period
]
ARTICLE_6 = [
    # "The daily driving time shall not exceed nine hours.
    (["d4:30", "r0:45", "d4:30", "r0:45"], "0:00", None),
    (["d4:00", "r0:45", "d4:00", "r0:45"], "1:00", None),
    # However, the daily driving time may be extended to at most 10 hours not more than twice during the week."
    (["d4:30", "r0:45", "d4:30", "r0:45"], "1:00", EXTENDED_DAY),
    (["d4:30", "r0:45", "d4:30", "r0:45", "d1:00", "r0:45"], "0:00", EXTENDED_DAY),
    (["d4:30", "r0:45", "d4:30", "r11:00"], "4:30", None),
    (["d4:30", "r0:45", "d4:30", "r10:59"], "0:00", None),
]
ARTICLE_8 = [
    # "Within each period of 24 hours after the end of the previous daily rest period … a driver shall have taken a new daily rest
    # period." With 11 hours of rest the thirteenth hour is the last, with a reduced rest of 9 the fifteenth.
    (["d4:00", "r8:30"], "0:30", None),
    (["d4:00", "r9:00"], "0:00", None),
    (["d4:00", "r8:30"], "2:30", Limits(daily_rest=timedelta(hours=9))),
]


@pytest.mark.parametrize(
    ("course", "left", "limits"),
    [*[(*line, None) for line in ARTICLE_7], *ARTICLE_6, *ARTICLE_8],
)
def test_the_regulation_says_how_long_one_may_drive_on(course: list[str], left: str, limits: Limits) -> None:
    duty = after(*course, limits=limits)

    assert duty.may_drive == of(left)
    with pytest.raises(DrivingTooLong):
        duty.driven(of(left) + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("driving", "takes"),
    [
        ("4:30", "4:30"),
        ("4:31", "5:16"),
        ("9:00", "9:45"),
        ("9:01", "20:46"),  # a daily rest lies between
        ("18:00", "30:30"),
        ("18:01", "41:31"),
    ],
)
def test_a_way_takes_its_driving_its_breaks_and_its_rests(driving: str, takes: str) -> None:
    assert least_time(of(driving)) == of(takes)


def test_on_a_day_of_ten_hours_the_second_break_comes_before_the_tenth() -> None:
    assert least_time(of("10:00"), Duty(limits=EXTENDED_DAY)) == of("11:30")


def test_who_has_driven_before_has_less_left() -> None:
    assert least_time(of("1:00"), after("d4:00")) == of("1:45")
    assert least_time(of("1:00"), after("d2:00", "r0:15", "d2:30")) == of("1:30")


@pytest.mark.parametrize(
    ("course", "breaks", "length"),
    [
        ([], Breaks.WHOLE, "0:45"),
        (["d4:00"], Breaks.WHOLE, "0:45"),
        (["d2:00"], Breaks.IN_PARTS, "0:15"),
        (["d2:00", "r0:15", "d2:00"], Breaks.IN_PARTS, "0:30"),
        (["d2:00", "r0:15", "d2:00"], Breaks.WHOLE, "0:30"),
        (["d2:00", "r0:45"], Breaks.IN_PARTS, "0:45"),
    ],
)
def test_the_next_break_is_as_long_as_is_wished(course: list[str], breaks: Breaks, length: str) -> None:
    assert next_break(after(*course), breaks) == of(length)


def minutes(most: int) -> st.SearchStrategy[timedelta]:
    return st.integers(0, most).map(lambda number: timedelta(minutes=number))


@given(minutes(6000), minutes(600))
def test_more_driving_never_takes_less_and_no_way_is_quicker_than_its_breaks_allow(
    driving: timedelta, more: timedelta
) -> None:
    took = least_time(driving)

    assert least_time(driving + more) >= took + more
    whole_breaks = (driving - timedelta(seconds=1)) // timedelta(hours=4, minutes=30) if driving else 0
    assert took >= driving + whole_breaks * FULL_BREAK


@given(st.lists(st.tuples(minutes(270), minutes(720)), max_size=12))
def test_whatever_is_allowed_keeps_every_limit_when_it_is_counted_anew(
    course: list[tuple[timedelta, timedelta]],
) -> None:
    duty = Duty()
    since_break = today = timedelta()
    first_part = False
    for wanted, rest in course:
        driving = min(wanted, duty.may_drive)
        duty = duty.driven(driving).rested(rest)
        since_break, today = since_break + driving, today + driving
        assert since_break <= timedelta(hours=4, minutes=30)
        assert today <= timedelta(hours=9)
        if rest >= timedelta(hours=11):
            since_break = today = timedelta()
            first_part = False
        elif rest >= timedelta(minutes=45) or (first_part and rest >= timedelta(minutes=30)):
            since_break, first_part = timedelta(), False
        elif rest >= timedelta(minutes=15):
            first_part = True
