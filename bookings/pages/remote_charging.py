"""Charging at a partner's depot on its booking's page: how far it is, as the partner told it last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from bookings.models import Booking, BookingStatus, RemoteSession, SessionStatus
from bookings.operations import likely_sessions
from bookings.operations.charge import NO_ENERGY_WH
from depots.templatetags.berth import kilowatt_hours, kilowatts, money

# A session that waits longer to begin is most likely one that nobody has ended.
STUCK_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class RemoteCharging:
    """One session of it. `figures` are words, the cost what the partner says that it has come to. `was_awaited`: nobody has ever
    told that the booking's vehicle charged."""

    session: RemoteSession
    was_awaited: bool = False

    @property
    def is_running(self) -> bool:
        return not self.session.is_over

    @property
    def state(self) -> str:
        is_unused = self.session.status == SessionStatus.COMPLETED and self.is_without_charging
        return "Kept, and not used" if is_unused else self.session.get_status_display()

    @property
    def is_without_charging(self) -> bool:
        is_reserved = self.session.status == SessionStatus.RESERVED
        return is_reserved or (self.was_awaited and self.session.energy_wh < NO_ENERGY_WH)

    @property
    def figures(self) -> list[str]:
        row = self.session
        told = [
            "" if self.is_without_charging else kilowatt_hours(row.energy_wh),
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


@dataclass(frozen=True)
class ChargingThere:
    """All that the partner told for a booking. `likely` are sessions that nobody has named a booking of; `ended_words` say why
    the booking charges on where the partner says that nothing does, `stuck_words` that a session has waited for too long, each
    empty elsewhere."""

    told: list[RemoteCharging]
    likely: list[RemoteCharging]
    ended_words: str
    stuck_words: str

    @property
    def is_running(self) -> bool:
        return any(each.is_running for each in self.told)


def charging_there(booking: Booking, *, may_match: bool = False, now: datetime) -> ChargingThere:
    """Three queries at most, and none of a booking at a depot of ours."""
    told = remote_charging(booking)
    likely = [RemoteCharging(row) for row in likely_sessions(booking)] if may_match else []
    return ChargingThere(told, likely, _ended_words(booking, told), _stuck_words(booking, told, now))


def _stuck_words(booking: Booking, told: list[RemoteCharging], now: datetime) -> str:
    """It is the partner's to end, so it stays as it was told."""
    waiting = [each.session.started_at for each in told if each.session.status == SessionStatus.WAITING]
    if not waiting or now - min(waiting) < STUCK_AFTER:
        return ""
    since = f"{min(waiting).astimezone(booking.depot.zone):%H:%M}"
    return f"{booking.depot.operator.name} has told since {since} that it has not begun: ask there whether the vehicle charges."


def _ended_words(booking: Booking, told: list[RemoteCharging]) -> str:
    is_over = told and not any(each.is_running for each in told)
    if booking.status != BookingStatus.CHARGING or not is_over:
        return ""
    ended_at = max(each.session.ended_at or each.session.told_at for each in told)
    ended, until = (f"{at.astimezone(booking.depot.zone):%H:%M}" for at in (ended_at, booking.ends_at))
    partner = booking.depot.operator.name
    return (
        f"{partner} says that charging ended at {ended} and tells no energy: its charger may have kept the last meter value to "
        f"itself. The slot stays this vehicle's until {until}; what was charged, the record will tell."
    )


def remote_charging(booking: Booking) -> list[RemoteCharging]:
    """None of a booking at a depot of ours; one query."""
    if booking.is_ours:
        return []
    was_awaited = booking.status not in {BookingStatus.CHARGING, BookingStatus.COMPLETED}
    rows = booking.remote_sessions.order_by("started_at", "pk")
    return [RemoteCharging(row, was_awaited) for row in rows]
