"""Charging that broke off before its time: a mark beside the status, for whoever has to find the rest of the energy."""

from __future__ import annotations

from datetime import datetime, timedelta

from bookings.actors import Actor
from bookings.core import lifecycle
from bookings.models import Booking
from depots.models import ChargingSession, Evse

# Who leaves so shortly before the end, or with so much of what was expected, has what it came for.
NEAR_THE_END = timedelta(minutes=5)
ENOUGH = 0.9
# Less than this, with a battery that could take more, is long before it was done, whoever stopped it.
LITTLE = 0.5
FULL_PERCENT = 70

# Reasons of OCPP 1.6 and 2.x that no driver gives, without regard to case.
WHY = {
    "emergencystop": "emergency_stop",
    "powerloss": "power_loss",
    "powerquality": "power_loss",
    "reboot": "restart",
    "hardreset": "restart",
    "softreset": "restart",
    "immediatereset": "restart",
    "groundfault": "fault",
    "overcurrentfault": "fault",
    "other": "fault",
    "remote": "stopped_remotely",
    "unlockcommand": "stopped_remotely",
}


def metered_wh(booking: Booking) -> int | None:
    """What all its sessions have charged so far; None where one of them cannot be counted."""
    sessions = ChargingSession.objects.filter(visit__booking=booking.pk)
    counted = [session.energy_wh for session in sessions]
    return None if not counted or None in counted else sum(wh or 0 for wh in counted)


def judge(booking: Booking, at: datetime, *, actor: Actor, now: datetime) -> None:
    """A session of the locked booking ended at `at`: mark it if that was before its time, else take a mark away."""
    why = _why(booking, at)
    if why:
        mark(booking, why, actor=actor, now=now)
    elif booking.is_interrupted and booking.interrupted_why != "no_energy":
        _write(booking, None, "", kind="resumed", actor=actor, now=now)


def mark(booking: Booking, why: str, *, actor: Actor, now: datetime) -> None:
    """Charging has broken off. The same once more changes nothing."""
    if booking.interrupted_why != why:
        booking.metered_wh = metered_wh(booking)
        _write(booking, now, why, kind="interrupted", actor=actor, now=now)


def clear(booking: Booking, *, actor: Actor, now: datetime, why: str = "") -> None:
    """It goes on, or was not interrupted after all (`why` limits it to one reason)."""
    if booking.is_interrupted and why in {"", booking.interrupted_why}:
        _write(booking, None, "", kind="resumed", actor=actor, now=now)


def _why(booking: Booking, at: datetime) -> str:
    """A code of INTERRUPTED_WHY; empty when it ended as it should."""
    session, wh, expected = booking.session, booking.metered_wh, booking.expected_wh
    if session is None or at >= booking.ends_at - NEAR_THE_END:
        return ""
    share = wh / expected if wh is not None and expected else None
    if share is not None and share >= ENOUGH:
        return ""
    reason = WHY.get(session.stop_reason.lower(), "")
    if reason or (booking.evse is not None and booking.evse.told_status == Evse.Status.FAULTED):
        return reason or "fault"
    is_full = session.soc_percent is not None and session.soc_percent >= FULL_PERCENT
    is_little = share is not None and share < LITTLE
    return "stopped_early" if is_little and not is_full and not _is_done(session) else ""


def _is_done(session: ChargingSession) -> bool:
    """The vehicle, or what it was told, ended it: enough by its own measure."""
    return session.stop_reason.lower() in {"energylimitreached", "soclimitreached", "timelimitreached"}


def _write(
    booking: Booking, at: datetime | None, why: str, *, kind: str, actor: Actor, now: datetime
) -> None:
    before = booking.interrupted_why
    booking.interrupted_at, booking.interrupted_why = at, why
    detail = {
        "metered_wh": booking.metered_wh,
        "expected_wh": booking.expected_wh,
        **({"why": why} if why else {}),
    }
    lifecycle.record(
        booking, kind=kind, step=(before, why or booking.status), actor=actor, at=now, detail=detail,
        fields=["interrupted_at", "interrupted_why", "metered_wh"],
    )  # fmt: skip
