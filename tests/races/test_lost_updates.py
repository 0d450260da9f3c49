"""Two people change one booking at the same moment, and what each of them did is there afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine

from bookings.models import Booking
from bookings.rules.entitlement import TokenName
from depots.periods import Period
from tests.bookings.people import client_of
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_option,
    make_user,
    make_vehicle,
    slot,
)
from tests.races.processes import all_at_once, at_once, rendezvous

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]


@pytest.mark.parametrize("rounds", [12, pytest.param(200, marks=pytest.mark.long)])
def test_a_manager_drags_while_a_dispatcher_edits_cards_and_no_move_is_undone(rounds):
    """Both look at the same version and send at once, round after round; each group has one author."""
    depot = make_depot()
    evses = [make_evse(depot) for _ in range(2)]
    truck = make_vehicle(token=None)
    cards = [truck.tokens.create(fleet=truck.fleet, uid=f"CARD-{number}") for number in range(2)]
    booking = book_slot(
        fleet=truck.fleet,
        option=make_option(*evses),
        vehicle=truck,
        period=slot(10, 11),
        actor=DISPATCHER,
        now=NOW,
    )
    looked, changed, compared = rendezvous(2), rendezvous(2), rendezvous(2)

    def drag(number: int, seen: int) -> dict[str, Any]:
        start = 10 + number % 5
        place = {"period": slot(start, start + 1), "evse": evses[number % 2]}
        return {**place, "by": "depot", "actor": MANAGER, "seen_version": seen}

    def edit(number: int, seen: int) -> dict[str, Any]:
        card = TokenName(cards[number % 2].uid)
        return {"tokens": [card], "by": "fleet", "actor": DISPATCHER, "seen_version": seen}

    def life(wish: Any) -> list[str]:
        found = []
        for number in range(1, rounds + 1):
            seen = Booking.objects.get(pk=booking.pk).version
            looked.wait(60)
            change_slot(booking_id=booking.pk, now=NOW, **wish(number, seen))
            changed.wait(60)
            after = Booking.objects.get(pk=booking.pk)
            start = 10 + number % 5
            is_there = (after.evse_id, after.period) == (evses[number % 2].pk, slot(start, start + 1))
            has_card = [token.uid for token in after.tokens.all()] == [cards[number % 2].uid]
            found.append("kept" if is_there and has_card else f"lost in round {number}")
            compared.wait(60)
        return found

    answers = all_at_once([lambda: life(drag), lambda: life(edit)])

    assert answers == [["kept"] * rounds] * 2


@pytest.mark.parametrize("url", ["/holds/", "/bookings/"])
def test_a_form_sent_twice_at_once_takes_one_place(url):
    """In a pool with room for both, nothing but the id of the ask keeps the second from a place of its own."""
    depot, truck = make_depot(), make_vehicle()
    pool = make_option(make_evse(depot), make_evse(depot))
    with time_machine.travel(NOW, tick=False):
        client = client_of(make_user(truck.fleet))
    period = Period(NOW + timedelta(days=1), NOW + timedelta(days=1, hours=1))
    sent = {
        "fleet": truck.fleet_id, "option": pool.pk, "vehicle": truck.pk, "request_id": str(uuid4()),
        "starts_at": period.starts_at.isoformat(), "ends_at": period.ends_at.isoformat(),
    }  # fmt: skip

    def send(_: int) -> str:
        with time_machine.travel(NOW, tick=False):
            return str(client.post(url, sent)["Location"])

    answers = at_once(send, 4)

    assert set(answers) == {Booking.objects.get().get_absolute_url()}
