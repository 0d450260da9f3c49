"""A booking at work: sessions begin in it, break off, are taken up again, and end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bookings.actors import Actor
from bookings.core import calendars, interruption, lifecycle, occupancy
from bookings.core.locking import lock_booking
from bookings.errors import WrongStatus
from bookings.models import Booking, BookingSession, BookingStatus, Enforcement
from bookings.operations import promise_power, request_log
from bookings.payments import booking_payments
from bookings.rules import power
from depots.models import ChargingSession, Evse
from depots.periods import Period

# A meter that proves less than this shows a plug-in that failed: not even a contactor's test draws more.
NO_ENERGY_WH = 10
# Flags of a session whose energy is for a person to judge (depots/operations/transaction_reports.py).
UNPROVEN = {"bad_meter", "no_meter_start", "no_meter_stop", "no_stop"}


def start_charging(
    *, booking_id: int, session: ChargingSession, actor: Actor, now: datetime, is_adopted: bool = False
) -> Booking:
    """An entitled token started a session in the slot: the booking is used. Raises WrongStatus.

    `now` is when it started as far as known, or when one that ran without a booking `is_adopted`; the session may stand at
    another EVSE of the depot than the booked one. A later session inside the slot is attached, whatever has become of the
    booking; a final status stays.
    """
    with calendars.one_operation():
        booking = lock_booking(
            booking_id,
            also=[session.evse_id] if session.evse_id else [],
            depot=lambda row: session.evse_id not in {None, row.evse_id} and power.can_bind(row.depot),
        )
        if booking.status == BookingStatus.CONFIRMED:
            since = {"already_since": session.started_at.isoformat()} if is_adopted else {}
            _begin(booking, session, since, actor, now)
        else:
            _take_up_again(booking, session, actor, now)
    return booking


def begin_stay(*, booking_id: int, session: ChargingSession, actor: Actor, now: datetime) -> Booking:
    """The truck charges on in its slot, by a session of the booking before, which stays that one's (docs/decisions/0105): the
    booking is used, without a session of its own. Raises WrongStatus."""
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        since = {"already_since": session.started_at.isoformat()}
        if session.visit.booking.fleet_id == booking.fleet_id:  # another fleet's booking is nobody's business
            since["in_booking"] = session.visit.booking.reference
        _begin(booking, None, since, actor, now)
    return booking


def end_session(*, session: ChargingSession, actor: Actor, now: datetime) -> Booking | None:
    """A session of a booking ended: mostly the booking with it. None where no booking was used.

    One whose meter proves that nothing was charged leaves the booking charging and the slot its holder's until the
    booked end.
    """
    visit = BookingSession.objects.filter(session=session).values_list("booking_id", flat=True).first()
    if visit is None:
        return None
    with calendars.one_operation():
        booking = lock_booking(visit)
        is_current = booking.session_id == session.pk
        if booking.status != BookingStatus.CHARGING or not is_current:
            _end_later_session(booking, session, actor, now)
        elif is_failed_try(session) and now < booking.ends_at:
            detail = {"transaction": session.transaction, "energy_wh": session.energy_wh, "is_kept": True}
            booking.metered_wh = interruption.metered_wh(booking)
            lifecycle.record(
                booking, kind="session", actor=actor, at=now, detail=detail, fields=["metered_wh"]
            )
            interruption.mark(booking, "no_energy", actor=actor, now=now)
        else:
            _complete(booking, session.ended_at or now, actor, now)
    return booking


def correct_session(*, session: ChargingSession, actor: Actor, now: datetime) -> Booking | None:
    """The charger corrected what it had told of a session that is over: what its booking charged is counted anew. None where
    that is as it was, or no booking was used; one that charges still counts at its end."""
    visit = BookingSession.objects.filter(session=session).values_list("booking_id", flat=True).first()
    if visit is None:
        return None
    with calendars.one_operation():
        booking = lock_booking(visit)
        wh = interruption.metered_wh(booking)
        if booking.status == BookingStatus.CHARGING or wh == booking.metered_wh:
            return None
        booking.metered_wh = wh
        detail = {"transaction": session.transaction, "energy_wh": wh, "is_corrected": True}
        lifecycle.record(booking, kind="session", actor=actor, at=now, detail=detail, fields=["metered_wh"])
        if booking.status == BookingStatus.COMPLETED and booking.session_id == session.pk:
            interruption.judge(booking, session.ended_at or now, actor=actor, now=now)
    return booking


def complete(*, booking_id: int, at: datetime, actor: Actor, now: datetime) -> Booking:
    """The session ended at `at`: the EVSE is free after the turnaround, once the vehicle has left. Raises WrongStatus."""
    with calendars.one_operation():
        booking = lock_booking(booking_id)
        _complete(booking, at, actor, now)
    return booking


def vehicle_left(*, evse: Evse, actor: Actor, now: datetime) -> None:
    """The charger says that nobody is plugged in: what a completed booking kept for its vehicle is free.

    The EVSE is locked.
    """
    kept = occupancy.holder_at(evse.pk, now)
    over = Booking.objects.filter(pk=kept, status=BookingStatus.COMPLETED) if kept else Booking.objects.none()
    if not over.exists() or ChargingSession.objects.filter(evse=evse, ended_at__isnull=True).exists():
        return
    with calendars.one_operation():
        booking = lock_booking(over.get().pk)
        occupancy.cut(booking, occupancy.ends_after(booking, now))
        calendars.mark_changed([evse.pk], at=now)


def _begin(
    booking: Booking, session: ChargingSession | None, since: dict[str, str], actor: Actor, now: datetime
) -> None:
    """`session` is the booking's own, None where one of the booking before goes on."""
    dropped = request_log.decline_pending(booking, "The vehicle is charging already.", actor=actor, now=now)
    given_up = occupancy.drop_pending(booking)
    booking.enforcement, booking.enforcement_why, booking.next_try_at = Enforcement.USED, "", None
    booking.enforcement_at = now
    detail = (_attach(booking, session) if session is not None else {}) | since
    before_w = booking.promised_power_w
    left = _follow_vehicle(booking, session, now) if session is not None else None
    if booking.promised_power_w != before_w:
        detail |= {"promised_before_w": before_w, "promised_power_w": booking.promised_power_w}
    lifecycle.move(
        booking,
        BookingStatus.CHARGING,
        actor=actor,
        at=now,
        detail=detail,
        fields=["session", "evse", "promised_power_w"],
    )
    if dropped is not None:
        booking_payments.fit(booking, booking.quote, now=now)
    is_there = session is not None and session.evse_id == booking.evse_id
    came_early = is_there and occupancy.reach_back(booking, now)
    freed = [left, booking.evse_id] if left else [booking.evse_id if came_early else None]
    calendars.mark_changed([*given_up, *freed], at=now)


