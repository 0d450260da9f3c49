"""What a change of a booking costs stands on its form before it is sent, and no change is dearer than what stood there."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from bookings import operations
from bookings.models import Booking, BookingRequest, BookingStatus, Tariff, TariffBinding
from depots.models import Evse, Organisation
from depots.periods import Period
from tests.bookings.people import client_of, seen
from tests.factories import (
    NOW,
    PARTNER,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_option,
    make_user,
    make_vehicle,
    option_of,
    slot,
)
from tests.money_factories import add_version, make_bound, per_kwh

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

LONGER = {"starts_at": "2030-01-15 11:00", "ends_at": "2030-01-15 13:00"}


@pytest.fixture
def fleet() -> Organisation:
    return make_fleet()


@pytest.fixture
def dispatcher(fleet: Organisation) -> Client:
    return client_of(make_user(fleet))


@pytest.fixture
def booking(fleet: Organisation) -> Booking:
    """An hour at about EUR 160."""
    evse = make_evse(make_depot())
    make_bound(per_kwh("0.40"), depot=evse.depot)
    return book_slot(option=option_of(evse), fleet=fleet, period=slot(10, 11), now=NOW)


def renew(price: str) -> None:
    add_version(Tariff.objects.get(), per_kwh(price), number=2, starts_at=NOW)


def looked_up(client: Client, booking: Booking, **wishes: Any) -> tuple[str, dict[str, str]]:
    """What the form says of the price while it is filled in, and all that it sends then."""
    sent = {**seen(booking), **wishes}
    page = client.post(f"/bookings/{booking.pk}/change/price/", sent).content.decode()
    return page, sent | carried(page)


def carried(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(shown_\w+)" value="([^"]*)">', page))


def test_a_change_says_its_price_before_it_is_sent(dispatcher: Client, booking: Booking) -> None:
    page, sent = looked_up(dispatcher, booking, **LONGER)

    assert "About €320.00 instead of €160.00." in page
    assert sent["shown_price"] == "320.00 EUR"
    assert "Now about €160.00." in dispatcher.get(f"/bookings/{booking.pk}/change/").content.decode()
    booking.refresh_from_db()
    assert (booking.period, booking.quote["total"]) == (slot(10, 11), "160.00")


def test_no_change_is_dearer_than_it_was_shown(dispatcher: Client, booking: Booking) -> None:
    _, sent = looked_up(dispatcher, booking, **LONGER)
    renew("0.50")

    answer = dispatcher.post(f"/bookings/{booking.pk}/change/", sent)

    page = answer.content.decode()
    booking.refresh_from_db()
    assert answer.status_code == 409
    assert "It costs about EUR 400.00 by now, and EUR 320.00 was shown." in page
    assert booking.period == slot(10, 11)

    again = {**sent, **carried(page)}
    assert dispatcher.post(f"/bookings/{booking.pk}/change/", again).status_code == 302
    booking.refresh_from_db()
    assert (booking.period, booking.quote["total"]) == (slot(10, 12), "400.00")


def test_a_change_that_became_cheaper_is_made(dispatcher: Client, booking: Booking) -> None:
    _, sent = looked_up(dispatcher, booking, **LONGER)
    renew("0.30")

    assert dispatcher.post(f"/bookings/{booking.pk}/change/", sent).status_code == 302


def test_a_price_shown_for_other_times_says_nothing_of_these(dispatcher: Client, booking: Booking) -> None:
    """The form was sent before what it would cost then had arrived."""
    _, sent = looked_up(dispatcher, booking, **{**LONGER, "ends_at": "2030-01-15 12:30"})

    assert dispatcher.post(f"/bookings/{booking.pk}/change/", {**sent, **LONGER}).status_code == 302


def test_what_is_left_as_it_is_keeps_its_price(booking: Booking, dispatcher: Client) -> None:
    renew("0.50")

    page, sent = looked_up(dispatcher, booking)

    assert "Now about €160.00." in page
    assert "shown_price" not in sent


def test_a_change_that_cannot_be_says_so_while_it_is_filled_in(dispatcher: Client, booking: Booking) -> None:
    taken = {"starts_at": "2030-01-15 13:00", "ends_at": "2030-01-15 14:00"}
    book_slot(option=booking.option, fleet=make_fleet("Rival"), period=slot(12, 13), now=NOW)

    page, sent = looked_up(dispatcher, booking, **taken)

    assert "This slot is taken." in page
    assert "shown_price" not in sent


@pytest.mark.parametrize("price", ["1e9 EUR", "-1 EUR", "NaN EUR", "5 eur", "٥ EUR", "x" * 100_000])
def test_a_forged_price_is_refused(dispatcher: Client, booking: Booking, price: str) -> None:
    _, sent = looked_up(dispatcher, booking, **LONGER)

    answer = dispatcher.post(f"/bookings/{booking.pk}/change/", {**sent, "shown_price": price})

    assert answer.status_code == 422


@pytest.fixture
def elsewhere(fleet: Organisation) -> Booking:
    """Confirmed by a partner whose tariff is known: an hour at about EUR 140."""
    partner = make_fleet("Südnetz", is_partner=True)
    evse = Evse.objects.create(
        depot=make_depot(partner, is_mirror=True, open_to_all=False), uid="P-1-1", max_power_w=350_000
    )
    option = make_option(evse, is_mirror=True)
    make_bound(per_kwh("0.40"), option=option)
    booking = book_slot(option=option, fleet=fleet, period=slot(10, 11), vehicle=make_vehicle(fleet), now=NOW)
    return told_by_partner(booking, slot(10, 11))


def told_by_partner(booking: Booking, period: Period) -> Booking:
    state = operations.RemoteState(
        remote_status="RESERVED", status=BookingStatus.CONFIRMED, period=period,
        decision=BookingRequest.Decision.ACCEPTED,
    )  # fmt: skip
    return operations.adopt_remote(booking_id=booking.pk, state=state, actor=PARTNER, now=NOW)


def test_a_change_at_a_partners_depot_has_the_price_it_was_asked_at_once_it_is_accepted(
    dispatcher: Client, elsewhere: Booking
) -> None:
    page, sent = looked_up(dispatcher, elsewhere, **LONGER)
    assert "About €280.00 instead of €140.00." in page

    assert dispatcher.post(f"/bookings/{elsewhere.pk}/change/", sent).status_code == 302
    elsewhere.refresh_from_db()
    assert elsewhere.quote["total"] == "140.00"
    renew("0.50")

    changed = told_by_partner(elsewhere, slot(10, 12))

    changed.refresh_from_db()
    assert changed.quote["total"] == "280.00"
    assert "Price 280.00 EUR." in dispatcher.get(f"/bookings/{changed.pk}/").content.decode()


def test_an_evse_that_the_partner_has_yet_to_name_costs_what_the_finder_said(
    dispatcher: Client, elsewhere: Booking
) -> None:
    TariffBinding.objects.update(option=None, evse=elsewhere.option.evses.get())

    page, _ = looked_up(dispatcher, elsewhere, **LONGER)

    assert elsewhere.evse is None
    assert "About €280.00 instead of €140.00." in page


def test_a_partners_other_time_keeps_the_price_as_any_move_by_a_depot(elsewhere: Booking) -> None:
    change_slot(booking_id=elsewhere.pk, period=slot(10, 12))

    assert told_by_partner(elsewhere, slot(14, 16)).quote["total"] == "140.00"


def test_no_change_at_a_partners_depot_is_asked_dearer_than_it_was_shown(
    dispatcher: Client, elsewhere: Booking
) -> None:
    _, sent = looked_up(dispatcher, elsewhere, **LONGER)
    renew("0.50")

    assert dispatcher.post(f"/bookings/{elsewhere.pk}/change/", sent).status_code == 409
    assert not elsewhere.requests.filter(kind=BookingRequest.Kind.CHANGE).exists()
