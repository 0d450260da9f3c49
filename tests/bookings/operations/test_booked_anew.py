"""What is booked anew for one that is gone is what that was, but for its reference."""

from __future__ import annotations

import pytest

from bookings import operations
from bookings.models import Booking, Trip
from bookings.operations import SeriesRequest, SlotRequest, TrailerFacts
from bookings.operations.series_plan import version_of
from bookings.operations.undo import book_anew
from bookings.rules.charging_duration import EnergyAsked
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    book_slot,
    make_depot,
    make_evse,
    make_option,
    make_vehicle,
    option_of,
    slot,
)

pytestmark = pytest.mark.django_db


def cancelled(booking: Booking) -> Booking:
    return operations.cancel_booking(booking_id=booking.pk, reason="FULL", by="depot", actor=MANAGER, now=NOW)


def anew(gone: Booking) -> Booking:
    made = book_anew(gone.pk, actor=MANAGER, now=NOW)
    gone.refresh_from_db()
    return Booking.objects.get(pk=made.pk)


def test_with_its_trailer_its_energy_and_no_evse_that_nobody_asked_for() -> None:
    tractor = make_vehicle(vehicle_type="SEMI_TRACTOR", battery_wh=500_000)
    trailer = operations.add_trailer(
        fleet=tractor.fleet, facts=TrailerFacts(plate="HH-T 1", adds_length_cm=1030, weight_kg=20_000)
    )
    depot = make_depot()
    pool = make_option(make_evse(depot), make_evse(depot))
    booking = book_slot(
        fleet=tractor.fleet, vehicle=tractor, option=pool, period=slot(10, 11), trailer=trailer,
        energy=EnergyAsked(soc_from=20, soc_to=60),
    )  # fmt: skip

    again = anew(cancelled(booking))

    kept = ("trailer", "energy_wh", "soc_from", "soc_to", "evse", "is_evse_asked", "vehicle", "starts_at")
    assert {name: getattr(again, name) for name in kept} == {name: getattr(booking, name) for name in kept}
    assert (again.trailer, again.energy_wh, again.is_evse_asked) == (trailer, 200_000, False)


@pytest.mark.parametrize("is_over", [False, True])
def test_as_its_day_of_a_series_that_goes_on(is_over: bool) -> None:
    truck = make_vehicle()
    option = option_of(make_evse(make_depot(terms={"horizon_days": 14})))
    first = SlotRequest(fleet=truck.fleet, vehicle=truck, option=option, period=slot(10, 11))
    asked = SeriesRequest(rrule="FREQ=DAILY;COUNT=2", first=first, exceptions=frozenset())
    series = operations.book_series(asked, actor=DISPATCHER, now=NOW)
    gone = cancelled(series.bookings.earliest("series_date"))
    day = gone.series_date
    if is_over:
        operations.cancel_series(series.pk, reason="TRAFFIC", actor=DISPATCHER, now=NOW)
    series.refresh_from_db()
    seen = version_of(series, list(series.bookings.values_list("version", flat=True)))

    again = anew(gone)

    series.refresh_from_db()
    versions = list(series.bookings.values_list("version", flat=True))
    if is_over:
        assert (gone.series, again.series, version_of(series, versions)) == (series, None, seen)
        return
    assert (again.series, again.series_date, gone.series, gone.series_date) == (series, day, None, None)
    assert version_of(series, versions) > seen
    assert gone.events.latest("pk").detail["note"] == f"As {again.reference}"


@pytest.mark.parametrize(("status", "is_its"), [("booked", True), ("failed", False), ("cancelled", False)])
def test_as_its_stop_of_a_trip_that_was_not_given_up(status: str, is_its: bool) -> None:
    truck = make_vehicle()
    stops = [
        SlotRequest(fleet=truck.fleet, vehicle=truck, option=option_of(make_evse(make_depot())), period=slot(*at))
        for at in ((10, 11), (14, 15))
    ]  # fmt: skip
    trip = operations.book_trip(stops, actor=DISPATCHER, now=NOW)
    gone = cancelled(trip.stops.earliest("starts_at"))
    Trip.objects.filter(pk=trip.pk).update(status=status)

    again = anew(gone)

    assert (again.trip, gone.trip) == ((trip, None) if is_its else (None, trip))
