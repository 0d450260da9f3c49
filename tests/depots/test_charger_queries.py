"""What is believed to stand at a charger."""

from __future__ import annotations

from datetime import datetime

import pytest

from depots import operations as depots
from depots.models import ChargerCommand
from depots.queries import armed_reservations
from tests.factories import at, make_depot, make_evse

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("began_at", "is_used"),
    [(at(9, 30), False), (at(9, 44), True), (at(9, 45), True), (at(9, 50), True)],
)
def test_only_what_began_after_it_was_asked_for_has_used_a_reservation(began_at: datetime, is_used: bool):
    """A start that was queued while the charger was offline is heard of after the reservation it has nothing to do with."""
    evse = make_evse(make_depot(terms={"walk_in": "anybody"}))
    charger = evse.charger
    payload = {"reservation_id": 7, "evse": evse.number, "token": "04A1B2", "expires_at": at(11).isoformat()}
    command = depots.queue_command(
        charger=charger, action="reserve", payload=payload, reservation_id=7, now=at(9, 45)
    )
    ChargerCommand.objects.filter(pk=command.pk).update(state="sent", sent_at=at(9, 45))
    depots.settle_command(command_id=command.pk, answer="accepted", now=at(9, 45))
    assert [armed.reservation_id for armed in armed_reservations(charger, now=at(9, 45))] == [7]

    begun = depots.Start(
        evse_number=evse.number, token_uid="04A1B2", key="k", at=began_at, meter_wh=0, reservation_id=7
    )
    depots.start_session(charger_id=charger.pk, start=begun, now=at(9, 51))

    assert (armed_reservations(charger, now=at(9, 52)) == []) is is_used
