"""A charger's settings on its page, and how many differ in the list of chargers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bookings.maintenance.charger_requests import checked_settings, settings_version, why_not_askable
from bookings.pages.charger_words import STAGES, setting_lines
from depots.commissioning import wanted_of
from depots.commissioning.findings import findings
from depots.models import Charger, ChargerCommand, Depot, SettingsCheck


def settings_part(charger: Charger, now: datetime) -> dict[str, Any]:
    """Context of yard/_settings.html."""
    check = checked_settings(charger)
    plan = wanted_of(charger)
    lines = setting_lines(findings(check, plan.wanted)) if check is not None else []
    return {
        "check": check,
        "stage": STAGES.get(SettingsCheck.Stage(check.stage), "") if check else "",
        "settings_read": check is not None and check.read_at is not None,
        "differing": [line for line in lines if line.state == "differs"],
        "matching": [line for line in lines if line.state != "differs"],
        "sets_itself": plan.applies_itself,
        "settings_version": settings_version(charger, check),
        "settings_off": why_not_askable(charger, ChargerCommand.Action.READ_SETTINGS, now=now),
    }


def differing_settings(depot: Depot) -> dict[int, int]:
    """How many settings differ, by charger; only those that were read."""
    rows = SettingsCheck.objects.filter(charger__depot=depot, read_at__isnull=False)
    return dict(rows.values_list("charger_id", "drift_count"))
