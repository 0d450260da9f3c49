"""Whose truck a session is, and the slots that this truck has after the one it charges in."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from django.db.models import Q

from bookings.models import Booking, BookingStatus
from bookings.models.enforcement_words import STILL_BEFORE
from bookings.rules.identification import identify
from depots.models import ChargingSession


def is_own(session: ChargingSession, booking: Booking) -> bool:
    """Whether the session is the booking's truck, which began before its time: without a booking, or in one before. One whose
    token its fleet has blocked since is anybody's."""
    shown = identify(session.token_uid, session.token_type)
    return session.is_entitled and any(shown.opens(named, booking) for named in booking.tokens.all())


def session_at(evse_id: int | None) -> ChargingSession | None:
    """The session that is on at an EVSE; None while it is free."""
    running = ChargingSession.objects.filter(evse=evse_id, ended_at__isnull=True, announced_at__isnull=False)
    return running.select_related("visit", "evse", "charger").order_by("-started_at").first()


def note_going_on(bookings: Iterable[Booking], *, now: datetime) -> None:
    """Set `is_going_on` of those whose truck has outlived their slot in one of its own by now. One query, none where nobody is
    late."""
    late = [booking for booking in bookings if booking.session_id is not None and booking.overstays(now)]
    slots = later_slots({booking.evse_id for booking in late}, now=now)
    for booking in late:
        booking.is_going_on = slots.get(booking.evse_id, booking.starts_at) > booking.starts_at


def later_slots(evse_ids: Collection[int | None], *, now: datetime) -> dict[int | None, datetime]:
    """When the slot began in which a truck charges on from one of its own before, by EVSE. One query, none of no EVSE."""
    if not evse_ids:
        return {}
    is_used = Q(status=BookingStatus.CHARGING, session=None)
    is_awaited = Q(status=BookingStatus.CONFIRMED, enforcement_why=STILL_BEFORE, starts_at__lte=now)
    slots = Booking.objects.here().filter(is_used | is_awaited, evse__in=evse_ids)
    return dict(slots.order_by("starts_at").values_list("evse", "starts_at"))


def slots_after(booking: Booking, session: ChargingSession, *, until: datetime) -> list[Booking]:
    """Those of the same truck, in order, that follow the booking's at the EVSE of its session and have begun by then."""
    rows = Booking.objects.here().filter(
        evse=session.evse_id,
        starts_at__gt=booking.starts_at,
        starts_at__lt=until,
        status__in=[BookingStatus.CONFIRMED, BookingStatus.CHARGING, BookingStatus.COMPLETED],
    )
    found = rows.exclude(pk=booking.pk).select_related("fleet").prefetch_related("tokens")
    return [other for other in found.order_by("starts_at", "pk") if _is_its(session, other)]


def session_under_way(booking: Booking) -> ChargingSession | None:
    """The session that uses the booking now: its own, or that of the booking before on which its truck charges on in its slot
    (docs/decisions/0105). None where none runs, and at a partner's depot."""
    session = booking.session
    if session is None and booking.is_ours and booking.status == BookingStatus.CHARGING:
        session = session_into(booking)
    return session if booking.is_ours and session is not None and session.ended_at is None else None


def session_into(booking: Booking) -> ChargingSession | None:
    """The latest that its truck began at its EVSE in another booking, before its slot, and that lasted into it."""
    sessions = ChargingSession.objects.filter(
        evse=booking.evse_id,
        started_at__lt=booking.starts_at,
        announced_at__isnull=False,
        visit__isnull=False,
    ).exclude(visit__booking=booking.pk)
    latest = sessions.select_related("visit__booking", "evse", "charger").order_by("-started_at").first()
    if latest is None or not _is_its(latest, booking):
        return None
    return latest if latest.ended_at is None or latest.ended_at > booking.starts_at else None


def _is_its(session: ChargingSession, booking: Booking) -> bool:
    """The same, and of a booking that is used whoever blocked its token since: what was, stays."""
    if booking.status == BookingStatus.CONFIRMED:
        return is_own(session, booking)
    shown = identify(session.token_uid, session.token_type)
    return session.is_entitled and any(shown.is_named(named, booking) for named in booking.tokens.all())
