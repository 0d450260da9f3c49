"""Where everybody starts: the day of a dispatcher, the boards of who runs depots, a word for who has nothing yet."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from bookings import operations
from bookings.actors import Actor
from bookings.models import Booking, Vehicle
from bookings.pages import day
from bookings.pages.live.bookings import render_bookings
from depots.models import Membership, Organisation, User
from depots.periods import Period
from tests.bookings.people import client_of
from tests.factories import (
    MANAGER,
    NOW,
    at,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_user,
    make_vehicle,
    option_of,
    place_hold,
    slot,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


def book(vehicle: Vehicle, period: Period, **depot: Any) -> Booking:
    return book_slot(
        fleet=vehicle.fleet, option=option_of(make_evse(make_depot(**depot))), period=period, vehicle=vehicle,
        actor=Actor.dispatcher("me"),
        now=NOW,
    )  # fmt: skip


def groups_of(client: Client) -> dict[str, list[int]]:
    groups = client.get("/").context["groups"]
    return {key: [entry.booking.pk for entry in entries] for key, _, entries in groups}


def test_the_day_is_grouped_by_what_comes_when(dispatcher: Client, vehicle: Vehicle, clock: Any) -> None:
    running, soon, later = (book(vehicle, slot(hour, hour + 1)) for hour in (9, 11, 16))
    over = book(vehicle, slot(17, 18))
    operations.cancel_booking(
        booking_id=over.pk, reason="TRAFFIC", by="fleet", actor=Actor.dispatcher("me"), now=NOW
    )
    book(vehicle, slot(9, 10, day=2))

    clock.move_to(at(9, 30))

    assert groups_of(dispatcher) == {
        "now": [running.pk],
        "next": [soon.pk],
        "later": [later.pk],
        "done": [over.pk],
    }


def test_today_is_each_depots_own(dispatcher: Client, vehicle: Vehicle) -> None:
    here = book(vehicle, slot(22, 23), time_zone="Europe/Lisbon")
    book(vehicle, slot(22, 23), time_zone="Europe/Vilnius")  # after midnight there

    assert groups_of(dispatcher) == {"later": [here.pk]}


def test_a_change_by_a_depot_on_another_day_is_there_until_it_was_seen(
    dispatcher: Client, vehicle: Vehicle
) -> None:
    booking = book(vehicle, slot(9, 10, day=3))
    operations.cancel_booking(booking_id=booking.pk, reason="FULL", by="depot", actor=MANAGER, now=NOW)

    assert groups_of(dispatcher) == {"done": [booking.pk]}
    assert "data-changed-by-depot" in dispatcher.get("/").content.decode()

    operations.mark_seen(booking_id=booking.pk, actor=Actor.dispatcher("me"), now=NOW + timedelta(minutes=1))
    assert groups_of(dispatcher) == {}


def test_every_row_says_what_it_is_and_what_to_do_next(dispatcher: Client, vehicle: Vehicle) -> None:
    evse = make_evse()
    held = place_hold(
        fleet=vehicle.fleet,
        option=option_of(evse),
        period=slot(10, 11),
        vehicle=vehicle,
        actor=Actor.dispatcher("me"),
        now=NOW,
    )
    at_risk = book(vehicle, slot(12, 13))
    Booking.objects.filter(pk=at_risk.pk).update(
        enforcement="at_risk", enforcement_why="The charger is offline."
    )

    page = dispatcher.get("/").content.decode()

    assert f'data-booking="{held.pk}" data-status="held" data-enforcement="not_due"' in page
    assert f'data-booking="{at_risk.pk}" data-status="confirmed" data-enforcement="at_risk"' in page
    assert "Confirm…" in page
    assert "The charger is offline." in page
    assert page.count(f'data-booking="{held.pk}"') == 1


def test_the_finder_is_at_hand_on_the_first_page(dispatcher: Client) -> None:
    make_evse()

    page = dispatcher.get("/").content.decode()

    assert 'action="/slots/"' in page
    for field in ("depot", "vehicle", "starts_at", "ends_at"):
        assert f'name="{field}"' in page


def test_a_viewer_sees_the_day_and_no_finder(fleet: Organisation, vehicle: Vehicle) -> None:
    booking = book(vehicle, slot(16, 17))
    viewer = client_of(make_user(fleet, Membership.Role.VIEWER))

    page = viewer.get("/").content.decode()

    assert f'data-booking="{booking.pk}"' in page
    assert "/slots/" not in page


@pytest.mark.parametrize(
    ("role", "offered"), [(Membership.Role.VIEWER, False), (Membership.Role.DISPATCHER, True)]
)
@pytest.mark.parametrize("page", ["/", "/bookings/"])
def test_only_who_books_is_offered_the_next_bay(
    fleet: Organisation, vehicle: Vehicle, role: str, offered: bool, page: str
) -> None:
    """The rows come with a stream that is the same for all of a fleet: the list around them says who looks."""
    book(vehicle, slot(10, 11))

    shown = client_of(make_user(fleet, role)).get(page).content.decode()

    assert ("only-looks" not in shown) == offered


def test_an_administrator_of_two_fleets_sees_both(fleet: Organisation, vehicle: Vehicle) -> None:
    other = make_vehicle(make_fleet("Alpentrans"))
    mine, theirs = book(vehicle, slot(16, 17)), book(other, slot(17, 18))
    user = make_user(fleet, Membership.Role.ADMIN)
    Membership.objects.create(user=user, organisation=other.fleet, role=Membership.Role.ADMIN)

    assert groups_of(client_of(user)) == {"later": [mine.pk, theirs.pk]}


def test_who_runs_one_depot_starts_at_its_board_and_who_runs_several_chooses() -> None:
    operator = make_operator()
    first = make_depot(operator, code="D 1", name="Venlo")
    manager = client_of(make_user(operator, Membership.Role.DEPOT_MANAGER))

    assert manager.get("/")["Location"] == "/depots/D%201/board/"

    make_depot(operator, code="D2", name="Kassel Süd")
    page = manager.get("/").content.decode()
    assert first.name in page
    assert "/depots/D2/board/" in page


def test_who_belongs_nowhere_is_told_what_to_do() -> None:
    user = User.objects.create_user("new@fleet.example", "berth-demo")

    answer = client_of(user).get("/")

    assert answer.status_code == 200
    assert "You belong to no organisation yet" in answer.content.decode()


def test_a_stranger_signs_in_and_lands_on_the_day(fleet: Organisation) -> None:
    user, client = make_user(fleet), Client()
    assert 'name="login"' in client.get("/").content.decode()

    answer = client.post("/", {"login": user.email, "password": "berth-demo"}, follow=True)

    assert "Nothing booked for today" in answer.content.decode()


def test_the_stream_sends_the_row_as_the_page_shows_it_to_the_fleet_alone(
    dispatcher: Client, vehicle: Vehicle, fleet: Organisation
) -> None:
    booking = book(vehicle, slot(16, 17))

    views = render_bookings([booking.pk])[booking.pk]

    assert set(views) == {f"fleet-{fleet.pk}", f"depot-{booking.depot_id}"}
    assert views[f"depot-{booking.depot_id}"] == {}
    sent = views[f"fleet-{fleet.pk}"]
    assert (sent["version"], sent["group"]) == (booking.version, "later")
    assert "".join(sent["row"].split()) in "".join(dispatcher.get("/").content.decode().split())


def test_every_group_has_a_heading(vehicle: Vehicle) -> None:
    booking = book(vehicle, slot(16, 17))

    for hours in (-48, -1, 0, 8, 9, 48):
        assert day.group(booking, NOW + timedelta(hours=hours)) in day.GROUPS
