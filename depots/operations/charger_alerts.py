"""Alerts of chargers about their parts, kept for who looks after them, and bounded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from depots.models import Charger, ChargerAlert

MOST_OF_ONE = 100


@dataclass(frozen=True)
class ToldAlert:
    """`is_over`: what was told before is so no more. Otherwise as ChargerAlert."""

    component: str
    variable: str
    at: datetime
    evse_number: int | None = None
    value: str = ""
    code: str = ""
    info: str = ""
    severity: int | None = None
    is_over: bool = False

    @property
    def part(self) -> tuple[int | None, str, str]:
        return self.evse_number, self.component[:101], self.variable[:101]


def record_alerts(*, charger_id: int, told: Iterable[ToldAlert], now: datetime) -> None:
    """An alert that stands and is told again is the same one, with what was told last; one that is over, and told again as of the
    same moment, is over, and the end of one that does not stand is nothing. Those that came last are kept."""
    latest = {alert.part: alert for alert in sorted(told, key=lambda alert: alert.at)}
    with transaction.atomic():
        Charger.objects.select_for_update(no_key=True).only("pk").get(pk=charger_id)
        rows = ChargerAlert.objects.filter(charger=charger_id)
        kept = list(rows)
        standing = {_part(row): row for row in kept if row.over_at is None}
        over = {(_part(row), row.at) for row in kept if row.over_at is not None}
        known = [_hear_again(row, latest[part], now) for part, row in standing.items() if part in latest]
        new = [
            _begin(charger_id, part, alert, now)
            for part, alert in latest.items()
            if part not in standing and not alert.is_over and (part, alert.at) not in over
        ]
        ChargerAlert.objects.bulk_update(
            known, ["value", "code", "info", "severity", "over_at", "received_at"]
        )
        if new:
            ChargerAlert.objects.bulk_create(new[-MOST_OF_ONE:])
            last = list(rows.order_by("-pk").values_list("pk", flat=True)[:MOST_OF_ONE])
            rows.exclude(pk__in=last).delete()


def _part(row: ChargerAlert) -> tuple[int | None, str, str]:
    return row.evse_number, row.component, row.variable


def _begin(
    charger_id: int, part: tuple[int | None, str, str], alert: ToldAlert, now: datetime
) -> ChargerAlert:
    number, component, variable = part
    row = ChargerAlert(charger_id=charger_id, evse_number=number, component=component, variable=variable)
    row.at, row.received_at = min(alert.at, now), now
    return _follow(row, alert, now)


def _hear_again(row: ChargerAlert, alert: ToldAlert, now: datetime) -> ChargerAlert:
    row.received_at = now
    return _follow(row, alert, now)


def _follow(row: ChargerAlert, alert: ToldAlert, now: datetime) -> ChargerAlert:
    if alert.is_over:
        row.over_at = min(alert.at, now)
        return row
    row.value, row.code, row.info = alert.value[:100], alert.code[:50], alert.info[:255]
    row.severity = alert.severity
    return row
