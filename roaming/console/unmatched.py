"""What a partner told of that is of nobody here, bookings above all, and what can be done with each. It grants nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models.functions import Upper

from bookings.models import Booking, BookingStatus
from roaming.console.operations import unmatched_version
from roaming.console.overview import NOT_SET_ASIDE
from roaming.mirror.kept_objects import BOOKING, CDR, INVOICE_RECORD, SESSION
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

# Of what is no booking: what it is called, and the next step.
OTHERS = {
    SESSION: (
        "session",
        "Somebody charged with a token of nobody here: ask the partner whose it was, then set it aside.",
    ),
    CDR: ("CDR", "It bills a token of nobody here: ask the partner whose it was, then set it aside."),
    INVOICE_RECORD: (
        "invoice's record",
        "It names CDRs of nobody here: ask the partner for them. It is looked at again with each that comes.",
    ),
}


@dataclass(frozen=True)
class Unmatched:
    """`told` is None of what is no booking, and where the message cannot be read any more; `known` a booking of ours
    under its request id."""

    row: PartnerObject
    told: ToldBooking | None
    known: Booking | None

    @property
    def version(self) -> int:
        return unmatched_version(self.row)

    @property
    def location(self) -> str:
        return str(self.row.raw.get("location_id") or "")

    @property
    def what(self) -> str:
        return OTHERS.get(self.row.kind, ("booking", ""))[0]

    def advice(self, now: datetime) -> str:
        """The next step, in a sentence."""
        if self.row.kind in OTHERS:
            return OTHERS[self.row.kind][1]
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
    if row.kind != BOOKING:
        return None
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
