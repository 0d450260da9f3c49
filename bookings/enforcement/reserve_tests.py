"""A reservation for nobody: what a charger makes of one, seen in half a minute while no booking needs the EVSE."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from bookings.actors import Actor
from bookings.core import calendars
from bookings.core.locking import lock_evses
from bookings.core.one_by_one import each_by_itself
from bookings.enforcement.state import AT_CHARGER
from bookings.errors import BookingError, ChargerOffline, EvseNeeded
from bookings.models import Booking, BookingStatus, Occupancy, ReserveTest
from depots import operations as depots
from depots.models import ChargerCommand, Evse
from depots.periods import Period, utc_text
from depots.queries import is_online

State = ReserveTest.State
Action = ChargerCommand.Action

# The charger gives it back by itself after that, should nobody be able to tell it.
RESERVED_FOR = timedelta(minutes=1)
# A status may be delayed (MinimumStatusDuration); what was not shown by then is not shown.
SHOWS_WITHIN = timedelta(seconds=25)
# What is said of it later says nothing: by a charger's clock it may be over.
STANDS_FOR = timedelta(seconds=40)
# Nobody may be due at the EVSE before it is long over.
NOBODY_WITHIN = timedelta(minutes=5)


def try_reservation(*, evse: Evse, actor: Actor, now: datetime) -> ReserveTest:
    """Have a free EVSE reserved for a token that nobody has. Raises ChargerOffline, or EvseNeeded where it is not free or is
    needed for a booking."""
    with calendars.one_operation():
        evse = lock_evses([evse.pk])[evse.pk]
        if why := why_not_tried([evse], now=now).get(evse.pk):
            raise why
        charger = evse.charger
        assert charger is not None
        test = ReserveTest.objects.create(
            evse=evse, charger=charger, number=evse.number, asked_at=now, **actor.columns("asked_by")
        )
        _reserve(test, now)
    return test


def _reserve(test: ReserveTest, now: datetime) -> None:
    expires_at = utc_text(now + RESERVED_FOR)
    depots.queue_command(
        charger=test.charger,
        action=Action.RESERVE,
        payload={
            "reservation_id": test.pk, "evse": test.number, "token": test.token, "token_type": "OTHER", "group": "",
            "expires_at": expires_at,
        },
        reservation_id=test.pk,
        not_after=now + SHOWS_WITHIN,
        now=now,
    )  # fmt: skip


def take_test_answer(command: ChargerCommand, *, now: datetime) -> None:
    """Runs in the transaction that settles the command."""
    if command.action not in {Action.RESERVE, Action.CANCEL_RESERVATION} or command.reservation_id is None:
        return
    test = _open().filter(pk=command.reservation_id).first()
    if test is None:
        return
    answer = command.answer or command.state
    if command.action == Action.RESERVE:
        test.answer, test.answered_at = answer, now
        if command.answer != "accepted" and command.state != ChargerCommand.State.UNCLEAR:
            test.state, test.finished_at = State.DONE, now
    else:
        test.answer_to_cancel, test.state, test.finished_at = answer, State.DONE, now
        _look(test, now)
        test.was_forgotten = _was_forgotten(test)
        if test.was_forgotten:
            evidence = f"command {command.pk}"
            depots.measure(command.charger, "reservation", "lies", evidence=evidence, now=now)
    test.save()


def _look(test: ReserveTest, now: datetime) -> None:
    evse = test.evse
    is_shown = evse.told_status == Evse.Status.RESERVED and (evse.status_received_at or now) >= test.asked_at
    if test.answer == "accepted" and is_shown:
        test.shown_at = test.shown_at or now


def _was_forgotten(test: ReserveTest) -> bool:
    """A finished test. One that ran out, or that a restart or a lost status may explain, shows nothing."""
    charger, finished_at = test.charger, test.finished_at
    if test.answer != "accepted" or test.shown_at is not None or test.answer_to_cancel != "rejected":
        return False
    if finished_at is None or finished_at > test.asked_at + STANDS_FOR:
        return False
    return not any(at is not None and at >= test.asked_at for at in (charger.connected_at, charger.booted_at))


def finish_reserve_tests(*, now: datetime) -> int:
    """Take back what has been looked at for long enough. How many there were."""
    unfinished = ReserveTest.objects.filter(finished_at__isnull=True)
    return each_by_itself(unfinished.values_list("pk", flat=True), lambda pk: _follow(pk, now))


def _follow(test_id: int, now: datetime) -> int:
    test = _open().filter(pk=test_id).first()
    if test is None:
        return 0
    _look(test, now)
    is_seen = test.shown_at is not None or now >= test.asked_at + SHOWS_WITHIN
    if test.state == State.ASKED and test.answer and is_seen:
        test.state = State.GIVING_BACK
        depots.queue_command(
            charger=test.charger,
            action=Action.CANCEL_RESERVATION,
            payload={"reservation_id": test.pk},
            reservation_id=test.pk,
            not_after=test.asked_at + STANDS_FOR,
            now=now,
        )
    elif now >= test.asked_at + RESERVED_FOR * 2:
        test.state, test.finished_at = State.DONE, now
    test.save()
    return 1


def why_not_tried(evses: Collection[Evse], *, now: datetime) -> dict[int, BookingError]:
    """Why a reservation cannot be tried now, by EVSE id, of those where it cannot; they come with their charger. Three
    queries."""
    ids = [evse.pk for evse in evses]
    span = Period(now, now + NOBODY_WITHIN)
    taken = set(Occupancy.objects.filter(evse__in=ids, span__overlap=span).values_list("evse_id", flat=True))
    due = Booking.objects.filter(
        Q(evse__in=ids) | Q(armed_evse__in=ids), status=BookingStatus.CONFIRMED, enforcement__in=AT_CHARGER
    )
    for pair in due.values_list("evse_id", "armed_evse_id"):
        taken.update(pk for pk in pair if pk is not None)
    tried = ReserveTest.objects.filter(evse__in=ids, finished_at__isnull=True)
    in_test = set(tried.values_list("evse_id", flat=True))
    reasons = ((evse.pk, _why_not(evse, evse.pk in taken, evse.pk in in_test, now)) for evse in evses)
    return {pk: why for pk, why in reasons if why is not None}


def _why_not(evse: Evse, is_needed: bool, is_tried: bool, now: datetime) -> BookingError | None:
    if evse.charger is None or not is_online(evse.charger, now=now):
        return ChargerOffline()
    if is_needed:
        return EvseNeeded("The EVSE is needed for a booking.")
    if is_tried or evse.status != Evse.Status.AVAILABLE:
        return EvseNeeded("The EVSE is not free now.")
    return None


def _open() -> QuerySet[ReserveTest]:
    rows = ReserveTest.objects.select_for_update(of=("self",), no_key=True)
    return rows.filter(finished_at__isnull=True).select_related("evse", "charger")
