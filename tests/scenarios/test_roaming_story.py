"""The whole of roaming between processes: our server and worker as users run them, and a partner network beside them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from bookings.models import Booking, BookingOption
from bookings.operations import cancel_booking
from bookings.search.bookable import bookable_options
from depots.models import Agreement
from depots.periods import Period
from roaming import registration
from roaming.models import Partner
from simulators.partner import PartnerSettings, SimulatedPartner
from tests.factories import (
    DISPATCHER,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_vehicle,
    option_of,
)
from tests.roaming.running import eventually, fresh
from tests.serving import MANAGE, BerthServer, on_test_database

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def working(var: Path) -> Iterator[subprocess.Popen[str]]:
    """A worker process, stopped at the end unless the test has killed it."""
    process = subprocess.Popen(
        [sys.executable, MANAGE, "worker"],
        env={**os.environ, **on_test_database(var=var)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert any(line.startswith("Working") for line in process.stdout), "the worker ended"
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[SimulatedPartner]:
    with SimulatedPartner(
        PartnerSettings(tmp_path / "network.json", decide_after=timedelta(seconds=1))
    ) as partner:
        yield partner


@pytest.fixture
def option(berth_server: BerthServer) -> BookingOption:
    found = option_of(make_evse(make_depot(make_operator(country_code="NL", cpo_party_id="LPK"))))
    Agreement.objects.update(starts_at=datetime(2020, 1, 1, tzinfo=UTC))
    return found


def hour(of_tomorrow: int) -> Period:
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return Period(midnight + timedelta(hours=of_tomorrow), midnight + timedelta(hours=of_tomorrow + 1))


def register(network: SimulatedPartner, server: BerthServer) -> Partner:
    invitation = registration.invite(
        name="Simulated", country_code="FR", party_id="SIM", roles=["CPO", "EMSP"], now=timezone.now()
    )
    network.registration.register(f"{server.url}/ocpi/versions", invitation.token_a)
    return invitation.partner


def test_a_partner_books_changes_and_cancels_and_holds_the_final_state(
    berth_server: BerthServer, network: SimulatedPartner, option: BookingOption, tmp_path: Path
) -> None:
    with working(tmp_path):
        register(network, berth_server)
        key = f"NL/LPK/{option.code}".upper()
        offer = eventually(lambda: network.received.of("booking_locations").get(key), "the offer is pushed")
        assert offer["calendars"]

        made = network.emsp.ask(offer, hour(10).starts_at, hour(10).ends_at)
        assert made["reservation_status"] == "RESERVED"
        request_id = made["request_id"]
        changed = network.emsp.ask(offer, hour(12).starts_at, hour(12).ends_at, request_id=request_id)
        assert changed["id"] == made["id"]
        eventually(lambda: busy(network, key, hour(12)), "the calendar without the booked hour is pushed")

    # No worker now: the cancellation is answered, and told when there is one again.
    reason = {"cancellation_reason": "TRAFFIC", "who_canceled": "EMSP"}
    given_up = network.emsp.ask(
        offer, hour(12).starts_at, hour(12).ends_at, request_id=request_id, canceled=reason
    )
    assert given_up["reservation_status"] == "CANCELED"
    with working(tmp_path):
        mine = f"NL/LPK/{made['id']}".upper()
        held = eventually(
            lambda: (
                (b := network.received.of("bookings").get(mine))
                and b["reservation_status"] == "CANCELED"
                and b
            )
        )
        assert held["canceled"] == reason
        assert [r["request_status"] for r in held["booking_requests"]] == ["ACCEPTED"] * 3
        eventually(lambda: not busy(network, key, hour(12)), "the hour is free again")


def busy(network: SimulatedPartner, key: str, period: Period) -> bool:
    """Does the calendar a partner holds show this hour as taken?"""
    slots = [
        s
        for c in network.received.of("booking_locations")[key]["calendars"]
        for s in c["available_timeslots"]
    ]
    spans = [[datetime.fromisoformat(s[f"{end}_date_time"]) for end in ("start", "end")] for s in slots]
    return not any(start <= period.starts_at and period.ends_at <= end for start, end in spans)


def test_a_fleet_books_at_a_partner_and_a_killed_worker_loses_nothing(
    berth_server: BerthServer, network: SimulatedPartner, option: BookingOption, tmp_path: Path
) -> None:
    fleet = make_fleet("Nordfracht", emsp_party_id="NFE")
    vehicle = make_vehicle(fleet, connector_standards=["IEC_62196_T2_COMBO", "MCS"])
    register(network, berth_server)

    def ask(code: str, at_hour: int) -> Booking:
        return book_slot(
            fleet=fleet,
            option=BookingOption.objects.get(code=code),
            period=hour(at_hour),
            vehicle=vehicle,
            actor=DISPATCHER,
            now=timezone.now(),
        )

    with working(tmp_path) as worker:
        eventually(
            lambda: bookable_options(fleet, now=timezone.now()).filter(is_mirror=True).count() == 3,
            "the offers are read, and where they are",
        )
        at_once = ask("SIM-LYON-CCS", 10)
        eventually(lambda: fresh(at_once).status == "confirmed")
        worker.send_signal(signal.SIGKILL)
        worker.wait(timeout=60)
    later = ask("SIM-METZ-MCS", 12)
    cancel_booking(booking_id=at_once.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=timezone.now())

    with working(tmp_path):
        # One that was killed with a lease in its hands is waited for that long.
        eventually(lambda: is_settled(later, "confirmed") and is_settled(at_once, "cancelled"))

    theirs: dict[str, Any] = network.desk.bookings()
    assert {b["reservation_status"] for b in theirs.values()} == {"RESERVED", "CANCELED"}
    assert len(theirs) == 2


def is_settled(booking: Booking, status: str) -> bool:
    row: Booking = fresh(booking)
    return row.status == status
