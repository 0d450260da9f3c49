"""A simulated day at a depot whose connection cannot feed all its EVSEs: simulated stations that obey charging profiles, one in
amperes, one that forgets them when it restarts, one that is silent for a while; trucks with and without a booking.

Second by second: what is taken, and what every EVSE could take at most, stays within the limit; every promise is kept; and
more is charged than by equal sharing, the same trucks at the same limit. Commands go the whole way as OCPP's own messages, but
for the socket.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from benchmarks.equal_sharing import equal_sharing_wh
from benchmarks.power_figures import AtPlace, Fault, Figures
from benchmarks.result import Result

if TYPE_CHECKING:
    from bookings.models import Booking
    from depots.models import ChargerCommand, ChargingSession, Evse
    from simulators.charger import SimulatedCharger
    from simulators.charger.truck import Truck

GOAL = ">= 1"
SECOND = timedelta(seconds=1)
METER_EVERY_S = 15
ANSWERS_AFTER = timedelta(seconds=1)
# A truck that has just plugged in is told of more by then, and others have given it up.
STARTS_WITHIN = timedelta(seconds=15)
SETTLES_WITHIN = timedelta(seconds=30)


@dataclass
class Visit:
    """A truck at an EVSE (by its place in the site)."""

    place: int
    truck: Truck
    leaves_at: datetime
    booking: Booking | None = None
    session: ChargingSession | None = None
    charged_wh: float = 0
    has_begun: bool = False

    @property
    def comes_at(self) -> datetime:
        return self.truck.comes_at

    def wants_w(self, charged_wh: float) -> int:
        soc = self.truck.soc_percent + charged_wh / self.truck.battery_wh * 100
        return 0 if soc >= 100 else self.truck.power_w(soc)


class PowerDay:
    """`begins_at` to `ends_at`; `step` lets a second pass. The station `ignoring` accepts what it is told, and takes more."""

    def __init__(
        self,
        *,
        evses: int,
        power_kw: int,
        limit_kw: int,
        lasts: timedelta,
        seed: int = 7,
        faults: bool = True,
        ignoring: int | None = None,
    ) -> None:
        from tests.factories import NOW

        self.now = self.begins_at = NOW
        self.ends_at = NOW + lasts
        self.random = Random(f"power day {seed}")
        self._build(evses, power_kw * 1000, limit_kw * 1000)
        if ignoring is not None:
            self.stations[ignoring].station.profiles.obeys = False
        self.figures = Figures(limit_kw * 1000)
        self.visits = self._visits(power_kw * 1000)
        self.faults = self._faults() if faults else []
        self._here: dict[int, Visit] = {}
        self._silent: set[int] = set()
        self._untold: set[int] = set()
        self._cut_off: list[Visit] = []
        self._late: list[Visit] = []
        self._is_told = False

    def _build(self, evses: int, power_w: int, limit_w: int) -> None:
        from bookings.core import power_marks
        from tests.factories import make_depot

        begins = {"walk_in": "anybody", "early_start_min": 0, "turnaround_min": 0, "lead_min": 0}
        lasts = {"slot_step_min": 1, "min_duration_min": 1}
        self.depot = make_depot(grid_limit_w=limit_w, terms=begins | lasts)
        self.evses: list[Evse] = []
        self.stations: list[SimulatedCharger] = []
        for place in range(evses):
            self._add_station(place, power_w)
        power_marks.mark_depot(self.depot.pk, due_at=self.now)

    def run(self) -> Figures:
        while self.now < self.ends_at:
            self.step()
        self.figures.charged_wh = sum(visit.charged_wh for visit in self.visits)
        return self.figures

    def step(self) -> None:
        from bookings import smart_charging

        self.now += SECOND
        self._befall()
        self._come_and_go()
        self._is_told |= bool(smart_charging.plan_due(now=self.now))
        if self._is_told:
            self._carry_out()
        self._charge()

    def _add_station(self, place: int, power_w: int) -> None:
        from simulators.charger import ChargerOptions, SimulatedCharger
        from tests.factories import make_charger, make_evse

        unit = "Current" if place == 1 else "Power"
        row = make_charger(
            self.depot,
            told={"smart_charging": True, "asked_at": self.now.isoformat(),
                  "configuration": {"ChargingScheduleAllowedChargingRateUnit": unit}},
            clock_offset_s=0, lease_holder="day", lease_until=self.ends_at + timedelta(days=1), connected_at=self.now,
        )  # fmt: skip
        self.evses.append(make_evse(charger=row, max_power_w=power_w, status="available"))
        station = SimulatedCharger(
            ChargerOptions(identity=row.identity, url="", evses={1: power_w}, clock=lambda: self.now)
        )
        station.station.profiles.units = frozenset("A" if unit == "Current" else "W")
        station.station.profiles.survive_reboot = False
        self.stations.append(station)

    def _visits(self, power_w: int) -> list[Visit]:
        """One after the other at each EVSE; every fourth comes without a booking."""
        from simulators.charger.truck import Truck

        found = []
        for place in range(len(self.evses)):
            at = self.begins_at + timedelta(minutes=self.random.randint(1, 3))
            while at + timedelta(minutes=2) < self.ends_at:
                leaves_at = at + timedelta(minutes=self.random.randint(30, 90))
                truck = Truck(
                    comes_at=at,
                    battery_wh=self.random.choice([400_000, 540_000, 620_000]),
                    takes_w=self.random.choice([150_000, 250_000, 350_000]),
                    soc_percent=self.random.uniform(20, 85),
                    leaves_at_percent=100,
                )
                visit = Visit(place, truck, leaves_at)
                if self.random.random() < 0.75:
                    visit.booking = self._book(visit, min(truck.takes_w, power_w))
                found.append(visit)
                at = leaves_at + timedelta(minutes=self.random.randint(1, 20))
        return sorted(found, key=lambda visit: visit.comes_at)

    def _book(self, visit: Visit, most_w: int) -> Booking:
        from depots.periods import Period
        from tests.factories import book_slot, make_vehicle, option_of

        vehicle = make_vehicle(max_power_w=most_w)
        self.figures.promised_visits += 1
        return book_slot(
            fleet=vehicle.fleet,
            vehicle=vehicle,
            option=option_of(self.evses[visit.place]),
            period=Period(visit.comes_at, visit.leaves_at),
            now=self.begins_at,
        )

    def _charger_id(self, place: int) -> int:
        charger_id = self.evses[place].charger_id
        assert charger_id is not None
        return charger_id

    def _faults(self) -> list[Fault]:
        third = (self.ends_at - self.begins_at) / 3
        silent_at, reboot_at = self.begins_at + third, self.begins_at + 2 * third
        return [
            Fault("silent", 2, silent_at, silent_at + third / 3),
            Fault("reboot", 3, reboot_at, reboot_at + 20 * SECOND),
        ]

    def _befall(self) -> None:
        from depots import operations as depots

        for fault in self.faults:
            charger_id = self._charger_id(fault.place)
            if fault.begins_at == self.now:
                self._silent.add(fault.place)
                depots.close_connection(charger_id=charger_id, holder="day", now=self.now)
                if fault.kind == "reboot":
                    self._lose_power(fault.place)
            elif fault.ends_at == self.now:
                self._silent.discard(fault.place)
                self._come_back(fault)

    def _lose_power(self, place: int) -> None:
        """Nobody charges, and nothing is given, until it is back; what it was told is forgotten."""
        self.stations[place].station.profiles.forget()
        self._untold.add(place)
        if visit := self._here.pop(place, None):
            self.stations[place].station.end(1)
            visit.leaves_at = self.now
            self._cut_off.append(visit)

    def _come_back(self, fault: Fault) -> None:
        from depots import operations as depots

        charger_id = self._charger_id(fault.place)
        depots.open_connection(
            charger_id=charger_id, holder="day", protocol="ocpp1.6", lease=timedelta(days=1), now=self.now
        )
        if fault.kind == "reboot":
            depots.record_boot(
                charger_id=charger_id,
                vendor="",
                model="",
                serial_number="",
                firmware_version="",
                now=self.now,
            )
        for visit in [visit for visit in self._cut_off if visit.place == fault.place]:
            self._cut_off.remove(visit)
            self._tell_stop(visit)
        for visit in [visit for visit in self._late if visit.place == fault.place]:
            self._late.remove(visit)
            self._tell_start(visit)
        depots.reconcile(charger_id=charger_id, holder="day", rebooted=fault.kind == "reboot", now=self.now)

    def _come_and_go(self) -> None:
        for visit in [one for one in self._here.values() if one.leaves_at <= self.now]:
            self._leave(visit)
        for visit in self.visits:
            is_down = visit.place in self._untold and visit.place in self._silent
            if visit.comes_at == self.now and visit.place not in self._here and not is_down:
                self._here[visit.place] = visit
                visit.has_begun = True
                self._begin(visit)

    def _begin(self, visit: Visit) -> None:
        from simulators.charger import IdToken

        token = visit.booking.tokens.get().uid if visit.booking else "04WALKIN"
        self.stations[visit.place].station.begin(1, IdToken(token))
        if visit.place in self._silent:
            self._late.append(visit)
        else:
            self._tell_start(visit)

    def _tell_start(self, visit: Visit) -> None:
        from depots import operations as depots

        transaction = self.stations[visit.place].station.evses[1].transaction
        if transaction is None:
            return
        begun = depots.Start(
            evse_number=1, token_uid=transaction.token.uid, key=f"{visit.place} {transaction.started_at}",
            at=transaction.started_at, meter_wh=transaction.meter_start_wh,
        )  # fmt: skip
        charger_id = self._charger_id(visit.place)
        visit.session = depots.start_session(charger_id=charger_id, start=begun, now=self.now).session
        transaction.csms_id = int(visit.session.transaction)

    def _leave(self, visit: Visit) -> None:
        """A silent station's truck stays until it can be told of."""
        if visit.place in self._silent:
            visit.leaves_at = self.now + 10 * SECOND
            return
        self.stations[visit.place].station.end(1)
        del self._here[visit.place]
        self._tell_stop(visit)

    def _tell_stop(self, visit: Visit) -> None:
        from depots import operations as depots

        if visit.session is not None:
            meter_wh = self.stations[visit.place].station.evses[1].register_wh
            stop = depots.Stop(transaction=visit.session.transaction, at=self.now, meter_wh=meter_wh)
            depots.stop_session(charger_id=visit.session.charger_id, stop=stop, now=self.now)

    def _carry_out(self) -> None:
        """Stations answer a second later, one command after the other."""
        from depots.models import ChargerCommand

        queued = ChargerCommand.objects.filter(state="queued").order_by("charger_id")
        rows = list(queued.values_list("charger_id", "created_at"))
        self._is_told = bool(rows)
        for charger_id in sorted({pk for pk, at in rows if at <= self.now - ANSWERS_AFTER}):
            place = next(n for n, evse in enumerate(self.evses) if evse.charger_id == charger_id)
            if place not in self._silent:
                self._answer_all(place, charger_id)

    def _answer_all(self, place: int, charger_id: int) -> None:
        from depots import operations as depots

        while command := depots.take_command(charger_id=charger_id, holder="day", now=self.now):
            answer, text = self._answer(self.stations[place], command)
            self.figures.messages += 1
            depots.settle_command(command_id=command.pk, answer=answer, answer_text=text, now=self.now)

    def _answer(self, station: SimulatedCharger, command: ChargerCommand) -> tuple[str, str]:
        from bookings.smart_charging.profile_answers import OF_PROFILES
        from depots.ocpp import v16

        if command.action not in OF_PROFILES:
            return "accepted", ""
        action, payload = v16.request(command)
        answerer: Any = station.ocpp.answers()[action]
        return v16.read_answer(answerer(payload), command.action)

    def _charge(self) -> None:
        places = [self._charge_at(place) for place in range(len(self.stations))]
        figures = self.figures
        taken = sum(place.taken_w for place in places)
        # One that has restarted counts once it was told again: nobody can be quicker.
        possible = sum(place.offered_w for place in places if place.number not in self._untold)
        figures.most_taken_w = max(figures.most_taken_w, taken)
        if taken > figures.limit_w:
            figures.over_s, figures.last_over_at = figures.over_s + 1, self.now
        if self.now - self.begins_at > SETTLES_WITHIN:
            figures.most_possible_w = max(figures.most_possible_w, possible)
        if sum(place.wanted_w for place in places) > taken:
            cause = "being_told" if self._is_told else "silent" if self._silent else "whole_steps"
            figures.ledger.add_second(places, cause, figures.limit_w - possible)

    def _charge_at(self, place: int) -> AtPlace:
        charger = self.stations[place]
        station = charger.station
        if station.profiles.installed:
            self._untold.discard(place)
        offers = station.offered_w(1)
        visit, is_silent = self._here.get(place), place in self._silent
        if visit is None:
            return AtPlace(place, offers, is_silent=is_silent, is_free=True)
        wants = visit.wants_w(visit.charged_wh)
        station.deliver(1, SECOND, power_w=wants)
        got = min(wants, offers)
        visit.charged_wh += got / 3600
        self._check_promise(visit, wants, offers)
        self._meter(visit, place)
        promised = visit.booking.promised_power_w if visit.booking else 0
        most = min(wants, station.evses[1].max_power_w)
        return AtPlace(place, offers, got, most, promised, is_silent)

    def _check_promise(self, visit: Visit, wants: int, offered: int) -> None:
        """Also of a truck at a silent station, but one whose start that has not told yet."""
        if visit.booking is None or self.now >= visit.booking.ends_at:
            return
        if visit.session is None and visit.place in self._silent:
            return
        begun = visit.session.start_received_at if visit.session else self.now
        is_short = offered < min(visit.booking.promised_power_w, wants) * 0.99
        self.figures.short_s += self.now - begun > STARTS_WITHIN and is_short

    def _meter(self, visit: Visit, place: int) -> None:
        from depots import operations as depots

        is_time = int((self.now - self.begins_at).total_seconds()) % METER_EVERY_S == place % METER_EVERY_S
        transaction = self.stations[place].station.evses[1].transaction
        if visit.session is None or transaction is None or place in self._silent or not is_time:
            return
        reading = depots.Reading(self.now, transaction.meter_wh, power_w=transaction.power_w)
        depots.add_readings(
            charger_id=visit.session.charger_id, evse_number=1, transaction_id=visit.session.transaction,
            readings=[reading], now=self.now,
        )  # fmt: skip


