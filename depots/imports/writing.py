"""Writes the physical part of a checked depot file: what changed is saved, what stayed the same is not touched.

Every function runs in its caller's transaction, with the depot and its EVSEs locked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db import models

from depots.imports.schemas import ChargerRow, DepotRow, EvseRow, HoursRow, folded, watts
from depots.models import (
    Charger,
    ChargerCommand,
    Connector,
    Depot,
    Evse,
    Fallback,
    OpeningHours,
    Organisation,
    SecurityRaise,
)
from depots.operations.local_lists import look_through_again
from depots.secrets import charger_password_matches, hash_charger_password
from depots.standards import PLUGS

# All that opens, opened or will open: a charger that comes back is given a password anew.
PASSWORDS = (
    "password_salt", "password_hash", "replaced_password_salt", "replaced_password_hash", "next_password",
    "next_password_salt", "next_password_hash",
)  # fmt: skip
TELL_IT_HOW_TO_COME = [
    ChargerCommand.Action.SET_PASSWORD,
    ChargerCommand.Action.SET_SECURITY_PROFILE,
    ChargerCommand.Action.SET_NETWORK_PRIORITY,
]


def write_depot(depot: Depot | None, row: DepotRow, operator: Organisation) -> tuple[Depot, bool]:
    """The depot as the file has it, and whether anything of it is new or different."""
    is_new = depot is None
    depot = depot or Depot(code=row.id, location_id=row.id, operator=operator)
    had_lists = Fallback.LOCAL_LIST in depot.fallbacks
    changed = assign(
        depot,
        {
            "name": row.name,
            "address": row.address,
            "city": row.city,
            "postal_code": row.postal_code,
            "country": row.country,
            "latitude": _degrees(row.latitude),
            "longitude": _degrees(row.longitude),
            "time_zone": row.time_zone,
            "grid_limit_w": watts(row.grid_limit_kw) if row.grid_limit_kw is not None else None,
            "charging_when_closed": row.charging_when_closed,
            "fallbacks": [way for way in Fallback.values if way in row.fallbacks],
            "is_withdrawn": False,
            **row.description(),
        },
    )
    if changed or is_new:
        depot.save()
    if had_lists != (Fallback.LOCAL_LIST in depot.fallbacks):
        look_through_again(depot.pk)
    return depot, _write_hours(depot, row.opening_hours) or changed or is_new


def write_charger(charger: Charger | None, row: ChargerRow, depot: Depot) -> tuple[Charger, bool]:
    """The charger as the file has it. A password is hashed anew only when it is another one."""
    is_new = charger is None
    charger = charger or Charger(identity=row.identity)
    changed = assign(
        charger,
        {
            "depot_id": depot.pk,
            "protocol": row.protocol,
            "is_withdrawn": False,
            "cabinet": row.cabinet,
            "cabinet_limit_w": watts(row.cabinet_limit_kw) if row.cabinet_limit_kw is not None else None,
        },
    )
    changed = _set_profile(charger, row.security_profile) or changed
    if charger.security_profile == 0 and charger.protocol != "ocpp1.6":
        charger.security_profile = 1  # nothing at all is for OCPP 1.6 alone
    changed = _set_password(charger, row.password) or changed
    if changed or is_new:
        charger.save()
    return charger, changed or is_new


def write_evse(evse: Evse | None, row: EvseRow, charger: Charger, number: int) -> tuple[Evse, bool]:
    """The EVSE and its one connector as the file has them."""
    is_new = evse is None
    evse = evse or Evse(uid=row.uid)
    changed = assign(
        evse,
        {
            "depot_id": charger.depot_id,
            "charger_id": charger.pk,
            "number": number,
            "max_power_w": row.max_power_w,
            "vehicle_types": list(row.vehicle_types),
            "drive_through": row.drive_through,
            "dangerous_goods_allowed": row.dangerous_goods_allowed,
            "refrigeration_outlet": row.refrigeration_outlet,
            "takes_trailers": row.takes_trailers,
            "inlet_sides": list(row.inlet_sides),
            "max_vehicle_length_cm": row.max_vehicle_length_cm,
            "max_vehicle_height_cm": row.max_vehicle_height_cm,
            "max_vehicle_width_cm": row.max_vehicle_width_cm,
            "max_vehicle_weight_kg": row.max_vehicle_weight_kg,
            "is_withdrawn": False,
            **row.description(),
        },
    )
    if changed or is_new:
        evse.save()
    return evse, _write_connector(evse, row) or changed or is_new


def release_numbers(evses: Sequence[Evse], wanted: Mapping[str, tuple[str, int]]) -> None:
    """Take EVSEs that change charger or number off their charger first: two that swap would meet half-way.

    `wanted` is (identity, number) by folded uid; EVSEs it does not name are withdrawn and leave their charger too.
    """
    for evse in evses:
        place = (folded(evse.charger.identity), evse.number) if evse.charger else None
        if place is not None and wanted.get(folded(evse.uid)) != place:
            evse.charger = None
            evse.save(update_fields=["charger", "updated_at"])


def withdraw_evse(evse: Evse) -> None:
    """No longer there; its row stays for its history and is taken up again by an import that names it."""
    evse.charger, evse.is_withdrawn, evse.status = None, True, Evse.Status.UNKNOWN
    evse.save(update_fields=["charger", "is_withdrawn", "status", "updated_at"])


def withdraw_charger(charger: Charger) -> bool:
    """A charger that is no longer there: nobody gets in under its name. Whether anybody could have."""
    was_there = not charger.is_withdrawn
    charger.is_withdrawn = True
    for name in PASSWORDS:
        setattr(charger, name, "")
    charger.next_security_profile = charger.replaced_security_profile = None
    charger.save(
        update_fields=["is_withdrawn", *PASSWORDS, "next_security_profile", "replaced_security_profile"]
    )
    SecurityRaise.objects.filter(charger=charger).delete()
    # Told to it later on, one that opens no more would lock it out.
    waiting = charger.commands.filter(action__in=TELL_IT_HOW_TO_COME)
    waiting.filter(state=ChargerCommand.State.QUEUED).update(state=ChargerCommand.State.STALE)
    return was_there


def assign(row: models.Model, values: Mapping[str, Any]) -> bool:
    """Set attributes; whether any of them is different now."""
    changed = False
    for name, value in values.items():
        if getattr(row, name) != value:
            setattr(row, name, value)
            changed = True
    return changed


def _write_hours(depot: Depot, hours: Sequence[HoursRow]) -> bool:
    wanted = sorted((row.weekday, row.opens, row.closes) for row in hours)
    if sorted(depot.opening_hours.values_list("weekday", "from_minute", "to_minute")) == wanted:
        return False
    depot.opening_hours.all().delete()
    OpeningHours.objects.bulk_create(
        OpeningHours(depot=depot, weekday=weekday, from_minute=opens, to_minute=closes)
        for weekday, opens, closes in wanted
    )
    return True


def _set_profile(charger: Charger, profile: int | None) -> bool:
    """One that Berth has raised it from, or past, is an older file's; one that names another has seen the new one."""
    before = charger.replaced_security_profile
    is_older = before is not None and profile is not None and before <= profile < charger.security_profile
    if profile is None or is_older:
        return False
    return assign(charger, {"security_profile": profile, "replaced_security_profile": None})


def _set_password(charger: Charger, password: str | None) -> bool:
    if password is None:
        return False
    for salt, hashed in (
        (charger.password_salt, charger.password_hash),
        (charger.replaced_password_salt, charger.replaced_password_hash),
    ):
        if charger_password_matches(password, salt=salt, hashed=hashed):
            return False
    charger.password_salt, charger.password_hash = hash_charger_password(password)
    charger.replaced_password_salt = charger.replaced_password_hash = ""
    return True


def _write_connector(evse: Evse, row: EvseRow) -> bool:
    plug = PLUGS[row.connector_standard]
    values = {
        "standard": row.connector_standard,
        "format": row.format,
        "power_type": plug.power_type,
        "max_voltage_v": plug.voltage_v,
        "max_amperage_a": plug.amperage_a(row.max_power_w),
        "max_power_w": row.max_power_w,
    }
    connector = evse.connectors.filter(number=1).first() or Connector(evse=evse, number=1)
    changed = assign(connector, values) or connector.pk is None
    if changed:
        connector.save()
    return changed


def _degrees(degrees: float) -> Decimal:
    return round(Decimal(str(degrees)), 6)
