"""A scripted day at a charger, moved on step by step: by a test's clock, or by one that may run faster (day_run.py)."""

from __future__ import annotations

import contextlib
import heapq
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from simulators.charger.charger import SimulatedCharger
from simulators.charger.csms_connection import CsmsError, CsmsSilent
from simulators.charger.day_script import (
    Breakdown,
    Change,
    ChargerScript,
    Event,
    Offline,
    PartProblem,
    Restart,
    SecurityEvent,
    Visit,
    WrongClock,
)
from simulators.charger.reports import Reports
from simulators.charger.station import Transaction
from simulators.charger.truck import Truck

logger = logging.getLogger(__name__)

TRIES_AGAIN_AFTER = timedelta(minutes=1)
SAMPLE_EVERY = timedelta(minutes=1)
# A truck that was cut off is plugged in again after this.
COMES_BACK_AFTER = timedelta(minutes=2)
TROUBLE = (OSError, InvalidHandshake, ConnectionClosed, CsmsError, CsmsSilent)


@dataclass
class TruckStory:
    """What a truck got. `outcome`: waiting, charging, charged, left (before it had what it wanted), or why it got nothing:
    refused, bay_taken, out_of_order, no_answer."""

    truck: str
    charger: str
    evse: int
    token: str
    came_at: datetime
    outcome: str = "waiting"
    refusals: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    left_at: datetime | None = None
    energy_wh: int = 0
    soc_percent: float = 0.0
    interruptions: int = 0

    def as_json(self) -> dict[str, Any]:
        told = asdict(self)
        return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in told.items()}


@dataclass
class _Stay:
    """A truck in the yard."""

    visit: Visit
    story: TruckStory
    battery: Truck
    leaves_at: datetime
    transaction: Transaction | None = None


