"""Running late, and another vehicle in a slot that stays, on the pages of a booking."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from bookings.models import Booking, Occupancy
from bookings.search.in_the_way import in_the_way
from tests.bookings.people import client_of, seen
from tests.factories import (
    NOW,
    at,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_user,
    make_vehicle,
    option_of,
    slot,
)
from tests.money_factories import make_bound, per_kwh

pytestmark = pytest.mark.django_db


@pytest.fixture
def booking() -> Booking:
    """10:00 to 11:00 at about EUR 140, with somebody else from 11:30 on."""
    evse = make_evse(make_depot(terms={"change_until_min": 60, "turnaround_min": 0}))
    make_bound(per_kwh("0.40"), depot=evse.depot)
    fleet = make_fleet()
    booking = book_slot(
        option=option_of(evse), fleet=fleet, period=slot(10, 11), vehicle=make_vehicle(fleet), now=NOW
    )
    truck = make_vehicle()
    book_slot(option=option_of(evse), fleet=truck.fleet, period=slot((11, 30), 12), vehicle=truck, now=NOW)
    return booking


@pytest.fixture
def dispatcher(booking: Booking) -> Client:
    return client_of(make_user(booking.fleet))


@pytest.fixture
def after_the_deadline(clock: Any) -> None:
    clock.move_to(at(9, 30))


def chosen(client: Client, booking: Booking, minutes: str, other: str = "") -> tuple[str, dict[str, str]]:
    """What the page says of a choice, and what is sent then."""
    sent = {**seen(booking), "minutes": minutes, "other": other}
    page = client.post(f"/bookings/{booking.pk}/delay/outlook/", sent).content.decode()
    return page, sent | dict(re.findall(r'<input type="hidden" name="(shown_\w+)" value="([^"]*)">', page))


@pytest.mark.usefixtures("after_the_deadline")
def test_a_delay_says_what_it_comes_to_before_it_is_made(dispatcher: Client, booking: Booking) -> None:
    first = dispatcher.get(f"/bookings/{booking.pk}/delay/").content.decode()
    assert "11:15–12:15 instead of 11:00–12:00." in first  # an hour ahead of UTC

    page, sent = chosen(dispatcher, booking, "60")
    assert "12:00–12:30 instead of 11:00–12:00." in page
    assert "Shorter than before" in page
    assert "About €70.00 instead of €140.00." in page

    assert dispatcher.post(f"/bookings/{booking.pk}/delay/", sent).status_code == 302
    booking.refresh_from_db()
    assert (booking.period, booking.quote["total"]) == (slot(11, (11, 30)), "70.00")


@pytest.mark.usefixtures("after_the_deadline")
@pytest.mark.parametrize("minutes", ["60", "other"], ids=["cut", "refused"])
def test_who_is_in_the_way_is_named_as_far_as_a_fleet_may_know(
    dispatcher: Client, booking: Booking, minutes: str
) -> None:
    other = Booking.objects.exclude(pk=booking.pk).get()
    told = chosen(dispatcher, booking, minutes, "70")[0]
    assert "taken from 12:30" in told
    assert not any(secret in told for secret in (other.plate, other.reference, other.fleet.name))

    Booking.objects.filter(pk=other.pk).update(fleet=booking.fleet)

    told = chosen(dispatcher, booking, minutes, "70")[0]
    assert (
        f'<a href="/bookings/{other.pk}/">{other.plate} ({other.reference}) of yours, from 12:30</a>' in told
    )


def test_all_that_others_have_there_is_one_and_taken_from_a_moment_on_the_step(booking: Booking) -> None:
    other = Booking.objects.exclude(pk=booking.pk).get()
    zone, wanted = booking.depot.zone, slot((10, 30), 13)
    # As of one that was booked at short notice, whose early start reaches back no further; and with a change that waits.
    Occupancy.objects.filter(holder=other.pk).update(span=slot((11, 22), 12))
    taken = {"evse": other.evse, "power_w": 0}
    Occupancy.objects.create(span=slot(12, (12, 30)), holder=other.pk, kind="pending", **taken)
    closed = Occupancy.objects.create(span=slot((12, 30), 13), holder=2**40, kind="closure", **taken)
    assert [one.words(zone) for one in in_the_way(booking, wanted)] == ["taken from 12:15"]

    Occupancy.objects.filter(pk=closed.pk).update(span=slot((11, 7), (11, 20)))
    assert [one.words(zone) for one in in_the_way(booking, wanted)] == ["taken from 12:00"]

    Booking.objects.filter(pk=other.pk).update(fleet=booking.fleet)
    own = f"{other.plate} ({other.reference}) of yours, from 12:22"
    assert [one.words(zone) for one in in_the_way(booking, wanted)] == ["taken from 12:00", own]


@pytest.mark.usefixtures("after_the_deadline")
@pytest.mark.parametrize(
    ("minutes", "other", "status", "sentence"),
    [
        ("75", "", 422, "75"),
        ("other", "", 422, "Say by how many minutes."),
        ("other", "0", 422, "greater than or equal to 1"),
        ("other", "70", 409, "Only 20 minutes are left there before the next slot; the least here is 30."),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_changes_nothing(
    dispatcher: Client, booking: Booking, minutes: str, other: str, status: int, sentence: str
) -> None:
    _, sent = chosen(dispatcher, booking, minutes, other)

    answer = dispatcher.post(f"/bookings/{booking.pk}/delay/", sent)

    assert (answer.status_code, sentence in answer.content.decode()) == (status, True)
    booking.refresh_from_db()
    assert booking.period == slot(10, 11)


@pytest.mark.usefixtures("after_the_deadline")
def test_after_the_deadline_of_changes_another_vehicle_can_still_come(
    dispatcher: Client, booking: Booking
) -> None:
    other = make_vehicle(booking.fleet)
    form = dispatcher.get(f"/bookings/{booking.pk}/change/").content.decode()
    assert "Another vehicle" in form
    assert 'name="starts_at"' not in form

    cards = [str(token.pk) for token in other.tokens.all()]
    answer = dispatcher.post(
        f"/bookings/{booking.pk}/change/", {**seen(booking), "vehicle": other.plate, "tokens": cards}
    )

    assert answer.status_code == 302
    booking.refresh_from_db()
    assert (booking.vehicle, booking.period) == (other, slot(10, 11))


def test_after_the_no_show_time_neither_is_offered(booking: Booking, clock: Any) -> None:
    clock.move_to(at(10, 20))

    answer = client_of(make_user(booking.fleet)).get(f"/bookings/{booking.pk}/delay/")

    assert answer.status_code == 200
    assert "Changes were possible until 11:15." in answer.content.decode()


@pytest.mark.usefixtures("after_the_deadline")
def test_the_form_asks_no_more_of_the_database_than_it_needs(
    dispatcher: Client, booking: Booking, django_assert_max_num_queries: Any
) -> None:
    dispatcher.get(f"/bookings/{booking.pk}/delay/")

    with django_assert_max_num_queries(25):
        dispatcher.get(f"/bookings/{booking.pk}/delay/")
