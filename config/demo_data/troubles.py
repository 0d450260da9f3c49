"""The last days of the simulated chargers: when they were connected, and when one was not in order, as they told it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from bookings.models import Occupancy
from config.demo_data.demo_depots import SIMULATED
from config.demo_data.past_sessions import report
from config.demo_data.replay import Happening, History
from depots.models import Charger, ChargingState, Evse
from depots.operations.state_history import note_offline, note_online
from depots.periods import Period

# More than the bar of a charger's page shows, and what its figures of seven days are of.
BEGUN_BEFORE = timedelta(days=9)


class Trouble(NamedTuple):
    """Of an EVSE, or with `status` None of its charger, which was then without connection; left out where a booking has
    the EVSE at that time."""

    uid: str
    before: timedelta
    lasts: timedelta
    status: Evse.Status | None
    error_code: str = ""


_F, _U = Evse.Status.FAULTED, Evse.Status.UNAVAILABLE
TROUBLES = [
    Trouble(uid, timedelta(days=days, hours=hours), timedelta(minutes=minutes), status, error)
    for uid, days, hours, minutes, status, error in (
        ("HAM-2-2", 5, 3, 95, _F, "ConnectorLockFailure"), ("HAM-2-2", 2, 9, 40, _F, "ConnectorLockFailure"),
        ("HAM-3-1", 3, 6, 25, None, ""), ("LNZ-2-1", 4, 1, 210, _F, "GroundFailure"), ("LNZ-1-2", 1, 5, 55, _U, ""),
        ("VEN-03-1", 6, 2, 130, _F, "HighTemperature"), ("VEN-12-2", 2, 4, 15, None, ""), ("VEN-01-2", 1, 8, 20, None, ""),
        ("DUB-2-1", 3, 11, 330, _F, "PowerMeterFailure"), ("DUB-1-2", 1, 3, 12, None, ""),
        ("VNO-2-2", 5, 7, 480, _F, "EVCommunicationError"), ("LIS-1-1", 4, 10, 45, None, ""), ("LIS-2-2", 2, 2, 70, _U, ""),
    )
]  # fmt: skip


def plan_troubles(history: History) -> None:
    """Tell of them in their turn: statuses count in the order they arrive."""
    history.plan(history.now - BEGUN_BEFORE, _connect)
    evses = {evse.uid: evse for evse in Evse.objects.select_related("charger")}
    for trouble in TROUBLES:
        history.plan(history.now - trouble.before, _befalls(evses[trouble.uid], trouble))


def _connect(at: datetime) -> tuple[()]:
    """All of them come online and tell how their EVSEs are."""
    for charger in Charger.objects.filter(identity__in=SIMULATED).prefetch_related("evses").order_by("pk"):
        note_online(charger.pk, now=at)
        for evse in charger.evses.all():
            report(evse, Evse.Status.AVAILABLE, ChargingState.UNPLUGGED, at)
    return ()


def _befalls(evse: Evse, trouble: Trouble) -> Happening:
    def happens(at: datetime) -> list[tuple[datetime, Happening]]:
        if Occupancy.objects.filter(evse=evse, span__overlap=Period(at, at + trouble.lasts)).exists():
            return []
        if trouble.status is not None:
            report(evse, trouble.status, ChargingState.UNPLUGGED, at, error_code=trouble.error_code)
        elif evse.charger is not None:
            note_offline([evse.charger], at=at)
        return [(at + trouble.lasts, over)]

    def over(at: datetime) -> tuple[()]:
        if trouble.status is not None:
            report(evse, Evse.Status.AVAILABLE, ChargingState.UNPLUGGED, at)
        elif evse.charger_id is not None:
            note_online(evse.charger_id, now=at)
        return ()

    return happens
