"""A gateway is killed after each commit point of a whole visit; a fresh one must end in the same right state."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from depots.models import ChargerCommand, ChargingSession
from depots.operations import queue_command
from depots.queries import armed_reservations, is_online
from simulators.charger import CsmsSilent
from tests.factories import NOW, make_charger, make_evse
from tests.scenarios.bed import Bed, ScriptedCharger, eventually
from tests.scenarios.gateway_processes import GatewayProcesses, gateway_processes
from tests.serving import on_test_database

pytestmark = pytest.mark.usefixtures("gate")

TOKEN = "04AABBCCDD10"
COMMIT_POINTS = [
    "find_known",
    "open_connection",
    "record_boot",
    "report_status",
    "reconcile",
    "take_command",
    "settle_command",
    "record_capabilities",
    "authorize",
    "start_session",
    "record_transaction",
    "add_readings",
    "stop_session",
]
# Where a version has no such step, the other one has.
PROTOCOL = {"record_transaction": "ocpp2.0.1"}


class Visit:
    """A truck's visit to a charger, which goes on wherever it was interrupted."""

    def __init__(self, charger: ScriptedCharger) -> None:
        self.charger = charger
        self.has_booted = self.has_charged = False
        self.transaction = None

    def go_on(self) -> None:
        """Raises what an interruption raises; finished when it returns."""
        if not self.charger.is_connected:
            self.charger.connect()
            if not self.has_booted:
                self.charger.boot()
                self.has_booted = True
            self.charger.report_all()
            self.charger.flush()
        if self.transaction is None:
            # A truck that came before the answer is written down would make the reservation be asked for again.
            eventually(lambda: self._is_reserved() or not self.charger.is_connected)
            if not self.charger.is_connected:  # offline it would decide by itself
                raise CsmsSilent("the gateway has died")
            self.transaction = self.charger.tap(1, TOKEN)
        if not self.has_charged:
            # Little enough that a gateway whose clock stands still takes the charger's for right.
            self.charger.sim.clock.advance(seconds=8)
            self.charger.charge(1, timedelta(minutes=10), power_w=60_000)
            self.has_charged = True
        if self.charger.station.evses[1].transaction is not None:
            self.charger.stop(1)
        if self.charger.outbox:
            raise CsmsSilent("the rest waits for the next connection")

    def _is_reserved(self) -> bool:
        return ChargerCommand.objects.filter(action="reserve", state="answered").exists()


@pytest.fixture(scope="module")
def nursery(django_db_setup: None, django_db_blocker, tmp_path_factory) -> Iterator[GatewayProcesses]:
    with django_db_blocker.unblock():
        environment = on_test_database(var=tmp_path_factory.mktemp("var"))
    with gateway_processes(environment) as processes:
        yield processes


@pytest.mark.parametrize("point", COMMIT_POINTS)
def test_a_kill_after_any_commit_loses_and_doubles_nothing(bed: Bed, nursery: GatewayProcesses, point: str):
    row = make_charger()
    make_evse(charger=row)
    charger = bed.charger(row, PROTOCOL.get(point, "ocpp1.6"), evses=1)
    expires = {"expires_at": "2030-01-15T09:00:00Z"}
    payload = {"reservation_id": 7, "evse": 1, "token": TOKEN, "token_type": "RFID", "group": "B7", **expires}
    queue_command(charger=row, action="reserve", payload=payload, reservation_id=7, now=NOW)
    visit = Visit(charger)

    dying = nursery.start(gate="tests.scenarios.bed.may_charge", dies_after=point)
    charger.sim.url = dying.url
    with suppress(CsmsSilent, ConnectionClosed, InvalidHandshake, OSError, EOFError):
        visit.go_on()
    eventually(lambda: not dying.is_alive)

    charger.sim.url = bed.gateway.url
    charger.drop()
    visit.go_on()

    session = ChargingSession.objects.get()
    assert (session.is_entitled, session.energy_wh, session.stop_reason) == (True, 10_000, "Local")
    assert session.readings.filter(power_w=60_000).count() == 1
    eventually(lambda: not ChargerCommand.objects.filter(state__in=["queued", "sent"]).exists())
    reserved = ChargerCommand.objects.filter(action="reserve", state="answered")
    assert set(reserved.values_list("answer", flat=True)) == {"accepted"}
    assert not charger.station.reservations
    assert armed_reservations(row, now=NOW) == []
    row.refresh_from_db()
    assert is_online(row, now=NOW)
    assert row.told["asked_at"]
