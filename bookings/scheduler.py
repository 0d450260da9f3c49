"""What is due by the clock. A worker calls `run_tick` once a second; whoever calls, a tick happens once.

Everything due is found by an indexed query, so nothing is lost with a process, and each piece of work is a transaction of
its own, so that one that fails does not hold up the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from bookings import enforcement, operations, smart_charging
from bookings.billing import billing_schedule, provider_calls, reminders
from bookings.errors import BookingError
from bookings.maintenance import restart_in_gaps
from bookings.models import Booking, BookingRequest, BookingStatus
from depots import operations as depots
from depots.commissioning import begin_due_rounds
from depots.operations.certificate_requests import ask_for_renewals
from depots.operations.security_raise import look_after_raises

logger = logging.getLogger(__name__)
Step = Callable[[datetime], object]
AT_ONCE = 500
CARE_EVERY_S = 5
# So long after the booked end a session that still runs is looked at.
SILENCE = timedelta(hours=1)


def run_tick(now: datetime) -> None:
    """Do all that is due at `now`; done twice it does nothing more."""
    steps: tuple[Step, ...] = (
        _expire_holds,
        _fail_undecided,
        lambda at: depots.release_lapsed(now=at),
        lambda at: enforcement.adopt_due(now=at),
        lambda at: enforcement.arm_due(now=at),
        lambda at: enforcement.retry_due(now=at),
        lambda at: enforcement.follow_kept_evses(now=at),
        lambda at: enforcement.follow_local_lists(now=at),
        lambda at: enforcement.finish_reserve_tests(now=at),
        lambda at: enforcement.watch_bays(now=at),
        lambda at: enforcement.rescue(now=at),
        # In the order in which they came about: another limit that was set since stands behind it in the history.
        lambda at: smart_charging.tell_lifted(now=at),
        # Whoever comes too late is told of a limit before their time is judged, or nobody would know that it took their power;
        # and before the limit ends, or one that came and went while no worker ran is told to nobody.
        lambda at: smart_charging.tell_limits(now=at),
        lambda at: operations.end_limits(now=at),
        _end_no_shows,
        lambda at: enforcement.end_failed_tries(now=at),
        lambda at: enforcement.end_stays(now=at),
        lambda at: enforcement.mark_lost(now=at),
        lambda at: enforcement.warn_of_ends(now=at),
        lambda at: enforcement.note_overstays(now=at),
        lambda at: enforcement.stop_overstays(now=at),
        _end_silent,
        _complete_remote,
        _fail_remote,
        lambda at: smart_charging.plan_due(now=at),
        lambda at: smart_charging.note_shortfalls(now=at),
        lambda at: reminders.remind_overdue(now=at),
        lambda at: provider_calls.remind_due(now=at),
        lambda at: billing_schedule.ask_due(now=at),
    )
    # Care of chargers: all of them are looked at, and none of it is urgent.
    care: tuple[Step, ...] = (
        lambda at: begin_due_rounds(now=at),
        lambda at: restart_in_gaps(now=at),
        lambda at: ask_for_renewals(now=at),
        lambda at: look_after_raises(now=at),
    )
    for step in (*steps, *(care if now.second % CARE_EVERY_S == 0 else ())):
        try:
            step(now)
        except Exception:
            logger.exception("A step of the scheduler failed; it is tried again with the next tick")


def _expire_holds(now: datetime) -> None:
    overdue = Booking.objects.overdue_holds(now)
    _each(overdue.values_list("pk", flat=True), lambda pk: operations.expire_hold(booking_id=pk, now=now))


def _fail_undecided(now: datetime) -> None:
    overdue = Booking.objects.here().filter(decide_until__lte=now)
    _each(overdue.values_list("pk", flat=True), lambda pk: operations.fail_undecided(booking_id=pk, now=now))


def _end_no_shows(now: datetime) -> None:
    begun = Booking.objects.here().filter(status=BookingStatus.CONFIRMED, starts_at__lte=now)
    due = [booking.pk for booking in begun.order_by("starts_at").iterator() if booking.no_show_at() <= now]
    _each(due, lambda pk: enforcement.give_up_or_no_show(booking_id=pk, now=now))


def _end_silent(now: datetime) -> None:
    """A booking does not charge for ever because a charger never told the end."""
    long_over = Booking.objects.here().filter(status=BookingStatus.CHARGING, ends_at__lte=now - SILENCE)
    unended = long_over.filter(session__ended_at__isnull=True)
    running = list(unended.exclude(session=None).values_list("session_id", flat=True)[:AT_ONCE])
    # Ending one locks; most of them still charge.
    silent = depots.silent_sessions(running, now=now) if running else []
    _each(silent, lambda session_id: depots.end_silent_session(session_id=session_id, now=now))


def _fail_remote(now: datetime) -> None:
    # Open asks are few and indexed.
    asked = Booking.objects.filter(requests__decision=BookingRequest.Decision.PENDING)
    over = asked.filter(
        status=BookingStatus.REQUESTED, route=Booking.Route.OUTBOUND, ends_at__lte=now - timedelta(minutes=1)
    )
    _each(
        over.values_list("pk", flat=True),
        lambda pk: operations.fail_unanswered_remote(booking_id=pk, now=now),
    )


def _complete_remote(now: datetime) -> None:
    over = Booking.objects.filter(
        status=BookingStatus.CHARGING, route=Booking.Route.OUTBOUND, ends_at__lte=now - timedelta(minutes=1)
    )
    _each(
        over.values_list("pk", flat=True),
        lambda pk: operations.complete_overdue_remote(booking_id=pk, now=now),
    )


def _each(ids: Iterable[int], do: Callable[[int], object]) -> None:
    for pk in list(ids)[:AT_ONCE]:
        try:
            do(pk)
        except BookingError:
            continue  # somebody was faster: it is not due any more
        except Exception:
            logger.exception("Booking %s could not be aged; it is tried again with the next tick", pk)
