"""A booking's page, its actions and the list, for its fleet, for its depot and for strangers."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bookings import operations
from bookings.actors import SCHEDULER, Actor
from bookings.core import differences, lifecycle
from bookings.models import Booking, BookingRequest, BookingStatus, Token, Vehicle
from bookings.models.fleet import shown_again
from bookings.pages import wording
from bookings.pages.board.reading import facts_of
from depots.models import Evse, Membership, Organisation
from tests.bookings.people import client_of, seen
from tests.factories import (
    MANAGER,
    NOW,
    at,
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
from tests.money_factories import make_prices

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def vehicle(fleet: Organisation) -> Vehicle:
    return make_vehicle(fleet, plate="HH-NF 100", token="04AABBCCDD10")


@pytest.fixture
def evse() -> Evse:
    return make_evse(make_depot(code="NF-KAS", name="Kassel Süd"), uid="KAS-1")


@pytest.fixture
def dispatcher(fleet: Organisation) -> Client:
    return client_of(make_user(fleet, email="dispatcher@nordfracht.example"))


@pytest.fixture
def viewer(fleet: Organisation) -> Client:
    return client_of(make_user(fleet, Membership.Role.VIEWER))


@pytest.fixture
def manager(evse: Evse) -> Client:
    return client_of(make_user(evse.depot.operator, Membership.Role.DEPOT_MANAGER))


@pytest.fixture
def booking(evse: Evse, vehicle: Vehicle) -> Booking:
    return book(evse, vehicle)


def book(evse: Evse, vehicle: Vehicle, **wishes: Any) -> Booking:
    asked = {
        "period": slot(10, 11),
        "actor": Actor.dispatcher("dispatcher@nordfracht.example"),
        "now": NOW,
        **wishes,
    }
    return book_slot(fleet=vehicle.fleet, option=option_of(evse), vehicle=vehicle, **asked)


def page_of(client: Client, booking: Booking) -> str:
    answer = client.get(f"/bookings/{booking.pk}/")
    assert answer.status_code == 200
    return answer.content.decode()


def change_of(booking: Booking, **wishes: Any) -> dict[str, Any]:
    """What the change form sends when nothing else is touched."""
    return {
        "starts_at": "2030-01-15T11:00", "ends_at": "2030-01-15T12:00",
        "vehicle": booking.vehicle.plate if booking.vehicle else "",
        "tokens": [str(token.pk) for token in booking.vehicle.tokens.all()] if booking.vehicle else [],
        **seen(booking), **wishes,
    }  # fmt: skip


# ---- the page


def test_the_page_says_what_is_booked_in_the_depots_own_time(dispatcher: Client, booking: Booking) -> None:
    page = page_of(dispatcher, booking)

    for words in (
        "HH-NF 100", "Kassel Süd", "Tuesday 15 January", "11:00–12:00", "KAS-1", "04AABBCCDD10", "at least 350 kW",
        "Change until 10:00", "Cancel until 10:30", "Be there by 11:15", booking.reference,
        "The slot is booked. The charger is told at 10:45.",
    ):  # fmt: skip
        assert words in page
    assert f'data-booking="{booking.pk}" data-status="confirmed" data-enforcement="not_due"' in page
    assert page.count(f'data-booking="{booking.pk}"') == 1


def test_a_time_to_be_there_that_has_gone_by_is_not_told_as_if_to_come(booking: Booking) -> None:
    def told(now: datetime) -> str:
        lines = wording.terms_lines(booking.terms, booking.period, booking.depot, now=now)
        return next(line.words for line in lines if line.icon == "clock")

    assert told(at(10, 14)) == "Be there by 11:15"
    assert told(at(10, 15)) == "Had to be there by 11:15"


@pytest.mark.parametrize(
    ("enforcement", "why", "words"),
    [
        ("armed", "", "The charger holds it for you."),
        ("at_risk", "occupied", "At risk. Another vehicle is still at the EVSE."),
        ("soft", "not_supported", "Soft. The charger knows no reservations."),
        ("used", "", "The vehicle is at the charger."),
    ],
)  # fmt: skip
def test_the_page_says_how_firmly_the_slot_is_kept(
    dispatcher: Client, booking: Booking, enforcement: str, why: str, words: str
) -> None:
    Booking.objects.filter(pk=booking.pk).update(enforcement=enforcement, enforcement_why=why)

    page = page_of(dispatcher, booking)

    assert words in page
    assert f'data-enforcement="{enforcement}"' in page


def test_the_timeline_tells_what_happened_in_sentences(
    dispatcher: Client, booking: Booking, vehicle: Vehicle
) -> None:
    change_slot(
        booking_id=booking.pk,
        period=slot(11, 12),
        actor=Actor.dispatcher("dispatcher@nordfracht.example"),
        now=NOW,
    )
    operations.cancel_booking(
        booking_id=booking.pk, reason="BROKEN_CHARGER", by="depot", note="Cable cut",
        actor=Actor.manager("manager@ladepark.example"),
        now=NOW,
    )  # fmt: skip

    page = page_of(dispatcher, booking)

    assert "Time Tue 15 Jan 12:00–13:00 instead of Tue 15 Jan 11:00–12:00." in page
    assert "Cancelled by the depot" in page
    assert "Broken charger. Cable cut." in page


def test_the_banner_after_an_automatic_move_says_from_where_to_where(
    dispatcher: Client, booking: Booking, evse: Evse
) -> None:
    """Whatever else was logged in the same moment, before or after the move."""
    other = make_evse(evse.depot, uid="KAS-2")
    lifecycle.record(booking, kind="enforcement", step=("", "at_risk"), actor=SCHEDULER, at=NOW)
    change_slot(booking_id=booking.pk, evse=other, by="depot", actor=SCHEDULER, now=NOW)
    booking.refresh_from_db()
    for kind, after in (("enforcement", "due"), ("waived", ""), ("note", "")):
        lifecycle.record(booking, kind=kind, step=("", after), actor=SCHEDULER, at=NOW)

    banner = page_of(dispatcher, booking).split("depot-change")[1].split("</div>")[0]

    assert "Changed by the depot on Tue 15 Jan, 09:00" in banner
    assert "EVSE KAS-2 instead of KAS-1." in banner


def test_people_of_other_organisations_are_named_by_their_side(
    dispatcher: Client, manager: Client, booking: Booking, evse: Evse
) -> None:
    operations.cancel_booking(
        booking_id=booking.pk,
        reason="FULL",
        by="depot",
        actor=Actor.manager("somebody@ladepark.example"),
        now=NOW,
    )

    for_fleet, for_depot = page_of(dispatcher, booking), page_of(manager, booking)

    assert "dispatcher@nordfracht.example" in for_fleet
    assert "somebody@ladepark.example" not in for_fleet
    assert evse.depot.operator.name in for_fleet
    assert "dispatcher@nordfracht.example" not in for_depot


def test_a_manager_sees_plate_fleet_and_the_ending_of_tokens(manager: Client, booking: Booking) -> None:
    page = page_of(manager, booking)

    assert "HH-NF 100" in page
    assert "Nordfracht" in page
    assert "…DD10" in page
    assert "04AABBCCDD10" not in page
    assert "/change/" not in page
    assert "/vehicles/" not in page


def test_a_viewer_reads_and_is_offered_no_action(viewer: Client, booking: Booking) -> None:
    page = page_of(viewer, booking)

    assert "Cancel booking" not in page
    for action in ("change", "cancellation"):
        assert viewer.get(f"/bookings/{booking.pk}/{action}/").status_code == 404
    for action in ("change", "cancellation", "seen", "confirmation", "release"):
        assert viewer.post(f"/bookings/{booking.pk}/{action}/").status_code == 404


@pytest.mark.parametrize("number", ["0", "999999", "9" * 30, "9" * 5000, "1%00", "x", "-1"])
def test_what_does_not_exist_is_not_there(dispatcher: Client, number: str) -> None:
    for tail in ("", "change/", "cancellation/"):
        assert dispatcher.get(f"/bookings/{number}/{tail}").status_code == 404
    for tail in ("seen/", "confirmation/", "release/"):
        assert dispatcher.post(f"/bookings/{number}/{tail}").status_code == 404


def test_a_step_back_in_history_gets_the_whole_page_and_htmx_its_part(
    dispatcher: Client, booking: Booking
) -> None:
    url = f"/bookings/{booking.pk}/"

    part = dispatcher.get(url, headers={"HX-Request": "true"}).content.decode()
    whole = dispatcher.get(url, headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})

    assert part.lstrip().startswith("<article")
    assert "<!DOCTYPE html>" in whole.content.decode()


# ---- holds


@pytest.fixture
def held(evse: Evse, vehicle: Vehicle, fleet: Organisation) -> Booking:
    return place_hold(
        fleet=fleet,
        option=option_of(evse),
        period=slot(16, 17),
        vehicle=vehicle,
        actor=Actor.dispatcher("me"),
        now=NOW,
    )


def test_a_hold_is_confirmed_or_given_back(
    dispatcher: Client, held: Booking, fleet: Organisation, evse: Evse, vehicle: Vehicle
) -> None:
    dispatcher.post(f"/bookings/{held.pk}/confirmation/", seen(held))
    held.refresh_from_db()
    assert held.status == "confirmed"

    second = place_hold(
        fleet=fleet,
        option=option_of(evse),
        period=slot(14, 15),
        vehicle=vehicle,
        actor=Actor.dispatcher("me"),
        now=NOW,
    )
    answer = dispatcher.post(f"/bookings/{second.pk}/release/", seen(second))
    second.refresh_from_db()

    assert (second.status, answer["Location"]) == ("cancelled", "/slots/")


def test_a_hold_is_confirmed_for_any_member_of_a_group_as_pages_then_say(
    dispatcher: Client, held: Booking, fleet: Organisation
) -> None:
    for uid, fields in {"04AA01": {}, "04AA02": {}, "04AA03": {"is_blocked": True}}.items():
        Token.objects.create(fleet=fleet, uid=uid, group_name="Night shift", **fields)
    address = f"/bookings/{held.pk}/confirmation/"

    assert "Group Night shift · any of 2 tokens" in dispatcher.get(f"/bookings/{held.pk}/").content.decode()
    refused = dispatcher.post(address, {"group": "Day shift", **seen(held)})
    assert "belongs to a group Day shift" in refused.content.decode()
    dispatcher.post(address, {"group": "night shift", **seen(held)})

    assert [(t.uid, t.type) for t in held.tokens.all()] == [("night shift", "GROUP")]
    assert "Any card of the group night shift" in dispatcher.get(f"/bookings/{held.pk}/").content.decode()
    [facts] = facts_of(Q(pk=held.pk), now=NOW)
    assert shown_again(facts.token or "") == "group night shift"
    [asked] = held.requests.all()
    assert "Tokens group night shift" in differences.words({"after": asked.asked}, held)


def test_a_second_click_finds_done_what_it_wanted(dispatcher: Client, held: Booking) -> None:
    confirmations = [dispatcher.post(f"/bookings/{held.pk}/confirmation/", seen(held)) for _ in range(2)]
    cancellation = {"reason": "TRAFFIC", **seen(held)}
    cancellations = [dispatcher.post(f"/bookings/{held.pk}/cancellation/", cancellation) for _ in range(2)]

    page = f"/bookings/{held.pk}/"
    assert [answer["Location"] for answer in [*confirmations, *cancellations]] == [page] * 4
    held.refresh_from_db()
    assert [request.kind for request in held.requests.all()] == ["create", "cancel"]


def test_a_hold_that_ran_out_is_not_confirmed_and_the_page_says_so(
    dispatcher: Client, held: Booking, clock: Any
) -> None:
    clock.shift(timedelta(minutes=11))

    answer = dispatcher.post(f"/bookings/{held.pk}/confirmation/", seen(held))

    held.refresh_from_db()
    assert (answer.status_code, held.status) == (409, "held")
    assert "The hold has run out; the slot has to be found anew." in answer.content.decode()


def test_giving_back_what_is_confirmed_already_is_refused_in_words(
    dispatcher: Client, booking: Booking
) -> None:
    answer = dispatcher.post(f"/bookings/{booking.pk}/release/", seen(booking))

    booking.refresh_from_db()
    assert (answer.status_code, booking.status) == (409, "confirmed")
    assert 'role="alert"' in answer.content.decode()


# ---- change


def test_a_change_of_time_and_vehicle_is_saved_with_the_new_vehicles_cards(
    dispatcher: Client, booking: Booking, fleet: Organisation
) -> None:
    other = make_vehicle(fleet, plate="HH-NF 200", token="04AABBCCDD20")

    answer = dispatcher.post(
        f"/bookings/{booking.pk}/change/",
        change_of(booking, starts_at="2030-01-15T12:00", ends_at="2030-01-15T13:00", vehicle="HH-NF 200"),
    )

    booking.refresh_from_db()
    assert answer["Location"] == f"/bookings/{booking.pk}/"
    assert (booking.period, booking.vehicle) == (slot(11, 12), other)
    assert [token.uid for token in booking.tokens.all()] == ["04AABBCCDD20"]


def shown(client: Client, booking: Booking) -> dict[str, Any]:
    """All that the change form carries before anybody edits it."""
    form = client.get(f"/bookings/{booking.pk}/change/").context["form"]
    fields = {bound.html_name: bound.value() or "" for bound in form}
    return fields | {bound.html_initial_name: bound.value() or "" for bound in form} | seen(booking)


def test_a_change_of_cards_keeps_the_place_a_manager_moved_it_to_meanwhile(
    dispatcher: Client, booking: Booking, evse: Evse, fleet: Organisation
) -> None:
    form = shown(dispatcher, booking)
    spare = fleet.tokens.create(uid="SPARE1")
    change_slot(booking_id=booking.pk, period=slot(12, 13), by="depot", actor=MANAGER, now=NOW)

    answer = dispatcher.post(f"/bookings/{booking.pk}/change/", {**form, "tokens": [str(spare.pk)]})

    booking.refresh_from_db()
    assert answer.status_code == 302
    assert booking.period == slot(12, 13)
    assert [token.uid for token in booking.tokens.all()] == ["SPARE1"]


def test_a_change_of_what_was_changed_meanwhile_is_refused_with_what_changed_and_what_there_is_now(
    dispatcher: Client, booking: Booking, fleet: Organisation
) -> None:
    """And the form goes on from there: what nobody edited has the current values, what was edited is kept."""
    other = make_vehicle(fleet, plate="HH-NF 200")
    form = shown(dispatcher, booking)
    change_slot(booking_id=booking.pk, period=slot(12, 13), by="depot", actor=MANAGER, now=NOW)
    change_slot(booking_id=booking.pk, vehicle=other, actor=Actor.dispatcher("colleague"), now=NOW)

    answer = dispatcher.post(
        f"/bookings/{booking.pk}/change/",
        {**form, "starts_at": "2030-01-15 11:30", "ends_at": "2030-01-15 12:30"},
    )

    booking.refresh_from_db()
    page = answer.content.decode()
    again = answer.context["form"]
    assert (answer.status_code, booking.period) == (409, slot(12, 13))
    assert "Changed meanwhile by the depot at 09:00: Time Tue 15 Jan 13:00–14:00" in page
    assert "13:00–14:00</p>" in page  # as it is now
    assert f'name="version" value="{booking.version}"' in page
    assert [again[name].value() for name in ("starts_at", "vehicle")] == ["2030-01-15 11:30", "HH-NF 200"]
    sent = {bound.html_name: bound.value() or "" for bound in again}
    sent |= {bound.html_initial_name: again.data.getlist(bound.html_initial_name) for bound in again} | seen(
        booking
    )
    dispatcher.post(f"/bookings/{booking.pk}/change/", sent)
    booking.refresh_from_db()
    assert (booking.starts_at, booking.vehicle) == (at(10, 30), other)


def test_a_cancellation_of_what_was_changed_meanwhile_is_refused(
    dispatcher: Client, booking: Booking
) -> None:
    form = seen(booking)
    change_slot(booking_id=booking.pk, period=slot(12, 13), by="depot", actor=MANAGER, now=NOW)

    answer = dispatcher.post(f"/bookings/{booking.pk}/cancellation/", {"reason": "TRAFFIC", **form})

    booking.refresh_from_db()
    assert (answer.status_code, booking.status) == (409, "confirmed")
    assert "Changed meanwhile by the depot" in answer.content.decode()
    assert f'name="version" value="{booking.version}"' in answer.content.decode()


def test_what_was_seen_before_the_latest_change_does_not_count_as_seen(
    dispatcher: Client, booking: Booking
) -> None:
    change_slot(booking_id=booking.pk, period=slot(12, 13), by="depot", actor=MANAGER, now=NOW)
    shown = seen(booking)
    change_slot(booking_id=booking.pk, period=slot(14, 15), by="depot", actor=MANAGER, now=NOW)

    answer = dispatcher.post(f"/bookings/{booking.pk}/seen/", shown)

    booking.refresh_from_db()
    assert answer.status_code == 409
    assert booking.is_changed_unseen


@pytest.mark.parametrize("version", [{}, {"version": "0"}, {"version": "soon"}, {"version": "9" * 40}])
def test_a_form_of_a_booking_without_its_version_changes_nothing(
    dispatcher: Client, booking: Booking, held: Booking, version: dict[str, str]
) -> None:
    before = list(Booking.objects.order_by("pk").values())
    change = {**change_of(booking, starts_at="2030-01-15T12:00", ends_at="2030-01-15T13:00")}
    del change["version"]
    sent = [
        (booking, "change", change), (booking, "cancellation", {"reason": "TRAFFIC"}), (booking, "seen", {}),
        (held, "confirmation", {}), (held, "release", {}),
    ]  # fmt: skip

    for found, name, data in sent:
        answer = dispatcher.post(f"/bookings/{found.pk}/{name}/", {**data, **version})

        assert answer.status_code == 409, name
    assert list(Booking.objects.order_by("pk").values()) == before


def test_a_form_without_version_that_asks_for_nothing_is_refused_too(
    dispatcher: Client, booking: Booking
) -> None:
    unversioned = change_of(booking)
    del unversioned["version"]

    assert dispatcher.post(f"/bookings/{booking.pk}/change/", unversioned).status_code == 409


def test_tokens_are_chosen_by_hand(dispatcher: Client, booking: Booking, fleet: Organisation) -> None:
    spare = fleet.tokens.create(uid="SPARE1", type="APP_USER")

    dispatcher.post(f"/bookings/{booking.pk}/change/", change_of(booking, tokens=[str(spare.pk)]))

    assert [token.uid for token in booking.tokens.all()] == ["SPARE1"]


def test_a_pooled_bookings_evse_is_chosen_within_its_option(
    dispatcher: Client, vehicle: Vehicle, fleet: Organisation
) -> None:
    depot = make_depot()
    first, second = make_evse(depot, uid="P-1", option=False), make_evse(depot, uid="P-2", option=False)
    pool, elsewhere = make_option(first, second, code="POOL"), make_evse(uid="E-1")
    booking = book_slot(
        fleet=fleet,
        option=pool,
        evse=first,
        period=slot(10, 11),
        vehicle=vehicle,
        actor=Actor.dispatcher("me"),
        now=NOW,
    )

    refused = dispatcher.post(f"/bookings/{booking.pk}/change/", change_of(booking, evse=elsewhere.uid))
    dispatcher.post(f"/bookings/{booking.pk}/change/", change_of(booking, evse="P-2"))

    booking.refresh_from_db()
    assert refused.status_code == 422
    assert "evse" in refused.context["form"].errors
    assert booking.evse == second


def test_an_evse_that_the_depot_offers_otherwise_is_chosen_with_its_option_if_the_truck_fits(
    dispatcher: Client, booking: Booking, evse: Evse
) -> None:
    other = make_evse(evse.depot, uid="KAS-2", max_power_w=150_000)
    make_option(other, evse, code="BOTH")
    make_evse(evse.depot, uid="KAS-3", max_vehicle_length_cm=600)
    Vehicle.objects.filter(pk=booking.vehicle_id).update(length_cm=1650)

    form = dispatcher.get(f"/bookings/{booking.pk}/change/").content.decode()
    answer = dispatcher.post(f"/bookings/{booking.pk}/change/", change_of(booking, evse="KAS-2"))

    booking.refresh_from_db()
    assert "KAS-2 · 150 kW" in form
    assert "KAS-3" not in form
    assert answer.status_code == 302
    assert (booking.evse, booking.option) == (other, option_of(other))
    assert "Offer KAS-2 instead of KAS-1" in page_of(dispatcher, booking)


def test_a_refused_change_says_why_at_the_field_with_what_is_nearest(
    dispatcher: Client, booking: Booking, evse: Evse
) -> None:
    book(evse, make_vehicle(), period=slot(12, 14))

    answer = dispatcher.post(
        f"/bookings/{booking.pk}/change/", change_of(booking, starts_at="2030-01-15T13:00", ends_at="2030-01-15T14:00")
    )  # fmt: skip

    booking.refresh_from_db()
    assert (answer.status_code, booking.period) == (409, slot(10, 11))
    assert answer.context["form"].errors["starts_at"] == ["This slot is taken."]
    assert answer.context["nearest"]["words"] == "12:00–13:00"


def test_after_the_deadline_another_time_is_refused_with_the_reason_and_another_vehicle_is_offered(
    dispatcher: Client, booking: Booking, clock: Any
) -> None:
    clock.move_to(at(9, 10))

    page = page_of(dispatcher, booking)
    answer = dispatcher.post(
        f"/bookings/{booking.pk}/change/", change_of(booking, ends_at="2030-01-15T13:00")
    )

    booking.refresh_from_db()
    assert "Can no longer be changed" in page
    assert re.search(r'id="do-change" href=[^>]*>.*?Another vehicle', page, re.DOTALL)
    assert 'id="do-cancellation" href=' in page
    assert "Changes were possible until 10:00." in answer.content.decode()
    assert (answer.status_code, booking.period) == (422, slot(10, 11))


def test_where_the_depot_decides_a_change_is_asked_for_and_shown_as_open(
    dispatcher: Client, vehicle: Vehicle
) -> None:
    booking = book(make_evse(make_depot(terms={"approval": True})), vehicle)
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)

    dispatcher.post(
        f"/bookings/{booking.pk}/change/", change_of(booking, starts_at="2030-01-15T12:00", ends_at="2030-01-15T13:00")
    )  # fmt: skip

    page = page_of(dispatcher, booking)
    assert 'data-pending="change"' in page
    assert "Time Tue 15 Jan 12:00–13:00 instead of Tue 15 Jan 11:00–12:00." in page
    assert Booking.objects.get().period == slot(10, 11)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"starts_at": ""}, "starts_at"), ({"starts_at": "x"}, "starts_at"), ({"starts_at": "1\x002"}, "starts_at"),
        ({"ends_at": "2030-01-15T11:00"}, "ends_at"), ({"ends_at": "2031-01-15T11:00"}, "ends_at"),
        ({"starts_at": "9999-12-31T22:00", "ends_at": "9999-12-31T23:00"}, "starts_at"),
        ({"starts_at": "2030-10-27T02:30", "ends_at": "2030-10-27T03:30"}, "starts_at"),
        ({"vehicle": "XX-XX 999"}, "vehicle"), ({"vehicle": "9" * 40}, "vehicle"),
        ({"tokens": ["999999"]}, "tokens"), ({"tokens": ["x\x00"]}, "tokens"),
        ({"starts_at": "2030-01-15T11:07", "ends_at": "2030-01-15T12:07"}, "starts_at"),
        ({"starts_at": "2030-01-01T11:00", "ends_at": "2030-01-01T12:00"}, "starts_at"),
        ({"ends_at": "2030-01-15T17:00"}, "ends_at"), ({}, "__all__"),
    ],
)  # fmt: skip
def test_a_wrong_change_is_answered_at_its_field_and_changes_nothing(
    dispatcher: Client, booking: Booking, wrong: dict[str, Any], field: str
) -> None:
    make_vehicle(make_fleet(), plate="XX-XX 999")

    answer = dispatcher.post(f"/bookings/{booking.pk}/change/", change_of(booking, **wrong))

    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert Booking.objects.get(pk=booking.pk).version == booking.version


# ---- cancel


def test_a_booking_is_cancelled_with_its_reason(dispatcher: Client, booking: Booking) -> None:
    answer = dispatcher.post(
        f"/bookings/{booking.pk}/cancellation/", {"reason": "TRAFFIC", "note": "A7 closed", **seen(booking)}
    )

    booking.refresh_from_db()
    assert answer["Location"] == f"/bookings/{booking.pk}/"
    assert (booking.status, booking.cancel_reason, booking.cancelled_by) == ("cancelled", "TRAFFIC", "fleet")
    assert "Cancelled by its fleet: Traffic. A7 closed" in page_of(dispatcher, booking)


@pytest.mark.parametrize("reason", ["", "BORED", "FULL", "TRAFFIC\x00", "x" * 100_000])
def test_a_reason_nobody_knows_is_refused_at_the_field(
    dispatcher: Client, booking: Booking, reason: str
) -> None:
    answer = dispatcher.post(f"/bookings/{booking.pk}/cancellation/", {"reason": reason, **seen(booking)})

    booking.refresh_from_db()
    assert (answer.status_code, booking.status) == (422, "confirmed")
    assert "reason" in answer.context["form"].errors


def test_after_the_deadline_cancelling_is_refused_with_when_it_was_possible(
    dispatcher: Client, booking: Booking, clock: Any
) -> None:
    clock.move_to(at(9, 40))

    answer = dispatcher.post(f"/bookings/{booking.pk}/cancellation/", {"reason": "TRAFFIC", **seen(booking)})

    booking.refresh_from_db()
    assert (answer.status_code, booking.status) == (422, "confirmed")
    assert "could be cancelled until 10:30" in answer.content.decode()
    assert "It could be cancelled until 10:30." in page_of(dispatcher, booking)


def test_a_partner_is_asked_to_cancel_and_the_booking_stands_until_it_answers(
    dispatcher: Client, fleet: Organisation, vehicle: Vehicle
) -> None:
    partner = make_fleet("Südnetz", is_partner=True)
    depot = make_depot(partner, is_mirror=True, open_to_all=False, name="Graz Süd")
    evse = Evse.objects.create(depot=depot, uid="P-1-1", max_power_w=300_000)
    booking = book_slot(
        fleet=fleet, option=make_option(evse, is_mirror=True), period=slot(10, 11), vehicle=vehicle, actor=Actor.dispatcher("me"),
            now=NOW,
    )  # fmt: skip
    state = operations.RemoteState(
        remote_status="RESERVED", status=BookingStatus.CONFIRMED, remote_id="R-9", decision=BookingRequest.Decision.ACCEPTED
    )  # fmt: skip
    operations.adopt_remote(booking_id=booking.pk, state=state, actor=Actor.partner("DE", "ABC"), now=NOW)

    dispatcher.post(f"/bookings/{booking.pk}/cancellation/", {"reason": "TRAFFIC", **seen(booking)})

    page = page_of(dispatcher, booking)
    assert 'data-status="confirmed"' in page
    assert "A cancellation is asked for" in page
    assert "Südnetz has been asked to cancel it and has not answered yet." in page
    assert "RESERVED" in page


# ---- changed by the depot


def test_a_change_by_the_depot_is_marked_until_a_dispatcher_has_seen_it(
    dispatcher: Client, viewer: Client, booking: Booking, evse: Evse
) -> None:
    other = make_evse(evse.depot, uid="KAS-2")
    change_slot(booking_id=booking.pk, evse=other, by="depot", actor=MANAGER, now=NOW)

    before = page_of(dispatcher, booking)
    assert "data-changed-by-depot" in before
    assert "EVSE KAS-2 instead of KAS-1." in before
    assert f'data-seen-url="/bookings/{booking.pk}/seen/"' in before
    assert "data-seen-url" not in page_of(viewer, booking)
    assert "data-changed-by-depot" in dispatcher.get("/bookings/").content.decode()

    assert dispatcher.get(f"/bookings/{booking.pk}/seen/").status_code == 405
    assert dispatcher.post(f"/bookings/{booking.pk}/seen/", seen(booking)).status_code == 302
    assert (
        dispatcher.post(
            f"/bookings/{booking.pk}/seen/", seen(booking), headers={"HX-Request": "true"}
        ).status_code
        == 204
    )

    after = page_of(dispatcher, booking)
    assert "data-changed-by-depot" not in after
    assert "EVSE KAS-2 instead of KAS-1." in after


# ---- the list


def test_the_list_starts_today_and_is_narrowed_by_depot_vehicle_status_and_day(
    dispatcher: Client, evse: Evse, vehicle: Vehicle, fleet: Organisation
) -> None:
    today = book(evse, vehicle)
    tomorrow = book(evse, make_vehicle(fleet, plate="HH-NF 200"), period=slot(10, 11, day=1))
    operations.cancel_booking(
        booking_id=tomorrow.pk, reason="TRAFFIC", by="fleet", actor=Actor.dispatcher("me"), now=NOW
    )

    def listed(**query: str) -> list[int]:
        return [entry.booking.pk for entry in dispatcher.get("/bookings/", query).context["entries"]]

    assert listed() == [today.pk, tomorrow.pk]
    assert listed(status="cancelled") == [tomorrow.pk]
    assert listed(vehicle="hh-nf 100") == [today.pk]
    assert listed(depot="nf-kas", first_day="2030-01-16") == [tomorrow.pk]
    assert listed(last_day="2030-01-15") == [today.pk]
    assert listed(first_day="2031-01-01") == []


def test_a_day_in_the_list_is_the_depots(dispatcher: Client, vehicle: Vehicle) -> None:
    evse = make_evse(make_depot(time_zone="Pacific/Auckland"))
    late = book(evse, vehicle, period=slot(13, 14))  # two in the morning of the 16th there

    def listed(**query: str) -> list[int]:
        return [entry.booking.pk for entry in dispatcher.get("/bookings/", query).context["entries"]]

    assert listed(first_day="2030-01-16", last_day="2030-01-16") == [late.pk]
    assert listed(first_day="2030-01-15", last_day="2030-01-15") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"first_day": "someday"}, "first_day"), ({"first_day": "0001-01-01"}, "first_day"), ({"last_day": "\x00"}, "last_day"),
        ({"first_day": "2030-01-02", "last_day": "2030-01-01"}, "last_day"), ({"status": "BORED"}, "status"),
        ({"depot": "NOWHERE"}, "depot"), ({"vehicle": "\x00"}, "vehicle"),
    ],
)  # fmt: skip
def test_a_filter_that_makes_no_sense_is_answered_at_its_field(
    dispatcher: Client, booking: Booking, query: dict[str, str], field: str
) -> None:
    answer = dispatcher.get("/bookings/", query)

    assert answer.status_code == 422
    assert field in answer.context["form"].errors


@pytest.mark.parametrize("page", ["0", "999", "x", "-1", "9" * 30, "\x00"])
def test_any_page_number_gets_a_page(dispatcher: Client, booking: Booking, page: str) -> None:
    answer = dispatcher.get("/bookings/", {"page": page})

    assert answer.status_code == 200
    assert [entry.booking for entry in answer.context["entries"]] == [booking]


def test_more_bookings_cost_no_more_queries(dispatcher: Client, evse: Evse, vehicle: Vehicle) -> None:
    def queries(url: str) -> int:
        with CaptureQueriesContext(connection) as caught:
            assert dispatcher.get(url).status_code == 200
        return len(caught)

    make_prices(evse.depot, booking_fee=5)
    booking = book(evse, vehicle)
    urls = ["/bookings/", "/", f"/bookings/{booking.pk}/"]
    few = [queries(url) for url in urls]
    for day in range(1, 6):
        book(make_evse(), vehicle, period=slot(10, 11, day=day))
        book(make_evse(), vehicle, period=slot(10 + day, 11 + day))
    change_slot(booking_id=booking.pk, period=slot(11, 12), actor=Actor.dispatcher("me"), now=NOW)

    assert [queries(url) for url in urls] == few
    assert all(number <= 16 for number in few), few
