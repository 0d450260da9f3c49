"""What a booking is quoted: by the versions that hold, for what is expected, and kept with them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bookings import operations
from bookings.models import Booking, Tariff
from bookings.operations.undo import Act, Undo, undo
from bookings.pages.price_parts import quoted_parts, settled_parts
from bookings.pricing.bills import Bill
from bookings.pricing.price import price
from bookings.pricing.tariff_content import (
    Dimension,
    ElementUse,
    PriceComponent,
    TariffContent,
    TariffElement,
)
from bookings.pricing.visits import BookedSlot, Visit
from bookings.rules import quotes
from bookings.rules.tariff_bindings import TariffInForce, Tariffs
from tests.factories import (
    DISPATCHER,
    NOW,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_vehicle,
    option_of,
    slot,
)
from tests.money_factories import add_version, flat, make_bound, make_prices, per_kwh

BERLIN = ZoneInfo("Europe/Berlin")
PARKING = TariffElement((PriceComponent(Dimension.PARKING_TIME, Decimal(6)),))


def held(*elements: TariffElement) -> TariffInForce:
    return TariffInForce(1, "T", "", 1, None, None, TariffContent("EUR", elements))


def quoted(
    *, charging: TariffInForce | None = None, booking: TariffInForce | None = None, battery_wh: int = 0
) -> Any:
    """Of an hour with 300 kW."""
    vehicle = make_vehicle(battery_wh=battery_wh) if battery_wh else None
    return quotes.quoted(Tariffs(charging, booking), slot(10, 11), BERLIN, power_w=300_000, vehicle=vehicle)


def booked(**terms: Any) -> Booking:
    evse = make_evse(make_depot(terms=terms) if terms else make_depot())
    make_prices(evse.depot, energy_per_kwh=0.4, booking_fee=5, no_show_fee=25, vat_percent=19)
    truck = make_vehicle()
    return book_slot(
        fleet=truck.fleet,
        option=option_of(evse),
        vehicle=truck,
        period=slot(10, 11),
        actor=DISPATCHER,
        now=NOW,
    )


def versions(booking: Booking) -> tuple[int | None, int | None]:
    booking.refresh_from_db()
    return booking.charging_tariff_id, booking.booking_tariff_id


def test_without_a_tariff_there_is_no_price():
    assert quoted() is None


def test_a_quote_is_what_the_visit_it_expects_would_be_billed():
    charging, booking = held(per_kwh("0.40"), PARKING), held(flat(5))
    found = quoted(charging=charging, booking=booking)

    visit = Visit(found.expected.use(), BookedSlot(slot(10, 11)))
    assert found.bill == price(visit, BERLIN, charging=charging.content, booking=booking.content)
    assert found.total == Decimal(125)


@pytest.mark.django_db
def test_a_battery_that_is_full_before_the_end_is_expected_to_park():
    found = quoted(charging=held(per_kwh("0.40"), PARKING), battery_wh=187_500)

    assert found.expected.energy_wh == 150_000
    assert found.expected.charged_at == slot(10, 11).starts_at + timedelta(minutes=30)
    assert found.total == Decimal("63.00")  # 150 kWh × 0.40 + half an hour × 6


def test_what_is_kept_can_be_read_by_what_used_the_old_shape():
    kept = quoted(
        charging=held(per_kwh("0.40")), booking=held(flat(5), flat(25, ElementUse.NO_SHOW))
    ).to_json()

    assert (kept["currency"], kept["total"], kept["energy_wh"], kept["no_show_fee"]) == (
        "EUR",
        "125.00",
        300_000,
        "25.00",
    )
    assert Bill.from_json(kept["bill"]).total.after_taxes == Decimal(125)


def test_a_currency_never_adds_to_another():
    crowns = TariffInForce(2, "B", "", 1, None, None, TariffContent("SEK", (flat(50),)))

    found = quoted(charging=held(per_kwh("0.40")), booking=crowns)

    assert (found.total, found.currency, found.tariffs.booking) == (Decimal(120), "EUR", None)


def test_a_no_show_fee_by_the_hour_follows_the_slot():
    hour = TariffElement((PriceComponent(Dimension.TIME, Decimal(12)),), use=ElementUse.NO_SHOW)

    assert quoted(booking=held(flat(5), hour)).to_json()["no_show_fee"] == "17.00"


def test_without_a_price_of_its_own_a_no_show_has_no_fee():
    assert "no_show_fee" not in quoted(booking=held(flat(5))).to_json()


@pytest.mark.django_db
def test_a_booking_keeps_the_versions_it_was_made_under():
    booking = booked()
    before = versions(booking)
    for tariff in Tariff.objects.all():
        add_version(tariff, flat(9) if tariff.kind == "booking" else per_kwh(9), number=2)

    assert None not in before
    assert versions(booking) == before
    assert quotes.contents_of(booking)[0].elements[0].components[0].price == Decimal("0.4")


@pytest.mark.django_db
def test_a_fleets_change_is_quoted_under_the_versions_of_now_and_undone_with_the_old_ones():
    booking = booked()
    before, total = versions(booking), booking.quote["total"]
    for tariff in Tariff.objects.filter(kind="charging"):
        add_version(tariff, per_kwh(9), number=2)

    changed = change_slot(booking_id=booking.pk, period=slot(12, 13), actor=DISPATCHER, now=NOW)
    assert versions(changed)[0] != before[0]
    assert versions(changed)[1] == before[1]
    back = Undo(Act.CHANGED, booking.pk, changed.version, NOW, period=slot(10, 11))
    undo(back, actor=DISPATCHER, now=NOW)

    assert versions(booking) == before
    assert booking.quote["total"] == total


@pytest.mark.django_db
def test_a_cancelled_booking_that_is_made_anew_has_its_old_price():
    booking = booked()
    before = versions(booking)
    for tariff in Tariff.objects.filter(kind="charging"):
        add_version(tariff, per_kwh(9), number=2)
    gone = operations.cancel_booking(
        booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=NOW
    )

    again = undo(Undo(Act.CANCELLED, booking.pk, gone.version, NOW), actor=DISPATCHER, now=NOW)

    assert (again.pk != booking.pk, versions(again)) == (True, before)


@pytest.mark.django_db
def test_the_depots_move_keeps_the_versions():
    booking = booked()
    before = versions(booking)
    make_bound(per_kwh(9), option=booking.option)

    change_slot(booking_id=booking.pk, period=slot(12, 13), by="depot", actor=DISPATCHER, now=NOW)

    assert versions(booking) == before


@pytest.mark.django_db
def test_a_price_is_shown_by_parts_with_what_it_assumes_and_what_may_come_on_top():
    booking = booked()
    overtime = TariffElement(
        (PriceComponent(Dimension.TIME, Decimal(30), Decimal(19)),), use=ElementUse.OVERTIME
    )
    late = flat(10, ElementUse.LATE_CANCELLATION)
    tariff = Tariff.objects.get(kind="booking")
    version = add_version(tariff, flat(5), flat(25, ElementUse.NO_SHOW), overtime, late, number=2)
    booking.booking_tariff_id = version.pk
    booking.terms_json = {**booking.terms_json, "late_cancel": True}

    parts = quoted_parts(booking)

    assert [(part.what, part.detail, str(part.amount)) for part in parts.parts] == [
        ("Booking fee", "", "5.00"), ("Energy", "350 kWh × €0.40", "140.00"),
    ]  # fmt: skip
    assert parts.taxes == (("VAT 19 %", Decimal("27.5500")),)
    assert (
        parts.assumes
        == "Estimated for 350.0 kWh, charged with 350 kW all the time. The bill counts what is metered."
    )
    assert parts.on_top == (
        "Not coming costs €25.00.",
        "Cancelling after the deadline costs €10.00.",
        "An hour past the booked end costs €35.70.",
    )


@pytest.mark.django_db
def test_a_quote_of_before_tariffs_had_versions_is_still_read():
    booking = booked()
    booking.quote = {
        "tariff": "T", "currency": "EUR", "lines": [
            {"what": "Booking fee", "amount": "5.00", "estimate": False},
            {"what": "Energy", "amount": "160.00", "estimate": True},
        ],
        "net": "165.00", "vat_percent": "19", "vat": "31.35", "total": "196.35", "energy_wh": 400_000,
        "energy_per_kwh": "0.40", "no_show_fee": "25.00", "late_cancel_fee": "0",
    }  # fmt: skip

    shown, settled = quoted_parts(booking), settled_parts(booking, 100_000)

    assert (str(shown.total), shown.on_top) == ("196.35", ("Not coming costs €29.75.",))
    assert (str(settled.total), settled.parts[1].detail) == ("53.55", "100.0 kWh as metered × €0.40")
