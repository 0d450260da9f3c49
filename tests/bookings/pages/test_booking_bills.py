"""A booking's page puts the bill beside the quote, says why they differ, and names a fee before one confirms it."""

from __future__ import annotations

import re

import pytest
import time_machine

from bookings import scheduler
from bookings.billing.disputes import waive
from bookings.models import Booking
from bookings.pricing.price import price
from bookings.pricing.visits import BookedSlot, ChargingPeriod, SessionUse, Visit
from tests.billing_factories import BOOKING, CHARGING, charge, correct, priced, priced_booking, records
from tests.bookings.enforcement.online_chargers import TERMS, book, evse_online, start
from tests.factories import MANAGER, at, make_depot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def booking(operator, vehicle) -> Booking:
    """Quoted for 80 kWh: 5 + 40 before taxes, 53.55 with them."""
    found = priced_booking(evse_online(make_depot(operator, terms=TERMS)), vehicle=vehicle)
    use = SessionUse((ChargingPeriod(at(10), energy_kwh=80),), at(11))
    quoted = price(Visit(use, BookedSlot(found.period)), found.depot.zone, charging=CHARGING, booking=BOOKING)
    found.quote = {"bill": quoted.to_json(), "currency": "EUR", "total": "53.55", "energy_wh": 80_000}
    found.quote["assumes"] = {"power_w": 0}
    found.save(update_fields=["quote"])
    return found


def page_of(client, booking: Booking, part: str = "") -> str:
    answer = client.get(f"{booking.get_absolute_url()}{part}")
    assert answer.status_code == 200
    return answer.content.decode()


def rows_of(page: str) -> list[list[str]]:
    """The cells of the table of quote and bill."""
    table = page[page.index("data-compared") : page.index("</table>", page.index("data-compared"))]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in table.split("<tr>")]
    return [row for row in rows[2:] if row]


def test_the_bill_stands_beside_the_quote_with_a_reason_for_each_difference(booking, dispatcher):
    charge(booking, at(10), at(11, 30), 100_000)

    page = page_of(dispatcher, booking)

    assert "€101.15" in page
    assert "Quoted were €53.55." in page
    assert "Energy: 100.0 kWh instead of 80.0 kWh: €10.00 more." in page
    assert "Overtime, which was not expected: €30.00 more." in page
    assert "Booking fee:" not in page
    assert records()[0].code in page
    assert rows_of(page) == [
        ["Booking fee", "€5.00", "€5.00", "–"],
        ["Energy", "€40.00", "€50.00", "+€10.00"],
        ["Overtime", "€0.00", "€30.00", "+€30.00"],
        ["Taxes", "€8.55", "€16.15", "+€7.60"],
        ["Total", "€53.55", "€101.15", "+€47.60"],
    ]


def test_a_vehicle_that_did_not_come_is_the_reason_for_what_is_not_billed(booking, dispatcher):
    scheduler.run_tick(at(10, 15))

    page = page_of(dispatcher, booking)

    assert "No energy, as the vehicle did not come: €40.00 less." in page
    assert "No-show fee, as the vehicle did not come" in page


def test_a_bill_that_is_as_quoted_needs_no_reason(booking, dispatcher):
    charge(booking, at(10), at(10, 50), 80_000)

    assert "data-reasons" not in page_of(dispatcher, booking)


def test_a_list_says_what_a_booking_cost_by_its_records(booking, dispatcher):
    charge(booking)
    row = dispatcher.get("/bookings/?first_day=2030-01-15").content.decode()
    assert "100.0 kWh · €65.45" in row

    waive(cdr_id=records()[0].pk, reason="Goodwill", actor=MANAGER, now=at(12))

    assert "waived" in dispatcher.get("/bookings/?first_day=2030-01-15").content.decode()
    page = page_of(dispatcher, booking)
    assert "was credited: Goodwill" in page
    assert "Nothing is due" in page


def test_a_corrected_bill_shows_what_it_replaced(booking, dispatcher):
    session = charge(booking, wh=None)

    correct(session, at(10, 40), 80_000, now=at(12))

    page = page_of(dispatcher, booking)
    assert records()[2].code in page
    assert "The charger corrected what it had told" in page


def test_what_it_has_come_to_while_it_charges_is_priced_as_it_will_be_billed(booking, dispatcher):
    session = start(booking.evse, booking.tokens.get().uid, at(10))
    session.meter_last_wh = 41_000
    session.save()
    session.readings.create(at=at(10, 20), energy_wh=41_000)

    with time_machine.travel(at(10, 30), tick=False):
        part = page_of(dispatcher, booking, "cost/")
        whole = page_of(dispatcher, booking)

    for page in (part, whole):
        assert "Cost so far" in page
        assert "40 kWh as metered" in page
        assert "€29.75" in page


def test_the_fee_is_named_before_a_late_cancellation_is_confirmed(operator, vehicle, dispatcher):
    depot = make_depot(operator, terms={**TERMS, "cancel_until_min": 60, "late_cancel": True})
    booking = priced(book(evse_online(depot), vehicle=vehicle))
    with time_machine.travel(at(8, 30), tick=False):
        assert "data-fee" not in page_of(dispatcher, booking, "cancellation/")

    with time_machine.travel(at(9, 30), tick=False):
        page = page_of(dispatcher, booking, "cancellation/")
        assert "cancelling now costs €17.85" in page
        answer = dispatcher.post(
            f"{booking.get_absolute_url()}cancellation/", {"version": booking.version, "reason": "TRAFFIC"}
        )

    assert answer.status_code == 302
    assert [cdr.kind for cdr in records()] == ["cancellation"]
    assert "€17.85 are due: it was cancelled after its deadline." in page_of(dispatcher, booking)
