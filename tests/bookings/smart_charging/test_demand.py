"""What a vehicle takes, by what is known of it: no row, no depot."""

from __future__ import annotations

from typing import Any

import pytest

from bookings.models import Booking, ChargingProfile, EvsePower, Vehicle
from bookings.smart_charging.demand import vehicle_takes_w
from bookings.smart_charging.depot_state import EvseState
from depots.models import ChargingSession, Evse
from tests.factories import at

KW = 1000
CURVE = [[10, 350 * KW], [50, 300 * KW], [80, 100 * KW], [100, 40 * KW]]


def charging(
    *, soc: float | None, power_kw: int | None = None, promised_kw: int = 50, **vehicle: Any
) -> EvseState:
    truck = Vehicle(**{"max_power_w": 350 * KW, "charge_curve": CURVE, **vehicle})
    booking = Booking(vehicle=truck, promised_power_w=promised_kw * KW, ends_at=at(11))
    session = ChargingSession(soc_percent=soc, power_w=power_kw and power_kw * KW)
    return EvseState(
        Evse(max_power_w=400 * KW),
        EvsePower(),
        ChargingProfile(),
        ChargingProfile(),
        at(10),
        0,
        session,
        booking,
    )


@pytest.mark.parametrize(
    ("state", "takes_kw"),
    [
        (charging(soc=80), 105),
        (charging(soc=95), 58),
        (charging(soc=30), 342),
        (charging(soc=5), 350),
        (charging(soc=80, promised_kw=150), 150),  # never below its promise
        (charging(soc=80, power_kw=200), 210),  # it takes more than its curve says
        (charging(soc=None), 350),
        (charging(soc=80, charge_curve=[]), 350),
        (charging(soc=80, max_power_w=90 * KW), 90),
    ],
)
def test_a_vehicle_is_given_no_more_than_its_curve_says_at_its_state_of_charge(state, takes_kw):
    assert vehicle_takes_w(state) == takes_kw * KW


def test_of_a_vehicle_that_nobody_knows_the_evse_says_it():
    state = charging(soc=80)
    state.booking = None

    assert vehicle_takes_w(state) == 400 * KW
