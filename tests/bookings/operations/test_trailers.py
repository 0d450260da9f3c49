"""Tractor and trailer, chosen at booking, kept with it and changed with it."""

from __future__ import annotations

from typing import Any

import pytest

from bookings import operations
from bookings.errors import ChangedMeanwhile, DoesNotFit, PlateInUse, TrailerUnknown
from bookings.models import Booking, Trailer, Vehicle
from bookings.operations import TrailerFacts
from bookings.operations.request_log import needs_by_booking
from bookings.rules.content_version import version_of
from tests.factories import (
    MANAGER,
    NOW,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_option,
    make_vehicle,
    slot,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def tractor() -> Vehicle:
    return make_vehicle(vehicle_type="SEMI_TRACTOR", length_cm=620, weight_kg=10_000)


@pytest.fixture
def trailer(tractor: Vehicle) -> Trailer:
    facts = TrailerFacts(plate="HH-T 1", adds_length_cm=1030, weight_kg=20_000, needs_refrigeration=True)
    return operations.add_trailer(fleet=tractor.fleet, facts=facts)


@pytest.fixture
def pool() -> Any:
    """A short bay and a long one."""
    depot = make_depot()
    short = make_evse(depot, option=False, max_vehicle_length_cm=1000, takes_trailers=False)
    long = make_evse(
        depot, option=False, max_vehicle_length_cm=1700, refrigeration_outlet=True, takes_trailers=True
    )
    return make_option(short, long, terms={"slot_step_min": 15})


def booked(pool: Any, tractor: Vehicle, trailer: Trailer | None = None, **more: Any) -> Booking:
    asked = {"fleet": tractor.fleet, "option": pool, "vehicle": tractor, "period": slot(10, 11), **more}
    return book_slot(trailer=trailer, **asked)


def test_a_combination_is_put_where_it_fits_and_a_tractor_alone_leaves_that_free(
    pool: Any, tractor: Vehicle, trailer: Trailer
) -> None:
    short, long = pool.evses.order_by("pk")

    alone = booked(pool, make_vehicle(tractor.fleet, length_cm=620))
    both = booked(pool, tractor, trailer)

    assert (alone.evse, alone.trailer) == (short, None)
    assert (both.evse, both.trailer) == (long, trailer)
    assert needs_by_booking([both])[both.pk].length_cm == 1650


def test_a_combination_that_fits_nowhere_is_told_by_how_much(tractor: Vehicle, trailer: Trailer) -> None:
    evse = make_evse(make_depot(), option=False, max_vehicle_length_cm=1500, refrigeration_outlet=True)

    with pytest.raises(DoesNotFit, match=r"1\.50 m too long: 16\.50 m, the bay takes 15\.00 m"):
        booked(make_option(evse), tractor, trailer)


def test_another_fleets_trailer_and_a_retired_one_are_unknown(
    pool: Any, tractor: Vehicle, trailer: Trailer
) -> None:
    theirs = operations.add_trailer(fleet=make_fleet(), facts=TrailerFacts(plate="XX-T 1"))
    operations.set_trailer_retired(trailer_id=trailer.pk, is_retired=True, seen_version=version_of(trailer))

    for other in (theirs, trailer):
        with pytest.raises(TrailerUnknown):
            booked(pool, tractor, other)


def test_a_change_takes_a_trailer_exchanges_it_and_drops_it(
    pool: Any, tractor: Vehicle, trailer: Trailer
) -> None:
    short, long = pool.evses.order_by("pk")
    booking = booked(pool, tractor)
    assert booking.evse == short

    coupled = change_slot(booking_id=booking.pk, trailer=trailer)
    assert (coupled.evse, coupled.trailer) == (long, trailer)
    event = coupled.events.last()
    assert event is not None
    assert event.detail["after"]["trailer"] == "HH-T 1"
    assert event.detail["groups"] == ["place", "vehicle"]

    later = change_slot(booking_id=booking.pk, period=slot(12, 13))
    assert later.trailer == trailer

    alone = change_slot(booking_id=booking.pk, drops_trailer=True)
    assert alone.trailer is None
    event = alone.events.last()
    assert event is not None
    assert event.detail["after"]["trailer"] == "none"


def test_another_tractor_keeps_the_trailer(pool: Any, tractor: Vehicle, trailer: Trailer) -> None:
    booking = booked(pool, tractor, trailer)

    changed = change_slot(booking_id=booking.pk, vehicle=make_vehicle(tractor.fleet, length_cm=640))

    assert changed.trailer == trailer
    assert needs_by_booking([changed])[changed.pk].length_cm == 1670


def test_a_move_by_the_depot_keeps_the_trailer_and_minds_it(
    pool: Any, tractor: Vehicle, trailer: Trailer
) -> None:
    short, _ = pool.evses.order_by("pk")
    booking = booked(pool, tractor, trailer)

    with pytest.raises(DoesNotFit):
        change_slot(booking_id=booking.pk, evse=short, by="depot", actor=MANAGER)
    moved = change_slot(booking_id=booking.pk, period=slot(14, 15), by="depot", actor=MANAGER)

    assert moved.trailer == trailer


def test_a_trailer_that_waits_for_the_depot_is_taken_when_it_says_yes(
    tractor: Vehicle, trailer: Trailer
) -> None:
    evse = make_evse(make_depot(terms={"approval": True}), option=False, refrigeration_outlet=True)
    booking = booked(make_option(evse), tractor)
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)

    change_slot(booking_id=booking.pk, trailer=trailer)
    booking.refresh_from_db()
    assert booking.trailer is None
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)

    booking.refresh_from_db()
    assert booking.trailer == trailer


def test_the_needs_of_many_bookings_with_trailers_take_one_more_query(
    pool: Any, tractor: Vehicle, trailer: Trailer, django_assert_num_queries: Any
) -> None:
    booked(pool, tractor, trailer)
    booked(pool, make_vehicle(tractor.fleet), trailer, period=slot(12, 13))
    bookings = list(Booking.objects.select_related("vehicle"))

    with django_assert_num_queries(1):
        needs_by_booking(bookings)


def test_a_plate_is_there_once_and_a_stale_form_changes_nothing(trailer: Trailer) -> None:
    with pytest.raises(PlateInUse):
        operations.add_trailer(fleet=trailer.fleet, facts=TrailerFacts(plate="hh-t 1"))
    seen = version_of(trailer)
    operations.change_trailer(
        trailer_id=trailer.pk, facts=TrailerFacts(plate="HH-T 1", weight_kg=1), seen_version=seen
    )

    with pytest.raises(ChangedMeanwhile):
        operations.change_trailer(
            trailer_id=trailer.pk, facts=TrailerFacts(plate="HH-T 2"), seen_version=seen
        )
