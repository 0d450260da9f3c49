"""A depot's power for who looks after it: what each EVSE was promised, may take and takes, and the limits from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet

from bookings.models import EvsePower, ExternalLimit
from bookings.operations.limit_power import limits_version
from depots.models import Charger, ChargingSession, Depot
from depots.templatetags.berth import kilowatts

MOST_NAMED = 6
# What it may take is not what it was told last.
BY_ITSELF = {EvsePower.Why.SILENT, EvsePower.Why.UNCONTROLLED, EvsePower.Why.IGNORES}


class PowerRow(NamedTuple):
    """Watts; None where nothing is promised now, or not known. `is_by_itself`: nobody keeps it to what is planned."""

    uid: str
    promised_w: int | None
    may_take_w: int
    takes_w: int | None
    counted_w: int
    why: str
    is_short: bool
    is_by_itself: bool
    is_charging: bool

    @property
    def is_idle(self) -> bool:
        return self.promised_w is None and not self.is_charging and not self.is_short


def power_of_charger(charger: Charger, now: datetime) -> dict[str, Any]:
    return {"power_rows": _rows(EvsePower.objects.filter(evse__charger=charger))}


def power_of_depot(depot: Depot, now: datetime) -> dict[str, Any]:
    """Three queries. No rows where nothing was planned: without a limit and without booked trucks."""
    rows = _rows(EvsePower.objects.filter(evse__depot=depot, evse__is_withdrawn=False))
    limits = list(
        ExternalLimit.objects.filter(depot=depot, lifted_at__isnull=True, ends_at__gt=now).order_by(
            "starts_at", "pk"
        )
    )
    held = [limit.watts for limit in limits if limit.starts_at <= now]
    if depot.grid_limit_w is not None:
        held.append(depot.grid_limit_w)
    return {
        "power_rows": [row for row in rows if not row.is_idle],
        "idle_power_rows": [row for row in rows if row.is_idle],
        "power_limit_w": min(held, default=None),
        "power_hint": _hint(depot, min(held, default=None)),
        "power_counted_w": sum(row.counted_w for row in rows),
        "external_limits": limits,
        "limits_version": limits_version(limits),
        "beyond_limit": _beyond(rows, min(held, default=None)),
    }


def _hint(depot: Depot, limit_w: int | None) -> str:
    """What the power that is drawn now is held against: the connection, or less for a while."""
    if limit_w is None:
        return "drawn now"
    if limit_w == depot.grid_limit_w:
        return f"of {kilowatts(limit_w)} at the grid"
    return f"of {kilowatts(limit_w)} for now"


def _beyond(rows: list[PowerRow], limit_w: int | None) -> str:
    """Who may take more than the limit, in a sentence; empty where the limit is kept."""
    if limit_w is None or sum(row.counted_w for row in rows) <= limit_w:
        return ""
    uids = [row.uid for row in rows if row.is_by_itself]
    if not uids:
        return "What the chargers were told adds up to more than the limit; Berth tells them less."
    named, more = uids[:MOST_NAMED], len(uids) - MOST_NAMED
    who = f"{', '.join(named)} and {more} more" if more > 0 else ", ".join(named)
    return (
        f"Chargers that take no limits, do not keep to them or cannot be reached may take more than the limit by "
        f"themselves ({who}). Berth keeps it with the others."
    )


def _rows(powers: QuerySet[EvsePower]) -> list[PowerRow]:
    found = list(powers.select_related("evse__charger").order_by("evse__uid"))
    running = ChargingSession.objects.filter(evse__in=[power.pk for power in found], ended_at__isnull=True)
    takes = dict(running.order_by("started_at").values_list("evse_id", "power_w"))
    return [
        PowerRow(
            power.evse.uid,
            power.promised_w or None,
            power.share_w,
            takes.get(power.pk),
            power.counted_w,
            _why(power, is_free=power.pk not in takes),
            is_short=power.is_short,
            is_by_itself=power.counted_w > 0 and power.why in BY_ITSELF,
            is_charging=power.pk in takes,
        )
        for power in found
    ]


def _why(power: EvsePower, *, is_free: bool) -> str:
    charger = power.evse.charger
    if is_free and charger is not None and charger.connected_at is None:
        return "The charger has never connected: not counted."
    return "" if is_free and power.why == EvsePower.Why.FREE else power.get_why_display()
