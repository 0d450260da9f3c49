"""What charges at a depot now, and beside it what offline chargers told last: that is known, and not of now."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from bookings.pages.board.row_states import RowState
from bookings.templatetags.board import clock
from depots.models import ChargingSession, Depot
from depots.templatetags.berth import kilowatts


def figures_of(depot: Depot, states: Collection[RowState], *, of_limit: str) -> dict[str, Any]:
    """For the tiles; `of_limit` says what the power is held against."""
    now = [state.session for state in states if state.session is not None and state.is_online]
    last = [state.session for state in states if state.session is not None and not state.is_online]
    power_w = sum(session.power_w or 0 for session in last)
    return {
        "charging": len(now),
        "charging_hint": _and_last("sessions now", last and f"{len(last)} offline", last, depot),
        "power_w": sum(session.power_w or 0 for session in now),
        "power_hint": _and_last(of_limit, power_w and f"{kilowatts(power_w)} offline", last, depot),
    }


def _and_last(now: str, told: Any, sessions: Sequence[ChargingSession], depot: Depot) -> str:
    """`told` is nothing where there is nothing to add; its age is that of the oldest reading."""
    if not told:
        return now
    moments = [session.latest_at for session in sessions if session.latest_at is not None]
    as_of = f" as of {clock(min(moments), depot.zone)}" if moments else ""
    return f"{now}; {told}{as_of}"
