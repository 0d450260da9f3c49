"""What was is shown, not what was expected: energy, cost, fees, and charging that broke off."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bookings import operations
from bookings.actors import SCHEDULER, Actor
from bookings.core import lifecycle
from bookings.models import Booking, BookingStatus, Vehicle
from depots.models import ChargingSession, Evse
from depots.periods import Period
from tests.bookings.people import seen
from tests.factories import (
    NOW,
    at,
    book_slot,
    make_depot,
    make_evse,
    make_vehicle,
    option_of,
    slot,
)
from tests.money_factories import make_prices

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def evse() -> Evse:
    depot = make_depot(code="NF-KAS")
    make_prices(depot, energy_per_kwh=0.4, booking_fee=5, no_show_fee=25, vat_percent=19)
    return make_evse(depot, uid="KAS-1")


@pytest.fixture
def booking(evse: Evse, vehicle: Vehicle) -> Booking:
    return book_slot(
        fleet=vehicle.fleet,
        option=option_of(evse),
        period=slot(10, 11),
        vehicle=vehicle,
        actor=Actor.dispatcher("me"),
        now=NOW,
    )


def seen_in(client: Client, booking: Booking) -> tuple[str, str]:
    """The booking's page, and its row in the list."""
    page = client.get(f"/bookings/{booking.pk}/").content.decode()
    rows = client.get("/bookings/", {"first_day": ""}).content.decode()
    return " ".join(page.split()), rows.split(f'id="row-{booking.pk}"')[1].split("</tr>")[0]


def over(booking: Booking, status: str, **columns: Any) -> Booking:
    Booking.objects.filter(pk=booking.pk).update(status=status, enforcement="used", **columns)
    booking.refresh_from_db()
    return booking


def test_a_completed_booking_shows_metered_energy_and_its_cost(dispatcher: Client, booking: Booking) -> None:
    over(booking, BookingStatus.COMPLETED, metered_wh=123_400)

    page, row = seen_in(dispatcher, booking)

    assert "123.4 kWh · €64.69" in row  # (123.4 × 0.40 + 5) × 1.19
    assert "Charged 123.4 kWh, as metered. It costs €64.69." in page
    assert "123.4 kWh as metered" in page
    assert "Expected were €172.55." in page
    assert "Total, about" not in page


def test_of_a_completed_booking_without_a_meter_value_nothing_is_made_up(
    dispatcher: Client, booking: Booking, evse: Evse
) -> None:
    session = ChargingSession.objects.create(
        charger=evse.charger, evse=evse, transaction="1", started_at=NOW, start_received_at=NOW, ended_at=NOW
    )
    over(booking, BookingStatus.COMPLETED, session=session)

    page, row = seen_in(dispatcher, booking)

    assert "energy not known" in row
    assert "so energy and cost are not known here." in page
    assert "€" not in row


def test_a_no_show_shows_the_fee_that_is_due(dispatcher: Client, booking: Booking) -> None:
    over(booking, BookingStatus.NO_SHOW)

    page, row = seen_in(dispatcher, booking)

    assert "fee €29.75" in row
    assert "€29.75 are due: the vehicle did not come in time." in page


def test_a_waived_fee_is_said_with_its_reason(dispatcher: Client, booking: Booking) -> None:
    lifecycle.record(
        booking, kind="waived", actor=SCHEDULER, at=NOW, detail={"fee": "no_show_fee", "why": "offline"}
    )
    over(booking, BookingStatus.NO_SHOW)

    page, row = seen_in(dispatcher, booking)

    assert "no fee" in row
    assert "No fee: the charger was at fault" in page
    assert "The charger is not connected." in page


@pytest.mark.parametrize(
    ("by", "reason", "words"),
    [
        ("fleet", "TRAFFIC", "No fee: it was cancelled in time."),
        ("depot", "FULL", "No fee: the depot cancelled it."),
    ],
)
def test_a_cancelled_booking_says_that_nothing_is_due_and_why(
    dispatcher: Client, booking: Booking, by: str, reason: str, words: str
) -> None:
    operations.cancel_booking(
        booking_id=booking.pk, reason=reason, by=by, actor=Actor.dispatcher("me"), now=NOW
    )

    page, row = seen_in(dispatcher, booking)

    assert words in page
    assert "no fee" in row


