"""The board of a depot: what each viewer finds on it, how a manager moves things, and what its stream tells."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bookings import operations
from bookings.actors import Actor
from bookings.models import Booking, BookingSession, Enforcement
from bookings.pages.board import Window
from bookings.pages.board.bars import Visit
from bookings.pages.live import calendar_audience, depot_audience, fleet_audience, rendering
from bookings.pages.live.meters import tell_of_meter
from depots.models import ChargingSession, Depot, Evse, Membership, Organisation
from depots.templatetags.berth import kilowatts
from tests.bookings.people import client_of
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    at,
    book_slot,
    change_slot,
    make_charger,
    make_depot,
    make_evse,
    make_fleet,
    make_opening_hours,
    make_operator,
    make_user,
    make_vehicle,
    option_of,
    place_hold,
    slot,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

BOARD = "/depots/VENLO/board/"


@pytest.fixture
def depot(operator: Organisation) -> Depot:
    return make_depot(operator, code="VENLO", name="Venlo", time_zone="Europe/Berlin")


@pytest.fixture
def evses(depot: Depot) -> list[Evse]:
    charger = make_charger(depot, identity="CP-1", lease_holder="g", lease_until=NOW + timedelta(minutes=1))
    return [make_evse(charger=charger, status="available") for _ in range(3)]


@pytest.fixture
def fleet() -> Organisation:
    return make_fleet("Alpentrans")


def book(
    evse: Evse, fleet: Organisation, start: Any = 10, end: Any = 11, *, day: int = 0, **fields: Any
) -> Booking:
    return book_slot(
        fleet=fleet, option=option_of(evse), evse=evse, period=slot(start, end, day=day),
        vehicle=make_vehicle(fleet, **fields), actor=Actor.dispatcher("dispatcher@fleet.example"), now=NOW,
    )  # fmt: skip


def move(client: Client, booking: Booking, *, code: str = "VENLO", json: bool = True, **fields: Any) -> Any:
    headers = {"Accept": "application/json"} if json else {}
    place = {
        "evse": booking.evse.uid if booking.evse else "",
        "starts_at": booking.starts_at.isoformat(),
        "ends_at": booking.ends_at.isoformat(),
        "version": str(booking.version),
        **fields,
    }
    return client.post(f"/depots/{code}/board/bookings/{booking.pk}/move/", place, headers=headers)


def undo(client: Client, button: str, *, json: bool = True, **fields: Any) -> Any:
    headers = {"Accept": "application/json"} if json else {}
    return client.post("/bookings/undo/", {"undo": button, **fields}, headers=headers)


def html(client: Client, path: str = BOARD) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def test_the_depot_sees_whose_a_booking_is_and_how_firmly_it_is_kept(
    manager: Client, evses: list[Evse], fleet: Organisation
) -> None:
    booking = book(evses[0], fleet, plate="IBK 7", token="04AABBCCDD10")
    Booking.objects.filter(pk=booking.pk).update(
        enforcement=Enforcement.AT_RISK, enforcement_why="A vehicle is plugged in."
    )

    page = html(manager)

    assert f'data-booking="{booking.pk}" data-status="confirmed" data-enforcement="at_risk"' in page
    assert all(f'data-evse="{evse.uid}"' in page for evse in evses)
    for words in ("IBK 7", "Alpentrans", "…DD10", "At risk", "A vehicle is plugged in.", "11:00–12:00"):
        assert words in page
    assert "04AABBCCDD10" not in page


def test_a_guest_sees_its_own_bookings_and_of_others_only_that_a_time_is_taken(
    evses: list[Evse], fleet: Organisation
) -> None:
    rival = make_fleet("Baltcargo")
    mine = book(evses[0], fleet, plate="IBK 7")
    theirs = book(evses[1], rival, plate="KLP 1")
    operations.close_evse(evse=evses[2], period=slot(10, 12), reason="Secret works", actor=MANAGER, now=NOW)
    guest = client_of(make_user(fleet))

    page = html(guest)

    assert f'data-booking="{mine.pk}"' in page
    assert (
        page.count('<li class="plan-entry plan-taken" data-taken') == 3
    )  # and the template for those to come
    assert set(re.findall(r'data-(?:booking|pending|session)="(\d+)"', page)) == {str(mine.pk)}
    for secret in (
        "KLP 1",
        "Baltcargo",
        theirs.reference,
        f"/bookings/{theirs.pk}/",
        "Secret works",
        "data-closure=",
    ):
        assert secret not in page
    assert "data-can-manage" not in page
    assert move(guest, mine, starts_at=at(12).isoformat(), ends_at=at(13).isoformat()).status_code == 404


def test_who_has_nothing_to_do_with_the_depot_does_not_find_it(operator: Organisation) -> None:
    make_depot(operator, code="SHUT", open_to_all=False)

    assert client_of(make_user(make_fleet())).get("/depots/SHUT/board/").status_code == 404
    assert (
        client_of(make_user(make_operator(), Membership.Role.ADMIN)).get("/depots/SHUT/board/").status_code
        == 404
    )
    assert Client().get("/depots/SHUT/board/").status_code == 302


def test_a_viewer_of_the_operator_reads_and_moves_nothing(
    operator: Organisation, evses: list[Evse], fleet: Organisation
) -> None:
    booking = book(evses[0], fleet)
    viewer = client_of(make_user(operator, Membership.Role.VIEWER))

    assert f'data-booking="{booking.pk}"' in html(viewer)
    assert "data-can-manage" not in html(viewer)
    assert move(viewer, booking, evse=evses[1].uid).status_code == 404


def test_a_manager_moves_a_booking_and_is_told_how_to_undo_it(
    manager: Client, evses: list[Evse], fleet: Organisation
) -> None:
    booking = book(evses[0], fleet)

    answer = move(
        manager, booking, evse=evses[1].uid, starts_at=at(12).isoformat(), ends_at=at(13).isoformat()
    )

    booking.refresh_from_db()
    assert answer.status_code == 200
    assert (booking.evse, booking.period) == (evses[1], slot(12, 13))
    assert booking.is_changed_unseen
    assert [entry["evse"] for entry in answer.json()["entries"]] == [evses[1].uid]
    assert booking.events.last().actor == Actor.manager("manager@ladepark.example")  # type: ignore[union-attr]

    undone = undo(manager, answer.json()["undo"])
    booking.refresh_from_db()
    assert (undone.status_code, undone.json()["undo"]) == (200, "")
    assert [entry["evse"] for entry in undone.json()["entries"]] == [evses[0].uid]
    assert (booking.evse, booking.period) == (evses[0], slot(10, 11))


def test_undo_of_a_move_does_not_undo_what_a_colleague_moved_since(
    manager: Client, evses: list[Evse], fleet: Organisation
) -> None:
    booking = book(evses[0], fleet)
    button = move(manager, booking, evse=evses[1].uid).json()["undo"]
    booking.refresh_from_db()
    move(manager, booking, evse=evses[2].uid)

    answer = undo(manager, button)

    booking.refresh_from_db()
    assert (answer.status_code, answer.json()["code"]) == (409, "changed_meanwhile")
    assert booking.evse == evses[2]


def test_a_move_by_the_form_is_undone_without_a_script(
    manager: Client, evses: list[Evse], fleet: Organisation
) -> None:
    booking = book(evses[0], fleet, plate="IBK 7")
    move(
        manager,
        booking,
        json=False,
        evse=evses[1].uid,
        starts_at="2030-01-15T13:00",
        ends_at="2030-01-15T14:00",
    )
    found = re.search(r'name="undo" value="([^"]+)"', html(manager))
    assert found

    undone = undo(manager, found[1], json=False)

    booking.refresh_from_db()
    assert (booking.evse, booking.period) == (evses[0], slot(10, 11))
    assert undone["Location"] == f"{BOARD}?day=2030-01-15"
    assert f"IBK 7 moved to {evses[0].uid}. Alpentrans is told." in html(manager)


def test_a_moves_undo_that_comes_too_late_says_so_on_a_page_and_in_json(
    manager: Client, evses: list[Evse], fleet: Organisation, clock: Any
) -> None:
    booking = book(evses[0], fleet)
    button = move(manager, booking, evse=evses[1].uid).json()["undo"]
    clock.shift(timedelta(seconds=16))

    answer, page = undo(manager, button), undo(manager, button, json=False)

    assert (answer.status_code, answer.json()["code"]) == (422, "too_late_to_undo")
    assert page.status_code == 422
    assert "It was not undone. It can no longer be undone with one click." in page.content.decode()
    booking.refresh_from_db()
    assert booking.evse == evses[1]


def test_a_move_back_that_lowers_power_is_asked_about_like_a_move(
    manager: Client, evses: list[Evse], fleet: Organisation
) -> None:
    Evse.objects.filter(pk=evses[0].pk).update(max_power_w=50_000)
    booking = book(evses[0], fleet)
    button = move(manager, booking, evse=evses[1].uid).json()["undo"]

    asked = undo(manager, button)
    undone = undo(manager, button, accept_lower_power="1")

    booking.refresh_from_db()
    assert (asked.status_code, asked.json()["code"]) == (409, "lower_power")
    assert (undone.status_code, booking.evse, booking.promised_power_w) == (200, evses[0], 50_000)


def test_a_move_back_that_lowers_power_is_asked_about_without_a_script_by_the_move_form(
    manager: Client, evses: list[Evse], fleet: Organisation
) -> None:
    Evse.objects.filter(pk=evses[0].pk).update(max_power_w=50_000)
    booking = book(evses[0], fleet)
    button = move(
        manager,
        booking,
        evse=evses[1].uid,
        starts_at="2030-01-15T13:00",
        ends_at="2030-01-15T14:00",
    )
    booking.refresh_from_db()

    asked = undo(manager, button.json()["undo"], json=False)
    form = asked.context["move_form"]
    again = {name: form[name].value() for name in ("evse", "starts_at", "ends_at")}
    moved = move(manager, booking, **again, accept_lower_power="1", json=False)

    page = asked.content.decode()
    booking.refresh_from_db()
    assert asked.status_code == 409
    assert "It was not undone. Promised are" in page
    assert 'name="accept_lower_power"' in page
    assert moved.status_code == 302
    assert (booking.evse, booking.period, booking.promised_power_w) == (evses[0], slot(10, 11), 50_000)


def test_no_undo_is_offered_of_a_move_to_a_start_that_has_passed(
    manager: Client, evses: list[Evse], fleet: Organisation, clock: Any
) -> None:
    booking, ended_later = book(evses[0], fleet, 9, 10), book(evses[2], fleet, 9, 10)
    clock.move_to(at(9, 20))

    moved = move(manager, booking, starts_at=at(10).isoformat(), ends_at=at(11).isoformat())
    pulled = move(manager, ended_later, ends_at=at(11).isoformat())

    assert (moved.status_code, moved.json()["undo"]) == (200, "")
    assert pulled.status_code == 200
    assert undo(manager, pulled.json()["undo"]).status_code == 200
    ended_later.refresh_from_db()
    assert ended_later.period == slot(9, 10)


def test_the_button_of_a_move_is_the_depots_alone(
    manager: Client, evses: list[Evse], fleet: Organisation
) -> None:
    booking = book(evses[0], fleet)
    button = move(manager, booking, evse=evses[1].uid).json()["undo"]
    others = [make_user(fleet), make_user(make_operator(), Membership.Role.DEPOT_MANAGER)]

    assert [undo(client_of(user), button).status_code for user in others] == [404, 404]
    booking.refresh_from_db()
    assert booking.evse == evses[1]


def test_a_move_onto_somebody_else_is_a_conflict_in_words(
    manager: Client, evses: list[Evse], fleet: Organisation
) -> None:
    booking, other = book(evses[0], fleet), book(evses[1], fleet)

    answer = move(manager, booking, evse=evses[1].uid)

    assert answer.status_code == 409
    assert answer.json()["code"] == "slot_taken"
    assert answer.json()["detail"].startswith("This slot is taken.")
    booking.refresh_from_db()
    assert booking.evse == evses[0]
    assert other.reference not in answer.content.decode()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"evse": "NOWHERE"}, "evse"),
        ({"evse": ""}, "evse"),
        ({"evse": "\x00"}, "evse"),
        ({"starts_at": "soon"}, "starts_at"),
        ({"starts_at": ""}, "starts_at"),
        ({"starts_at": "9999-12-31T23:59"}, "starts_at"),
        ({"starts_at": "2030-03-31T02:30"}, "starts_at"),  # the clocks go forward
        ({"ends_at": "2030-10-27T02:30"}, "ends_at"),  # this half hour comes twice
        ({"ends_at": "2030-01-15T01:00"}, "ends_at"),
        ({"shift": "many"}, "shift"),
    ],
)
def test_a_bad_form_names_its_field_and_moves_nothing(
    manager: Client, evses: list[Evse], fleet: Organisation, fields: dict[str, str], field: str
) -> None:
    booking = book(evses[0], fleet)

    answer = move(manager, booking, **fields)

    assert answer.status_code == 422
    assert field in answer.json()["fields"]
    assert move(manager, booking, json=False, **fields).status_code == 422
    booking.refresh_from_db()
    assert (booking.evse, booking.period, booking.version) == (evses[0], slot(10, 11), 1)


def test_an_evse_of_another_depot_cannot_be_named(
    manager: Client, evses: list[Evse], fleet: Organisation
) -> None:
    booking, elsewhere = book(evses[0], fleet), make_evse()

    assert move(manager, booking, evse=elsewhere.uid).status_code == 422
    assert move(manager, booking, code=elsewhere.depot.code, evse=elsewhere.uid).status_code == 404


def test_terms_bind_the_depot_too_where_they_are_about_the_slot(
    manager: Client, evses: list[Evse], fleet: Organisation
) -> None:
    booking = book(evses[0], fleet)

    answer = move(manager, booking, starts_at=at(10, 7).isoformat(), ends_at=at(11, 7).isoformat())

    assert answer.status_code == 422
    assert "15 minutes" in answer.json()["detail"]


def test_the_buttons_beside_the_form_move_by_a_step_without_a_script(
    manager: Client, evses: list[Evse], fleet: Organisation
) -> None:
    booking = book(evses[0], fleet)
    form = {
        "version": "1",
        "evse": evses[0].uid,
        "starts_at": "2030-01-15T11:00",
        "ends_at": "2030-01-15T12:00",
        "shift": "15",
    }

    answer = move(manager, booking, json=False, **form)

    assert answer.status_code == 302
    assert answer["Location"] == f"{BOARD}?day=2030-01-15"
    booking.refresh_from_db()
    assert booking.period == slot((10, 15), (11, 15))


def test_a_manager_cancels_with_a_reason_of_the_depots(
    manager: Client, evses: list[Evse], fleet: Organisation
) -> None:
    booking = book(evses[0], fleet)
    url = f"/depots/VENLO/board/bookings/{booking.pk}/cancellation/"

    seen = {"version": booking.version}
    assert manager.post(url, {"reason": "TRAFFIC", **seen}).status_code == 422  # a reason only fleets have
    assert manager.post(url, {"reason": "BROKEN_CHARGER", "note": "Cable torn", **seen}).status_code == 302
    booking.refresh_from_db()
    assert (booking.status, booking.cancelled_by, booking.note) == ("cancelled", "depot", "Cable torn")
    assert manager.post(url, {"reason": "BROKEN_CHARGER", **seen}).status_code == 409  # it is over


def test_a_stale_drag_is_refused_with_what_changed(
    manager: Client, evses: list[Evse], fleet: Organisation
) -> None:
    booking = book(evses[0], fleet)
    change_slot(
        booking_id=booking.pk, period=slot(14, 15), actor=Actor.dispatcher("d@fleet.example"), now=NOW
    )

    answer = move(manager, booking, evse=evses[1].uid)

    assert (answer.status_code, answer.json()["code"]) == (409, "changed_meanwhile")
    assert "Time Tue 15 Jan 15:00–16:00 instead of Tue 15 Jan 11:00–12:00" in answer.json()["detail"]
    booking.refresh_from_db()
    assert (booking.evse, booking.period) == (evses[0], slot(14, 15))
    page = move(manager, booking, json=False, evse=evses[1].uid, version="1")
    assert page.status_code == 409
    assert (
        f'name="version" value="{booking.version}"' in page.content.decode()
    )  # to be sent again once looked at


def test_other_cards_meanwhile_do_not_stop_a_drag(
    manager: Client, evses: list[Evse], fleet: Organisation
) -> None:
    booking = book(evses[0], fleet)
    other = make_vehicle(fleet, plate="IBK 8", token="04AABBCCDD11")
    change_slot(booking_id=booking.pk, vehicle=other, actor=Actor.dispatcher("d@fleet.example"), now=NOW)

    answer = move(manager, booking, evse=evses[1].uid)

    assert answer.status_code == 200
    booking.refresh_from_db()
    assert (booking.evse, booking.plate) == (evses[1], "IBK 8")


@pytest.mark.parametrize("version", [None, "", "x", "-1", "0", "9" * 30])
def test_what_does_not_say_what_it_saw_changes_nothing(
    manager: Client, evses: list[Evse], fleet: Organisation, version: str | None
) -> None:
    booking = book(evses[0], fleet)
    seen = {} if version is None else {"version": version}
    place = {"evse": evses[1].uid, "starts_at": "2030-01-15T11:00", "ends_at": "2030-01-15T12:00"}
    url = f"{BOARD}bookings/{booking.pk}/"

    moved = manager.post(f"{url}move/", {**place, **seen})
    dragged = manager.post(f"{url}move/", {**place, **seen}, headers={"Accept": "application/json"})
    cancelled = manager.post(f"{url}cancellation/", {"reason": "BROKEN_CHARGER", **seen})

    assert (moved.status_code, dragged.status_code, cancelled.status_code) == (409, 409, 409)
    assert dragged.json()["code"] == "changed_meanwhile"
    booking.refresh_from_db()
    assert (booking.evse, booking.status, booking.version) == (evses[0], "confirmed", 1)


def test_a_change_that_waits_stands_beside_what_is_in_force(
    depot: Depot, manager: Client, fleet: Organisation
) -> None:
    depot.terms.approval = True
    depot.terms.save()
    evse = make_evse(depot)
    booking = book(evse, fleet)
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    change_slot(booking_id=booking.pk, period=slot(14, 15), actor=DISPATCHER, now=NOW)

    page = html(manager)

    assert re.search(rf'data-booking="{booking.pk}"[^>]*data-starts="2030-01-15T10:00:00Z"', page)
    assert re.search(rf'data-pending="{booking.pk}"[^>]*data-starts="2030-01-15T14:00:00Z"', page)


def test_the_row_tells_what_its_charger_says(manager: Client, evses: list[Evse]) -> None:
    Evse.objects.filter(pk=evses[0].pk).update(status="charging")
    ChargingSession.objects.create(
        charger=evses[0].charger, evse=evses[0], transaction="1", started_at=NOW, start_received_at=NOW,
        meter_start_wh=0, meter_last_wh=41_000, power_w=312_000, soc_percent=63.4,
    )  # fmt: skip

    page = html(manager)

    for words in ("Charging", "312 kW", "41.0 kWh", "63 %", "400 kW CCS"):
        assert words in page


def session(evse: Evse, **fields: Any) -> ChargingSession:
    values = {"transaction": "1", "started_at": NOW, "start_received_at": NOW, **fields}
    return ChargingSession.objects.create(charger=evse.charger, evse=evse, **values)


def test_a_session_without_a_booking_has_a_bar_for_the_depot_alone(
    manager: Client, evses: list[Evse], fleet: Organisation
) -> None:
    running = session(evses[0], token_uid="04AABBCCDD10", meter_start_wh=0, meter_last_wh=41_000)
    over = session(evses[1], transaction="2", ended_at=at(9), is_entitled=False)
    booked = session(evses[2], transaction="3")
    booking = book(evses[2], fleet)
    Booking.objects.filter(pk=booking.pk).update(session=booked)

    page = html(manager)
    guest = html(client_of(make_user(fleet)))

    assert re.search(rf'data-session="{running.pk}" data-starts="2030-01-15T08:00:00Z">', page)
    assert re.search(rf'data-session="{over.pk}"[^>]*data-ends="2030-01-15T09:00:00Z"', page)
    assert f'data-session="{booked.pk}"' not in page
    assert "…DD10" in page
    assert "04AABBCCDD10" not in page
    assert "data-session=" not in guest
    told = rendering.render_all([("evse", evses[0].pk)])[("evse", evses[0].pk)]
    assert told is not None
    assert (
        f'data-session="{running.pk}"' in told[depot_audience(evses[0].depot_id)]["visits"][evses[0].uid][0]
    )
    assert "visits" not in told[calendar_audience(evses[0].depot_id)]


@pytest.mark.parametrize(("card", "shown"), [("04:aa:bb:cc", "…BBCC"), ("ABCDE", "…DE"), ("", "")])
def test_a_session_without_a_booking_shows_no_more_of_its_card_than_a_booking_does(
    evses: list[Evse], card: str, shown: str
) -> None:
    visit = Visit(session(evses[0], token_uid=card), evses[0].uid)

    assert visit.who == shown


def test_a_session_that_outlives_its_slot_is_shown_with_how_long(
    manager: Client, evses: list[Evse], fleet: Organisation, clock: Any
) -> None:
    booking = book(evses[0], fleet, 9, 10)
    Booking.objects.filter(pk=booking.pk).update(status="charging", session=session(evses[0]))
    clock.move_to(at(11, 5))

    assert re.search(rf'data-booking="{booking.pk}"[^>]*data-overstay="2030-01-15T10:00:00Z"', html(manager))
    assert "1 h 5 min" in html(manager)

    clock.move_to(at(2, day=1))  # the next day it is still there

    assert f'data-booking="{booking.pk}"' in html(manager)
    assert f'data-booking="{booking.pk}"' not in html(manager, f"{BOARD}?day=2030-01-18")


def test_charging_that_broke_off_is_a_mark_beside_the_status(
    manager: Client, evses: list[Evse], fleet: Organisation
) -> None:
    booking = book(evses[0], fleet)
    Booking.objects.filter(pk=booking.pk).update(
        status="completed", interrupted_at=NOW, interrupted_why="fault", metered_wh=15_300,
        quote={"energy_wh": 267_000},
    )  # fmt: skip
    Evse.objects.filter(pk=evses[0].pk).update(status="faulted")

    page = html(manager)

    assert re.search(rf'data-booking="{booking.pk}" data-status="completed"[^>]*data-interrupted', page)
    assert "Interrupted: 15 of about 267 kWh" in page
    assert "The charger reported a fault." in page
    assert "Completed" not in page
    panel = html(manager, f"{BOARD}bookings/{booking.pk}/")
    assert f'href="{BOARD}?day=2030-01-15#evse-{evses[1].pk}">{evses[1].uid}</a>, free 09:00–09:45' in panel
    guest = html(client_of(make_user(fleet)))
    assert re.search(r'href="/slots/\?depot=VENLO&amp;vehicle=[^"]*">Next possible bay', guest)


def test_a_manager_gives_a_truck_that_charges_another_end(
    manager: Client, evses: list[Evse], fleet: Organisation, clock: Any
) -> None:
    booking = book(evses[0], fleet, 10, 11)
    book(evses[0], make_fleet(), 13, 14)
    Booking.objects.filter(pk=booking.pk).update(status="charging", session=session(evses[0]))
    clock.move_to(at(10, 30))
    url = f"{BOARD}bookings/{booking.pk}/end/"

    def end(until: str, **fields: str) -> Any:
        booking.refresh_from_db()
        return manager.post(url, {"ends_at": until, "version": booking.version, **fields})

    assert "May stay until" in html(manager, f"{BOARD}bookings/{booking.pk}/")
    assert end("2030-01-15 12:00", shift="15").status_code == 302  # on the depot's clock
    booking.refresh_from_db()
    assert booking.ends_at == at(11, 15)
    assert end("2030-01-15 11:45").status_code == 302
    booking.refresh_from_db()
    assert booking.ends_at == at(10, 45)
    taken = end("2030-01-15 15:00")
    assert taken.status_code == 409
    assert "Possible:" in taken.content.decode()
    assert end("2030-01-15 12:00", version="1").status_code == 409
    assert end("never").status_code == 422


def test_a_move_that_lowers_the_promised_power_asks_first(
    manager: Client, depot: Depot, fleet: Organisation
) -> None:
    strong, weak = make_evse(depot, max_power_w=400_000), make_evse(depot, max_power_w=150_000)
    booking = book(strong, fleet)
    assert booking.promised_power_w == 350_000  # what the vehicle takes

    asked = move(manager, booking, evse=weak.uid)
    page = move(manager, booking, evse=weak.uid, json=False)

    assert (asked.status_code, asked.json()["code"]) == (409, "lower_power")
    assert all(words in asked.json()["detail"] for words in ("350 kW", "150 kW"))
    assert page.status_code == 409
    assert 'name="accept_lower_power"' in page.content.decode()
    booking.refresh_from_db()
    assert booking.evse == strong
    assert move(manager, booking, evse=weak.uid, accept_lower_power="1").status_code == 200
    booking.refresh_from_db()
    assert (booking.evse, booking.promised_power_w) == (weak, 150_000)


def test_a_move_by_some_minutes_is_asked_about_and_sent_again_as_it_was_meant(
    manager: Client, depot: Depot, fleet: Organisation
) -> None:
    strong, weak = make_evse(depot, max_power_w=400_000), make_evse(depot, max_power_w=150_000)
    booking = book(strong, fleet)

    asked = move(manager, booking, evse=weak.uid, shift="60", json=False)
    form = asked.context["move_form"]
    again = {name: form[name].value() for name in ("evse", "starts_at", "ends_at")}
    move(manager, booking, **again, accept_lower_power="1", json=False)

    booking.refresh_from_db()
    assert (booking.evse, booking.period) == (weak, slot(11, 12))


def test_another_end_that_lowers_the_promised_power_asks_first(fleet: Organisation) -> None:
    depot = make_depot(fleet, code="BASEL", grid_limit_w=500_000)
    client = client_of(make_user(fleet, Membership.Role.DEPOT_MANAGER))
    evses = [make_evse(depot) for _ in range(4)]
    charging = book(evses[0], fleet)
    book_slot(
        fleet=fleet, option=option_of(evses[1]), period=slot(11, 13), vehicle=make_vehicle(fleet), power_w=350_000,
        actor=DISPATCHER, now=NOW,
    )  # fmt: skip
    Booking.objects.filter(pk=charging.pk).update(status="charging", session=session(evses[0]))

    def end(**fields: Any) -> Any:
        sent = {"ends_at": charging.ends_at.isoformat(), "version": charging.version, **fields}
        return client.post(f"/depots/BASEL/board/bookings/{charging.pk}/end/", sent)

    asked = end(shift="60")
    accepted = end(ends_at=asked.context["end_form"]["ends_at"].value(), accept_lower_power="1")

    charging.refresh_from_db()
    assert (asked.status_code, accepted.status_code) == (409, 302)
    assert "Change it with less power" in asked.content.decode()
    assert (charging.ends_at, charging.promised_power_w) == (slot(10, 12).ends_at, 50_000)


def test_a_move_by_the_depot_says_that_the_fleet_s_price_stays(
    manager: Client, evses: list[Evse], fleet: Organisation
) -> None:
    booking = book(evses[0], fleet)
    Booking.objects.filter(pk=booking.pk).update(quote={"total": "45.20", "currency": "EUR"})

    assert "price of €45.20 stays" in html(manager, f"{BOARD}bookings/{booking.pk}/")


def test_what_a_meter_says_reaches_the_depot_and_the_fleet_whose_booking_it_is(
    depot: Depot, evses: list[Evse], fleet: Organisation
) -> None:
    booking = book(evses[0], fleet)
    mine = session(evses[0], power_w=349_876, meter_start_wh=0, meter_last_wh=41_000, soc_percent=61.4)
    BookingSession.objects.create(booking=booking, session=mine)
    walk_in = session(evses[1], transaction="2", power_w=7_360)

    with CaptureQueriesContext(connection) as captured:
        tell_of_meter(mine)

    assert len(captured) == 2  # whose it is, and the notification: it runs with every meter update
    audiences = {depot_audience(depot.pk), fleet_audience(fleet.pk)}
    views = rendering.render_all([("meter", mine.pk), ("meter", walk_in.pk)])
    seen = views[("meter", mine.pk)]
    assert seen is not None
    assert set(seen) == audiences
    for words in (f'data-meter="{mine.pk}"', "350 kW", "41.0 kWh", "61 %"):
        assert words in seen[fleet_audience(fleet.pk)]["html"]
    assert set(views[("meter", walk_in.pk)] or ()) == {depot_audience(depot.pk)}


@pytest.mark.parametrize(
    ("watts", "words"),
    [
        (None, "–"), (0, "0 kW"), (3_680, "3.7 kW"), (7_360, "7.4 kW"), (22_000, "22 kW"), (349_876, "350 kW"),
        (999_600, "1 MW"), (1_200_000, "1.2 MW"), (1_254_321, "1.25 MW"),
    ],
)  # fmt: skip
def test_power_is_rounded_for_people(watts: int | None, words: str) -> None:
    assert kilowatts(watts) == words


def test_a_charger_nobody_hears_is_offline_whatever_it_last_said(
    manager: Client, evses: list[Evse], clock: Any
) -> None:
    clock.shift(timedelta(minutes=5))

    page = html(manager)

    assert page.count("Offline") == 3
    assert "Available" not in page


@pytest.mark.parametrize(
    "query", ["day=never", "day=2030-02-31", "view=century", "day=0001-01-01", "day=9999-12-31", "day="]
)
def test_an_address_that_makes_no_sense_shows_a_day_all_the_same(
    manager: Client, evses: list[Evse], query: str
) -> None:
    assert manager.get(f"{BOARD}?{query}").status_code == 200


def test_days_on_which_clocks_change_are_as_long_as_they_are(depot: Depot) -> None:
    spring = Window(date(2030, 3, 31), "day", depot.zone)
    autumn = Window(date(2030, 10, 27), "day", depot.zone)

    assert spring.period.duration == timedelta(hours=23)
    assert autumn.period.duration == timedelta(hours=25)
    assert Window(date(2030, 10, 25), "week", depot.zone).period.duration == timedelta(days=7, hours=1)
    assert spring.period.starts_at == datetime(2030, 3, 30, 23, tzinfo=UTC)


def test_the_gate_s_hours_are_shaded(depot: Depot, manager: Client, evses: list[Evse]) -> None:
    make_opening_hours(depot, 6 * 60, 22 * 60)

    page = html(manager)

    assert 'data-shut data-starts="2030-01-14T23:00:00Z" data-ends="2030-01-15T05:00:00Z"' in page
    assert 'data-shut data-starts="2030-01-15T21:00:00Z" data-ends="2030-01-15T23:00:00Z"' in page


@pytest.mark.parametrize("who", ["manager", "guest"])
def test_more_bookings_cost_no_more_queries(
    manager: Client, evses: list[Evse], fleet: Organisation, who: str
) -> None:
    client = manager if who == "manager" else client_of(make_user(fleet))
    book(evses[0], fleet, 9, 10)
    book(evses[0], make_fleet(), 10, 11)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            html(client, f"{BOARD}?view=week")
        return len(captured)

    few = queries()
    for hour in range(12, 20):
        for evse in evses:
            book(evse, fleet if hour % 2 else make_fleet(), hour, hour + 1)
    operations.close_evse(evse=evses[1], period=slot(10, 12, day=1), actor=MANAGER, now=NOW)
    for _ in range(4):
        make_evse(evses[0].depot)

    assert queries() == few
    assert few <= 12


def test_the_stream_tells_the_depot_the_bar_and_guests_the_span(
    depot: Depot, evses: list[Evse], fleet: Organisation
) -> None:
    booking = book(evses[0], fleet, plate="IBK 7")

    bar = rendering.render_all([("bar", booking.pk)])[("bar", booking.pk)]
    taken = rendering.render_all([("taken", evses[0].pk)])[("taken", evses[0].pk)]

    assert bar is not None
    assert taken is not None
    assert set(bar) == {depot_audience(depot.pk), fleet_audience(fleet.pk)}
    assert f'data-booking="{booking.pk}"' in bar[depot_audience(depot.pk)]["entries"][0]["html"]
    assert "IBK 7" in bar[depot_audience(depot.pk)]["entries"][0]["html"]
    assert taken == {
        calendar_audience(depot.pk): {
            "evse": evses[0].uid,
            "within": ["2030-01-14T08:00:00Z", "2030-01-30T08:00:00Z"],
            "spans": [["2030-01-15T10:00:00Z", "2030-01-15T11:00:00Z"]],
        }
    }


def test_what_leaves_with_a_booking_names_its_audiences_and_no_other(
    evses: list[Evse], fleet: Organisation
) -> None:
    """A notice carries kind, id and audiences: a booking's number must not go to who may only see that a time is taken."""
    with CaptureQueriesContext(connection) as captured:
        booking = book(evses[0], fleet)

    told = [query["sql"].replace("\\", "") for query in captured if "depots_notice" in query["sql"]]
    to_guests = [sql for sql in told if "calendar-" in sql]
    assert to_guests
    assert all("'kind', 'taken', 'id', id" in sql and f"'{{{evses[0].pk}}}'" in sql for sql in to_guests)
    assert any('"kind": "bar"' in sql and f'"id": {booking.pk},' in sql for sql in told)


