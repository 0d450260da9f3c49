"""Somebody changes what a depot offers while a booking waits for its place: it goes by what is so by then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from bookings.core.locking import lock_ids
from bookings.errors import BookingError
from bookings.models import TermsOverride
from bookings.rules import configuration
from depots.models import Depot, Evse
from tests.factories import NOW, book_slot, make_evse, make_option, make_vehicle, slot
from tests.races.processes import all_at_once, rendezvous, wait_for_a_waiter

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]

CHANGES: dict[str, tuple[Callable[[], Any], Any]] = {
    "terms": (lambda: TermsOverride.objects.update(max_duration_min=30), "too_long"),
    "withdrawn": (lambda: Evse.objects.update(is_withdrawn=True), "does_not_fit"),
    "a limit": (lambda: Depot.objects.update(grid_limit_w=60_000), 60_000),
    "less power": (lambda: Evse.objects.update(max_power_w=40_000), 40_000),
}


@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES.keys())
def test_what_is_changed_while_a_booking_waits_for_its_place_counts(change, expected):
    evse, truck = make_evse(), make_vehicle()
    locked, option = rendezvous(2), make_option(evse)
    # Each process knows the depot as it was.
    configuration.current(evse.depot_id)

    def configures() -> None:
        with transaction.atomic():
            Depot.objects.select_for_update(no_key=True).get()
            lock_ids([evse.pk])
            locked.wait(30)
            wait_for_a_waiter()
            change()

    def books() -> Any:
        locked.wait(30)
        try:
            booking = book_slot(fleet=truck.fleet, option=option, vehicle=truck, period=slot(10, 11), now=NOW)
        except BookingError as refusal:
            return refusal.code
        return booking.promised_power_w

    assert all_at_once([configures, books]) == [None, expected]
