"""Bookings a partner told of that nobody here asked for, and what can be done with each. They grant nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models.functions import Upper

from bookings.models import Booking, BookingStatus
from roaming.console.operations import unmatched_version
from roaming.console.overview import NOT_SET_ASIDE
from roaming.mirror.values import ToldBooking
from roaming.models import Partner, PartnerObject
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.wire_object import UnreadableError

OVER = {
    BookingStatus.CANCELLED,
    BookingStatus.DECLINED,
    BookingStatus.FAILED,
    BookingStatus.NO_SHOW,
    BookingStatus.COMPLETED,
}


@dataclass(frozen=True)
class Unmatched:
    """`told` is None where the message cannot be read any more; `known` a booking of ours under its request id."""

    row: PartnerObject
    told: ToldBooking | None
    known: Booking | None

    @property
    def version(self) -> int:
        return unmatched_version(self.row)

    @property
    def location(self) -> str:
        return str(self.row.raw.get("location_id") or "")

    def advice(self, now: datetime) -> str:
        """The next step, in a sentence."""
        if self.known is not None:
            place = f"{self.known.depot.name} ({self.known.depot.operator})"
            return f"Its request id is that of our booking {self.known} at {place}: ask the partner which of the two is meant."
        if self.told is None:
            return "It cannot be read. Ask the partner what it is, then set it aside."
        if self.told.status in OVER or self.told.span[1] <= now:
            return "It is over at the partner's: set it aside."
        return (
            "It keeps a place at the partner's that no truck of ours will use: ask the partner to cancel it, and whose request "
            "it took for ours. Set it aside when that is done."
        )


def unmatched(partner: Partner, *, most: int = 50) -> list[Unmatched]:
    """The newest first; those somebody has set aside are left out. Two statements."""
    kept = partner.objects_received.filter(NOT_SET_ASIDE, is_unmatched=True).order_by("-received_at", "-pk")
    found = [(row, _told(partner, row)) for row in kept[:most]]
    known = _known_here({told.request_id for _, told in found if told and told.request_id})
    return [Unmatched(row, told, known.get(told.request_id.upper()) if told else None) for row, told in found]


def _told(partner: Partner, row: PartnerObject) -> ToldBooking | None:
    try:
        return dialect_of(partner).bookings.read(partner, row.raw).value
    except UnreadableError:
        return None


def _known_here(request_ids: set[str]) -> dict[str, Booking]:
    """Bookings of ours under these ids, at whoever's depot."""
    rows = Booking.objects.annotate(named=Upper("request_id")).filter(
        named__in={one.upper() for one in request_ids}
    )
    return {
        booking.request_id.upper(): booking
        for booking in rows.select_related("depot__operator")
        if request_ids
    }