def run(names: list[str]) -> Iterator[Result]:
    day = PowerDay(evses=8, power_kw=350, limit_kw=800, lasts=timedelta(hours=8))
    figures = day.run()
    present, fixed = equal_sharing_wh(day, of_all=False), equal_sharing_wh(day, of_all=True)
    ignored = PowerDay(
        evses=4, power_kw=150, limit_kw=350, lasts=timedelta(hours=1), faults=False, ignoring=0
    ).run()
    is_kept = figures.short_s == 0 and max(figures.most_taken_w, figures.most_possible_w) <= figures.limit_w
    detail = {
        "limit_kw": figures.limit_w / 1000,
        "most_taken_kw": round(figures.most_taken_w / 1000, 1),
        "most_that_could_be_taken_kw": round(figures.most_possible_w / 1000, 1),
        "booked_trucks": figures.promised_visits,
        "trucks": len(day.visits),
        "seconds_below_a_promise": figures.short_s,
        "charged_kwh": round(figures.charged_wh / 1000),
        "equal_parts_of_those_there_kwh": round(present / 1000),
        "equal_parts_of_all_evses_kwh": round(fixed / 1000),
        "of_all_evses": round(figures.charged_wh / fixed, 3),
        "kwh_not_charged_while_somebody_wants_more": {
            cause: round(wh / 1000) for cause, wh in sorted(figures.ledger.by_cause.items())
        },
        "seconds_above_the_limit_by_a_station_that_ignores_it": ignored.over_s,
        "commands_an_evse_and_hour": round(figures.messages / len(day.evses) / 8, 1),
    }
    is_more = is_kept and figures.charged_wh > fixed
    yield Result("power_day", figures.charged_wh / present if is_more else None, GOAL, detail)