def test_a_booking_is_told_of_in_two_statements(evses: list[Evse], fleet: Organisation) -> None:
    with CaptureQueriesContext(connection) as captured:
        book(evses[0], fleet)

    # They travel together: what was captured is one message.
    assert sum(query["sql"].count("INSERT INTO depots_notice") for query in captured) == 2


def test_a_booking_holds_up_no_other_commit_by_notifying(evses: list[Evse], fleet: Organisation) -> None:
    """Transactions that notify commit one after the other, in the whole database."""
    with CaptureQueriesContext(connection) as captured:
        book(evses[0], fleet)

    assert not [query["sql"] for query in captured if "notify" in query["sql"].lower()]


def test_many_changes_cost_open_pages_no_more_statements_than_one(
    evses: list[Evse], fleet: Organisation
) -> None:
    bookings = [book(evse, fleet, hour, hour + 1) for evse in evses for hour in (10, 12)]
    keys = [(kind, booking.pk) for kind in ("bar", "booking") for booking in bookings]
    keys += [("requests", evses[0].depot_id)]

    def statements(keys: list[tuple[str, int]]) -> int:
        with CaptureQueriesContext(connection) as captured:
            views = rendering.render_all(keys)
        assert all(views[key] for key in keys)
        return len(captured)

    assert statements(keys) == statements([keys[0], keys[len(bookings)], keys[-1]])


def test_a_bar_that_shows_nothing_any_more_is_taken_off(evses: list[Evse], fleet: Organisation) -> None:
    hold = place_hold(
        fleet=fleet,
        option=option_of(evses[0]),
        period=slot(10, 11),
        vehicle=make_vehicle(fleet),
        actor=DISPATCHER,
        now=NOW,
    )
    operations.expire_hold(booking_id=hold.pk, now=NOW + timedelta(minutes=11))

    assert rendering.render_all([("bar", hold.pk)]) == {("bar", hold.pk): {}}


def test_what_people_write_stays_text_on_the_board(manager: Client, evses: list[Evse]) -> None:
    fleet = make_fleet('<script>alert("fleet")</script>')
    booking = book(evses[0], fleet, plate="<b>&1")

    page = html(manager)

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(&quot;fleet&quot;)&lt;/script&gt;" in page
    assert f'board/bookings/{booking.pk}/" data-dialog>&lt;b&gt;&amp;1</a>' in page
