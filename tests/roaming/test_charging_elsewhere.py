"""A booking at a partner's depot from its start to its record, over real sockets; and a partner's truck here, seen from there."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from bookings.models import BookingOption, ChargeDetailRecord, RemoteSession
from depots.models import Organisation
from depots.secrets import decrypt
from roaming import registration
from roaming.models import Partner
from simulators.partner import SimulatedPartner
from tests.bookings.people import client_of
from tests.factories import (
    DISPATCHER,
    at,
    book_slot,
    make_fleet,
    make_operator,
    make_user,
    make_vehicle,
    slot,
)
from tests.roaming.guests import begin, booked, end
from tests.roaming.running import RunningSender, eventually, fresh

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def partner(network: SimulatedPartner, platform: str) -> Partner:
    invitation = registration.invite(
        name="Simulated", country_code="FR", party_id="SIM", roles=["CPO", "EMSP"], now=timezone.now()
    )
    make_fleet("Nordfracht", emsp_party_id="NFE")
    make_operator(cpo_party_id="LPK")
    network.registration.register(platform, invitation.token_a)
    return invitation.partner


def test_a_dispatcher_sees_charging_at_a_partners_depot_until_its_record_is_there(
    network: SimulatedPartner, partner: Partner, clock: time_machine.Traveller
) -> None:
    fleet = Organisation.objects.get(emsp_party_id="NFE")
    with RunningSender():
        option = eventually(
            lambda: BookingOption.objects.filter(code="SIM-LYON-CCS", depot__is_withdrawn=False).first()
        )
        eventually(option.offered_slots.exists)
        booking = book_slot(
            fleet=fleet, option=option, period=slot(12, 13), vehicle=make_vehicle(fleet), actor=DISPATCHER,
            now=timezone.now(),
        )  # fmt: skip
        eventually(lambda: fresh(booking).status == "confirmed")
        clock.move_to(at(12))
        eventually(lambda: fresh(booking).status == "charging")
        clock.shift(timedelta(minutes=2))
        running = eventually(lambda: RemoteSession.objects.filter(energy_wh__gt=0).first())
        dispatcher = client_of(make_user(fleet))
        version = fresh(booking).version
        dispatcher.post(f"{booking.get_absolute_url()}limit/", {"power_kw": 60, "version": version})
        eventually(lambda: fresh(running).limit_w == 60_000 and fresh(running).allowed)
        page = dispatcher.get(booking.get_absolute_url()).content.decode()
        part = dispatcher.get(f"{booking.get_absolute_url()}charging/").content.decode()
        clock.shift(timedelta(minutes=20))
        record = eventually(lambda: ChargeDetailRecord.objects.filter(booking=booking).first())
        eventually(lambda: network.pushes.is_idle)

    assert (running.booking, running.matched_by, running.power_w) == (booking, "reference", 350_000)
    for words in ("Charging", "350", "so far", "Simulated told"):
        assert words in part
    assert "Limited to <b data-limit>60 kW</b>" in page
    assert part.strip() in page
    over = fresh(running)
    assert (over.status, fresh(booking).status) == ("completed", "completed")
    assert (record.received["booking_id"], record.energy_wh) == (fresh(booking).remote_id, over.energy_wh)
    assert record.before_taxes + record.taxes == over.before_taxes + over.taxes
    assert record.price_check.before_taxes == record.before_taxes
    page = dispatcher.get(booking.get_absolute_url()).content.decode()
    assert record.code in page
    costs = dispatcher.get("/costs/?month=2030-01").content.decode()
    assert record.code in costs


def test_a_partner_gets_its_trucks_sessions_and_records_from_us(
    network: SimulatedPartner, partner: Partner, clock: time_machine.Traveller
) -> None:
    partner.refresh_from_db()
    partner.plain_token = decrypt(partner.tokens.get(kind="current").token_encrypted)  # type: ignore[attr-defined]
    booking = booked(partner)
    with RunningSender():
        clock.move_to(at(10))
        session = begin(booking)
        key = f"NL/LPK/{session.pk}"
        eventually(lambda: network.received.of("sessions").get(key, {}).get("status") == "ACTIVE")
        clock.move_to(at(10, 30))
        end(session)
        # What was told a moment ago rests, and its end with it.
        eventually(lambda: clock.shift(timedelta(seconds=1)) or network.received.of("cdrs"))

    [cdr] = network.received.of("cdrs").values()
    assert network.received.of("sessions")[key]["status"] == "COMPLETED"
    assert (cdr["session_id"], cdr["booking_id"]) == (str(session.pk), booking.reference)
