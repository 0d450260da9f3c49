"""What stands at an EVSE right now, as its charger tells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from bookings.models import Booking
from bookings.rules.session_targets import with_targets
from bookings.search.told_evses import is_told
from depots.models import ChargingSession, Evse
from depots.queries import is_online
from depots.standards import PLUGS, VEHICLE_TYPES

# How a status looks: the class of its dot (static/css/berth.css, "state").
LOOKS = {
    Evse.Status.AVAILABLE: "free",
    Evse.Status.OCCUPIED: "busy",
    Evse.Status.CHARGING: "busy",
    Evse.Status.RESERVED: "busy",
    Evse.Status.UNAVAILABLE: "offline",
    Evse.Status.FAULTED: "faulted",
    Evse.Status.UNKNOWN: "unknown",
}


@dataclass(frozen=True)
class RowState:
    """`word` and its `look`, then what the running session delivers. A silent charger's last word is not the truth."""

    evse: Evse
    session: ChargingSession | None
    is_online: bool

    @classmethod
    def told(cls, booking: Booking) -> RowState | None:
        """Of the EVSE of a booking at a partner's depot, as its network told last; None where it has not, or it is over."""
        evse = booking.evse
        if booking.is_ours or evse is None or not booking.is_live or not is_told(evse):
            return None
        return cls(evse, None, is_online=True)

    @property
    def word(self) -> str:
        if not self.is_online:
            return "Offline"
        return "Kept for a booking" if self.evse.is_kept else self.evse.get_status_display()

    @property
    def look(self) -> str:
        if self.evse.is_kept and self.is_online:
            return "busy"
        return LOOKS[Evse.Status(self.evse.status)] if self.is_online else "offline"

    @property
    def error(self) -> str:
        code = self.evse.error_code
        return "" if not self.is_online or code.lower() in {"", "noerror"} else code

    @property
    def is_silent(self) -> bool:
        return not self.is_online

    @property
    def is_stranger(self) -> bool:
        return self.session is not None and not self.session.is_entitled


def running_at(evses: Iterable[Evse]) -> list[ChargingSession]:
    """The sessions that run at these EVSEs, the latest last."""
    running = ChargingSession.objects.filter(evse__in=[e.pk for e in evses], ended_at__isnull=True)
    return list(with_targets(running).order_by("started_at"))


def states_of(
    evses: Iterable[Evse], running: Iterable[ChargingSession], *, now: datetime
) -> dict[int, RowState]:
    """By EVSE id; the EVSEs come with their charger, the sessions in order of their start."""
    sessions = {session.evse_id: session for session in running}
    return {
        evse.pk: RowState(
            evse, sessions.get(evse.pk), evse.charger is not None and is_online(evse.charger, now=now)
        )
        for evse in evses
    }


def plugs(standards: Iterable[str]) -> str:
    names = [PLUGS[standard].label if standard in PLUGS else standard for standard in standards]
    return ", ".join(dict.fromkeys(names))


def bay(evse: Evse) -> list[str]:
    """What the bay takes and has, each a short phrase."""
    measures = [
        (evse.max_vehicle_length_cm, 100, "m long"),
        (evse.max_vehicle_width_cm, 100, "m wide"),
        (evse.max_vehicle_height_cm, 100, "m high"),
        (evse.max_vehicle_weight_kg, 1000, "t"),
    ]
    outfit = [
        (evse.drive_through, "drive-through"),
        (evse.dangerous_goods_allowed, "dangerous goods"),
        (evse.refrigeration_outlet, "reefer outlet"),
    ]
    types = [VEHICLE_TYPES.get(name, name).lower() for name in evse.vehicle_types]
    return [
        *[f"up to {value / per:g} {unit}" for value, per, unit in measures if value],
        *[word for has, word in outfit if has],
        *(["only " + " or ".join(types)] if types else []),
    ]
