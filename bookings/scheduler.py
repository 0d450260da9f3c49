"""What is due by the clock. A worker calls `run_tick` once a second; whoever calls, a tick happens once.

Everything due is found by an indexed query, so nothing is lost with a process, and each piece of work is a transaction of
its own, so that one that fails does not hold up the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from time import monotonic
from typing import Protocol

from bookings import enforcement, operations, smart_charging
from bookings.billing import billing_schedule, provider_calls, reminders
from bookings.errors import BookingError
from bookings.maintenance import restart_in_gaps
from bookings.models import Booking, BookingRequest, BookingStatus
from bookings.notifications import mails
from bookings.operations.kept_answers import forget_answers
from depots import operations as depots
from depots.commissioning import begin_due_rounds
from depots.operations.api_tokens import forget_api_use
from depots.operations.certificate_requests import ask_for_renewals
from depots.operations.security_raise import look_after_raises

logger = logging.getLogger(__name__)
AT_ONCE = 500
CARE_EVERY_S = 5
# So long depots are served in one go: the next one also sees what becomes of offers.
WAITLIST_S = 3.0
# So long after the booked end a session that still runs is looked at.
SILENCE = timedelta(hours=1)


class Step(Protocol):
    def __call__(self, *, now: datetime) -> object: ...


def run_tick(now: datetime) -> None:
    """Do all that is due at `now`; done twice it does nothing more."""
    for step in (*STEPS, *(CARE if now.second % CARE_EVERY_S == 0 else ())):
        try:
            step(now=now)
        except Exception:
            logger.exception("A step of the scheduler failed; it is tried again with the next tick")


def serve_waitlist(now: datetime) -> None:
    """What came free is offered to who waits for it: no part of the tick, as thousands may wait, and what is armed then may not.
    Depots for which there is no time are served first with the next call."""
    operations.expire_waiting(now=now)
    _each(operations.due_offers(now), lambda pk: operations.follow_offer(entry_id=pk, now=now))
    over = monotonic() + WAITLIST_S
    _each(
        operations.due_depots(now),
        lambda pk: operations.serve_depot(depot_id=pk, now=now) if monotonic() < over else None,
    )


def _expire_holds(*, now: datetime) -> None:
    overdue = Booking.objects.overdue_holds(now)
    _each(overdue.values_list("pk", flat=True), lambda pk: operations.expire_hold(booking_id=pk, now=now))


def _settle_trips(*, now: datetime) -> None:
    due = operations.due_trips(now).order_by("pk")
    _each(due.values_list("pk", flat=True), lambda pk: operations.settle_trip(trip_id=pk, now=now))


def _fail_undecided(*, now: datetime) -> None:
    overdue = Booking.objects.here().filter(decide_until__lte=now)
    _each(overdue.values_list("pk", flat=True), lambda pk: operations.fail_undecided(booking_id=pk, now=now))


def _end_no_shows(*, now: datetime) -> None:
    begun = Booking.objects.here().filter(status=BookingStatus.CONFIRMED, starts_at__lte=now)
    due = [booking.pk for booking in begun.order_by("starts_at").iterator() if booking.no_show_at() <= now]
    _each(due, lambda pk: enforcement.give_up_or_no_show(booking_id=pk, now=now))


def _end_silent(*, now: datetime) -> None:
    """A booking does not charge for ever because a charger never told the end."""
    long_over = Booking.objects.here().filter(status=BookingStatus.CHARGING, ends_at__lte=now - SILENCE)
    unended = long_over.filter(session__ended_at__isnull=True)
    running = list(unended.exclude(session=None).values_list("session_id", flat=True)[:AT_ONCE])
    # Ending one locks; most of them still charge.
    silent = depots.silent_sessions(running, now=now) if running else []
    _each(silent, lambda session_id: depots.end_silent_session(session_id=session_id, now=now))


def _fail_remote(*, now: datetime) -> None:
    # Open asks are few and indexed.
    asked = Booking.objects.filter(requests__decision=BookingRequest.Decision.PENDING)
    over = asked.filter(
        status=BookingStatus.REQUESTED, route=Booking.Route.OUTBOUND, ends_at__lte=now - timedelta(minutes=1)
    )
    _each(
        over.values_list("pk", flat=True),
        lambda pk: operations.fail_unanswered_remote(booking_id=pk, now=now),
    )


def _complete_remote(*, now: datetime) -> None:
    over = operations.overdue_remote(now=now - timedelta(minutes=1))
    _each(
        over.values_list("pk", flat=True),
        lambda pk: operations.complete_overdue_remote(booking_id=pk, now=now),
    )


def _end_unused(*, now: datetime) -> None:
    over = Booking.objects.filter(
        status=BookingStatus.CONFIRMED, route=Booking.Route.OUTBOUND, terms_json__best_effort=True,
        starts_at__lte=now - operations.UNUSED_AFTER, ends_at__lte=now - operations.UNUSED_AFTER,
    )  # fmt: skip
    _each(over.values_list("pk", flat=True), lambda pk: operations.end_unused(booking_id=pk, now=now))


def _each(ids: Iterable[int], do: Callable[[int], object]) -> None:
    for pk in list(ids)[:AT_ONCE]:
        try:
            do(pk)
        except BookingError:
            continue  # somebody was faster: it is not due any more
        except Exception:
            logger.exception("What is due for %s could not be done; it is tried again with the next tick", pk)


# In this order with every tick.
STEPS: tuple[Step, ...] = (
    _settle_trips,
    _expire_holds,
    _fail_undecided,
    depots.release_lapsed,
    enforcement.adopt_due,
    enforcement.arm_due,
    enforcement.retry_due,
    enforcement.follow_kept_evses,
    enforcement.follow_local_lists,
    enforcement.finish_reserve_tests,
    enforcement.watch_bays,
    enforcement.rescue,
    operations.end_limits,
    _end_no_shows,
    enforcement.end_failed_tries,
    enforcement.end_stays,
    enforcement.mark_lost,
    enforcement.warn_of_ends,
    enforcement.note_overstays,
    enforcement.stop_overstays,
    _end_silent,
    _complete_remote,
    _end_unused,
    _fail_remote,
    smart_charging.plan_due,
    smart_charging.note_shortfalls,
    reminders.remind_overdue,
    provider_calls.remind_due,
    billing_schedule.ask_due,
    mails.queue_due,
)
# Care of chargers and depots, all of which are looked at, and of what the API need not remember: none of it is urgent.
# What a charger is seen to do comes first, and what follows from that for bookings.
CARE: tuple[Step, ...] = (
    depots.judge_strangers,
    enforcement.distrust_liars,
    begin_due_rounds,
    restart_in_gaps,
    ask_for_renewals,
    look_after_raises,
    forget_answers,
    forget_api_use,
    operations.claim_due,
    operations.tell_of_released_hours,
)
