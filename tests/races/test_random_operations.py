"""Sixteen processes do at random whatever fleets, depots, chargers and time can do to one depot, and the truths hold.

A deadlock, or any error that is not a refusal, counts as failure.
"""

from __future__ import annotations

import itertools
import random
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db.models import Max

from bookings import operations, scheduler
from bookings.core import lifecycle
from bookings.errors import BookingError
from bookings.models import LIVE, Booking, BookingEvent, BookingOption, Claim, Closure, Occupancy, Vehicle
from depots import operations as depots
from depots.models import Charger, ChargerCommand, Evse
from depots.periods import Period
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    at,
    book_slot,
    change_slot,
    make_charger,
    make_depot,
    make_evse,
    make_fleet,
    make_option,
    make_vehicle,
    place_hold,
)
from tests.races.processes import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]

PROCESSES = 16
GRID_W = 900_000


@pytest.mark.parametrize(("seed", "steps"), [(1, 15)])
def test_the_truths_hold_whatever_happens_at_once(seed: int, steps: int):
    _yard()

    reports = at_once(lambda number: _Life(seed * 1000 + number).run(steps), PROCESSES)

    assert not (failures := [report for report in reports if isinstance(report, str)]), "\n".join(failures)
    done: Counter[str] = sum(reports, Counter())
    assert done["book: done"] > steps / 2, done
    assert done["change: done"] > steps / 14, done
    assert done["cancel: done"] > steps / 14, done
    _check_places()
    _check_power()
    _check_claims()
    _check_histories()
    _check_closures()


@pytest.mark.long
@pytest.mark.parametrize("seed", [2, *range(10, 30)])
def test_the_truths_hold_over_many_seeds(seed: int):
    test_the_truths_hold_whatever_happens_at_once(seed, 40)


