"""Chargers' clocks: learnt from what is made the moment it comes, and what a wrong one told is corrected."""

from datetime import UTC, datetime, timedelta

import pytest

from depots.models import Charger
from depots.ocpp.clock_estimate import ClockEstimate
from depots.operations import Reading, Start, Stop
from depots.operations.clock_correction import by_our_clock, correction

NOW = datetime(2030, 1, 15, 8, 0, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
SECOND = timedelta(seconds=1)
NONE = timedelta()


def test_a_live_message_tells_how_far_the_clock_is_off():
    assert ClockEstimate().learn(NOW + HOUR, NOW, is_live=True) == HOUR
    assert ClockEstimate().learn(NOW - HOUR, NOW, is_live=True) == -HOUR


def test_a_message_that_may_have_waited_does_not():
    watch = ClockEstimate()

    assert watch.learn(NOW - HOUR, NOW, is_live=False) is None
    assert watch.learn(NOW - 2 * HOUR, NOW + 20 * SECOND, is_live=False) is None
    assert watch.offset is None


def test_nothing_comes_from_the_future_so_its_clock_is_ahead():
    watch = ClockEstimate()

    assert watch.learn(NOW + 50 * MINUTE, NOW, is_live=False) == 50 * MINUTE
    assert watch.learn(NOW + 59 * MINUTE, NOW, is_live=False) == 59 * MINUTE
    assert watch.learn(NOW + 20 * MINUTE, NOW, is_live=False) is None  # that one waited


def test_two_messages_late_by_the_same_were_not_late():
    watch = ClockEstimate()

    assert watch.learn(NOW - HOUR, NOW, is_live=False) is None
    assert watch.learn(NOW - HOUR + SECOND, NOW + SECOND, is_live=False) is None  # a queue is emptied so fast
    assert watch.learn(NOW - HOUR + MINUTE, NOW + MINUTE, is_live=False) == -HOUR


def test_a_clock_set_right_is_noticed_at_once():
    watch = ClockEstimate()
    watch.learn(NOW + HOUR, NOW, is_live=True)

    assert watch.learn(NOW + 2 * SECOND, NOW, is_live=False) == 2 * SECOND
    assert watch.learn(NOW + 4 * SECOND, NOW, is_live=True) is None  # no news


def test_a_boot_tells_it_the_time():
    watch = ClockEstimate()
    watch.learn(NOW + HOUR, NOW, is_live=True)

    watch.forget()

    assert watch.offset is None
    assert watch.learn(NOW + HOUR, NOW, is_live=True) == HOUR


def charger(offset: timedelta | None, *, booted: bool = False) -> Charger:
    seen_at = NOW - HOUR if offset is not None else None
    return Charger(
        clock_offset_s=offset.total_seconds() if offset is not None else None,
        clock_seen_at=seen_at,
        booted_at=NOW - 5 * MINUTE if booted else NOW - 9 * HOUR,
    )


@pytest.mark.parametrize(
    ("offset", "told", "right"),
    [
        (None, NOW, NOW),
        (None, NOW - 2 * HOUR, NOW - 2 * HOUR),
        (None, NOW + 5 * SECOND, NOW + 5 * SECOND),
        (None, NOW + HOUR, NOW),
        (3 * SECOND, NOW - 2 * HOUR, NOW - 2 * HOUR),
        # an hour ahead
        (HOUR, NOW + HOUR, NOW),
        (HOUR, NOW + 30 * MINUTE, NOW - 30 * MINUTE),
        (HOUR, NOW - 2 * HOUR, NOW - 3 * HOUR),
        (HOUR, NOW + 3 * HOUR, NOW),
        (HOUR, NOW - 2 * SECOND, NOW - 2 * SECOND),  # set right meanwhile
        (HOUR, NOW - 50 * SECOND, NOW - 50 * SECOND),  # and under way for a while
        (2 * MINUTE, NOW - 50 * SECOND, NOW - 170 * SECOND),
        # an hour behind
        (-HOUR, NOW - HOUR, NOW),
        (-HOUR, NOW - 3 * HOUR, NOW - 2 * HOUR),
        (-HOUR, NOW, NOW),  # set right meanwhile
        (-HOUR, NOW - 30 * MINUTE, NOW - 30 * MINUTE),  # corrected it would lie ahead: set right meanwhile
    ],
)
def test_times_are_corrected_by_what_is_known(offset, told, right):
    assert told + correction(charger(offset), told, (), now=NOW) == right


@pytest.mark.parametrize(
    ("offset", "told", "right"),
    [
        (HOUR, NOW - 2 * MINUTE, NOW - 2 * MINUTE),
        (-HOUR, NOW - 2 * MINUTE, NOW - 2 * MINUTE),
        (-HOUR, NOW - 3 * HOUR, NOW - 3 * HOUR),
        (HOUR, NOW + 30 * MINUTE, NOW - 30 * MINUTE),  # from before the boot, else it would lie ahead
    ],
)
def test_after_a_boot_the_clock_is_taken_for_set(offset, told, right):
    assert told + correction(charger(offset, booted=True), told, (), now=NOW) == right


@pytest.mark.parametrize("flag", ["bad_clock", "no_time"])
def test_the_time_of_arrival_is_ours_already(flag):
    assert correction(charger(HOUR), NOW - 2 * MINUTE, [flag], now=NOW) == NONE


def test_a_stop_is_corrected_with_its_samples_and_flagged():
    told = Stop(
        transaction="17",
        at=NOW + HOUR,
        readings=[Reading(NOW + 50 * MINUTE, 5), Reading(NOW, 7, is_arrival=True)],
    )

    stop = by_our_clock(told, charger(HOUR), now=NOW)

    assert (stop.at, stop.flags) == (NOW, ("wrong_clock",))
    assert [reading.at for reading in stop.readings] == [NOW - 10 * MINUTE, NOW]


def test_what_a_right_clock_told_is_left_alone():
    told = Start(evse_number=1, token_uid="04", key="k", at=NOW - HOUR)

    assert by_our_clock(told, charger(None), now=NOW) is told
