"""Models of trucks and buses: each with its source, each sensible, and nothing invented."""

from __future__ import annotations

import pytest

from bookings.rules.charge_curve import curve_text, read_curve
from bookings.rules.vehicle_library import VehicleModel, model_called, models
from depots.standards import PLUGS, VEHICLE_TYPES


@pytest.mark.parametrize("model", models(), ids=lambda model: model.name)
def test_a_model_is_sensible_and_names_its_sources(model: VehicleModel) -> None:
    assert model.told
    assert all(url.startswith("https://") for url in model.told)
    assert model.vehicle_type in VEHICLE_TYPES
    assert set(model.connector_standards) <= PLUGS.keys()
    assert len(model.name) <= 80
    assert 50_000 <= (model.battery_wh or 0) <= 1_000_000
    assert model.usable_wh is None or model.installed_wh is None or model.usable_wh <= model.installed_wh
    assert model.max_power_w is None or 50_000 <= model.max_power_w <= 3_750_000
    assert read_curve(curve_text(model.charge_curve)) == [list(point) for point in model.charge_curve]


def test_names_are_there_once_and_found_in_any_capitals() -> None:
    names = [model.name.upper() for model in models()]

    assert len(set(names)) == len(names) >= 20
    found = model_called("  mercedes-benz EACTROS  600 ")
    assert found is not None
    assert (found.battery_wh, found.installed_wh, found.max_power_w) == (600_000, 621_000, 400_000)
    assert model_called("eActros 900") is None


def test_what_is_not_told_settles_nothing() -> None:
    model = model_called("Volvo FH Electric, six packs")

    assert model is not None
    assert model.facts().keys() == {"model_name", "vehicle_type", "connector_standards", "battery_wh"}
