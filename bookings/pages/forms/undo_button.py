"""The *Undo* button in the message about what a click did.

What it takes back travels with the button, signed, so that nothing is kept for the many that are never pressed.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core import signing

from bookings.models import Booking
from bookings.operations.undo import Act, Undo, can_undo
from bookings.rules.entitlement import TokenName
from depots.periods import Period

SALT = "bookings.undo.by-side"


def button_of(act: Act, booking: Booking, *, now: datetime, **before: Any) -> str:
    """What the button carries; empty where the terms would not let it be undone. `before` as of Undo."""
    undo = Undo(act=act, booking_id=booking.pk, version=booking.version, at=now, **before)
    return signing.dumps(_as_json(undo), salt=SALT, compress=True) if can_undo(undo, booking, now=now) else ""


def read(text: str) -> Undo:
    """Raises django.core.signing.BadSignature for what we did not sign."""
    told = signing.loads(text, salt=SALT)
    period, tokens = told["period"], told["tokens"]
    return Undo(
        act=Act(told["act"]),
        booking_id=told["booking_id"],
        version=told["version"],
        at=datetime.fromisoformat(told["at"]),
        by=told["by"],
        period=Period(*map(datetime.fromisoformat, period)) if period else None,
        evse_id=told["evse_id"],
        option_id=told.get("option_id"),  # of a button from before there was one, none
        approval=told.get("approval", False),
        vehicle_id=told["vehicle_id"],
        tokens=tuple(TokenName(**token) for token in tokens) if tokens is not None else None,
    )


def _as_json(undo: Undo) -> dict[str, Any]:
    period = (
        [end.isoformat() for end in (undo.period.starts_at, undo.period.ends_at)] if undo.period else None
    )
    tokens = [asdict(token) for token in undo.tokens] if undo.tokens is not None else None
    return {
        "act": undo.act, "booking_id": undo.booking_id, "version": undo.version, "at": undo.at.isoformat(),
        "by": undo.by, "period": period, "evse_id": undo.evse_id, "option_id": undo.option_id,
        "approval": undo.approval, "vehicle_id": undo.vehicle_id, "tokens": tokens,
    }  # fmt: skip
