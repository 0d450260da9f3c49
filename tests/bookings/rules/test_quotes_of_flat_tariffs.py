"""Bookings that were made before tariffs had versions are billed by what they were quoted."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from bookings.models import Booking, BookingRequest, TariffBinding, TariffVersion
from bookings.operations.change import change_booking
from bookings.operations.change_request import ChangeRequest
from tests.billing_factories import amounts, charge, priced_booking, records, uses
from tests.factories import MANAGER, NOW, make_evse

pytestmark = pytest.mark.django_db

FLAT = {
    "tariff": "D-OLD", "currency": "EUR", "lines": [{"what": "Booking fee", "amount": "3.00", "estimate": False}],
    "net": "3.00", "vat_percent": "19.00", "vat": "0.57", "total": "3.57", "energy_wh": 0, "energy_per_kwh": "0.2000",
    "time_per_hour": "0.0000", "booking_fee": "3.00", "no_show_fee": "25.00", "late_cancel_fee": "0.00",
}  # fmt: skip


def made_before(**quote: Any) -> Booking:
    """A booking as it stands once the tables have tariffs with versions."""
    booking = priced_booking()
    booking.quote, booking.charging_tariff, booking.booking_tariff = FLAT | quote, None, None
    booking.save(update_fields=["quote", "charging_tariff", "booking_tariff"])
    return booking


def migrate() -> None:
    with connection.schema_editor() as editor:
        migration = import_module("bookings.migrations.0024_live_bookings_have_versions")
        migration.give_versions(apps, editor)


def test_it_is_billed_by_the_prices_it_was_quoted():
    booking = made_before()

    migrate()
    charge(Booking.objects.get(pk=booking.pk))

    (cdr,) = records()
    assert uses(cdr) == [("booking", "flat"), ("charging", "energy")]
    assert amounts([cdr]) == [("23.00", "4.37")]


def test_a_version_that_says_the_same_is_taken_and_a_new_one_never_comes_into_force():
    booking = made_before()

    migrate()
    first = Booking.objects.get(pk=booking.pk).charging_tariff_id
    booking.save(update_fields=["quote", "charging_tariff", "booking_tariff"])
    migrate()

    booking = Booking.objects.get(pk=booking.pk)
    assert booking.charging_tariff_id == first
    version = TariffVersion.objects.get(pk=first)
    assert version.ends_at is not None
    assert version.ends_at < NOW
    assert not TariffBinding.objects.filter(tariff=version.tariff).exists()


def test_a_move_by_the_depot_keeps_them():
    booking = made_before()
    other = make_evse(booking.depot, number=2)
    booking.option.evses.add(other)

    migrate()
    kept = Booking.objects.get(pk=booking.pk).charging_tariff_id
    change_booking(booking.pk, ChangeRequest(evse=other), by=Booking.Side.DEPOT, actor=MANAGER, now=NOW)

    moved = Booking.objects.get(pk=booking.pk)
    assert (moved.evse, moved.charging_tariff_id) == (other, kept)
    assert kept is not None


def test_a_change_that_waits_is_granted_at_the_price_that_was_shown():
    booking = made_before()
    ask = BookingRequest.objects.create(
        booking=booking,
        kind="change",
        decision="pending",
        asked={"quote": FLAT},
        asked_by_kind="person",
        asked_at=NOW,
    )

    migrate()

    ask.refresh_from_db()
    assert ask.asked["quote"] == Booking.objects.get(pk=booking.pk).quote
    assert [one["kind"] for one in ask.asked["quote"]["tariffs"]] == ["charging", "booking"]
