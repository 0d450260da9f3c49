"""What chargers report, and what it means for the bookings there. Each runs in the reporter's transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Q

from bookings import operations
from bookings.actors import Actor
from bookings.core.locking import lock_bookings, lock_evses
from bookings.enforcement import fallbacks, session_monitoring
from bookings.enforcement.arming import rearm
from bookings.enforcement.rescue import swap
from bookings.enforcement.state import AT_CHARGER, RETRY, charger_of, is_wanted, set_state
from bookings.errors import WrongStatus
from bookings.models import Booking, BookingStatus, Enforcement
from bookings.models.enforcement_words import OWN
from depots import operations as depots
from depots.gate import Authorization
from depots.models import Charger, ChargerCommand, ChargingSession, Evse
from depots.queries import armed_reservations

# A reservation that ends sooner was not capped but lost.
LEAST_CLAIM = timedelta(minutes=1)


def charger_connected(charger: Charger, *, rebooted: bool, now: datetime) -> None:
    """What it holds is unknown: first take back what should not stand, then reserve again what should."""
    bookings = list(_at_charger(charger))
    wanted = {b.reservation_id for b in bookings if is_wanted(b) and b.no_show_at() > now}
    for armed in armed_reservations(charger, now=now):
        if armed.reservation_id not in wanted:
            _take_back(charger, armed.reservation_id, now)
    if rebooted and (left := left_over_reboot(charger, bookings)):
        depots.measure(charger, depots.OVER_REBOOT, left.seen, evidence=left.evidence, now=now)
    for booking in bookings:
        if booking.reservation_id in wanted and booking.enforcement in AT_CHARGER:
            if booking.enforcement != Enforcement.SOFT:
                set_state(booking, Enforcement.DUE, now=now)
            rearm(booking, now=now)
    fallbacks.resend(charger, now=now)
    session_monitoring.clear_offline(charger, now=now)


def charger_disconnected(charger: Charger, *, now: datetime) -> None:
    """Offline: its reservations may go on, but nobody can tell. One that said it was out of service is restarting."""
    for booking in _at_charger(charger):
        if is_lost_with_its_charger(booking):
            set_state(booking, Enforcement.AT_RISK, why="offline", retry_at=now + RETRY, now=now)


def is_lost_with_its_charger(booking: Booking) -> bool:
    """Whether it is at risk once its charger is offline, and was not before."""
    is_restart = booking.enforcement_why == "unavailable"
    return is_wanted(booking) and (is_restart or booking.enforcement in {Enforcement.ARMED, Enforcement.DUE})


def evse_status_changed(evse: Evse, before: str, *, now: datetime) -> None:
    """A status is a hint: it makes us look and ask again, and only a fault is believed at once.

    Out of service may be the two seconds of a restart: `rescue` moves what is not back after its grace.
    """
    session_monitoring.follow_status(evse, now=now)
    fallbacks.follow_status(evse, now=now)
    for booking in _at_evse(evse):
        if not is_wanted(booking, evse) or booking.enforcement not in AT_CHARGER:
            continue
        if evse.is_kept:
            if booking.enforcement == Enforcement.AT_RISK:
                rearm(booking, now=now)  # whoever was there has left
        elif evse.is_out_of_order:
            # A reservation ends on a charger with the fault (OCPP 1.6 §5.13, 2.0.1 H01).
            set_state(booking, Enforcement.AT_RISK, why=evse.status, retry_at=now + RETRY, now=now)
            if evse.status == Evse.Status.FAULTED:
                swap(booking, now=now)
        elif asks_for_a_try(booking, evse, before) and not _is_being_answered(booking, evse):
            rearm(booking, now=now)


def evse_status_repeated(evse: Evse, *, now: datetime) -> None:
    """It says again what it said before, which for a slot at risk is reason enough to ask again."""
    at_risk = Booking.objects.filter(
        evse=evse, status=BookingStatus.CONFIRMED, enforcement=Enforcement.AT_RISK
    )
    if at_risk.exists():
        evse_status_changed(evse, evse.status, now=now)


def reservation_ended(charger: Charger, reservation_id: int, outcome: str, *, now: datetime) -> None:
    """A 2.x charger dropped a reservation. While the slot is still booked it is made again."""
    for booking in _at_charger(charger):
        if booking.reservation_id != reservation_id or not is_wanted(booking) or booking.no_show_at() <= now:
            continue
        if booking.enforcement == Enforcement.ARMED:
            if outcome == "expired":
                _measure_claim(booking, now)
            set_state(booking, Enforcement.DUE, now=now)
            rearm(booking, now=now)


def session_started(session: ChargingSession, answer: Authorization, *, now: datetime) -> None:
    """An entitled token at work: the booking is used, or taken up again. One whose slot is over leaves a session without
    a booking."""
    if not session.is_entitled or answer.reservation_id is None or session.evse is None:
        return
    with suppress(WrongStatus, Booking.DoesNotExist):
        operations.start_charging(
            booking_id=answer.reservation_id, session=session, actor=Actor.charger(session.charger), now=now
        )


def session_ended(session: ChargingSession, *, now: datetime) -> None:
    operations.end_session(session=session, actor=Actor.charger(session.charger), now=now)


def _at_charger(charger: Charger) -> Iterator[Booking]:
    """The bookings whose reservation may stand at a charger or should, locked, in order of time."""
    evses = lock_evses(list(charger.evses.values_list("pk", flat=True)))
    yield from _locked(Q(evse__in=evses) | Q(armed_evse__in=evses))


def _at_evse(evse: Evse) -> Iterator[Booking]:
    lock_evses([evse.pk])
    yield from _locked(Q(evse=evse))


def _locked(where: Q) -> Iterator[Booking]:
    live = Booking.objects.filter(where, status=BookingStatus.CONFIRMED, enforcement__in=AT_CHARGER)
    yield from sorted(lock_bookings(list(live.values_list("pk", flat=True))), key=lambda b: b.starts_at)


def asks_for_a_try(booking: Booking, evse: Evse, before: str) -> bool:
    """Free at last, or free although we armed it: a driver tapped and walked off, or the charger forgot, or has let somebody
    else charge there."""
    if booking.enforcement == Enforcement.AT_RISK or booking.enforcement_why in OWN:
        return evse.status in {Evse.Status.AVAILABLE, Evse.Status.RESERVED}
    # A reservation ends with a fault, too; its answer may have been written down after that was told.
    was_kept = before in {Evse.Status.RESERVED, Evse.Status.FAULTED, Evse.Status.UNAVAILABLE}
    is_armed_and_free = booking.enforcement == Enforcement.ARMED and evse.status == Evse.Status.AVAILABLE
    return is_armed_and_free and (was_kept or _keeps_no_reservations(evse))


def _is_being_answered(booking: Booking, evse: Evse) -> bool:
    """Whether it shows as reserved for what it is being asked: its answer comes after its status."""
    if evse.status != Evse.Status.RESERVED:
        return False
    return ChargerCommand.objects.filter(
        charger=evse.charger_id, reservation_id=booking.reservation_id, action=ChargerCommand.Action.RESERVE,
        state=ChargerCommand.State.SENT,
    ).exists()  # fmt: skip


def _keeps_no_reservations(evse: Evse) -> bool:
    return evse.charger is not None and evse.charger.measured.get("reservation") == "lies"


def _measure_claim(booking: Booking, now: datetime) -> None:
    """Its charger let a reservation expire long before it was to: so long is the longest that it keeps one."""
    charger = charger_of(booking)
    if charger is None:
        return
    stood = charger.commands.filter(
        reservation_id=booking.reservation_id, action=ChargerCommand.Action.RESERVE, answered_at__isnull=False
    )
    last = stood.order_by("-id").first()
    if last is None or last.answered_at is None:
        return
    lasted = now - last.answered_at
    if lasted >= LEAST_CLAIM and now + LEAST_CLAIM < datetime.fromisoformat(last.payload["expires_at"]):
        evidence = f"command {last.pk}"
        depots.measure(charger, "claim_s", int(lasted.total_seconds()), evidence=evidence, now=now)


class LeftOverReboot(NamedTuple):
    """What became of a reservation over a restart, `kept` or `forgot`, and how it is known."""

    seen: str
    evidence: str


def left_over_reboot(charger: Charger, bookings: list[Booking]) -> LeftOverReboot | None:
    """Whether it still shows as reserved what it held before it started again, by what it has told since. Nothing where that
    does not say."""
    for booking in bookings:
        evse = booking.evse
        if booking.enforcement not in {Enforcement.ARMED, Enforcement.AT_RISK} or evse is None:
            continue
        told_at, booted_at = evse.status_received_at, charger.booted_at
        if booking.armed_evse_id != evse.pk or not told_at or not booted_at or told_at < booted_at:
            continue
        seen = {Evse.Status.RESERVED: "kept", Evse.Status.AVAILABLE: "forgot"}.get(
            Evse.Status(evse.told_status)
        )
        if seen:
            return LeftOverReboot(seen, f"restart with {evse.uid} reserved")
    return None


def _take_back(charger: Charger, reservation_id: int, now: datetime) -> None:
    depots.queue_command(
        charger=charger,
        action=ChargerCommand.Action.CANCEL_RESERVATION,
        payload={"reservation_id": reservation_id},
        reservation_id=reservation_id,
        now=now,
    )
