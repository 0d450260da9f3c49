"""What is billed of a session is what its charger proves: energy by the register, parking by its word, time by its clock."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bookings.billing.charging_periods import Register, SessionFacts, StateFrom, measure
from tests.factories import NOW

HOUR = timedelta(hours=1)


def minute(number: float):
    return NOW + timedelta(minutes=number)


def facts(
    *registers: tuple[float, int], states: tuple[tuple[float, str], ...] = (), **fields
) -> SessionFacts:
    """An hour from a register of 1000 to one of 101000 Wh, unless told otherwise; minutes from its start."""
    told = {
        "starts_at": NOW,
        "ends_at": minute(60),
        "start_wh": 1000,
        "stop_wh": 101_000,
        "max_power_w": 400_000,
        **fields,
    }
    return SessionFacts(
        registers=[Register(minute(at), wh) for at, wh in registers],
        states=[StateFrom(minute(at), state) for at, state in states],
        **told,
    )


def shown(told: SessionFacts, now=minute(600)):
    """(minute, Wh, minutes of charging, minutes of parking) a period."""
    use = measure(told, now=now).use
    return [
        (
            (period.starts_at - NOW) / timedelta(minutes=1),
            int(period.energy_kwh * 1000),
            None if period.charging_s is None else period.charging_s / 60,
            None if period.parking_s is None else period.parking_s / 60,
        )
        for period in use.periods
    ]


def test_without_a_word_from_the_charger_all_of_it_is_charging():
    assert shown(facts()) == [(0, 100_000, 60, None)]


def test_meter_values_cut_it_where_they_were_read():
    assert shown(facts((20, 61_000), (40, 81_000))) == [
        (0, 60_000, 20, None), (20, 20_000, 20, None), (40, 20_000, 20, None),
    ]  # fmt: skip


def test_parking_is_while_the_vehicle_asks_for_no_power():
    states = ((0, "charging"), (30, "no_demand"), (50, "charging"))

    assert shown(facts((30, 91_000), (50, 91_000), states=states)) == [
        (0, 90_000, 30, None), (30, 0, None, 20), (50, 10_000, 10, None),
    ]  # fmt: skip


def test_load_management_is_charging_time_and_never_parking():
    states = ((0, "charging"), (30, "no_offer"))

    assert shown(facts((30, 101_000), states=states)) == [(0, 100_000, 30, None), (30, 0, 30, None)]
    assert measure(facts((30, 101_000), states=states), now=NOW).parking_s == 0


def test_low_power_is_no_proof_of_parking():
    assert measure(facts((5, 101_000), (30, 101_000)), now=NOW).parking_s == 0


def test_plugged_in_before_it_charges_is_neither_and_after_it_parking():
    states = ((0, "plugged"), (10, "charging"), (40, "plugged"))

    assert shown(facts((10, 1000), (40, 101_000), states=states)) == [
        (0, 0, 0, None), (10, 100_000, 30, None), (40, 0, None, 20),
    ]  # fmt: skip


@pytest.mark.parametrize("state", ["unplugged", "out_of_order"])
def test_a_fault_or_nobody_at_the_plug_is_neither(state):
    assert shown(facts((40, 101_000), states=((40, state),)))[1] == (40, 0, 0, None)


def test_energy_flows_in_the_time_that_was_charging():
    assert shown(facts(states=((0, "charging"), (15, "no_demand")))) == [
        (0, 100_000, 15, None),
        (15, 0, None, 45),
    ]


def test_where_the_meter_shows_a_flow_the_state_was_not_told():
    states = ((10, "no_demand"),)  # "charging" was lost

    told = facts((10, 21_000), (30, 61_000), states=states)

    assert measure(told, now=NOW).parking_s == 0
    assert sum(wh for _, wh, *_ in shown(told)) == 100_000


def test_what_a_vehicle_draws_for_itself_is_parking_still():
    assert measure(facts((30, 100_800), states=((30, "no_demand"),)), now=NOW).parking_s == 30 * 60


def test_a_register_that_goes_back_proves_what_it_had_reached():
    use = measure(facts((20, 61_000), (40, 500), stop_wh=None), now=NOW)

    assert (use.energy_wh, use.flags) == (60_000, ("meter_leap",))


def test_a_meter_that_began_anew_proves_what_was_before():
    use = measure(facts((20, 61_000), (30, 0), (50, 40_000), stop_wh=60_000, flags=["bad_meter"]), now=NOW)

    assert (use.energy_wh, use.flags) == (59_000, ("bad_meter", "meter_leap"))


def test_a_stop_below_the_start_leaves_it_to_the_samples():
    use = measure(facts((20, 61_000), stop_wh=900, flags=["bad_meter"]), now=NOW)

    assert use.energy_wh == 60_000


def test_a_leap_that_no_evse_can_give_is_not_billed():
    assert measure(facts((20, 61_000), stop_wh=5_001_000), now=NOW).energy_wh == 60_000
    assert measure(facts((10, 50_000_000), (20, 61_000)), now=NOW).energy_wh == 100_000


def test_a_gap_between_meter_values_is_no_loss():
    assert shown(facts((2, 2000))) == [(0, 1000, 2, None), (2, 99_000, 58, None)]


def test_without_a_register_at_the_start_only_what_follows_the_first_counts():
    assert (
        measure(facts((10, 41_000), (50, 91_000), start_wh=None, stop_wh=None), now=NOW).energy_wh == 50_000
    )
    assert measure(facts(start_wh=None, stop_wh=None), now=NOW).energy_wh == 0


def test_an_end_nobody_told_is_billed_to_the_last_word():
    use = measure(facts((20, 41_000), ends_at=minute(600), stop_wh=None, flags=["no_stop"]), now=NOW)

    assert (use.ends_at, use.energy_wh, use.charging_s) == (minute(20), 40_000, 20 * 60)
    assert use.flags == ("no_stop",)


def test_a_clock_that_was_never_set_proves_no_parking_and_no_end():
    use = measure(facts(states=((30, "no_demand"),), flags=["bad_clock"]), now=NOW)

    assert (use.parking_s, use.has_clock, use.energy_wh) == (0, False, 100_000)


def test_a_running_session_is_measured_until_now():
    told = facts((20, 41_000), ends_at=None, stop_wh=None)

    assert shown(told, now=minute(30)) == [(0, 40_000, 20, None), (20, 0, 10, None)]
    assert measure(told, now=minute(30)).ends_at == minute(30)


def test_long_sessions_have_a_bounded_number_of_periods():
    every_minute = [(n, 1000 + 100 * n) for n in range(1, 1440)]
    use = measure(facts(*every_minute, ends_at=minute(1440), stop_wh=145_000), now=NOW)

    assert len(use.use.periods) <= 101
    assert use.energy_wh == 144_000


STATES = st.sampled_from(["charging", "no_demand", "no_offer", "plugged", "unplugged", "out_of_order"])
MINUTES = st.integers(-10, 90)


@settings(max_examples=300, deadline=None)
@given(
    registers=st.lists(st.tuples(MINUTES, st.integers(0, 200_000)), max_size=12),
    states=st.lists(st.tuples(MINUTES, STATES), max_size=8),
    start_wh=st.none() | st.integers(0, 200_000),
    stop_wh=st.none() | st.integers(0, 200_000),
    length=st.integers(0, 80),
    flags=st.lists(st.sampled_from(["no_stop", "bad_clock", "bad_meter"]), unique=True),
)
def test_whatever_was_told_time_and_energy_add_up(registers, states, start_wh, stop_wh, length, flags):
    told = facts(
        *sorted(registers), states=tuple(sorted(states)), start_wh=start_wh, stop_wh=stop_wh, ends_at=minute(length),
        flags=flags,
    )  # fmt: skip

    use = measure(told, now=NOW)

    assert use.starts_at == NOW
    assert NOW <= use.ends_at <= minute(length)
    assert 0 <= use.charging_s + use.parking_s <= (use.ends_at - NOW).total_seconds()
    assert use.energy_wh == sum(period.energy_kwh for period in use.use.periods) * Decimal(1000)
    if start_wh is not None and stop_wh is not None and 0 <= stop_wh - start_wh <= 400_000 / 60 * length:
        assert "no_stop" in flags or use.energy_wh == stop_wh - start_wh
    elif start_wh is not None:
        highest = max([wh for _, wh in registers] + [stop_wh or 0, start_wh])
        assert 0 <= use.energy_wh <= highest - start_wh
