"""Whatever guests, the own fleet and the depot do, no quota is exceeded, and what a calendar offers no quota refuses.

What is used is counted here anew, from the rows alone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bookings import operations
from bookings.errors import BookingError, KeptForWalkIns, QuotaReached
from bookings.models import AccessRule, Booking, Occupancy
from bookings.rules import configuration, quotas
from bookings.search import availability
from depots.models import Depot, Organisation
from depots.periods import Period
from tests.factories import (
    DISPATCHER,
    MANAGER,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_option,
    make_rule,
    make_vehicle,
    open_depot,
    place_hold,
)

pytestmark = pytest.mark.django_db(transaction=False)

QUOTA_CODES = {"quota_reached", "kept_for_walk_ins"}
QUARTER = timedelta(minutes=15)
# The evening before clocks change, and one where they do not.
STARTS = [
    ("Europe/Berlin", datetime(2030, 3, 30, 18, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2030, 10, 26, 18, tzinfo=UTC)),
    ("America/New_York", datetime(2030, 3, 9, 22, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2030, 4, 6, 8, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2030, 1, 18, 18, tzinfo=UTC)),
]


class Yard:
    """Five EVSEs, four offered by themselves and all as a pool; two guests, and the own fleet."""

    def __init__(self, zone: str, now: datetime, random: Random) -> None:
        terms = {"early_start_min": 15, "turnaround_min": 5, "change_until_min": 0, "cancel_until_min": 0}
        self.depot: Depot = make_depot(time_zone=zone, open_to_all=False, terms=terms)
        self.zone, self.now, self.random = ZoneInfo(zone), now, random
        evses = [make_evse(self.depot, option=number < 4) for number in range(5)]
        make_option(*evses)
        self.guests: list[Organisation] = [make_fleet(), make_fleet()]
        agreements = [open_depot(self.depot, guest) for guest in self.guests]
        make_rule(agreements[0], "quota", amount=2, from_minute=20 * 60, to_minute=7 * 60)
        make_rule(agreements[1], "quota", unit="kw", amount=500)
        make_rule(self.depot, "quota", unit="percent", amount=60, counts="guests", weekdays=[1, 6, 7])
        make_rule(self.depot, "walk_in", amount=1, from_minute=60, to_minute=240)
        self.trucks = [make_vehicle(fleet) for fleet in (*self.guests, self.depot.operator) for _ in range(2)]
        self.refused: list[str] = []

    @property
    def bookings(self) -> Any:
        return Booking.objects.filter(depot=self.depot)

    def step(self) -> None:
        doings: list[Callable[[], Any]] = [self.book] * 5 + [self.hold, self.change, self.change]
        doings += [self.drag, self.cancel, self.decide, self.confirm, self.wait, self.book_what_is_offered]
        try:
            self.random.choice(doings)()
        except BookingError as refusal:
            self.refused.append(refusal.code)

    def book(self) -> None:
        book_slot(now=self.now, **self._ask())

    def hold(self) -> None:
        place_hold(now=self.now, **self._ask())

    def change(self) -> None:
        if booking := self._pick(self.bookings.live()):
            change_slot(booking_id=booking.pk, now=self.now, period=self._period())

    def drag(self) -> None:
        if booking := self._pick(self.bookings.live()):
            evse = self.random.choice(list(self.depot.evses.order_by("pk")))
            change_slot(booking_id=booking.pk, by="depot", evse=evse, actor=MANAGER, now=self.now)

    def cancel(self) -> None:
        if booking := self._pick(self.bookings.live()):
            operations.cancel_booking(
                booking_id=booking.pk, reason="BLOCKED", by="depot", actor=MANAGER, now=self.now
            )

    def decide(self) -> None:
        """Of some bookings the depot decides on changes, which are kept beside them."""
        if booking := self._pick(self.bookings.filter(requests__decision="pending")):
            accept = self.random.random() < 0.7
            operations.decide(booking_id=booking.pk, accept=accept, actor=MANAGER, now=self.now)
        elif booking := self._pick(self.bookings.filter(status="confirmed")):
            Booking.objects.filter(pk=booking.pk).update(terms_json={**booking.terms_json, "approval": True})

    def confirm(self) -> None:
        if booking := self._pick(self.bookings.filter(status="held")):
            operations.confirm_hold(booking_id=booking.pk, actor=DISPATCHER, now=self.now)

    def wait(self) -> None:
        self.now += timedelta(minutes=self.random.randrange(12))

    def book_what_is_offered(self) -> None:
        """Any period on the step within a timeslot of the asker's calendar is granted, as far as quotas go."""
        ask = self._ask()
        option, fleet = ask["option"], ask["fleet"]
        known = configuration.current(self.depot.pk)
        within = Period(self.now, self.now + timedelta(hours=30))
        found = availability.calendar(
            [option], within, {option.pk: known.terms(option.pk, fleet.pk, now=self.now)},
            allowances={self.depot.pk: known.allowance(fleet.pk, now=self.now)}, limits=(), now=self.now,
        )[option.pk]  # fmt: skip
        if not found:
            return
        timeslot = self.random.choice(found).period
        steps = int(timeslot.duration / QUARTER)
        first = self.random.randrange(steps - 1)
        last = self.random.randrange(first + 2, min(steps, first + 16) + 1)
        period = Period(timeslot.starts_at + first * QUARTER, timeslot.starts_at + last * QUARTER)
        try:
            book_slot(now=self.now, **{**ask, "period": period, "power_w": None})
        except (QuotaReached, KeptForWalkIns) as refusal:
            raise AssertionError((period, timeslot, str(refusal))) from refusal

    def check(self) -> None:
        bookings = {booking.pk: booking for booking in self.bookings}
        overdue = set(self.bookings.overdue_holds(self.now).values_list("pk", flat=True))
        rows = [row for row in Occupancy.objects.filter(evse__depot=self.depot) if row.holder not in overdue]
        for moment in {row.span.starts_at for row in rows}:
            there = [row for row in rows if row.span.contains(moment)]
            for rule in AccessRule.objects.filter(depot=self.depot):
                if self._holds(rule, moment):
                    self._check(rule, there, bookings, moment)

    def _check(
        self, rule: AccessRule, there: list[Occupancy], bookings: dict[int, Booking], moment: datetime
    ) -> None:
        if rule.kind == "walk_in":
            assert len({row.evse_id for row in there}) <= 5 - (rule.amount or 0), (moment, there)
            return
        guest_id = rule.agreement.guest_id if rule.agreement else None
        mine: dict[int, int] = {}
        for row in there:
            fleet_id = bookings[row.holder].fleet_id
            if fleet_id == guest_id or (guest_id is None and fleet_id != self.depot.operator_id):
                mine[row.holder] = max(mine.get(row.holder, 0), row.power_w)
        if rule.unit == "kw":
            assert sum(mine.values()) <= (rule.amount or 0) * 1000, (moment, mine)
        else:
            most = (rule.amount or 0) if rule.unit == "evses" else 5 * (rule.amount or 0) // 100
            assert len(mine) <= most, (moment, mine)

    def _holds(self, rule: AccessRule, moment: datetime) -> bool:
        """By the wall clock of that moment."""
        local = moment.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        if rule.from_minute < rule.to_minute:
            return local.isoweekday() in rule.weekdays and rule.from_minute <= minute < rule.to_minute
        yesterday = (local - timedelta(days=1)).isoweekday()
        is_late = local.isoweekday() in rule.weekdays and minute >= rule.from_minute
        return is_late or (yesterday in rule.weekdays and minute < rule.to_minute)

    def _ask(self) -> dict[str, Any]:
        truck = self.random.choice(self.trucks)
        option = self.random.choice(list(self.depot.options.order_by("pk")))
        power_w = self.random.choice([None, None, 100_000, 250_000])
        return {
            "fleet": truck.fleet, "vehicle": truck, "option": option, "period": self._period(), "power_w": power_w,
        }  # fmt: skip

    def _period(self) -> Period:
        """Within 16 hours, so that they meet."""
        first = self.now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        start = first + QUARTER * self.random.randrange(64)
        return Period(start, start + QUARTER * self.random.randrange(2, 14))

    def _pick(self, rows: Any) -> Any:
        ids = list(rows.order_by("pk").values_list("pk", flat=True))
        return Booking.objects.get(pk=self.random.choice(ids)) if ids else None


def run(seed: int, where: tuple[str, datetime], steps: int) -> Yard:
    yard = Yard(*where, Random(seed))
    for _ in range(steps):
        yard.step()
        yard.check()
    return yard


def test_no_quota_is_exceeded_and_none_refuses_what_is_offered():
    yard = run(7, STARTS[0], 80)

    assert QUOTA_CODES & set(yard.refused)


def test_without_the_look_at_quotas_one_is_exceeded(monkeypatch):
    monkeypatch.setattr(quotas, "caps_of", lambda *_, **__: [])

    with pytest.raises(AssertionError):
        run(7, STARTS[0], 45)


@pytest.mark.long
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**6), where=st.sampled_from(STARTS))
def test_no_quota_is_exceeded_over_many_histories(seed, where):
    run(seed, where, 60)
