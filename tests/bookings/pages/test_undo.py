"""Undo: what one click did is taken back for ten seconds, where the terms allow it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from bookings import operations
from bookings.actors import Actor
from bookings.models import Booking, Vehicle
from depots.models import Evse, Organisation
from tests.bookings.people import client_of, seen
from tests.factories import (
    MANAGER,
    NOW,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_option,
    make_user,
    make_vehicle,
    option_of,
    place_hold,
    slot,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def evse() -> Evse:
    return make_evse(make_depot(), uid="KAS-1")


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


def button(answer: Any) -> str:
    """What the button in the message of an answer sends; empty without one."""
    *_, latest = get_messages(answer.wsgi_request)
    return latest.extra_tags or ""


def book(client: Client, evse: Evse, vehicle: Vehicle) -> Any:
    sent = {
        "fleet": vehicle.fleet_id, "option": option_of(evse).pk, "evse": evse.pk, "vehicle": vehicle.pk,
        "starts_at": slot(10, 11).starts_at.isoformat(), "ends_at": slot(10, 11).ends_at.isoformat(),
    }  # fmt: skip
    return client.post("/bookings/", sent)


def change(client: Client, booking: Booking, **wishes: Any) -> Any:
    kept = {"starts_at": "2030-01-15T11:00", "ends_at": "2030-01-15T12:00", "vehicle": booking.plate}
    tokens = [str(token.pk) for token in booking.vehicle.tokens.all()] if booking.vehicle else []
    return client.post(
        f"/bookings/{booking.pk}/change/", {**kept, "tokens": tokens, **seen(booking), **wishes}
    )


def cancel(client: Client, booking: Booking) -> Any:
    return client.post(f"/bookings/{booking.pk}/cancellation/", {"reason": "TRAFFIC", **seen(booking)})


def undo(client: Client, answer: Any) -> Any:
    return client.post("/bookings/undo/", {"undo": button(answer)})


def test_a_booking_made_by_one_click_is_undone(dispatcher: Client, evse: Evse, vehicle: Vehicle) -> None:
    undone = undo(dispatcher, book(dispatcher, evse, vehicle))

    booking = Booking.objects.get()
    assert undone["Location"] == f"/bookings/{booking.pk}/"
    assert (booking.status, booking.cancelled_by) == ("cancelled", "fleet")


def test_a_change_is_undone_as_a_whole(
    dispatcher: Client, booking: Booking, fleet: Organisation, vehicle: Vehicle
) -> None:
    make_vehicle(fleet, plate="HH-NF 200", token="04AABBCCDD20")
    moved = {"starts_at": "2030-01-15 13:00", "ends_at": "2030-01-15 14:30", "vehicle": "HH-NF 200"}
    before = [token.uid for token in booking.tokens.all()]

    undo(dispatcher, change(dispatcher, booking, **moved))

    booking.refresh_from_db()
    assert (booking.period, booking.vehicle) == (slot(10, 11), vehicle)
    assert [token.uid for token in booking.tokens.all()] == before


def test_a_change_to_another_offer_is_undone(dispatcher: Client, booking: Booking, evse: Evse) -> None:
    make_evse(evse.depot, uid="KAS-2")
    answer = change(
        dispatcher, booking, evse="KAS-2", starts_at="2030-01-15T10:00", ends_at="2030-01-15T11:00"
    )
    assert Booking.objects.get(pk=booking.pk).option.code == "KAS-2"

    undo(dispatcher, answer)

    booking.refresh_from_db()
    assert (booking.option, booking.evse, booking.period) == (option_of(evse), evse, slot(10, 11))


def test_a_cancelled_slot_is_booked_anew_once_if_it_is_still_free(
    dispatcher: Client, booking: Booking, evse: Evse
) -> None:
    cancelled = cancel(dispatcher, booking)
    sent = {"undo": button(cancelled)}

    first, second = (dispatcher.post("/bookings/undo/", sent) for _ in range(2))

    again = Booking.objects.exclude(pk=booking.pk).get()
    assert first["Location"] == second["Location"] == f"/bookings/{again.pk}/"
    assert (again.status, again.period, again.vehicle) == ("confirmed", booking.period, booking.vehicle)
    assert [t.uid for t in again.tokens.all()] == [t.uid for t in booking.tokens.all()]


def test_a_cancelled_slot_is_booked_anew_with_all_that_was_asked_for(
    dispatcher: Client, evse: Evse, vehicle: Vehicle
) -> None:
    wished = book_slot(
        fleet=vehicle.fleet, option=option_of(evse), period=slot(10, 11), power_w=120_000, plate="HH-SPARE 1",
        authorization_reference="tour 7", actor=Actor.dispatcher("me"), now=NOW,
    )  # fmt: skip

    undo(dispatcher, cancel(dispatcher, wished))

    again = Booking.objects.exclude(pk=wished.pk).get()
    assert (again.promised_power_w, again.wished_power_w) == (120_000, 120_000)
    assert (again.plate, again.authorization_reference) == ("HH-SPARE 1", "tour 7")


def test_a_hold_given_back_is_held_again_at_the_power_that_was_wished_for(
    dispatcher: Client, evse: Evse, vehicle: Vehicle
) -> None:
    held = place_hold(
        fleet=vehicle.fleet, option=option_of(evse), period=slot(10, 11), vehicle=vehicle, power_w=120_000,
        actor=Actor.dispatcher("me"), now=NOW,
    )  # fmt: skip

    undo(dispatcher, dispatcher.post(f"/bookings/{held.pk}/release/", seen(held)))

    assert Booking.objects.get(status="held").wished_power_w == 120_000


def test_a_cancelled_slot_that_somebody_took_meanwhile_stays_theirs(
    dispatcher: Client, booking: Booking, evse: Evse
) -> None:
    cancelled = cancel(dispatcher, booking)
    rival = make_vehicle()
    book_slot(
        fleet=rival.fleet,
        option=option_of(evse),
        period=slot(10, 11),
        vehicle=rival,
        actor=Actor.dispatcher("rival"),
        now=NOW,
    )

    refused = undo(dispatcher, cancelled)

    assert refused.status_code == 409
    assert "It was not undone. This slot is taken." in refused.content.decode()
    assert Booking.objects.filter(fleet=booking.fleet).count() == 1


def test_a_hold_given_back_is_held_again(dispatcher: Client, evse: Evse, vehicle: Vehicle) -> None:
    held = place_hold(
        fleet=vehicle.fleet,
        option=option_of(evse),
        period=slot(10, 11),
        vehicle=vehicle,
        actor=Actor.dispatcher("me"),
        now=NOW,
    )

    undo(dispatcher, dispatcher.post(f"/bookings/{held.pk}/release/", seen(held)))

    assert [b.status for b in Booking.objects.order_by("pk")] == ["cancelled", "held"]


def test_after_ten_seconds_and_the_way_of_a_click_it_is_too_late(
    dispatcher: Client, booking: Booking, clock: Any
) -> None:
    cancelled = cancel(dispatcher, booking)
    clock.shift(timedelta(seconds=16))

    refused = undo(dispatcher, cancelled)

    assert refused.status_code == 422
    assert "It can no longer be undone with one click." in refused.content.decode()
    assert Booking.objects.count() == 1


def test_what_somebody_changed_after_the_click_is_not_undone(dispatcher: Client, booking: Booking) -> None:
    changed = change(dispatcher, booking, starts_at="2030-01-15 13:00", ends_at="2030-01-15 14:00")
    change_slot(
        booking_id=booking.pk,
        period=slot(14, 15),
        by="depot",
        actor=MANAGER,
        now=NOW + timedelta(seconds=1),
    )

    refused = undo(dispatcher, changed)

    booking.refresh_from_db()
    assert (refused.status_code, booking.period) == (409, slot(14, 15))


@pytest.mark.parametrize(
    ("terms", "offered"),
    [
        ({}, {"made": True, "changed": True, "cancelled": True}),
        ({"cancel_until_min": 240}, {"made": False}),
        ({"approval": True}, {"made": True, "changed": False, "cancelled": True}),
    ],
)
def test_undo_is_offered_only_where_the_terms_allow_it(
    dispatcher: Client, vehicle: Vehicle, terms: dict[str, Any], offered: dict[str, bool]
) -> None:
    evse = make_evse(make_depot(terms=terms))

    found = {"made": book(dispatcher, evse, vehicle)}
    booking = Booking.objects.get()
    if "changed" in offered:
        found["changed"] = change(
            dispatcher, booking, starts_at="2030-01-15 12:00", ends_at="2030-01-15 13:00"
        )
        found["cancelled"] = cancel(dispatcher, booking)

    assert {name: bool(button(answer)) for name, answer in found.items() if name in offered} == offered


@pytest.mark.parametrize("act", ["made", "changed", "cancelled", "released"])
def test_a_second_click_on_undo_finds_it_done(
    dispatcher: Client, evse: Evse, vehicle: Vehicle, act: str
) -> None:
    if act == "released":
        held = place_hold(
            fleet=vehicle.fleet,
            option=option_of(evse),
            period=slot(10, 11),
            vehicle=vehicle,
            actor=Actor.dispatcher("me"),
            now=NOW,
        )
        answer = dispatcher.post(f"/bookings/{held.pk}/release/", seen(held))
    else:
        answer = book(dispatcher, evse, vehicle)
        made = Booking.objects.get()
    if act == "changed":
        moved = {"starts_at": "2030-01-15 13:00", "ends_at": "2030-01-15 14:00"}
        answer = change(dispatcher, made, **moved)
    if act == "cancelled":
        answer = cancel(dispatcher, made)
    sent = {"undo": button(answer)}

    first, second = (dispatcher.post("/bookings/undo/", sent) for _ in range(2))

    assert (first.status_code, second.status_code) == (302, 302)
    assert first["Location"] == second["Location"]
    assert Booking.objects.count() == (2 if act in {"cancelled", "released"} else 1)


def test_a_button_pressed_again_does_not_say_that_what_was_given_up_since_is_booked(
    dispatcher: Client, booking: Booking
) -> None:
    sent = {"undo": button(cancel(dispatcher, booking))}
    dispatcher.post("/bookings/undo/", sent)
    cancel(dispatcher, Booking.objects.exclude(pk=booking.pk).get())

    refused = dispatcher.post("/bookings/undo/", sent)

    assert "It was not undone. It was undone before, and given up since." in refused.content.decode()
    assert not Booking.objects.filter(status="confirmed").exists()


def test_undoing_a_cancellation_where_the_depot_decides_says_that_it_does(
    dispatcher: Client, vehicle: Vehicle
) -> None:
    book(dispatcher, make_evse(make_depot(terms={"approval": True})), vehicle)
    asked = Booking.objects.get()
    operations.decide(booking_id=asked.pk, accept=True, actor=MANAGER, now=NOW)
    asked.refresh_from_db()

    undone = undo(dispatcher, cancel(dispatcher, asked))

    *_, told = get_messages(undone.wsgi_request)
    assert str(told) == "Undone: it is asked for again. The depot decides."


def test_nothing_is_undone_where_a_partner_has_been_asked(dispatcher: Client, vehicle: Vehicle) -> None:
    depot = make_depot(make_fleet("Südnetz", is_partner=True), is_mirror=True, open_to_all=False)
    evse = Evse.objects.create(depot=depot, uid="P-1-1", max_power_w=300_000)
    option = make_option(evse, code="P-1-1", is_mirror=True)
    option.offered_slots.create(calendar_id="c", period=slot(8, 20))

    asked = book(dispatcher, evse, vehicle)

    assert Booking.objects.get().status == "requested"
    assert button(asked) == ""


def test_nobody_undoes_what_is_not_theirs_or_was_never_offered(dispatcher: Client, booking: Booking) -> None:
    cancelled = cancel(dispatcher, booking)
    stranger = client_of(make_user(make_fleet()))

    assert undo(stranger, cancelled).status_code == 404
    for forged in ("", "x", button(cancelled)[:-1]):
        assert dispatcher.post("/bookings/undo/", {"undo": forged}).status_code == 400
    assert dispatcher.get("/bookings/undo/").status_code == 405


def test_the_button_stands_in_the_message_and_works_without_scripts(
    dispatcher: Client, evse: Evse, vehicle: Vehicle
) -> None:
    booked = book(dispatcher, evse, vehicle)

    page = dispatcher.get(booked["Location"]).content.decode()

    toast = page.split('id="toasts"')[1].split("<template")[0]
    assert 'action="/bookings/undo/"' in toast
    assert f'name="undo" value="{button(booked)}"' in toast
