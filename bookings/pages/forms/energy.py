"""What is to be charged, as people write it: kilowatt-hours, or percent from and to."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms

from bookings.errors import EnergyImpossible
from bookings.models import Vehicle
from bookings.rules.charging_duration import Charging, EnergyAsked

ENERGY_FIELDS = ("energy_kwh", "soc_from", "soc_to")


class EnergyFields(forms.Form):
    """Three fields that a form of a slot has; none of them need be given."""

    energy_kwh = forms.DecimalField(
        label="Energy (kWh)", required=False, min_value=Decimal("0.1"), max_value=5000, decimal_places=1
    )
    soc_from = forms.IntegerField(label="Charged now (%)", required=False, min_value=0, max_value=100)
    soc_to = forms.IntegerField(label="Charge to (%)", required=False, min_value=0, max_value=100)


def energy_of(form: forms.BaseForm, vehicle: Vehicle | None) -> EnergyAsked | None:
    """Of cleaned fields; None where none is given, or with the reason at its field where it makes no sense for the vehicle."""
    cleaned: dict[str, Any] = form.cleaned_data
    kwh = cleaned.get("energy_kwh")
    asked = EnergyAsked(
        energy_wh=int(kwh * 1000) if kwh is not None else None,
        soc_from=cleaned.get("soc_from"),
        soc_to=cleaned.get("soc_to"),
    )
    if not asked or any(name in form.errors for name in ENERGY_FIELDS):
        return None
    try:
        Charging.of(asked.checked(), vehicle)
    except EnergyImpossible as refusal:
        form.add_error(refusal.field, str(refusal))
        return None
    return asked


def written(asked: EnergyAsked | None) -> dict[str, str]:
    """The same as the fields have it; only what is given."""
    if not asked:
        return {}
    told = {
        "energy_kwh": None if asked.energy_wh is None else f"{asked.energy_wh / 1000:g}",
        "soc_from": asked.soc_from,
        "soc_to": asked.soc_to,
    }
    return {name: str(value) for name, value in told.items() if value is not None}
