"""Take back what one click did to a booking, as long as its terms allow and nobody has changed it since."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import NAMESPACE_URL, uuid5

from bookings.actors import Actor
from bookings.core import calendars, lifecycle
from bookings.core.locking import lock_bookings
from bookings.errors import BookingError, RequestIdInUse, TooLateToUndo
from bookings.models import (
    Booking,
    BookingOption,
    BookingSeries,
    BookingStatus,
    BookingToken,
    CancelReason,
    Trip,
    Vehicle,
)
from bookings.operations.book import hold_slot, request_booking
from bookings.operations.book_series import locked_series
from bookings.operations.cancel import cancel_booking
from bookings.operations.change import change_booking
from bookings.operations.change_request import ChangeRequest
from bookings.operations.slot_request import SlotRequest
from bookings.rules import energy_slots, permissions
from bookings.rules.entitlement import TokenName
from depots.models import Evse
from depots.periods import Period

UNDO_FOR = timedelta(seconds=10)
# A click in the last second is still on its way then.
ON_ITS_WAY = timedelta(seconds=5)
# The columns that say of what several a booking is one.
_GROUPS = ("series", "series_date", "trip")


class Act(StrEnum):
    MADE = "made"
    CHANGED = "changed"
    CANCELLED = "cancelled"
    RELEASED = "released"


@dataclass(frozen=True)
class Undo:
    """One click, and what the booking was before it: of a change only what it changed, else None.

    `version` is the one that the click made, `by` whose click it was: the fleet's, or a move by the depot. `approval`: its depot
    decided by hand under the option it had, and would have to again.
    """

    act: Act
    booking_id: int
    version: int
    at: datetime
    by: str = Booking.Side.FLEET
    period: Period | None = None
    evse_id: int | None = None
    option_id: int | None = None
    approval: bool = False
    vehicle_id: int | None = None
    tokens: tuple[TokenName, ...] | None = None


def can_undo(undo: Undo, booking: Booking, *, now: datetime) -> bool:
    """Whether the terms would let it be taken back now; nothing is, where a partner or the depot has been asked."""
    if not booking.is_ours:
        return False
    if undo.by == Booking.Side.DEPOT:
        return permissions.can_change(booking, by=undo.by, now=now) and _is_possible(
            undo.period, booking, now
        )
    if undo.act == Act.MADE:
        return permissions.can_cancel_freely(booking, by=Booking.Side.FLEET, now=now)
    if undo.act == Act.CHANGED and booking.status == BookingStatus.CHARGING:
        return undo.period is not None and undo.period.ends_at > now
    if undo.act == Act.CHANGED:
        waits = booking.terms.approval or undo.approval or undo.option_id == booking.option_id
        is_done = booking.status == BookingStatus.CONFIRMED and not waits
        may_change = permissions.can_change(booking, by=Booking.Side.FLEET, now=now)
        return is_done and may_change and _is_ahead(undo.period, now)
    return _is_ahead(booking.period, now) and not _was_late(booking)


def undo(undo: Undo, *, accepts_lower_power: bool = False, actor: Actor, now: datetime) -> Booking:
    """The booking as it was. A cancelled one is made anew, with a new reference, if its slot is still free.

    A second click finds it done. Raises TooLateToUndo, CancelTooLate where it would cost a fee by now, ChangedMeanwhile,
    LowerPower where a move back by the depot lowers the promised power and `accepts_lower_power` does not say that this is
    meant, or whatever the terms say against it.
    """
    if now > undo.at + UNDO_FOR + ON_ITS_WAY:
        raise TooLateToUndo("It can no longer be undone with one click. Change or cancel it instead.")
    try:
        return _taken_back(undo, accepts_lower_power, actor, now)
    except BookingError as refusal:
        if (done := _done_before(undo)) is not None:
            return done
        if isinstance(refusal, RequestIdInUse):
            raise TooLateToUndo("It was undone before, and given up since.") from refusal
        raise


def named(tokens: list[BookingToken]) -> tuple[TokenName, ...]:
    return tuple(TokenName(token.uid, token.type, contract_id=token.contract_id) for token in tokens)


def _taken_back(undo: Undo, accepts_lower_power: bool, actor: Actor, now: datetime) -> Booking:
    if undo.act == Act.MADE:
        booking = Booking.objects.select_related("depot").get(pk=undo.booking_id)
        permissions.check_cancel_freely(booking, by=Booking.Side.FLEET, now=now)
        return cancel_booking(
            booking_id=undo.booking_id, reason=CancelReason.NO_CANCELED, note="Undone at once.", by=Booking.Side.FLEET,
            seen_version=undo.version, actor=actor, now=now,
        )  # fmt: skip
    if undo.act == Act.CHANGED:
        request = ChangeRequest(
            period=undo.period, evse=Evse.objects.filter(pk=undo.evse_id or 0).first(), tokens=undo.tokens,
            option=BookingOption.objects.filter(pk=undo.option_id or 0).first(),
            vehicle=Vehicle.objects.filter(pk=undo.vehicle_id or 0).first(), restores=undo.version,
            accepts_lower_power=accepts_lower_power,
        )  # fmt: skip
        return change_booking(
            undo.booking_id, request, by=undo.by, seen_version=undo.version, actor=actor, now=now
        )
    return book_anew(undo.booking_id, held=undo.act == Act.RELEASED, actor=actor, now=now)


def _done_before(undo: Undo) -> Booking | None:
    """The booking as an earlier click on the same button left it; None where it is another by now."""
    booking = Booking.objects.get(pk=undo.booking_id)
    if undo.act in {Act.CANCELLED, Act.RELEASED}:
        again = Booking.objects.filter(fleet=booking.fleet_id, request_id=_request_id(booking)).first()
        return again if again is not None and again.is_live else None
    if booking.version != undo.version + 1:
        return None
    if undo.act == Act.MADE:
        is_done = booking.status == BookingStatus.CANCELLED and booking.cancelled_by == Booking.Side.FLEET
    else:
        is_done = _is_as_before(undo, booking)
    return booking if is_done else None


def _is_as_before(undo: Undo, booking: Booking) -> bool:
    """All that the click changed is what it was."""
    wanted = {"evse_id": undo.evse_id, "option_id": undo.option_id, "vehicle_id": undo.vehicle_id}
    return (
        (undo.period is None or undo.period.in_utc() == booking.period.in_utc())
        and (undo.tokens is None or set(undo.tokens) == set(named(list(booking.tokens.all()))))
        and all(value in {None, getattr(booking, name)} for name, value in wanted.items())
    )


def _request_id(gone: Booking) -> str:
    """Follows from what is undone, so that however often it is clicked, one is made."""
    return str(uuid5(NAMESPACE_URL, f"undo:{gone.reference}"))


def book_anew(booking_id: int, *, held: bool = False, actor: Actor, now: datetime) -> Booking:
    """All that was asked for by one that is gone, its power and price too, with a new reference, and as its day of a series or
    stop of a trip that goes on. Raises a BookingError."""
    gone = Booking.objects.select_related("fleet", "option__depot", "vehicle", "trailer", "evse").get(
        pk=booking_id
    )
    slot = SlotRequest(
        fleet=gone.fleet, option=gone.option, period=gone.period, vehicle=gone.vehicle, trailer=gone.trailer,
        evse=gone.evse if gone.is_evse_asked else None, planned_evse_id=gone.evse_id,
        tokens=named(list(gone.tokens.all())), power_w=gone.wished_power_w, energy=energy_slots.asked_then(gone, gone.vehicle),
        request_id=_request_id(gone), quote=gone.quote,
    )  # fmt: skip
    if _was_late(gone):
        raise TooLateToUndo(
            "It was cancelled after its deadline, at the tariff's fee. Book the slot anew instead."
        )
    if held:
        return _held_anew(slot, gone, actor, now)
    told = replace(slot, plate=gone.plate, authorization_reference=_reference_told(gone))
    with calendars.one_operation():
        series, trip = _locked_groups(gone)
        made = request_booking(told, actor=actor, now=now)
        if series is not None or trip is not None:
            _take_its_place(made, gone, series, trip, actor, now)
    return made


def _held_anew(slot: SlotRequest, gone: Booking, actor: Actor, now: datetime) -> Booking:
    """Until it would have run out; of the two one counts, as the one did (`check_unused_holds`)."""
    if gone.held_until is None or gone.held_until <= now:
        raise TooLateToUndo("The hold would have run out by now. Hold the slot anew instead.")
    with calendars.one_operation():
        made = hold_slot(slot, until=gone.held_until, is_counted=False, actor=actor, now=now)
        [gone] = lock_bookings([gone.pk])
        gone.held_until = None
        detail = {"note": f"As {made.reference}"}
        lifecycle.record(gone, kind="booked_anew", actor=actor, at=now, detail=detail, fields=["held_until"])
    return made


def _locked_groups(gone: Booking) -> tuple[BookingSeries | None, Trip | None]:
    """Its series and trip, locked before depots and EVSEs as by whoever changes them; None where there is none, or it is over."""
    series = locked_series(gone.series_id) if gone.series_id else None
    trip = Trip.objects.select_for_update(no_key=True).get(pk=gone.trip_id) if gone.trip_id else None
    goes_on = trip is not None and trip.status in {Trip.Status.ASKING, Trip.Status.BOOKED}
    return series if series is not None and series.ended_at is None else None, trip if goes_on else None


def _take_its_place(
    made: Booking, gone: Booking, series: BookingSeries | None, trip: Trip | None, actor: Actor, now: datetime
) -> None:
    """A day of a series is one booking, so the one that is gone is none of it any more."""
    [gone] = lock_bookings([gone.pk])
    if series is not None:
        made.series, made.series_date = series, gone.series_date
        gone.series, gone.series_date = None, None
        series.version += gone.version  # with those of its bookings it only rises
        series.save(update_fields=["version"])
    if trip is not None:
        made.trip, gone.trip = trip, None
    detail = {"note": f"As {made.reference}"}
    lifecycle.record(gone, kind="booked_anew", actor=actor, at=now, detail=detail, fields=_GROUPS)
    made.save(update_fields=_GROUPS)


def _was_late(gone: Booking) -> bool:
    """A late cancellation has its record, whose fee another booking does not take back."""
    if not gone.terms.late_cancel:
        return False
    given_up = gone.events.filter(after=BookingStatus.CANCELLED).last()
    return given_up is not None and permissions.was_late_cancellation(gone, given_up)


def _reference_told(booking: Booking) -> str:
    """Where none was told the request id stands in, which the new booking has one of its own of."""
    reference = booking.authorization_reference
    return "" if reference == booking.request_id[:36] else reference


def _is_possible(period: Period | None, booking: Booking, now: datetime) -> bool:
    """Whether the booking may have this time again: a start that stays may have passed."""
    if period is None:
        return True
    return period.ends_at > now and (period.starts_at == booking.starts_at or _is_ahead(period, now))


def _is_ahead(period: Period | None, now: datetime) -> bool:
    return period is None or period.starts_at >= now