def _take_up_again(booking: Booking, session: ChargingSession, actor: Actor, now: datetime) -> None:
    """Raises WrongStatus where the slot is over, or the booking charges elsewhere."""
    runs = booking.session is not None and booking.session.ended_at is None
    is_over = booking.status in {BookingStatus.COMPLETED, BookingStatus.NO_SHOW} and booking.is_ours
    if now >= booking.ends_at or runs or not (is_over or booking.status == BookingStatus.CHARGING):
        raise WrongStatus(booking.status, BookingStatus.CHARGING)
    detail = _attach(booking, session)
    left = None
    if booking.status == BookingStatus.CHARGING:
        left = _follow_vehicle(booking, session, now)
    elif booking.status == BookingStatus.COMPLETED:
        _hold_rest(booking, session, now)
    lifecycle.record(
        booking,
        kind="session",
        actor=actor,
        at=now,
        detail=detail,
        fields=["session", "evse", "promised_power_w"],
    )
    interruption.clear(booking, actor=actor, now=now)
    calendars.mark_changed([left, booking.evse_id], at=now)


def _attach(booking: Booking, session: ChargingSession) -> dict[str, Any]:
    """Make it the booking's latest session; what the history says of it."""
    BookingSession.objects.create(booking=booking, session=session)
    booked = booking.evse.uid if booking.evse else None
    booking.session = session
    there = session.evse.uid if session.evse else None
    detail = {"transaction": session.transaction, "evse": there}
    return {**detail, "instead_of": booked} if there and booked != there else detail


