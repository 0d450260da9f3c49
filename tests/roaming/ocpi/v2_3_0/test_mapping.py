"""The tables between our words and OCPI's: whatever is added on either side is missed here."""

from __future__ import annotations

import pytest

from bookings.models import Booking, BookingRequest, BookingStatus, CancelReason, Enforcement
from depots.models import Connector, Evse
from roaming.ocpi.v2_3_0.bookings.mapping import SETTLED
from roaming.ocpi.v2_3_0.bookings.schemas import (
    CanceledReason,
    CancelledBy,
    ConnectorFormat,
    ReservationRequestStatus,
    ReservationStatus,
)
from roaming.ocpi.v2_3_0.bookings.statuses import (
    CANCELLED_BY,
    DECISION,
    FINAL,
    OUR_DECISION,
    OUR_SIDE,
    OUR_STATUS,
    STATUS,
)
from roaming.ocpi.v2_3_0.locations.mapping import EVSE_STATUS, minutes_in


def test_every_status_of_ours_has_a_word_or_is_never_sent() -> None:
    assert set(STATUS) == set(BookingStatus)
    assert {ours for ours, word in STATUS.items() if word is None} == {
        BookingStatus.HELD,
        BookingStatus.EXPIRED,
    }


def test_every_status_of_ocpi_is_understood_or_says_nothing() -> None:
    assert set(OUR_STATUS) == set(ReservationStatus)
    assert [word for word, ours in OUR_STATUS.items() if ours is None] == [ReservationStatus.UNKNOWN]
    sent = {word for word in STATUS.values() if word}
    assert sent == set(ReservationStatus) - {ReservationStatus.UNKNOWN}


def test_a_status_that_goes_out_and_comes_back_is_the_same() -> None:
    there_and_back = {ours: OUR_STATUS[word] for ours, word in STATUS.items() if word}

    # FULFILLED is said when charging starts and stays when it ends.
    assert {a for a, b in there_and_back.items() if a != b} == {BookingStatus.COMPLETED}


@pytest.mark.parametrize(
    ("table", "ours"),
    [
        (DECISION, BookingRequest.Decision),
        (CANCELLED_BY, Booking.Side),
        (EVSE_STATUS, Evse.Status),
    ],
)
def test_a_table_names_all_of_ours(table: dict[str, str], ours: type) -> None:
    assert set(table) == set(ours)  # type: ignore[call-overload]


def test_decisions_and_sides_translate_both_ways() -> None:
    assert set(OUR_DECISION) == set(ReservationRequestStatus)
    assert set(OUR_SIDE) == set(CancelledBy)


def test_what_ocpi_takes_as_final_is_final_here_too() -> None:
    finals = {ours for ours, word in STATUS.items() if word in FINAL}

    assert finals == set(BookingStatus) - {
        BookingStatus.HELD, BookingStatus.EXPIRED, BookingStatus.REQUESTED, BookingStatus.CONFIRMED
    }  # fmt: skip


def test_our_names_of_reasons_and_plugs_are_ocpis() -> None:
    assert set(CancelReason) == set(CanceledReason)
    assert set(Connector.Format) == set(ConnectorFormat)


def test_the_evse_of_a_pool_is_told_once_it_is_settled() -> None:
    assert {Enforcement.NOT_DUE, Enforcement.DUE, Enforcement.RELEASED} == set(Enforcement) - SETTLED


@pytest.mark.parametrize(
    ("wall", "minutes"), [("00:00", 0), ("06:30", 390), ("23:59", 1440), ("24:00", 1440)]
)
def test_midnight_at_the_end_of_a_day_is_read_back(wall: str, minutes: int) -> None:
    assert minutes_in(wall) == minutes


@pytest.mark.parametrize("wall", ["24:01", "x", "12:60", "-1:00", ""])
def test_what_is_no_time_of_day_is_refused(wall: str) -> None:
    with pytest.raises(ValueError):
        minutes_in(wall)
