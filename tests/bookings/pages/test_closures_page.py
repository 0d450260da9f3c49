"""Taking EVSEs out of use, and the yard's pages."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bookings import operations
from bookings.actors import Actor
from bookings.errors import SlotTaken
from bookings.models import Booking, Closure, ClosureAct
from bookings.operations.closure_plan import version_of
from depots.models import ChargerCommand, ChargerMessage, Depot, Evse, Membership, Organisation
from tests.bookings.people import client_of
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    book_slot,
    make_charger,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_user,
    make_vehicle,
    option_of,
    slot,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

CLOSURES = "/depots/VENLO/closures/"
SPAN = {"evse": "V-1", "starts_at": "2030-01-15T10:00", "ends_at": "2030-01-15T14:00", "reason": "Cable"}


@pytest.fixture
def depot(operator: Organisation) -> Depot:
    return make_depot(operator, code="VENLO", name="Venlo")


@pytest.fixture
def evse(depot: Depot) -> Evse:
    return make_evse(depot, uid="V-1")


def seen_at(client: Client, path: str, query: Any = None) -> dict[str, str]:
    """What the form on that page says it was shown for."""
    page = client.get(path, query).content.decode()
    return {"version": re.findall(r'name="version" value="([^"]+)"', page)[0]}


def close(client: Client, span: dict[str, str] = SPAN, **fields: str) -> Any:
    return client.post(
        f"{CLOSURES}new/", {**span, **seen_at(client, f"{CLOSURES}new/", span), **fields}, follow=True
    )


def book(evse: Evse, start: Any, end: Any) -> Booking:
    fleet = make_fleet()
    return book_slot(
        fleet=fleet, option=option_of(evse), evse=evse, period=slot(start, end), vehicle=make_vehicle(fleet),
        actor=Actor.dispatcher("d@fleet.example"), now=NOW,
    )  # fmt: skip


def test_the_preview_tells_what_would_become_of_each_booking_and_changes_nothing(
    manager: Client, depot: Depot, evse: Evse
) -> None:
    other = make_evse(depot, uid="V-2")
    movable, stuck = book(evse, 10, 11), book(evse, 12, 13)
    book(other, 12, 13)

    page = manager.get(f"{CLOSURES}new/", SPAN).content.decode()

    assert f'data-booking="{movable.pk}"' in page
    assert "Moved to V-2" in page
    assert f'data-booking="{stuck.pk}"' in page
    assert "Offered Tue 15 Jan, 14:00–15:00 at V-1" in page
    assert "Without a yes by Tue 15 Jan, 12:45 it is cancelled, at the depot&#x27;s cost." in page
    assert not Closure.objects.exists()
    movable.refresh_from_db()
    assert movable.evse == evse


def test_closing_carries_out_what_the_preview_proposed(manager: Client, depot: Depot, evse: Evse) -> None:
    other = make_evse(depot, uid="V-2")
    movable, stuck = book(evse, 10, 11), book(evse, 12, 13)
    book(other, 12, 13)

    answer = close(manager, clear="1", **{f"choice-{stuck.pk}": "cancel"})

    movable.refresh_from_db()
    stuck.refresh_from_db()
    assert (movable.evse, movable.status) == (other, "confirmed")
    assert (stuck.status, stuck.cancelled_by, stuck.note) == ("cancelled", "depot", "Cable")
    closure = Closure.objects.get()
    assert (closure.evse, closure.period, closure.created_by) == (
        evse,
        slot(9, 13),
        Actor.manager("manager@ladepark.example"),
    )
    assert "V-1 is closed. Bookings: 1 moved, 1 cancelled." in answer.content.decode()


def test_what_is_offered_and_what_became_of_it_stand_on_the_page_of_what_was_closed(
    manager: Client, evse: Evse
) -> None:
    booking = book(evse, 10, 11)

    page = close(manager, clear="1").content.decode()
    act = f"{CLOSURES}acts/{ClosureAct.objects.get().pk}/"
    operations.decline_counter_offer(booking_id=booking.pk, actor=DISPATCHER, now=NOW)
    then = manager.get(act).content.decode()

    assert "V-1 is closed. Bookings: 1 offered another time." in page
    assert "Tue 15 Jan, 14:00–15:00 at V-1" in page
    assert "Its fleet has until Tue 15 Jan, 10:45 to answer" in page
    assert "Not accepted, or taken back" in then
    manager.post(f"{act}undo/", seen_at(manager, act))
    assert "Booked again" in manager.get(act).content.decode()


def test_a_closure_comes_again_and_is_lifted_from_a_day_on(manager: Client, evse: Evse) -> None:
    weekly = {**SPAN, "repeats": "FREQ=WEEKLY", "until": "2030-02-05"}
    in_the_second = book_slot(
        fleet=(fleet := make_fleet()), option=option_of(evse), evse=evse, period=slot(10, 11, day=7),
        vehicle=make_vehicle(fleet), actor=DISPATCHER, now=NOW,
    )  # fmt: skip

    preview = manager.get(f"{CLOSURES}new/", weekly).content.decode()
    close(manager, weekly)
    listed = manager.get(CLOSURES).content.decode()
    second = Closure.objects.order_by("starts_at")[1]
    page = f"{CLOSURES}{second.pk}/"
    shown = manager.get(page).content.decode()
    lifting = re.findall(r'name="version" value="([^"]+)"', shown)[-1]
    answer = manager.post(f"{page}lifting/", {"version": lifting, "following": "1"}, follow=True)

    assert "Every week, until 5 Feb 2030: 4 times, the last on Tue 5 Feb 2030." in preview
    assert f'data-booking="{in_the_second.pk}"' in preview
    assert listed.count("data-closure=") == 1
    assert "and 3 more until" in listed
    assert "Lift this and all later days" in shown
    assert "V-1 is open again, then and on all later days." in answer.content.decode()
    assert [c.starts_at.day for c in Closure.objects.filter(lifted_at=None)] == [15]


def test_closing_alone_leaves_bookings_and_refuses_new_ones(manager: Client, evse: Evse) -> None:
    standing = book(evse, 10, 11)

    close(manager)

    standing.refresh_from_db()
    assert (standing.status, standing.evse) == ("confirmed", evse)
    with pytest.raises(SlotTaken):
        book(evse, 12, 13)
    closure = Closure.objects.get()
    assert f'data-booking="{standing.pk}"' in manager.get(f"{CLOSURES}{closure.pk}/").content.decode()

    manager.post(f"{CLOSURES}{closure.pk}/clearing/", seen_at(manager, f"{CLOSURES}{closure.pk}/"))

    standing.refresh_from_db()
    assert standing.decide_until is not None
    assert standing.requests.get(kind="offer").asked["cancels"]


def test_a_lifted_closure_gives_its_time_back_and_is_lifted_once(manager: Client, evse: Evse) -> None:
    close(manager)
    closure = Closure.objects.get()

    seen = seen_at(manager, CLOSURES)
    manager.post(f"{CLOSURES}{closure.pk}/lifting/", seen)
    again = manager.post(f"{CLOSURES}{closure.pk}/lifting/", seen)

    book(evse, 12, 13)
    assert "lifted already" in again.content.decode()
    assert "Lifted" in manager.get(CLOSURES).content.decode()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"evse": "NOWHERE"}, "no such EVSE"),
        ({"starts_at": "soon"}, "date and a time"),
        ({"ends_at": "2030-01-15T09:00"}, "before the start"),
        ({"starts_at": "2030-01-14T09:00", "ends_at": "2030-01-14T10:00"}, "in the past"),
        ({"repeats": "FREQ=SECONDLY"}, "not one of the available choices"),
        ({"repeats": "FREQ=WEEKLY"}, "until which day"),
        ({"repeats": "FREQ=WEEKLY", "until": "2030-01-01"}, "no day in its time"),
        ({"reason": "x" * 201}, "at most 200 characters"),
        ({"reason": "a\x00b"}, "Null characters"),
    ],
)
def test_a_bad_form_says_what_is_wrong_and_closes_nothing(
    manager: Client, evse: Evse, wrong: dict[str, str], words: str
) -> None:
    answer = manager.post(f"{CLOSURES}new/", {**SPAN, **wrong, "version": version_of([])})

    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Closure.objects.exists()


def test_what_the_preview_did_not_show_is_not_done(manager: Client, depot: Depot, evse: Evse) -> None:
    movable = book(evse, 10, 11)
    other = make_evse(depot, uid="V-2")
    seen = seen_at(manager, f"{CLOSURES}new/", SPAN)
    book(other, 10, 11)  # now it would be cancelled

    answer = manager.post(f"{CLOSURES}new/", {**SPAN, **seen, "clear": "1"})

    assert answer.status_code == 409
    assert "Nothing is closed yet: what stands there has changed since you looked." in answer.content.decode()
    assert re.search(r"Offered Tue 15 Jan, \d\d:00–\d\d:00 at V-2", answer.content.decode())
    assert not Closure.objects.exists()
    movable.refresh_from_db()
    assert movable.status == "confirmed"


def test_a_preview_of_another_evse_or_time_closes_nothing(manager: Client, depot: Depot, evse: Evse) -> None:
    book(evse, 10, 11)
    make_evse(depot, uid="V-2")
    seen = seen_at(manager, f"{CLOSURES}new/", SPAN)

    for other in ({"evse": "V-2"}, {"starts_at": "2030-01-15T13:00"}):
        assert manager.post(f"{CLOSURES}new/", {**SPAN, **other, **seen}).status_code == 409

    assert not Closure.objects.exists()


def test_what_a_closure_s_page_did_not_show_is_not_done(manager: Client, depot: Depot, evse: Evse) -> None:
    movable = book(evse, 10, 11)
    other = make_evse(depot, uid="V-2")
    close(manager)
    page = f"{CLOSURES}{Closure.objects.get().pk}/"
    seen = seen_at(manager, page)
    book(other, 10, 11)

    answer = manager.post(f"{page}clearing/", seen)

    assert answer.status_code == 409
    assert "has changed since you looked" in answer.content.decode()
    movable.refresh_from_db()
    assert movable.status == "confirmed"
    assert manager.post(f"{page}clearing/").status_code == 409
    assert manager.post(f"{page}lifting/").status_code == 409
    assert manager.post(f"{page}lifting/", {"version": "7"}).status_code == 409
    assert Closure.objects.get().lifted_at is None


def test_who_only_reads_sees_closures_and_closes_none(
    operator: Organisation, manager: Client, evse: Evse
) -> None:
    close(manager)
    viewer = client_of(make_user(operator, Membership.Role.VIEWER))

    page = viewer.get(CLOSURES).content.decode()

    assert "Cable" in page
    assert "Lift" not in page
    assert viewer.post(f"{CLOSURES}new/", SPAN).status_code == 404


def test_more_closures_and_bookings_cost_no_more_queries(manager: Client, depot: Depot) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert manager.get(CLOSURES).status_code == 200
        return len(captured)

    def closed() -> None:
        evse = make_evse(depot)
        book(evse, 10, 11)
        operations.close_evse(evse=evse, period=slot(9, 12), actor=MANAGER, now=NOW)

    closed()
    few = queries()
    for _ in range(5):
        closed()

    assert queries() == few


def test_the_yard_shows_connection_ability_and_trouble(manager: Client, depot: Depot) -> None:
    charger = make_charger(
        depot, identity="CP-7", lease_holder="g", lease_until=NOW + timedelta(minutes=1),
        measured={"reservation": "refuses"}, vendor="Alpha", last_seen_at=NOW,
    )  # fmt: skip
    booking = book(make_evse(charger=charger), 10, 11)
    Booking.objects.filter(pk=booking.pk).update(enforcement="soft", enforcement_why="It cannot reserve.")
    make_charger(depot, identity="CP-8")

    page = manager.get("/depots/VENLO/").content.decode()

    for words in (
        "CP-7",
        "Online",
        "Refuses to reserve",
        "heard Tue 09:00",
        "It cannot reserve.",
        "never heard",
    ):
        assert words in page
    assert f'data-booking="{booking.pk}"' in page


def test_a_charger_s_page_shows_what_was_said_to_and_by_it(manager: Client, depot: Depot) -> None:
    charger = make_charger(depot, identity="CP-7")
    ChargerCommand.objects.create(
        charger=charger,
        action="reserve",
        reservation_id=77,
        state="answered",
        answer="occupied",
        created_at=NOW,
    )
    ChargerMessage.objects.create(
        charger=charger, at=NOW, is_incoming=True, action="StatusNotification", frame='[2,"1","<script>"]'
    )

    page = manager.get("/depots/VENLO/chargers/cp-7/").content.decode()

    for words in ("#77", "In use", "StatusNotification", "&lt;script&gt;"):
        assert words in page
    other = make_charger(make_depot(make_operator()), identity="CP-9")
    assert manager.get(f"/depots/VENLO/chargers/{other.identity}/").status_code == 404
    assert manager.get(f"/depots/{other.depot.code}/chargers/CP-9/").status_code == 404
