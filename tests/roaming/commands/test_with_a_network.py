"""Commands between two platforms that share no code: a booking started there, and one started here."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from bookings import operations
from bookings.models import PartnerCommand
from depots.models import ChargerCommand
from roaming import registration
from simulators.partner import SimulatedPartner
from tests.factories import DISPATCHER, make_depot, make_fleet, make_operator
from tests.roaming.commands.senders import answer, online_evse
from tests.roaming.commands.test_received_commands import session_at
from tests.roaming.commands.test_received_limits import TAKES, planned
from tests.roaming.outbound.test_our_requests import all_read, ask, settled
from tests.roaming.running import RunningSender, eventually, fresh

pytestmark = pytest.mark.django_db(transaction=True)


def test_both_sides_start_charging_at_the_other_s_depot(
    network: SimulatedPartner, platform: str, clock: Any
) -> None:
    operator = make_operator("Ladepark", cpo_party_id="LPK")
    fleet = make_fleet("Nordfracht", emsp_party_id="NFE")
    invited = registration.invite(
        name="Simulated", country_code="FR", party_id="SIM", roles=["CPO", "EMSP"], now=timezone.now()
    )
    network.registration.register(platform, invited.token_a)
    with RunningSender():
        eventually(lambda: all_read(invited.partner) and network.pushes.is_idle)
        booking = ask(fleet)
        booking = eventually(settled(booking, "confirmed"))
        clock.move_to(booking.starts_at)
        command = operations.start_at_partner(booking_id=booking.pk, actor=DISPATCHER, now=timezone.now())
        eventually(lambda: fresh(command).state == PartnerCommand.State.DONE)

        evse = online_evse(make_depot(operator), told=TAKES)
        asked = network.commands.command(
            "START_SESSION",
            {
                "token": {**network.settings.party, "uid": "04F0", "type": "RFID", "contract_id": "C1"},
                "location_id": evse.depot.location_id,
                "evse_uid": evse.uid,
            },
        )
        assert asked["result"] == "ACCEPTED"
        answer(ChargerCommand.Action.REMOTE_START, "rejected", now=timezone.now())
        assert eventually(lambda: network.commands.results().get(asked["key"])) == {"result": "REJECTED"}

        session = str(session_at(evse, uid="04F0").pk)
        asked = network.limits.limit(session, 60_000)
        assert asked["result"] == "ACCEPTED"
        planned(now=timezone.now())
        assert eventually(lambda: network.limits.results().get(asked["key"])) == {"result": "ACCEPTED"}
        told = eventually(lambda: network.limits.active().get(session))
        assert told["charging_profile"]["charging_profile_period"] == [{"start_period": 0, "limit": 60_000}]
        asked = network.limits.show(session)
        answer(ChargerCommand.Action.GET_COMPOSITE_SCHEDULE, "not_supported", now=timezone.now())
        shown = eventually(lambda: network.limits.results().get(asked["key"]))
        assert shown["profile"]["charging_profile"]["charging_profile_period"][0]["limit"] == 60_000