@dataclass
class ChargerDay:
    """`advance()` does all that is due by the charger's `clock`, in the order of its times. The same script gives the same
    day."""

    charger: SimulatedCharger
    script: ChargerScript
    begins_at: datetime
    stories: list[TruckStory] = field(default_factory=list)
    _due: list[tuple[datetime, int, Callable[[], Awaitable[None]]]] = field(default_factory=list)
    _order: Any = field(default_factory=count)
    _stays: list[_Stay] = field(default_factory=list)
    _away: int = 1
    _moved_at: datetime | None = None
    _beats_at: datetime | None = None

    def __post_init__(self) -> None:
        self._reports = Reports(self.charger)
        self.charger.on_reset = self.charger.reset
        self.charger.vehicles_stay = True
        self._soon(self.begins_at, self._come_back)
        for event in self.script.events:
            self.add(event)

    def add(self, event: Event) -> None:
        """One more, which the script did not have."""
        self._soon(self.begins_at + event.at, partial(self._happen, event))

    def is_waiting(self, visit: Visit) -> bool:
        """Is the truck there and has not charged yet?"""
        return any(stay.visit is visit and stay.story.started_at is None for stay in self._stays)

    async def call_off(self, visit: Visit) -> None:
        """A truck that waits drives on."""
        for stay in [each for each in self._stays if each.visit is visit]:
            await self._give_up(stay)

    @property
    def is_over(self) -> bool:
        return not self._due and not self._stays

    async def advance(self) -> None:
        now = self.charger.clock()
        while self._due and self._due[0][0] <= now:
            at, _, happen = heapq.heappop(self._due)
            await self._fill_until(min(at, now))
            await happen()
        await self._fill_until(now)
        await self._keep_in_touch(now)

    async def _happen(self, event: Event) -> None:
        match event:
            case Visit():
                await self._arrive(event)
            case Restart():
                await self._lose_power(event.during)
            case Offline():
                await self._go_away()
                self._later(event.during, self._come_back)
            case Breakdown():
                await self._break(event)
            case WrongClock():
                self.charger.clock_offset = event.ahead
            case Change():
                self.charger.behave(event.behaviour)
            case SecurityEvent():
                await self._reports.tell_security_event(event)
            case PartProblem():
                await self._reports.tell_problem(event)
                if event.during is not None:
                    self._later(event.during, partial(self._reports.tell_problem, event, is_over=True))

    async def _arrive(self, visit: Visit) -> None:
        now = self.charger.clock()
        story = TruckStory(visit.truck, self.charger.identity, visit.evse, visit.token.uid, now)
        story.soc_percent = visit.soc_percent
        self.stories.append(story)
        stay = _Stay(visit, story, visit.battery(self.begins_at), leaves_at=now + visit.stays)
        self._stays.append(stay)
        await self._try(stay)

    async def _try(self, stay: _Stay) -> None:
        """Start, or try again in a minute, and for the last time when the driver has waited long enough."""
        if stay not in self._stays or stay.transaction is not None:
            return
        stay.story.outcome = await self._start(stay)
        if stay.story.outcome == "charging":
            return
        now = self.charger.clock()
        patient_for = min(stay.battery.comes_at + stay.visit.waits, stay.leaves_at) - now
        if patient_for > timedelta():
            self._later(min(TRIES_AGAIN_AFTER, patient_for), partial(self._try, stay))
        else:
            await self._give_up(stay)

    async def _start(self, stay: _Stay) -> str:
        """The outcome so far."""
        station, number = self.charger.station, stay.visit.evse
        evse = station.evses[number]
        if any(other.story.evse == number and other.transaction for other in self._stays) or (
            evse.is_plugged and not self._is_plugged_by(stay)
        ):
            return "bay_taken"
        if station.status(number) in {"Faulted", "Unavailable"}:
            return "out_of_order"
        try:
            if stay.visit.plugs_in_first and not evse.is_plugged:
                await self.charger.plug_in(number)
            begun = await self.charger.tap(number, stay.visit.token, soc_percent=stay.story.soc_percent)
        except TROUBLE:
            return "no_answer"
        if begun is None:
            stay.story.refusals += 1
            return "refused"
        stay.transaction = begun
        stay.story.started_at = stay.story.started_at or self.charger.clock()
        return "charging"

    def _is_plugged_by(self, stay: _Stay) -> bool:
        """Is its cable the one in the EVSE? One that has charged is plugged in until it leaves; of those that plug in before
        they identify it is the first."""
        there = (each for each in self._stays if each.visit.evse == stay.visit.evse)
        here = [each for each in there if each.story.started_at or each.visit.plugs_in_first]
        return bool(here) and here[0] is stay

    async def _fill_until(self, now: datetime) -> None:
        """Let time pass: batteries fill, and who has what it wants stops."""
        passed = max(timedelta(), now - (self._moved_at or now))
        self._moved_at = now
        await self.charger.expire()
        for stay in list(self._stays):
            if stay.transaction is None:
                self._find_remote_start(stay)
            elif self.charger.station.evses[stay.visit.evse].transaction is not stay.transaction:
                await self._cut_off(stay)
            else:
                await self._fill(stay, stay.transaction, passed)

    def _find_remote_start(self, stay: _Stay) -> None:
        """A truck with its cable in that the CSMS starts."""
        running = self.charger.station.evses[stay.visit.evse].transaction
        taken = {each.transaction.id for each in self._stays if each.transaction}
        if running and running.id not in taken and self._is_plugged_by(stay):
            stay.transaction = running
            stay.story.outcome, stay.story.started_at = "charging", self.charger.clock()

    async def _fill(self, stay: _Stay, running: Transaction, passed: timedelta) -> None:
        before_wh, soc = running.meter_wh, stay.story.soc_percent
        power_w = stay.battery.power_w(soc)
        self.charger.station.deliver(stay.visit.evse, passed, power_w=power_w)
        self._count(stay, running.meter_wh - before_wh)
        running.soc_percent = stay.story.soc_percent
        now = self.charger.clock()
        if stay.story.soc_percent >= stay.battery.leaves_at_percent or now >= stay.leaves_at:
            await self._end(stay)
        elif running.sampled_at is None or now - running.sampled_at >= SAMPLE_EVERY:
            await self.charger.charge(stay.visit.evse, timedelta(), power_w=power_w)

    def _count(self, stay: _Stay, energy_wh: int) -> None:
        stay.story.energy_wh += energy_wh
        stay.story.soc_percent = min(
            100.0, stay.story.soc_percent + energy_wh / stay.battery.battery_wh * 100
        )

    async def _end(self, stay: _Stay) -> None:
        """It has what it wants, or has to go; it may block the bay for a while."""
        stay.story.outcome = "charged" if stay.story.soc_percent >= stay.battery.leaves_at_percent else "left"
        stay.story.ended_at = self.charger.clock()
        overstays = bool(stay.visit.overstays)
        await self.charger.stop(stay.visit.evse, stays=overstays)
        stay.transaction = None
        if overstays:
            self._later(stay.visit.overstays, partial(self._drive_off, stay))
        else:
            await self._drive_off(stay)

    async def _cut_off(self, stay: _Stay) -> None:
        """The charger, or the CSMS, has ended it. The driver tries once more."""
        stay.transaction = None
        stay.story.interruptions += 1
        stay.story.ended_at = self.charger.clock()
        stay.story.outcome = "left"
        stay.battery.comes_at = self.charger.clock()
        self._later(COMES_BACK_AFTER, partial(self._try, stay))

    async def _give_up(self, stay: _Stay) -> None:
        if self._is_plugged_by(stay):
            await self.charger.unplug(stay.visit.evse)
        await self._drive_off(stay)

    async def _drive_off(self, stay: _Stay) -> None:
        stay.story.left_at = self.charger.clock()
        self._stays.remove(stay)
        if self.charger.station.evses[stay.visit.evse].has_charged:
            await self.charger.unplug(stay.visit.evse)

    async def _lose_power(self, during: timedelta) -> None:
        await self._go_away()
        await self.charger.power_down("PowerLoss")
        self._later(during, self._come_back)

    async def _break(self, event: Breakdown) -> None:
        is_plugged = self.charger.station.evses[event.evse].is_plugged
        await self.charger.stop(event.evse, "Other", stays=is_plugged)
        await self.charger.fault(event.evse)
        self._later(event.during, partial(self.charger.fault, event.evse, False))

    async def _go_away(self) -> None:
        self._away += 1
        await self.charger.drop()

    async def _come_back(self) -> None:
        self._away -= 1

    async def _keep_in_touch(self, now: datetime) -> None:
        """Connected unless it is away. What fails is tried again with the next step."""
        if self._away:
            return
        try:
            if not self.charger.is_connected or not self.charger.has_booted:
                await self.charger.come_back()
                self._beats_at = now + timedelta(seconds=self.charger.heartbeat_s)
                await self._reports.flush()
            elif self._beats_at is not None and now >= self._beats_at:
                await self.charger.heartbeat()
                self._beats_at = now + timedelta(seconds=self.charger.heartbeat_s)
        except TROUBLE as trouble:
            logger.warning("%s is offline: %s", self.charger.identity, trouble)
            await self.charger.drop()

    def _soon(self, at: datetime, happen: Callable[[], Awaitable[None]]) -> None:
        heapq.heappush(self._due, (at, next(self._order), happen))

    def _later(self, after: timedelta, happen: Callable[[], Awaitable[None]]) -> None:
        self._soon(self.charger.clock() + after, happen)


def make_day(script: ChargerScript, begins_at: datetime) -> ChargerDay:
    return ChargerDay(SimulatedCharger(script.options), script, begins_at)


async def close(days: list[ChargerDay]) -> None:
    for day in days:
        with contextlib.suppress(*TROUBLE):
            await day.charger.disconnect()
