"""Lets the diary happen: every booking through the operations, in the order of time, with the clock of its moment."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

from bookings import enforcement, operations
from bookings.actors import Actor
from bookings.errors import BookingError, WrongStatus
from bookings.models import Booking, BookingOption, BookingStatus, Vehicle
from bookings.search.bookable import evses_with_bays
from config.demo_data.diary import DEPOTS, KEY_PREFIX, Planned, Story
from config.demo_data.fleets import FIRMS
from config.demo_data.past_sessions import Load, Meters, report
from depots.models import ChargingState, Evse, Organisation
from depots.periods import Period

Step = Callable[[Planned, datetime], Iterable[tuple[datetime, "Step"]]]
# Something that happens at a moment, and what follows from it later.
Happening = Callable[[datetime], Iterable[tuple[datetime, "Happening"]]]
OVERSTAY, IDLE = timedelta(minutes=35), timedelta(minutes=60)
# A booking whose slot was over this long ago, and that nobody has settled since, is brought to its end by the diary.
LONG_OVER = timedelta(minutes=30)


class History:
    """One telling of the diary, up to `now`. `made` counts the bookings that are new."""

    def __init__(self, *, now: datetime) -> None:
        self.now = now
        self.made = 0
        self.meters = Meters(now)
        self._order = count()
        self._queue: list[tuple[datetime, int, Happening]] = []
        self._fleets = {fleet.name: fleet for fleet in Organisation.objects.filter(is_partner=False)}
        self._vehicles = {
            (vehicle.fleet.name, vehicle.plate): vehicle
            for vehicle in Vehicle.objects.select_related("fleet")
        }
        options = BookingOption.objects.filter(is_mirror=False).select_related("depot__operator")
        self._options = {
            option.code: option for option in options.prefetch_related("evses", "depot__opening_hours")
        }
        self._bookings: dict[str, Booking] = {}

    def tell(self, diary: Iterable[Planned]) -> None:
        """Make what is not there yet, and let happen what lies before now."""
        planned = list(diary)
        known = Booking.objects.filter(request_id__in=[p.key for p in planned]).select_related(
            "vehicle", "session", "evse"
        )
        self._bookings = {booking.request_id: booking for booking in known}
        for one in planned:
            if one.key not in self._bookings:
                self._plan(min(one.made_at, self._lately(one)), self._make, one)
            elif self._bookings[one.key].ends_at < self.now - LONG_OVER:
                self._resume(one)
        for one in self._left_charging():
            self._resume(one)
        while self._queue:
            at, _, happens = heapq.heappop(self._queue)
            for later, following in happens(at):
                self.plan(later, following)

    def let_charge(
        self, evse: Evse, token_uid: str, at: datetime, *, for_time: timedelta
    ) -> list[tuple[datetime, Happening]]:
        """A card without a booking begins to charge; gives what follows."""
        session = self.meters.begin_unbooked(evse, token_uid, at)

        def leave(end: datetime) -> tuple[()]:
            self.meters.end(session, Load(evse.max_power_w, 500_000, 30), end)
            report(evse, Evse.Status.AVAILABLE, ChargingState.UNPLUGGED, end)
            return ()

        return [(at + for_time, leave)]

    def _left_charging(self) -> Iterable[Planned]:
        """Trucks of an earlier day's present that the demo left at the charger when it was stopped."""
        rows = Booking.objects.filter(
            status=BookingStatus.CHARGING, request_id__startswith=KEY_PREFIX, ends_at__lt=self.now - LONG_OVER
        ).exclude(request_id__in=list(self._bookings))
        for booking in rows.select_related("vehicle", "fleet", "depot", "option"):
            self._bookings[booking.request_id] = booking
            depot = next(depot for depot in DEPOTS if depot.code == booking.depot.code)
            firm = next(firm for firm in FIRMS if firm.name == booking.fleet.name)
            yield Planned(
                booking.request_id, firm, booking.plate, depot, booking.option.code, booking.period,
                booking.created_at, Story.CHARGED, 0.5,
            )  # fmt: skip

    def _lately(self, one: Planned) -> datetime:
        """Who would book only tomorrow has booked in the last hours, so that the coming days are not empty."""
        return self.now - timedelta(minutes=5 + 300 * one.chance)

    def plan(self, at: datetime, happens: Happening) -> None:
        """To be told in its turn, unless it lies ahead."""
        if at <= self.now:
            heapq.heappush(self._queue, (at, next(self._order), happens))

    def _plan(self, at: datetime, step: Step, one: Planned) -> None:
        self.plan(at, self._happening(step, one))

    def _happening(self, step: Step, one: Planned) -> Happening:
        return lambda at: [(later, self._happening(following, one)) for later, following in step(one, at)]

    def _resume(self, one: Planned) -> None:
        """Nobody was there when its time came: the demo was not running."""
        booking = self._bookings[one.key]
        if booking.status == BookingStatus.CHARGING:
            self._plan(booking.ends_at, self._finish, one)
        elif booking.status == BookingStatus.CONFIRMED and one.story == Story.NO_SHOW:
            self._plan(booking.no_show_at(), self._miss, one)
        elif booking.status == BookingStatus.CONFIRMED:
            self._plan(booking.starts_at, self._charge, one)

    def _make(self, one: Planned, at: datetime) -> Iterable[tuple[datetime, Step]]:
        """Book the planned option, or where that is taken the next one of the depot that is not."""
        codes = [one.option, *(code for code in one.depot.options if code != one.option)]
        for code in codes:
            try:
                booking = self._ask(one, self._options[code], at)
            except BookingError:
                continue
            self.made += 1
            self._bookings[one.key] = booking
            return self._begun(one, booking, at)
        return ()

    def _ask(self, one: Planned, option: BookingOption, at: datetime) -> Booking:
        fleet, vehicle = self._fleets[one.firm.name], self._vehicles[one.firm.name, one.plate]
        actor = _dispatcher(one)
        slot = operations.SlotRequest(fleet=fleet, option=option, period=one.period, vehicle=vehicle)
        if one.story != Story.HOLD_EXPIRED:
            return operations.request_booking(replace(slot, request_id=one.key), actor=actor, now=at)
        held = operations.hold_slot(slot, actor=actor, now=at)
        # The diary finds its bookings again by this; a hold is given none by those who ask for it.
        Booking.objects.filter(pk=held.pk).update(request_id=one.key)
        return held

    def _begun(self, one: Planned, booking: Booking, at: datetime) -> Iterable[tuple[datetime, Step]]:
        if one.story == Story.HOLD_EXPIRED:
            return [(at + booking.terms.hold_time, self._expire)]
        if booking.status != BookingStatus.REQUESTED:
            return self._confirmed(one, at)
        if one.story == Story.UNDECIDED:
            return [(booking.decide_until or at, self._fail)]
        return [(at + timedelta(minutes=1 + 9 * one.chance), self._decide)]

    def _confirmed(self, one: Planned, at: datetime) -> Iterable[tuple[datetime, Step]]:
        """What comes next in the story of a booking that stands."""
        starts_at = self._bookings[one.key].starts_at
        match one.story:
            case Story.NO_SHOW:
                return [(self._bookings[one.key].no_show_at(), self._miss)]
            case Story.DEAD_CHARGER:
                return [(self._bookings[one.key].no_show_at(), self._stand_before_dead_charger)]
            case Story.CANCELLED_BY_FLEET:
                return [(max(at, starts_at - timedelta(minutes=40 + 50 * one.chance)), self._cancel)]
            case Story.CANCELLED_BY_DEPOT:
                return [(max(at, starts_at - timedelta(minutes=20 + 60 * one.chance)), self._break_down)]
            case Story.CHANGED if starts_at - at > timedelta(minutes=75):
                return [(at + timedelta(minutes=5), self._postpone)]
            case Story.MOVED:
                return [(at + timedelta(minutes=15), self._move)]
        return [(self._arrival(one), self._charge)]

    def _decide(self, one: Planned, at: datetime) -> Iterable[tuple[datetime, Step]]:
        accept = one.story != Story.DECLINED
        reason = "" if accept else "Two chargers are in maintenance that day."
        booking_id = self._bookings[one.key].pk
        booking = operations.decide(
            booking_id=booking_id, accept=accept, reason=reason, actor=_manager(one), now=at
        )
        self._bookings[one.key] = booking
        if not accept:
            return [(at + timedelta(minutes=20), self._look)]
        return self._confirmed(one, at)

    def _postpone(self, one: Planned, at: datetime) -> Iterable[tuple[datetime, Step]]:
        """The fleet asks for another time; where the depot approves, it does so at once."""
        booking = self._bookings[one.key]
        later = timedelta(minutes=15 if one.chance < 0.5 else 30)
        period = Period(booking.starts_at + later, booking.ends_at + later)
        try:
            booking = operations.change_booking(
                booking.pk, operations.ChangeRequest(period=period), actor=_dispatcher(one), now=at
            )
            if booking.requests.filter(decision="pending").exists():
                booking = operations.decide(booking_id=booking.pk, accept=True, actor=_manager(one), now=at)
        except BookingError:
            return [(self._arrival(one), self._charge)]
        self._bookings[one.key] = booking
        return [(self._arrival(one), self._charge)]

    def _move(self, one: Planned, at: datetime) -> Iterable[tuple[datetime, Step]]:
        """The depot puts the truck at another EVSE that does as well."""
        booking = self._bookings[one.key]
        for evse in (
            evses_with_bays()
            .filter(options__code__in=one.depot.options)
            .exclude(uid=booking.evse.uid if booking.evse else "")
            .distinct()
        ):
            try:
                booking = operations.change_booking(
                    booking.pk,
                    operations.ChangeRequest(evse=evse),
                    by=Booking.Side.DEPOT,
                    actor=_manager(one),
                    now=at,
                )
            except BookingError:
                continue
            self._bookings[one.key] = booking
            break
        # Tomorrow's is left for the dispatcher to see.
        looks = [(at + timedelta(minutes=20), self._look)] if booking.ends_at < self.now else []
        return [*looks, (self._arrival(one), self._charge)]

    def _look(self, one: Planned, at: datetime) -> Iterable[tuple[datetime, Step]]:
        operations.mark_seen(booking_id=self._bookings[one.key].pk, actor=_dispatcher(one), now=at)
        return ()

    def _charge(self, one: Planned, at: datetime) -> Iterable[tuple[datetime, Step]]:
        booking = _fresh(self._bookings[one.key])
        session = self.meters.begin(booking, at)
        actor = Actor.charger(booking.evse.charger if booking.evse else "")
        try:
            booking = operations.start_charging(booking_id=booking.pk, session=session, actor=actor, now=at)
        except WrongStatus:
            session.delete()
            return ()
        self._bookings[one.key] = booking
        if one.story == Story.PARKED and booking.evse is not None:
            report(booking.evse, Evse.Status.CHARGING, ChargingState.CHARGING, at)
            return [(booking.ends_at - IDLE, self._idle)]
        ends_at = booking.ends_at - timedelta(minutes=int(6 * one.chance))
        if one.story == Story.OVERSTAYED:
            ends_at = booking.ends_at + OVERSTAY
        if ends_at > self.now:
            self.meters.sample(session, Load.of(booking, one.chance), self.now)
        return [(ends_at, self._finish)]

    def _idle(self, one: Planned, at: datetime) -> Iterable[tuple[datetime, Step]]:
        """The vehicle is full, and its driver elsewhere."""
        evse = self._bookings[one.key].evse
        assert evse is not None  # it charges there
        report(evse, Evse.Status.CHARGING, ChargingState.NO_DEMAND, at)
        return [(at + IDLE, self._finish)]

    def _finish(self, one: Planned, at: datetime) -> Iterable[tuple[datetime, Step]]:
        booking = _fresh(self._bookings[one.key])
        session, evse = booking.session, booking.evse
        if session is not None and session.ended_at is None:
            full_at = at - IDLE if one.story == Story.PARKED else None
            load = Load.of(booking, one.chance, full_at)
            self.meters.end(session, load, at, is_metered=one.story != Story.UNMETERED)
        if one.story == Story.PARKED and evse is not None:
            report(evse, Evse.Status.AVAILABLE, ChargingState.UNPLUGGED, at)
        # What the end of its session has left charging: a try that failed.
        if Booking.objects.filter(pk=booking.pk, status=BookingStatus.CHARGING).exists():
            actor = Actor.charger(evse.charger if evse else "")
            operations.complete(booking_id=booking.pk, at=at, actor=actor, now=at)
        return ()

    def _miss(self, one: Planned, at: datetime) -> Iterable[tuple[datetime, Step]]:
        operations.mark_no_show(booking_id=self._bookings[one.key].pk, now=at)
        return ()

    def _stand_before_dead_charger(self, one: Planned, at: datetime) -> Iterable[tuple[datetime, Step]]:
        """Chargers of the demo's past have no connection: whoever looks sees one that is out of reach."""
        enforcement.give_up_or_no_show(booking_id=self._bookings[one.key].pk, now=at)
        return ()

    def _expire(self, one: Planned, at: datetime) -> Iterable[tuple[datetime, Step]]:
        operations.expire_hold(booking_id=self._bookings[one.key].pk, now=at)
        return ()

    def _fail(self, one: Planned, at: datetime) -> Iterable[tuple[datetime, Step]]:
        operations.fail_undecided(booking_id=self._bookings[one.key].pk, now=at)
        return ()

    def _cancel(self, one: Planned, at: datetime) -> Iterable[tuple[datetime, Step]]:
        reason = "TRAFFIC" if one.chance < 0.7 else "BROKEN_VEHICLE"
        operations.cancel_booking(
            booking_id=self._bookings[one.key].pk,
            reason=reason,
            by=Booking.Side.FLEET,
            actor=_dispatcher(one),
            now=at,
        )
        return ()

    def _break_down(self, one: Planned, at: datetime) -> Iterable[tuple[datetime, Step]]:
        operations.cancel_booking(
            booking_id=self._bookings[one.key].pk, reason="BROKEN_CHARGER", by=Booking.Side.DEPOT,
            note="The cable's lock is jammed.", actor=_manager(one), now=at,
        )  # fmt: skip
        return [(at + timedelta(minutes=10), self._look)]

    def _arrival(self, one: Planned) -> datetime:
        """A few minutes early or late, as trucks are."""
        return self._bookings[one.key].starts_at + timedelta(minutes=int(12 * one.chance) - 4)


def _fresh(booking: Booking) -> Booking:
    return Booking.objects.select_related("evse__charger", "vehicle", "session").get(pk=booking.pk)


def _dispatcher(one: Planned) -> Actor:
    return Actor.dispatcher(f"dispatcher@{one.firm.name.lower()}.example")


def _manager(one: Planned) -> Actor:
    operator = "nordfracht" if one.depot.code.startswith("NF") else "ladepark"
    return Actor.manager(f"manager@{operator}.example")
