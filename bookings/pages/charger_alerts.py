"""What a charger says is wrong with its parts, for its page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F

from depots.models import Charger, ChargerAlert

LAST_ALERTS = 12


@dataclass(frozen=True)
class AlertLine:
    row: ChargerAlert
    where: str
    what: str

    @property
    def stands(self) -> bool:
        return self.row.over_at is None

    @property
    def is_of_last_run(self) -> bool:
        """It stood before the charger last started; OCPP has it tell no more of it, nor that it is over."""
        booted_at = self.row.charger.booted_at
        return self.stands and booted_at is not None and self.row.received_at < booted_at


def alerts_of(charger: Charger, now: datetime) -> Mapping[str, Any]:
    """The context of bookings/yard/_alerts.html: those that stand first, of the others the newest."""
    rows = charger.alerts.select_related("charger").order_by(F("over_at").desc(nulls_first=True), "-pk")[
        :LAST_ALERTS
    ]
    return {"alerts": [_line(row) for row in rows]}


def _line(row: ChargerAlert) -> AlertLine:
    where = row.component if row.evse_number is None else f"{row.component}, EVSE {row.evse_number}"
    what = row.variable if row.variable == "Problem" else f"{row.variable} {row.value}".rstrip()
    return AlertLine(row, where, what)
