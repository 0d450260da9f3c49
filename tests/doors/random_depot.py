"""One depot, and all that can be done there at random, by every door: hypothesis chooses what, with what, and in which order."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar
from unittest.mock import patch

import time_machine
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bookings import operations, scheduler
from bookings.errors import BookingError
from bookings.models import LIVE, Booking, Closure, ClosureAct, WaitlistEntry
from bookings.operations.closure_acts import act_version
from bookings.operations.closure_plan import Outage
from depots import operations as depots
from depots.models import ChargerCommand
from depots.periods import Period
from tests.doors import doors, many_doors
from tests.doors.customers import Answer, Customer, Manager, Wish
from tests.doors.doors import BOOK, CANCEL, CHANGE, OCPI
from tests.doors.truths import Truths
from tests.doors.yard import STARTS, Yard
from tests.factories import DISPATCHER, MANAGER

QUARTER = timedelta(minutes=15)
# Within so many quarters they meet.
FIRST, LENGTH = st.integers(-2, 56), st.integers(1, 17)
NUMBER = st.integers(0, 10**6)
POWER = st.sampled_from([None, None, None, 100_000, 250_000, 400_000])
# Whose of the two fleets, which truck, which option, when, how long.
Slot = tuple[int, int, int, int, int]
SLOT = st.tuples(NUMBER, NUMBER, NUMBER, FIRST, LENGTH)
MINUTES_OFF = st.sampled_from([0, 0, 0, 0, 0, 0, 0, 7])


class RandomDepot(RuleBasedStateMachine):
    """A Yard, and what everybody does there.

    `done` counts what was tried and what came of it, by all machines of the class. With `by_operations` doors are the operations
    behind them, which is quicker; `without` is a table and a constraint of it that is taken away.
    """

    zone: ClassVar[str]
    begins_at: ClassVar[datetime]
    done: ClassVar[Counter[str]]
    by_operations: ClassVar[bool] = False
    without: ClassVar[tuple[str, str] | None] = None

    def __init__(self) -> None:
        super().__init__()
        self._transaction = transaction.atomic()
        self._transaction.__enter__()
        self._clock = time_machine.travel(self.begins_at, tick=False)
        self._traveller = self._clock.start()
        if self.without is not None:
            table, constraint = self.without
            with connection.cursor() as cursor:
                cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")

    def teardown(self) -> None:
        self._clock.stop()
        transaction.set_rollback(True)
        self._transaction.__exit__(None, None, None)

    @initialize()
    def open(self) -> None:
        yard = Yard(self.zone, self.begins_at)
        self.depot, self.evses, self.options = yard.depot, yard.evses, yard.options
        self.fleets, self.network, self.manager = yard.fleets, yard.network, Manager(yard.depot)
        self.truths = Truths(self.depot)

    @invariant()
    def truths_hold(self) -> None:
        if not hasattr(self, "truths"):
            return
        self.done["steps"] += 1
        with connection.cursor() as cursor:  # what a commit would look at
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        self.truths.check(timezone.now())

    @rule(door=st.sampled_from([*BOOK, *BOOK]), who=NUMBER, truck=NUMBER, option=NUMBER, first=FIRST, length=LENGTH,
          off=MINUTES_OFF, power=POWER)  # fmt: skip
    def book(
        self,
        door: str,
        who: int,
        truck: int,
        option: int,
        first: int,
        length: int,
        off: int,
        power: int | None,
    ) -> None:
        fleet = self.fleets[who % 2]
        wish = Wish(
            self._one(self.options, option), self._period(first, length, off), self._one(fleet.trucks, truck),
            power_w=power,
        )  # fmt: skip
        self._note(f"book by {door}", BOOK["operation" if self.by_operations else door](fleet, wish))

    @rule(option=NUMBER, first=FIRST, length=LENGTH, power=POWER)
    def ask(self, option: int, first: int, length: int, power: int | None) -> None:
        wish = Wish(self._one(self.options, option), self._period(first, length), power_w=power)
        self._note("book by OCPI", OCPI[0](self.network, wish))

    @rule(rows=st.lists(st.tuples(NUMBER, NUMBER, FIRST, LENGTH), min_size=2, max_size=4), who=NUMBER,
          mode=st.sampled_from(["all", "what_fits"]))  # fmt: skip
    def batch(self, rows: list[tuple[int, int, int, int]], who: int, mode: str) -> None:
        fleet = self.fleets[who % 2]
        wishes = [
            Wish(self._one(self.options, option), self._period(first, length), self._one(fleet.trucks, truck))
            for option, truck, first, length in rows
        ]
        for answer in doors.by_batch_of(fleet, wishes, mode=mode):
            self._note("batch", answer)

    @rule(door=st.sampled_from([*CHANGE, "OCPI"]), which=NUMBER, first=FIRST, length=LENGTH, off=MINUTES_OFF)
    def change(self, door: str, which: int, first: int, length: int, off: int) -> None:
        booking = self._booking(which, by_network=door == "OCPI")
        if booking is None:
            return
        change = CHANGE["operation" if self.by_operations else door] if door != "OCPI" else OCPI[1]
        period = self._period(first, length, off)
        self._note(f"change by {door}", change(self._customer(booking), booking, period))

    @rule(which=NUMBER, evse=NUMBER, first=FIRST, length=LENGTH, stays=st.booleans())
    def drag(self, which: int, evse: int, first: int, length: int, stays: bool) -> None:
        if booking := self._booking(which):
            period = booking.period if stays else self._period(first, length)
            answer = doors.drag(self.manager, booking, period, self._one(self.evses, evse))
            self._note("drag", answer)

    @rule(which=NUMBER, minutes=st.integers(1, 90), door=st.sampled_from(["page", "API"]))
    def delay(self, which: int, minutes: int, door: str) -> None:
        if booking := self._booking(which, by_network=False):
            late = doors.delay_by_page if door == "page" else doors.delay_by_api
            self._note(f"delay by {door}", late(self._customer(booking), booking, minutes))

    @rule(which=NUMBER, truck=NUMBER)
    def swap(self, which: int, truck: int) -> None:
        if booking := self._booking(which, by_network=False):
            customer = self._customer(booking)
            self._note("swap", doors.swap_by_api(customer, booking, self._one(customer.trucks, truck)))

    @rule(door=st.sampled_from([*CANCEL, "OCPI", "depot"]), which=NUMBER)
    def cancel(self, door: str, which: int) -> None:
        booking = self._booking(which, by_network=None if door == "depot" else door == "OCPI")
        if booking is None:
            return
        if door == "depot":
            answer = doors.cancel_by_depot(self.manager, booking)
        else:
            cancel = CANCEL["operation" if self.by_operations else door] if door != "OCPI" else OCPI[2]
            answer = cancel(self._customer(booking), booking)
        self._note(f"cancel by {door}", answer)

    @rule(which=NUMBER, door=st.sampled_from(["operation", "API"]))
    def confirm(self, which: int, door: str) -> None:
        held = Booking.objects.filter(depot=self.depot, status="held").select_related("depot", "fleet")
        if booking := self._one(list(held.order_by("pk")), which):
            confirm = doors.confirm_by_api if door == "API" else doors.confirm_by_operation
            self._note("confirm", confirm(self._customer(booking), booking))

    @rule(which=NUMBER, accept=st.booleans())
    def decide(self, which: int, accept: bool) -> None:
        waiting = Booking.objects.filter(depot=self.depot, requests__decision="pending").order_by("pk")
        if booking := self._one(list(waiting), which):
            self._try("decide", lambda: operations.decide(
                booking_id=booking.pk, accept=accept, actor=MANAGER, now=timezone.now()
            ))  # fmt: skip

    @rule(evse=NUMBER, first=FIRST, length=LENGTH)
    def close(self, evse: int, first: int, length: int) -> None:
        place, period = self._one(self.evses, evse), self._period(first, length)
        self._try(
            "close",
            lambda: operations.close_evse(evse=place, period=period, actor=MANAGER, now=timezone.now()),
        )

    @rule(which=NUMBER, clears=st.booleans())
    def end_closure(self, which: int, clears: bool) -> None:
        """What stands in it is cleared away, or it is lifted."""
        closures = Closure.objects.filter(evse__depot=self.depot, lifted_at=None).order_by("pk")
        if (closure := self._one(list(closures), which)) is None:
            return
        now = timezone.now()
        if clears:
            self._try(
                "clear", lambda: operations.clear_closure(closure_id=closure.pk, actor=MANAGER, now=now)
            )
        else:
            self._try("lift", lambda: operations.lift_closure(closure_id=closure.pk, actor=MANAGER, now=now))

    @rule(minutes=st.integers(1, 40))
    def wait(self, minutes: int) -> None:
        """Time passes, the scheduler does what is due (at a full minute also what it looks after more rarely), and chargers
        answer."""
        later = timezone.now() + timedelta(minutes=minutes)
        self._traveller.move_to(later.replace(second=7 if minutes % 4 else 0))
        with patch.object(scheduler.logger, "exception", side_effect=_raise_what_is_handled):
            scheduler.run_tick(timezone.now())
        for command in ChargerCommand.objects.filter(charger__depot=self.depot, state="queued").order_by(
            "pk"
        ):
            depots.settle_command(command_id=command.pk, answer="accepted", now=timezone.now())

    @rule(slot=SLOT, days=st.integers(2, 3), mode=st.sampled_from(["all", "what_fits"]))
    def series(self, slot: Slot, days: int, mode: str) -> None:
        fleet, wish = self._wish(slot)
        for answer in many_doors.by_series(fleet, wish, days=days, mode=mode):
            self._note("series", answer)

    @rule(which=NUMBER, scope=st.sampled_from(["one", "following", "all"]), first=FIRST, length=LENGTH)
    def change_series(self, which: int, scope: str, first: int, length: int) -> None:
        if booking := self._of_several("series", which):
            period = self._period(first, length)
            customer = self._customer(booking)
            answer = many_doors.change_series(customer, booking, scope, period.starts_at, period.ends_at)
            self._note(f"change of series, {scope}", answer)

    @rule(stops=st.lists(st.tuples(NUMBER, FIRST, LENGTH), min_size=1, max_size=3), who=NUMBER, truck=NUMBER)
    def trip(self, stops: list[tuple[int, int, int]], who: int, truck: int) -> None:
        wishes = [self._wish((who, truck, option, first, length))[1] for option, first, length in stops]
        for answer in many_doors.by_trip(self.fleets[who % 2], wishes):
            self._note("trip", answer)

    @rule(what=st.sampled_from(["series", "trip"]), which=NUMBER)
    def cancel_several(self, what: str, which: int) -> None:
        if booking := self._of_several(what, which):
            cancel = many_doors.cancel_series if what == "series" else many_doors.cancel_trip
            self._note(f"cancel {what}", cancel(self._customer(booking), booking))

    @rule(slot=SLOT)
    def wait_for(self, slot: Slot) -> None:
        fleet, wish = self._wish(slot)
        self.done[f"waitlist: {many_doors.wait_for(fleet, wish)}"] += 1

    @rule(which=NUMBER, accepts=st.booleans())
    def answer_offer(self, which: int, accepts: bool) -> None:
        entries = WaitlistEntry.objects.filter(fleet__in=[one.fleet for one in self.fleets]).order_by("pk")
        if (entry := self._one(list(entries), which)) is None:
            return
        customer = next(one for one in self.fleets if one.fleet.pk == entry.fleet_id)
        if accepts:
            self._note("acceptance", many_doors.accept_offer(customer, entry.pk))
        else:
            self.done[f"no more waiting: {many_doors.stop_waiting(customer, entry.pk)}"] += 1

    @rule(which=NUMBER, first=FIRST, length=LENGTH, evse=NUMBER, cancels=st.booleans())
    def offer_instead(self, which: int, first: int, length: int, evse: int, cancels: bool) -> None:
        """The depot offers another slot for a request or a booking."""
        if booking := self._booking(which):
            offer = operations.CounterOffer(
                period=self._period(first, length), evse=self._one(self.evses, evse), cancels=cancels
            )
            self._try("counter-offer", lambda: operations.offer_instead(
                booking_id=booking.pk, offer=offer, actor=MANAGER, now=timezone.now()
            ))  # fmt: skip

    @rule(which=NUMBER, accepts=st.booleans())
    def answer_counter_offer(self, which: int, accepts: bool) -> None:
        offered = Booking.objects.filter(
            depot=self.depot, requests__kind="offer", requests__decision="pending"
        )
        if booking := self._one(list(offered.order_by("pk")), which):
            act = operations.accept_counter_offer if accepts else operations.decline_counter_offer
            self._try("answer to counter-offer", lambda: act(
                booking_id=booking.pk, actor=DISPATCHER, now=timezone.now()
            ))  # fmt: skip

    @rule(evses=st.sets(NUMBER, min_size=1, max_size=3), first=FIRST, length=LENGTH)
    def close_several(self, evses: set[int], first: int, length: int) -> None:
        """As proposed: what is in the way is moved or cancelled."""
        places = frozenset(self._one(self.evses, evse).pk for evse in evses)
        outage = Outage(self.depot, places, self._period(first, length))
        self._try("close several", lambda: operations.close_evses(
            outage=outage, actor=MANAGER, now=timezone.now()
        ))  # fmt: skip

    @rule(which=NUMBER)
    def undo_closure(self, which: int) -> None:
        acts = ClosureAct.objects.filter(depot=self.depot).order_by("pk")
        if act := self._one(list(acts), which):
            self._try("undo of closure", lambda: operations.undo_closure(
                act_id=act.pk, seen_version=act_version(act), actor=MANAGER, now=timezone.now()
            ))  # fmt: skip

    @rule(which=NUMBER, minutes=st.integers(5, 90))
    def charge(self, which: int, minutes: int) -> None:
        """A truck comes to its booking and leaves again."""
        armed = Booking.objects.filter(depot=self.depot, status="confirmed", enforcement="armed").order_by(
            "pk"
        )
        if (booking := self._one(list(armed), which)) is None or booking.evse is None:
            return
        charger_id, now = booking.evse.charger_id, timezone.now()
        assert charger_id is not None
        begun = depots.Start(
            evse_number=booking.evse.number,
            token_uid=booking.tokens.all()[0].uid,
            key=f"{booking.pk}-{now}",
            at=now,
        )
        session = depots.start_session(charger_id=charger_id, start=begun, now=now).session
        self._traveller.shift(timedelta(minutes=minutes))
        ended = depots.Stop(transaction=session.transaction, at=timezone.now())
        depots.stop_session(charger_id=charger_id, stop=ended, now=timezone.now())
        self.done["charge: done"] += 1

    def _period(self, first: int, length: int, off: int = 0) -> Period:
        """From the first full hour after the beginning, by quarters."""
        base = self.begins_at.replace(minute=0) + timedelta(hours=1)
        start = base + first * QUARTER + timedelta(minutes=off)
        return Period(start, start + length * QUARTER)

    def _wish(self, slot: Slot) -> tuple[Customer, Wish]:
        who, truck, option, first, length = slot
        fleet = self.fleets[who % 2]
        place, vehicle = self._one(self.options, option), self._one(fleet.trucks, truck)
        return fleet, Wish(place, self._period(first, length), vehicle)

    def _of_several(self, what: str, which: int) -> Booking | None:
        """A booking of a series or a trip."""
        rows = Booking.objects.filter(depot=self.depot, **{f"{what}__isnull": False}).select_related(
            "depot", "fleet"
        )
        found: Booking | None = self._one(list(rows.order_by("pk")), which)
        return found

    def _booking(self, which: int, *, by_network: bool | None = None) -> Booking | None:
        """Mostly one that is live; what is over is tried as well."""
        rows = Booking.objects.filter(depot=self.depot)
        if which % 3:
            rows = rows.filter(status__in=LIVE)
        if by_network is not None:
            rows = (
                rows.filter(fleet=self.network.fleet)
                if by_network
                else rows.exclude(fleet=self.network.fleet)
            )
        found: Booking | None = self._one(
            list(rows.select_related("depot", "option", "evse", "fleet", "vehicle").order_by("pk")), which
        )
        return found

    def _customer(self, booking: Booking) -> Customer:
        return next(one for one in (*self.fleets, self.network) if one.fleet.pk == booking.fleet_id)

    def _one(self, rows: list[Any], number: int) -> Any:
        return rows[number % len(rows)] if rows else None

    def _try(self, name: str, act: Callable[[], Any]) -> None:
        try:
            act()
        except BookingError as refusal:
            self.done[f"{name}: {refusal.code}"] += 1
        else:
            self.done[f"{name}: done"] += 1

    def _note(self, name: str, answer: Answer) -> None:
        self.done[f"{name}: {'done' if answer.booking else answer.code or 'refused'}"] += 1


def _raise_what_is_handled(*_: object) -> None:
    raise AssertionError(traceback.format_exc())


def machine(start: str, **more: Any) -> type[RandomDepot]:
    """One for a place and an evening, which counts for itself."""
    zone, begins_at = STARTS[start]
    return type(
        f"At {start}", (RandomDepot,), {"zone": zone, "begins_at": begins_at, "done": Counter(), **more}
    )
