"""A morning at a depot: eight chargers with faults of every kind, eleven booked trucks, three strangers.

Trucks go where their booking says they are expected, as a driver does who looks at it, and drive on when it is moved. Where
an EVSE is kept out of service for them they check in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bookings import operations, scheduler
from bookings.models import Booking
from depots import secrets
from depots.models import Charger, ChargerCommand, Depot, Evse
from depots.queries import is_online
from simulators.charger import ChargerOptions, IdToken
from simulators.charger.behaviour import Behaviour
from simulators.charger.day import ChargerDay, make_day
from simulators.charger.day_script import Breakdown, ChargerScript, Event, Offline, Restart, Visit
from tests.factories import (
    DISPATCHER,
    NOW,
    book_slot,
    make_charger,
    make_depot,
    make_evse,
    make_option,
    make_vehicle,
    slot,
)
from tests.scenarios.bed import PASSWORD, Loop, eventually

TERMS = {
    "arm_lead_min": 15,
    "early_start_min": 10,
    "no_show_min": 15,
    "turnaround_min": 0,
    "overstay": "tell",
}
# The night before a busy morning.
BOOKED_AT = NOW - timedelta(hours=1)
STRANGER = "0BADCAFE"


def after(hours: int, minutes: int = 0) -> timedelta:
    return timedelta(hours=hours, minutes=minutes)


# Since the beginning; first and last minute of each.
EVENTFUL = (
    (after(0, 44), after(1, 10)),
    (after(1, 59), after(2, 3)),
    (after(2, 15), after(2, 16)),
    (after(2, 59), after(3, 5)),
    (after(3, 59), after(4, 1)),
)
PROTOCOLS = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
CHARGERS: dict[str, tuple[str, Behaviour, tuple[Event, ...]]] = {
    "HONEST": ("ocpp1.6", Behaviour(), ()),
    # Power fails at the very start of a slot, and it forgets what it held.
    "RESTARTS": ("ocpp2.0.1", Behaviour(), (Restart(after(1), after(0, 3)),)),
    "LIES": ("ocpp1.6", Behaviour(lies=True, oddities=("with_short_offset", "fields_too_many")), ()),
    "REFUSES": ("ocpp2.1", Behaviour(refuses={"ReserveNow": "NotSupported"}), ()),
    "BREAKS": ("ocpp1.6", Behaviour(), (Breakdown(after(0, 55), 1, after(3)),)),
    # The network is away over the start of a slot; the holder of the reservation starts all the same.
    "OFFLINE": ("ocpp2.0.1", Behaviour(), (Offline(after(0, 50), after(0, 30)),)),
    "FORGETS": ("ocpp1.6", Behaviour(forgets_after_min=5, clock_s=-90), ()),
    "OCCUPIED": ("ocpp2.1", Behaviour(occupied=True), ()),
}


@dataclass(frozen=True)
class Trip:
    """A booked truck: at which charger, from when to when, and when it really comes (None: never) and stays."""

    truck: str
    charger: str
    starts: int
    ends: int
    comes: timedelta | None
    overstays: timedelta = timedelta()
    was_servable: bool = True


TRIPS = (
    Trip("on time", "HONEST", 9, 10, after(1, 2)),
    Trip("at a charger that restarts", "RESTARTS", 9, 10, after(1, 1)),
    Trip("at a charger that lies", "LIES", 9, 10, after(1, 5)),
    Trip("at a charger that refuses", "REFUSES", 9, 10, after(1, 5)),
    Trip("at a charger that breaks", "BREAKS", 9, 10, after(1, 3)),
    Trip("at a charger that is offline", "OFFLINE", 9, 10, after(1, 4)),
    Trip("at a charger that forgets", "FORGETS", 9, 10, after(1, 9)),
    Trip("at a charger that is always occupied", "OCCUPIED", 9, 10, after(1, 4)),
    Trip("stays too long", "HONEST", 10, 11, after(2), overstays=after(0, 40)),
    Trip("after one that stays too long", "HONEST", 11, 12, after(3, 1)),
    Trip("never comes", "LIES", 10, 11, None, was_servable=False),
)
# Somebody without a booking tries each charger that keeps no reservations shortly before its truck comes.
STRANGERS = (("LIES", after(1, 1)), ("REFUSES", after(1, 1)), ("FORGETS", after(1, 6)))


def check_in(booking: Booking, now: datetime) -> None:
    operations.start_remotely(booking_id=booking.pk, actor=DISPATCHER, now=now)


@dataclass
class DepotDay:
    """`connected_to` gives the gateway's address, starting one where there is none. `mix` gives each charger the version of
    OCPP that is so many further on; `tick` and `check_in` are the worker's and the web's part."""

    clock: Any
    loop: Loop
    connected_to: Callable[[], str]
    mix: int = 0
    tick: Callable[[datetime], None] = scheduler.run_tick
    check_in: Callable[[Booking, datetime], None] = check_in
    days: dict[str, ChargerDay] = field(default_factory=dict)
    bookings: dict[str, Booking] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    sent: dict[str, tuple[str, Visit]] = field(default_factory=dict)

    def set_up(self) -> Depot:
        depot = make_depot(terms=TERMS, fallbacks=["availability"])
        rows = {name: self._charger(depot, name) for name in CHARGERS}
        spare = [make_evse(charger=row, status=Evse.Status.AVAILABLE, option=False) for row in rows.values()]
        option = make_option(*spare, code="ANY")
        firsts = {name: spare[number] for number, name in enumerate(rows)}
        # Two more plugs in the yard, for whoever has to be moved.
        option.evses.add(
            *(
                make_evse(charger=rows[name], status=Evse.Status.AVAILABLE, option=False)
                for name in ("HONEST", "RESTARTS")
            )
        )
        for trip in TRIPS:
            vehicle = make_vehicle(plate=trip.truck[:20])
            period = slot(trip.starts, trip.ends)
            self.bookings[trip.truck] = book_slot(
                vehicle=vehicle,
                fleet=vehicle.fleet,
                option=option,
                evse=firsts[trip.charger],
                period=period,
                now=BOOKED_AT,
            )
            self.tokens[trip.truck] = self.bookings[trip.truck].tokens.get().uid
        for name, (protocol, behaviour, events) in CHARGERS.items():
            settings = ChargerOptions(
                rows[name].identity,
                "",
                PASSWORD,
                PROTOCOLS[(PROTOCOLS.index(protocol) + self.mix) % 3],
                clock=self.clock,
                behaviour=behaviour,
                call_timeout_s=5,
            )
            self.days[name] = self.loop.run(self._day(ChargerScript(settings, events)))
        for name, at in STRANGERS:
            self.days[name].add(Visit(at, f"stranger at {name}", IdToken(STRANGER), 1, waits=after(0, 2)))
        return depot

    def live(self) -> None:
        """Minute by minute where something changes, else in steps of ten."""
        while (since := self.clock.now - NOW) < after(4, 30):
            ahead = [first - since for first, last in EVENTFUL if since < last]
            step = max(after(0, 1), min([after(0, 10), *ahead]))
            self.clock.advance(minutes=step // after(0, 1))
            self.step()

    def step(self) -> None:
        """One minute of everybody: the scheduler, the chargers, and what the gateway has to tell them."""
        self._point_at(self.connected_to())
        self.tick(self.clock.now)
        self._drive()
        self.loop.run(self._advance())
        self._settle()

    def story_of(self, truck: str) -> str:
        """For whoever has to find out why."""
        events = self.bookings[truck].events.order_by("id")
        told = [f"{each.at:%H:%M} {each.kind} {each.before}-{each.after} {each.detail}" for each in events]
        seen = [
            story.as_json() for day in self.days.values() for story in day.stories if story.truck == truck
        ]
        return "\n".join([truck, *told, *map(str, seen)])

    def close(self) -> None:
        for day in self.days.values():
            self.loop.run(day.charger.drop())

    def _charger(self, depot: Depot, name: str) -> Charger:
        row = make_charger(depot, identity=f"{name}-{depot.pk}")
        row.password_salt, row.password_hash = secrets.hash_charger_password(PASSWORD)
        row.save(update_fields=["password_salt", "password_hash"])
        return row

    async def _day(self, script: ChargerScript) -> ChargerDay:
        return make_day(script, NOW)

    def _point_at(self, url: str) -> None:
        for day in self.days.values():
            day.charger.url = url

    def _drive(self) -> None:
        """Trucks come when they come, to where their booking is, and drive on where it was moved meanwhile."""
        since = self.clock.now - NOW
        coming = {
            self.bookings[trip.truck].pk: trip
            for trip in TRIPS
            if trip.comes is not None and trip.comes <= since
        }
        open_ones = Booking.objects.filter(
            pk__in=coming, status__in=["confirmed", "charging"], evse__isnull=False
        )
        for booking in open_ones.select_related("evse__charger").order_by("pk"):
            self._send(coming[booking.pk], booking, since)
            self._check_in(coming[booking.pk], booking)

    def _send(self, trip: Trip, booking: Booking, since: timedelta) -> None:
        name, number = booking.evse.charger.identity.split("-")[0], booking.evse.number
        if trip.truck in self.sent:
            there, visit = self.sent[trip.truck]
            if (there, visit.evse) == (name, number) or not self.days[there].is_waiting(visit):
                return
            self.loop.run(self.days[there].call_off(visit))
        stay = timedelta(hours=trip.ends - 8) - max(since, timedelta(hours=trip.starts - 8))
        visit = Visit(
            since,
            trip.truck,
            IdToken(self.tokens[trip.truck]),
            number,
            until_percent=100,
            stays=stay,
            overstays=trip.overstays,
            plugs_in_first=booking.evse.kept_for is not None,
        )
        self.sent[trip.truck] = name, visit
        self.days[name].add(visit)

    def _check_in(self, trip: Trip, booking: Booking) -> None:
        """Where the EVSE is out of service for it, and the driver stands there."""
        name, visit = self.sent[trip.truck]
        is_there = booking.status == "confirmed" and self.days[name].is_waiting(visit)
        if is_there and is_online(booking.evse.charger, now=self.clock.now) and booking.evse.kept_for:
            self.check_in(booking, self.clock.now)

    async def _advance(self) -> None:
        await asyncio.gather(*(day.advance() for day in self.days.values()))
        await asyncio.gather(*(day.charger.idle() for day in self.days.values()))

    def _settle(self) -> None:
        """Until the gateway has told each connected charger all it has to."""
        eventually(self._is_settled)

    def _is_settled(self) -> bool:
        connected = [day.charger.identity for day in self.days.values() if day.charger.is_connected]
        now = self.clock.now
        waiting = ChargerCommand.objects.filter(charger__identity__in=connected, state__in=["queued", "sent"])
        fresh = Charger.objects.filter(identity__in=connected, lease_holder="")
        return not waiting.exclude(not_before__gt=now).exists() and not fresh.exists()