def _follow_vehicle(booking: Booking, session: ChargingSession, now: datetime) -> int | None:
    """A truck at another EVSE of the depot takes its booking there, if nobody else has that time; the EVSE it left. Where
    there is not so much power left, less is promised from then on."""
    left, there = booking.evse, session.evse
    until = booking.ends_at + booking.terms.tail
    if (
        there is None
        or left is None
        or there.pk == left.pk
        or there.depot_id != booking.depot_id
        or until <= now
    ):
        return None
    span = Period(now, until)
    if occupancy.others_in(there.pk, span, holder=booking.pk):
        return None
    was = occupancy.span_of(booking)
    booking.evse, booking.promised_power_w = there, promise_power.watts_left(booking, there, span, now=now)
    occupancy.place(booking, there.pk, span)
    if was is not None:
        occupancy.fill_closures(left.pk, was)
    return left.pk


def _hold_rest(booking: Booking, session: ChargingSession, now: datetime) -> None:
    """The rest of the slot is the vehicle's again, as far as it stands at its EVSE and nobody has the time since."""
    stay = occupancy.span_of(booking)
    until = booking.ends_at + booking.terms.tail
    if stay is None or booking.evse is None or session.evse_id != booking.evse_id or stay.ends_at >= until:
        return
    if not occupancy.others_in(booking.evse.pk, Period(stay.ends_at, until), holder=booking.pk):
        occupancy.place(booking, booking.evse.pk, Period(stay.starts_at, until))


def is_failed_try(session: ChargingSession) -> bool:
    """Only a meter that was read at both ends proves it."""
    return _is_metered(session) and (session.energy_wh or 0) < NO_ENERGY_WH


def _is_metered(session: ChargingSession) -> bool:
    """Not where the register went backwards, or a value is missing for which another stands in."""
    is_told = session.meter_stop_wh is not None and session.energy_wh is not None
    return is_told and UNPROVEN.isdisjoint(session.flags)


def _complete(booking: Booking, at: datetime, actor: Actor, now: datetime) -> None:
    session = booking.session
    request_log.decline_pending(booking, "The vehicle has left.", actor=actor, now=now)
    booking.metered_wh = interruption.metered_wh(booking)
    is_proven = session is None or _is_metered(session)
    detail = {"energy_wh": booking.metered_wh, "ended_at": at.isoformat()} if session else {}
    stays = booking.evse is not None and booking.evse.shows_vehicle
    lifecycle.move(
        booking, BookingStatus.COMPLETED, actor=actor, at=now, detail=detail | ({} if is_proven else {"flag": "meter"}),
        fields=["metered_wh"], over_at=None if stays else at,
    )  # fmt: skip
    interruption.judge(booking, at, actor=actor, now=now)


def _end_later_session(booking: Booking, session: ChargingSession, actor: Actor, now: datetime) -> None:
    """Its energy counts, its place is free after it; the status is what it was."""
    booking.metered_wh = interruption.metered_wh(booking)
    at = session.ended_at or now
    detail = {"transaction": session.transaction, "energy_wh": session.energy_wh, "ended_at": at.isoformat()}
    lifecycle.record(booking, kind="session", actor=actor, at=now, detail=detail, fields=["metered_wh"])
    if booking.status != BookingStatus.COMPLETED:
        return
    if booking.evse is not None and not booking.evse.shows_vehicle:
        occupancy.cut(booking, occupancy.ends_after(booking, at))
        calendars.mark_changed([booking.evse_id], at=now)
    interruption.judge(booking, at, actor=actor, now=now)