@pytest.mark.parametrize("status", [BookingStatus.CHARGING, BookingStatus.COMPLETED])
def test_interrupted_charging_is_a_mark_with_the_next_bay_one_click_away(
    dispatcher: Client, booking: Booking, clock: Any, status: str
) -> None:
    clock.move_to(at(10, 20))
    quote = {**booking.quote, "energy_wh": 267_000}
    over(booking, status, metered_wh=15_000, interrupted_at=at(10, 10), interrupted_why="fault", quote=quote)

    page, row = seen_in(dispatcher, booking)
    today = dispatcher.get("/").content.decode()

    for text in (page, row, today.split('id="group-now"')[1]):
        assert "Interrupted: 15 of about 267 kWh" in text
        assert "data-interrupted" in text or text is row
        assert ">Completed<" not in text.split("Done</h2>")[0]
    link = page.split('href="/slots/?')[1].split('"')[0].replace("&amp;", "&")
    answer = dispatcher.get(f"/slots/?{link}")
    assert answer.status_code == 200
    search = answer.context["form"].search()
    assert (search.depot, search.vehicle) == (booking.depot, booking.vehicle)
    # 252 kWh at 350 kW are 44 minutes; the next quarter of an hour begins at 10:30.
    assert search.periods["Europe/Berlin"] == slot((10, 30), (11, 15))


def test_a_truck_whose_bay_is_not_free_yet_has_the_next_one_a_click_away(
    dispatcher: Client, booking: Booking, clock: Any
) -> None:
    clock.move_to(at(10, 4))
    Booking.objects.filter(pk=booking.pk).update(enforcement="at_risk", enforcement_why="occupied")

    page, row = seen_in(dispatcher, booking)

    assert "Another vehicle is still at the EVSE. Waiting for" in page
    assert 'data-since="2030-01-15T10:00:00Z"' in page
    for text in (page, row):
        assert "starts_at=2030-01-15T11%3A15&amp;ends_at=2030-01-15T12%3A15" in text


def test_a_session_that_outlives_its_slot_has_a_timer(
    dispatcher: Client, booking: Booking, clock: Any
) -> None:
    clock.move_to(at(11, 12))
    over(booking, BookingStatus.CHARGING)

    page, row = seen_in(dispatcher, booking)

    for text in (page, row):
        assert "Over its time" in text
        assert 'data-since="2030-01-15T11:00:00Z"' in text


def test_a_running_session_shows_what_the_meter_says(
    dispatcher: Client, booking: Booking, evse: Evse
) -> None:
    session = ChargingSession.objects.create(
        charger=evse.charger, evse=evse, transaction="1", started_at=NOW, start_received_at=NOW,
        meter_start_wh=1000, meter_last_wh=46_200, power_w=230_000, soc_percent=64.4,
    )  # fmt: skip
    over(booking, BookingStatus.CHARGING, session=session)

    page, _ = seen_in(dispatcher, booking)

    meter = page.split(f'data-meter="{session.pk}"')[1].split("</dd>")[0]
    for figure in ("230 kW", "45.2 kWh", "64 %"):
        assert figure in meter


@pytest.mark.parametrize(("ends", "period"), [("11:30", slot(10, (10, 30))), ("13:30", slot(10, (12, 30)))])
def test_a_charging_booking_is_shortened_or_extended_past_its_deadline(
    dispatcher: Client, booking: Booking, clock: Any, ends: str, period: Period
) -> None:
    clock.move_to(at(10, 10))
    over(booking, BookingStatus.CHARGING)
    url = f"/bookings/{booking.pk}/change/"

    form = dispatcher.get(url).content.decode()
    answer = dispatcher.post(url, {"ends_at": f"2030-01-15 {ends}", **seen(booking)})

    booking.refresh_from_db()
    assert "Shorten or extend" in dispatcher.get(f"/bookings/{booking.pk}/").content.decode()
    assert 'name="ends_at"' in form
    assert 'name="starts_at"' not in form
    assert answer.status_code == 302
    assert booking.period == period


def test_an_extension_into_the_next_slot_is_refused_with_how_far_it_can_go(
    dispatcher: Client, booking: Booking, evse: Evse, clock: Any
) -> None:
    rival = make_vehicle()
    book_slot(
        fleet=rival.fleet,
        option=option_of(evse),
        period=slot(12, 13),
        vehicle=rival,
        actor=Actor.dispatcher("rival"),
        now=NOW,
    )
    clock.move_to(at(10, 10))
    over(booking, BookingStatus.CHARGING)

    answer = dispatcher.post(
        f"/bookings/{booking.pk}/change/", {"ends_at": "2030-01-15 14:00", **seen(booking)}
    )

    booking.refresh_from_db()
    assert (answer.status_code, booking.period) == (409, slot(10, 11))
    assert answer.context["nearest"]["ends_at"] == "2030-01-15T13:00"


def test_outcomes_cost_a_list_no_query_a_row(
    dispatcher: Client, booking: Booking, evse: Evse, vehicle: Vehicle
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            assert dispatcher.get("/bookings/", {"first_day": ""}).status_code == 200
        return len(caught)

    over(booking, BookingStatus.NO_SHOW)
    few = queries()
    for hour in (12, 13, 14):
        more = book_slot(
            fleet=vehicle.fleet,
            option=option_of(evse),
            period=slot(hour, hour + 1),
            vehicle=vehicle,
            actor=Actor.dispatcher("me"),
            now=NOW,
        )
        over(more, BookingStatus.COMPLETED, metered_wh=1000)

    assert queries() == few
