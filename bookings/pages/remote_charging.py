"""Charging at a partner's depot on its booking's page: how far it is, as the partner told it last."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from bookings.models import Booking, RemoteSession, SessionStatus
from depots.templatetags.berth import kilowatt_hours, kilowatts, money


@dataclass(frozen=True)
class RemoteCharging:
    """One session of it. `figures` are words, the cost what the partner says that it has come to."""

    session: RemoteSession

    @property
    def is_running(self) -> bool:
        return not self.session.is_over

    @property
    def figures(self) -> list[str]:
        row = self.session
        told = [
            kilowatt_hours(row.energy_wh),
            kilowatts(row.power_w) if row.power_w is not None and self.is_running else "",
            f"{row.soc_percent:.0f} %" if row.soc_percent is not None else "",
        ]
        return [words for words in told if words]

    @property
    def cost(self) -> str:
        row = self.session
        if row.before_taxes is None or row.status == SessionStatus.INVALID:
            return ""
        return money(row.before_taxes + (row.taxes or Decimal()), row.currency)


def remote_charging(booking: Booking) -> list[RemoteCharging]:
    """None of a booking at a depot of ours; one query."""
    if booking.is_ours:
        return []
    return [RemoteCharging(row) for row in booking.remote_sessions.order_by("started_at", "pk")]
