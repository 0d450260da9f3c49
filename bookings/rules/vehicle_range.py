"""How far a vehicle gets, and what it must charge to get further. Pure; energy in Wh, distance in km."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bookings.rules.charge_curve import Curve
from bookings.rules.charging_duration import Charging

# What is left when a truck arrives, in percent of its battery: for a detour, a queue, the cold.
RESERVE_PERCENT = 10
# What is assumed where nobody says what a vehicle uses, in Wh a kilometre: docs/decisions/0150.
USUAL_WH_PER_KM = {
    "SEMI_TRACTOR": 1300,
    "TRUCK_WITH_TRAILER": 1300,
    "RIGID": 900,
    "BUS": 1200,
    "VAN": 350,
}
OTHERS_WH_PER_KM = 1300


@dataclass(frozen=True)
class EnergyUse:
    """A vehicle's battery and what it takes out of it. The curve is empty and the most power None where they are not known."""

    battery_wh: int
    wh_per_km: int
    max_power_w: int | None = None
    curve: Curve = ()

    @property
    def reserve_wh(self) -> float:
        return self.battery_wh * RESERVE_PERCENT / 100

    def range_km(self, energy_wh: float) -> float:
        """Down to the reserve."""
        return max(energy_wh - self.reserve_wh, 0) / self.wh_per_km

    def after(self, energy_wh: float, km: float) -> float:
        return energy_wh - km * self.wh_per_km

    def missing_wh(self, energy_wh: float, km: float) -> float:
        """What must be charged to drive so far; as much as the battery takes where that is less."""
        wanted = min(self.reserve_wh + km * self.wh_per_km, self.battery_wh)
        return max(wanted - energy_wh, 0)

    def charging_time(self, energy_wh: float, charge_wh: float, power_w: int) -> timedelta | None:
        """How long that takes with so much power promised; None where nothing is."""
        if charge_wh < 1:
            return timedelta()
        charging = Charging(
            int(charge_wh), self.battery_wh, soc_from=self.percent(energy_wh), max_power_w=self.max_power_w,
            curve=self.curve,
        )  # fmt: skip
        return charging.time_at(power_w)

    def percent(self, energy_wh: float) -> float:
        return min(max(energy_wh / self.battery_wh * 100, 0.0), 100.0)


def usual_wh_per_km(vehicle_type: str) -> int:
    return USUAL_WH_PER_KM.get(vehicle_type, OTHERS_WH_PER_KM)