class _Life:
    """One process's own history of tries."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._done: Counter[str] = Counter()
        self._now = NOW

    def run(self, steps: int) -> Counter[str]:
        doings: list[tuple[Callable[[], Any], int]] = [
            (self._book, 8), (self._book_many, 2), (self._hold, 3), (self._confirm, 2), (self._change, 6), (self._move, 3),
            (self._cancel, 3), (self._decide, 4), (self._close, 1), (self._lift, 1), (self._clear, 1), (self._tick, 4),
            (self._answer, 4), (self._charge, 3), (self._status, 3), (self._reconnect, 1),
        ]  # fmt: skip
        for _ in range(steps):
            (do,) = self._random.choices([d for d, _ in doings], [weight for _, weight in doings])
            name = do.__name__.strip("_")
            self._now += timedelta(minutes=self._random.randrange(4))
            try:
                did = do()
            except BookingError as refusal:
                self._done[f"{name}: {refusal.code}"] += 1
            else:
                self._done[f"{name}: {'nothing' if did is None else 'done'}"] += 1
        return self._done

    def _book(self) -> Any:
        truck = self._pick(Vehicle.objects.all())
        option = self._pick(BookingOption.objects.all())
        power_w = self._random.choice([None, None, 100_000, 300_000])
        return book_slot(
            fleet=truck.fleet, option=option, vehicle=truck, period=self._period(), power_w=power_w,
            actor=DISPATCHER, now=self._now
        )  # fmt: skip

    def _book_many(self) -> Any:
        """Three of one fleet, all or what fits."""
        fleet = self._pick(Vehicle.objects.all()).fleet
        wishes = [
            operations.ManyWish([operations.SlotRequest(
                fleet=fleet, option=self._pick(BookingOption.objects.all()), period=self._period(),
                vehicle=self._pick(Vehicle.objects.filter(fleet=fleet)),
            )])
            for _ in range(3)
        ]  # fmt: skip
        what_fits, dry_run = (self._random.random() < share for share in (0.7, 0.3))
        return operations.book_many(
            wishes, what_fits=what_fits, dry_run=dry_run, actor=DISPATCHER, now=self._now
        )

    def _hold(self) -> Any:
        truck = self._pick(Vehicle.objects.all())
        return place_hold(
            fleet=truck.fleet, option=self._pick(BookingOption.objects.all()), vehicle=truck, period=self._period(),
            actor=DISPATCHER, now=self._now,
        )  # fmt: skip

    def _confirm(self) -> Any:
        if held := self._pick(Booking.objects.filter(status="held")):
            return operations.confirm_hold(booking_id=held.pk, actor=DISPATCHER, now=self._now)
        return None

    def _change(self) -> Any:
        if booking := self._booking():
            return change_slot(booking_id=booking.pk, period=self._period(), actor=DISPATCHER, now=self._now)
        return None

    def _move(self) -> Any:
        if booking := self._booking():
            evse = self._pick(Evse.objects.all())
            return change_slot(booking_id=booking.pk, evse=evse, by="depot", actor=MANAGER, now=self._now)
        return None

    def _cancel(self) -> Any:
        if booking := self._booking():
            by = self._random.choice(["fleet", "depot"])
            return operations.cancel_booking(
                booking_id=booking.pk, reason="BLOCKED", by=by, actor=DISPATCHER, now=self._now
            )
        return None

    def _decide(self) -> Any:
        if booking := self._pick(Booking.objects.filter(requests__decision="pending")):
            accept = self._random.random() < 0.7
            return operations.decide(booking_id=booking.pk, accept=accept, actor=MANAGER, now=self._now)
        return None

    def _close(self) -> Any:
        evse = self._pick(Evse.objects.all())
        return operations.close_evse(evse=evse, period=self._period(), actor=MANAGER, now=self._now)

    def _lift(self) -> Any:
        if closure := self._pick(Closure.objects.filter(lifted_at=None)):
            return operations.lift_closure(closure_id=closure.pk, actor=MANAGER, now=self._now)
        return None

    def _clear(self) -> Any:
        if closure := self._pick(Closure.objects.filter(lifted_at=None)):
            return operations.clear_closure(closure_id=closure.pk, actor=MANAGER, now=self._now)
        return None

    def _tick(self) -> str:
        with _no_silent_failures():
            scheduler.run_tick(self._now)
        return "ticked"

    def _answer(self) -> Any:
        command = self._pick(ChargerCommand.objects.filter(state="queued"))
        if command is None:
            return None
        answer = self._random.choice(["accepted"] * 6 + ["occupied", "faulted", "rejected"])
        return depots.settle_command(command_id=command.pk, answer=answer, now=self._now)

    def _charge(self) -> Any:
        booking = self._pick(Booking.objects.filter(status="confirmed", enforcement="armed"))
        token = booking.tokens.first() if booking else None
        if booking is None or token is None or booking.evse is None or booking.evse.charger_id is None:
            return None
        charger_id = booking.evse.charger_id
        begun = depots.Start(
            evse_number=booking.evse.number, token_uid=token.uid, key=f"{self._random.random()}", at=self._now
        )
        session = depots.start_session(charger_id=charger_id, start=begun, now=self._now).session
        ended = depots.Stop(transaction=session.transaction, at=self._now + timedelta(minutes=20))
        return depots.stop_session(charger_id=charger_id, stop=ended, now=self._now + timedelta(minutes=20))

    def _status(self) -> Any:
        evse = self._pick(Evse.objects.all())
        status = self._random.choice(["available"] * 4 + ["occupied", "faulted", "reserved"])
        depots.report_status(
            charger_id=evse.charger_id, evse_number=evse.number, status=status, at=self._now, now=self._now
        )
        return status

    def _reconnect(self) -> str:
        charger = self._pick(Charger.objects.all())
        depots.reconcile(charger_id=charger.pk, holder="gw", rebooted=False, now=self._now)
        return "reconnected"

    def _booking(self) -> Booking | None:
        found: Booking | None = self._pick(Booking.objects.filter(status__in=LIVE))
        return found

    def _period(self) -> Period:
        start = at(8) + timedelta(minutes=15 * self._random.randrange(28))
        return Period(start, start + timedelta(minutes=15 * self._random.randrange(2, 8)))

    def _pick(self, rows: Any) -> Any:
        ids = list(rows.order_by("pk").values_list("pk", flat=True))
        return rows.model.objects.filter(pk=self._random.choice(ids)).first() if ids else None


@contextmanager
def _no_silent_failures() -> Iterator[None]:
    """The scheduler logs what failed and goes on; here that is a failure."""
    with patch.object(scheduler.logger, "exception", side_effect=_raise_what_is_handled):
        yield


def _raise_what_is_handled(*_: object) -> None:
    raise AssertionError(traceback.format_exc())


def _yard() -> None:
    """Six EVSEs at three chargers, two alone and four in a pool with its own approval, and too little power for all."""
    terms = {
        "turnaround_min": 5, "early_start_min": 15, "change_until_min": 0, "cancel_until_min": 0,
        "overlapping_tokens": False,
    }  # fmt: skip
    depot = make_depot(terms=terms, grid_limit_w=GRID_W)
    online = {"lease_holder": "gw", "lease_until": at(23, day=3), "connected_at": NOW}
    chargers = [make_charger(depot, **online) for _ in range(3)]
    evses = [
        make_evse(charger=c, option=c is chargers[0], max_power_w=400_000, status="available")
        for c in chargers
        for _ in range(2)
    ]
    make_option(*evses[2:], terms={"approval": True})
    make_option(*evses[:4])
    fleets = [make_fleet(), make_fleet()]
    for number in range(30):
        make_vehicle(fleets[number % 2], max_power_w=250_000)


def _check_places() -> None:
    rows = list(Occupancy.objects.all())
    for i, a in enumerate(rows):
        for b in rows[i + 1 :]:
            assert a.evse_id != b.evse_id or a.holder == b.holder or not a.span.overlaps(b.span), (a, b)
    for booking in Booking.objects.all():
        mine = [row for row in rows if row.holder == booking.pk and row.kind == "booking"]
        pending = [row for row in rows if row.holder == booking.pk and row.kind == "pending"]
        if booking.status in LIVE:
            assert [row.evse_id for row in mine] == [booking.evse_id], booking.status
            assert mine[0].span.covers(booking.period)
            assert bool(pending) == booking.requests.filter(decision="pending", kind="change").exists()
        else:
            assert not pending
            assert not mine or booking.status == "completed"


def _check_power() -> None:
    """Of a booking and the change of it that waits, the larger counts at one EVSE, once."""
    rows = list(Occupancy.objects.all())
    for moment in {row.span.starts_at for row in rows}:
        floors: dict[int, int] = {}
        for row in rows:
            if row.span.contains(moment):
                floors[row.evse_id] = max(floors.get(row.evse_id, 0), row.power_w)
        assert sum(floors.values()) <= GRID_W


def _check_claims() -> None:
    rows = list(Claim.objects.all())
    for i, a in enumerate(rows):
        for b in rows[i + 1 :]:
            same = (a.token_key and a.token_key == b.token_key) or (
                a.vehicle_id and a.vehicle_id == b.vehicle_id
            )
            assert not same or a.holder == b.holder or not a.span.overlaps(b.span)
    live = set(Booking.objects.filter(status__in=LIVE).values_list("pk", flat=True))
    assert {row.holder for row in rows} == live


def _check_histories() -> None:
    """Every booking's moves join up, follow the table and end at its status."""
    for booking in Booking.objects.all():
        moves = list(BookingEvent.objects.filter(booking=booking, kind="status").order_by("id"))
        assert moves[-1].after == booking.status
        for before, after in itertools.pairwise(moves):
            assert after.before == before.after
            assert after.after in lifecycle.NEXT[after.before]
        versions = booking.events.aggregate(last=Max("id"))
        assert versions["last"] is not None


def _check_closures() -> None:
    """A closure in force leaves no free time in its span."""
    for closure in Closure.objects.filter(lifted_at=None):
        spans = Occupancy.objects.filter(evse=closure.evse_id, span__overlap=closure.period).values_list(
            "span", flat=True
        )
        covered = sum(
            ((s.intersection(closure.period) or closure.period).duration for s in spans), timedelta()
        )
        own = [row.span for row in Occupancy.objects.filter(holder=closure.pk)]
        assert all(closure.period.covers(span) for span in own)
        assert covered >= closure.period.duration, (closure.period, list(spans))
