"""Bookings at EVSEs whose chargers are connected: what they are told, and what they answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bookings import enforcement
from bookings.models import Booking
from depots import operations as depots
from depots.models import Charger, ChargerCommand, ChargingSession, Evse, SettingsCheck
from depots.periods import Period
from tests.factories import (
    DISPATCHER,
    NOW,
    at,
    book_slot,
    make_depot,
    make_evse,
    make_vehicle,
    option_of,
    slot,
)

TERMS: dict[str, Any] = {"arm_lead_min": 15, "early_start_min": 15, "no_show_min": 15, "turnaround_min": 0}


def online(charger: Charger, **fields: Any) -> Charger:
    fields = {"lease_holder": "gw", "lease_until": at(23), "connected_at": NOW, **fields}
    Charger.objects.filter(pk=charger.pk).update(**fields)
    charger.refresh_from_db()
    # Its settings were looked through: a tick has no reason to ask for them.
    SettingsCheck.objects.get_or_create(charger=charger, defaults={"began_at": NOW, "stage": "done"})
    return charger


def evse_online(depot: Any = None, **fields: Any) -> Evse:
    evse = make_evse(depot or make_depot(terms=TERMS), status=Evse.Status.AVAILABLE, **fields)
    assert evse.charger is not None
    online(evse.charger)
    return evse


def book(evse: Evse, period: Period = slot(10, 11), now: datetime = NOW, **wishes: Any) -> Booking:
    vehicle = wishes.pop("vehicle", None) or make_vehicle()
    asked = {"fleet": vehicle.fleet, "option": option_of(evse), "actor": DISPATCHER, "now": now, **wishes}
    return book_slot(vehicle=vehicle, period=period, **asked)


def commands(charger: Charger | None = None) -> list[tuple[str, int | None]]:
    rows = ChargerCommand.objects.exclude(action="ask_capabilities").order_by("id")
    return [(c.action, c.reservation_id) for c in (rows.filter(charger=charger) if charger else rows)]


def answer(text: str, *, now: datetime, state: str = "answered") -> ChargerCommand:
    command = ChargerCommand.objects.filter(action="reserve").latest("id")
    return depots.settle_command(command_id=command.pk, state=state, answer=text, now=now)


def armed(booking: Booking, now: datetime = at(9, 45)) -> Booking:
    enforcement.arm_due(now=now)
    answer("accepted", now=now)
    booking.refresh_from_db()
    assert booking.enforcement == "armed"
    return booking


def start(evse: Evse, uid: str, now: datetime) -> ChargingSession:
    begun = depots.Start(evse_number=evse.number, token_uid=uid, key=f"{uid} {now}", at=now, meter_wh=1000)
    return depots.start_session(charger_id=evse.charger_id, start=begun, now=now).session
