"""The queue of asks that wait for a depot."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bookings import operations
from bookings.actors import Actor
from bookings.models import Booking, TermsOverride
from bookings.pages.navigation import waiting_requests
from depots.models import Depot, Evse, Membership, Organisation
from tests.bookings.payments_made import book, make_prepaid_site, pay_in
from tests.bookings.people import client_of
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    book_slot,
    change_slot,
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


@pytest.fixture
def depot(operator: Organisation) -> Depot:
    return make_depot(operator, code="VENLO", name="Venlo", terms={"approval": True, "decision_min": 60})


@pytest.fixture
def evse(depot: Depot) -> Evse:
    return make_evse(depot, uid="V-1")


@pytest.fixture
def manager(operator: Organisation) -> Client:
    return client_of(make_user(operator, Membership.Role.DEPOT_MANAGER, email="one@ladepark.example"))


def ask(evse: Evse, start: Any, end: Any, *, ago_min: int = 0, plate: str = "") -> Booking:
    fleet = make_fleet()
    return book_slot(
        fleet=fleet, option=option_of(evse), evse=evse, period=slot(start, end),
        vehicle=make_vehicle(fleet, **({"plate": plate} if plate else {})),
        actor=Actor.dispatcher("d@fleet.example"), now=NOW - timedelta(minutes=ago_min),
    )  # fmt: skip


def decide(client: Client, booking: Booking, decision: str, **fields: str) -> Any:
    given = {"decision": decision, "version": str(booking.version), **fields}
    return client.post(f"/requests/{booking.pk}/decision/", given)


def test_the_most_urgent_stands_first_with_what_is_around_it(manager: Client, evse: Evse) -> None:
    ask(evse, 12, 13, plate="LATE 1")
    ask(evse, 10, 11, ago_min=30, plate="URGENT 1")

    page = manager.get("/requests/").content.decode()

    assert page.index("URGENT 1") < page.index("LATE 1")
    assert "Answer by" in page
    assert "URGENT 1 until 12:00 (1 h between)" in page  # before the other, on the depot's clock
    assert "LATE 1 from 13:00 (1 h between)" in page


def test_an_ask_is_accepted_or_declined_with_a_reason(manager: Client, evse: Evse) -> None:
    first, second = ask(evse, 10, 11), ask(evse, 12, 13)

    assert decide(manager, first, "accept").status_code == 302
    assert decide(manager, second, "decline", reason="Cleaning").status_code == 302

    first.refresh_from_db()
    second.refresh_from_db()
    assert first.status == "confirmed"
    assert (second.status, second.note) == ("declined", "Cleaning")
    assert "Nothing waits for an answer" in manager.get("/requests/").content.decode()


def test_the_second_of_two_managers_is_told_what_the_first_said(
    manager: Client, operator: Organisation, evse: Evse
) -> None:
    booking = ask(evse, 10, 11)
    other = client_of(make_user(operator, Membership.Role.DEPOT_MANAGER))
    decide(manager, booking, "accept")

    answer = other.post(
        f"/requests/{booking.pk}/decision/", {"decision": "decline", "version": "1"}, follow=True
    )

    assert "Too late: it was accepted by one@ladepark.example at 09:00." in answer.content.decode()
    booking.refresh_from_db()
    assert booking.status == "confirmed"


def test_a_change_shows_what_is_and_what_is_wanted(manager: Client, evse: Evse) -> None:
    booking = ask(evse, 10, 11)
    decide(manager, booking, "accept")
    change_slot(booking_id=booking.pk, period=slot(14, 15), actor=DISPATCHER, now=NOW)

    page = manager.get("/requests/").content.decode()

    assert "Wants to change" in page
    assert '<span class="ask-was">Tue 15 Jan, 11:00–12:00</span>' in page
    assert "Tue 15 Jan, 15:00–16:00" in page
    booking.refresh_from_db()
    decide(manager, booking, "accept")
    booking.refresh_from_db()
    assert booking.period == slot(14, 15)


@pytest.mark.parametrize(
    "fields", [{}, {"decision": "perhaps"}, {"decision": "decline", "reason": "x" * 201}]
)
def test_an_answer_that_makes_no_sense_decides_nothing(
    manager: Client, evse: Evse, fields: dict[str, str]
) -> None:
    booking = ask(evse, 10, 11)

    answer = manager.post(f"/requests/{booking.pk}/decision/", fields)

    assert answer.status_code == 422
    booking.refresh_from_db()
    assert booking.status == "requested"


def test_who_only_reads_sees_the_queue_without_buttons(operator: Organisation, evse: Evse) -> None:
    booking = ask(evse, 10, 11, plate="IBK 7")
    viewer = client_of(make_user(operator, Membership.Role.VIEWER))

    page = viewer.get("/requests/").content.decode()

    assert "IBK 7" in page
    assert "Accept" not in page
    assert decide(viewer, booking, "accept").status_code == 404


def test_another_operators_asks_are_not_there(evse: Evse) -> None:
    booking = ask(evse, 10, 11, plate="IBK 7")
    other = make_operator()
    make_depot(other)
    stranger = client_of(make_user(other, Membership.Role.DEPOT_MANAGER))

    assert "IBK 7" not in stranger.get("/requests/").content.decode()
    assert decide(stranger, booking, "accept").status_code == 404


def test_a_longer_queue_costs_no_more_queries(manager: Client, evse: Evse) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert manager.get("/requests/").status_code == 200
        return len(captured)

    ask(evse, 9, 10)
    few = queries()
    for hour in range(11, 19):
        ask(evse, hour, hour + 1)

    assert queries() == few
    assert few <= 14


def test_an_answer_to_what_was_asked_before_is_refused(manager: Client, evse: Evse) -> None:
    booking = ask(evse, 10, 11)
    change_slot(booking_id=booking.pk, period=slot(14, 15), actor=DISPATCHER, now=NOW)

    stale = decide(manager, booking, "accept")

    assert stale.status_code == 409
    assert "Changed meanwhile" in stale.content.decode()
    booking.refresh_from_db()
    assert booking.status == "requested"
    assert f'name="version" value="{booking.version}"' in stale.content.decode()
    assert decide(manager, booking, "accept", version="").status_code == 409
    assert decide(manager, booking, "accept").status_code == 302


def test_what_is_wanted_in_the_past_cannot_be_accepted(manager: Client, evse: Evse, clock: Any) -> None:
    booking = ask(evse, 10, 11, plate="IBK 7")
    clock.shift(timedelta(hours=3))

    page = manager.get("/requests/").content.decode()

    assert "IBK 7" in page
    assert "The time it wants is over." in page
    assert 'value="accept"' not in page
    assert decide(manager, booking, "accept").status_code == 409
    assert decide(manager, booking, "decline").status_code == 302


def test_who_withdrew_an_ask_is_not_named_to_the_depot(manager: Client, evse: Evse) -> None:
    booking = ask(evse, 10, 11)
    operations.cancel_booking(
        booking_id=booking.pk,
        reason="TRAFFIC",
        by=Booking.Side.FLEET,
        actor=Actor.dispatcher("d@fleet.example"),
        now=NOW,
    )

    answer = manager.post(
        f"/requests/{booking.pk}/decision/", {"decision": "accept", "version": booking.version}, follow=True
    )

    assert "Too late: it was declined at 09:00." in answer.content.decode()
    assert "d@fleet.example" not in answer.content.decode()


def test_the_number_beside_the_link_counts_what_the_depot_can_answer(operator: Organisation) -> None:
    def asked(by_depot: bool) -> Booking:
        evse = make_prepaid_site(operator)
        TermsOverride.objects.create(option=option_of(evse), approval=by_depot)
        return book(evse, make_fleet())

    for_money, for_both = asked(by_depot=False), asked(by_depot=True)
    depots = [for_money.depot_id, for_both.depot_id]
    waiting = waiting_requests(depots)
    operations.decide(booking_id=for_both.pk, accept=True, actor=MANAGER, now=NOW)

    assert waiting == dict(zip(depots, (0, 1), strict=True))
    assert waiting_requests(depots) == dict.fromkeys(depots, 0)


def test_what_is_paid_for_and_not_answered_is_counted(operator: Organisation) -> None:
    evse, customer = make_prepaid_site(operator), make_fleet()
    TermsOverride.objects.create(option=option_of(evse), approval=True)
    pay_in(evse.depot, customer, "10.00")
    booking = book(evse, customer)

    assert waiting_requests([booking.depot_id]) == {booking.depot_id: 1}
