"""How long a vehicle charges, and the shortest slot that does it: values, no tables."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookings.errors import EnergyImpossible, TooLong
from bookings.models import Vehicle
from bookings.rules.charge_curve import power_at
from bookings.rules.charging_duration import Charging, EnergyAsked, shortest_end
from bookings.rules.configuration import Site
from bookings.rules.energy_slots import EnergySlot
from bookings.rules.terms import Terms
from depots.periods import Period
from tests.factories import at

SITE = Site(1, 1, "Europe/Berlin", charging_when_closed=True, hours=())
CURVE = [[10, 350_000], [80, 180_000], [100, 60_000]]


def truck(**fields: object) -> Vehicle:
    return Vehicle(**{"battery_wh": 600_000, "max_power_w": 350_000, **fields})


def charging(asked: EnergyAsked, vehicle: Vehicle | None = None) -> Charging:
    return Charging.of(asked.checked(), vehicle)


@pytest.mark.parametrize(
    ("asked", "vehicle", "power_w", "minutes"),
    [
        (EnergyAsked(energy_wh=100_000), None, 200_000, 30),
        (EnergyAsked(energy_wh=100_000), truck(battery_wh=None), 400_000, 100 / 350 * 60),
        (EnergyAsked(soc_from=20, soc_to=80), truck(), 360_000, 360 / 350 * 60),  # even to 80 % without a curve
        (EnergyAsked(energy_wh=360_000), truck(), 360_000, 360 / 350 * 60),  # taken to end at the usual 80 %
        (EnergyAsked(energy_wh=60_000, soc_from=10), truck(charge_curve=CURVE), 100_000, 36),  # the promise counts
        (EnergyAsked(energy_wh=60_000, soc_to=100), truck(charge_curve=CURVE), 60_000, 60),
    ],
)  # fmt: skip
def test_the_least_of_promise_vehicle_and_curve_counts(
    asked: EnergyAsked, vehicle: Vehicle | None, power_w: int, minutes: float
) -> None:
    time = charging(asked, vehicle).time_at(power_w)

    assert time is not None
    assert time.total_seconds() == pytest.approx(minutes * 60, abs=1)


def test_without_a_curve_the_power_falls_towards_the_full_battery() -> None:
    to_80 = charging(EnergyAsked(soc_from=60, soc_to=80), truck()).time_at(350_000)
    to_100 = charging(EnergyAsked(soc_from=80, soc_to=100), truck()).time_at(350_000)

    assert to_80 is not None
    assert to_100 is not None
    assert to_100 > 1.8 * to_80


@pytest.mark.parametrize(
    ("asked", "vehicle", "field", "words"),
    [
        (EnergyAsked(), None, "soc_from", "from which state of charge"),
        (EnergyAsked(energy_wh=0), None, "energy_kwh", "more than nothing"),
        (EnergyAsked(soc_from=20), None, "soc_to", "to which"),
        (EnergyAsked(soc_from=80, soc_to=80), truck(), "soc_to", "so much charge already"),
        (EnergyAsked(soc_from=20, soc_to=101), truck(), "soc_to", "0 to 100"),
        (EnergyAsked(energy_wh=1, soc_from=20, soc_to=30), truck(), "soc_to", "not both"),
        (EnergyAsked(soc_from=20, soc_to=80), None, "soc_from", "battery is not known"),
        (EnergyAsked(energy_wh=601_000), truck(), "energy_kwh", "holds 600 kWh: it takes no 601 kWh"),
        (EnergyAsked(energy_wh=481_000, soc_from=20), truck(), "energy_kwh", "From 20 % on the battery takes 480 kWh"),
        (EnergyAsked(energy_wh=301_000, soc_to=50), truck(), "soc_to", "Up to 50 % the battery holds 300 kWh"),
    ],
)  # fmt: skip
def test_what_cannot_be_charged_is_refused_with_its_field(
    asked: EnergyAsked, vehicle: Vehicle | None, field: str, words: str
) -> None:
    with pytest.raises(EnergyImpossible, match=words) as refused:
        charging(asked, vehicle)

    assert (refused.value.code, refused.value.field) == ("energy_impossible", field)


def test_more_than_the_usual_target_is_charged_only_as_far_as_it_takes() -> None:
    assert charging(EnergyAsked(energy_wh=300_000), truck()).soc_from == 30
    assert charging(EnergyAsked(energy_wh=540_000), truck()).soc_from == 0


def slot_of(vehicle: Vehicle | None, asked: EnergyAsked, **terms: int) -> EnergySlot:
    return EnergySlot(charging(asked, vehicle), at(10), Terms(**{"slot_step_min": 15, **terms}), SITE)


def test_a_slot_ends_on_the_step_and_is_never_shorter_than_the_terms_allow() -> None:
    asked = EnergyAsked(energy_wh=100_000)

    assert slot_of(None, asked).found(lambda _: 100_000)[0] == Period(at(10), at(11))
    assert slot_of(None, asked).found(lambda _: 99_000)[0] == Period(at(10), at(11, 15))
    assert slot_of(None, asked, min_duration_min=30).found(lambda _: 1_000_000)[0].minutes == 30


def test_a_slot_longer_than_the_terms_allow_is_refused_with_the_longest() -> None:
    slot = slot_of(None, EnergyAsked(energy_wh=100_000), max_duration_min=120)

    with pytest.raises(TooLong, match="With the 40 kW promised there 100 kWh take 150 minutes") as refused:
        slot.found(lambda _: 40_000)

    assert refused.value.nearest == Period(at(10), at(12))


def test_the_power_of_the_longer_slot_counts() -> None:
    """Until 11:00 400 kW, with an end after that 100: what takes 70 minutes with 400 kW takes all of it with 100."""
    slot = slot_of(None, EnergyAsked(energy_wh=450_000), max_duration_min=600)

    period, watts = slot.found(lambda period: 400_000 if period.ends_at <= at(11) else 100_000)

    assert (period, watts) == (Period(at(10), at(14, 30)), 100_000)


def test_no_power_at_all_is_no_length() -> None:
    with pytest.raises(EnergyImpossible, match="is not known"):
        slot_of(None, EnergyAsked(energy_wh=1000)).found(lambda _: 0)


@st.composite
def curves(draw: st.DrawFn) -> list[list[int]]:
    percents = sorted(draw(st.sets(st.integers(0, 100), min_size=2, max_size=6)))
    return [[percent, draw(st.integers(5, 800)) * 1000] for percent in percents]


@st.composite
def chargings(draw: st.DrawFn) -> Charging:
    battery = draw(st.integers(50, 1000)) * 1000
    first = draw(st.integers(0, 95))
    last = draw(st.integers(first + 1, 100))
    curve = draw(st.one_of(st.just([]), curves()))
    vehicle = truck(
        battery_wh=battery, charge_curve=curve, max_power_w=draw(st.sampled_from([None, 90_000, 400_000]))
    )
    return Charging.of(EnergyAsked(soc_from=first, soc_to=last), vehicle)  # fmt: skip


def seconds_read(one: Charging, power_w: int) -> float:
    """The time, read a second time: two thousand equal parts of the energy, each with the power in its middle."""
    battery_wh, soc_from, parts = one.battery_wh, one.soc_from, 2000
    assert battery_wh is not None
    assert soc_from is not None
    most = min(power_w, one.max_power_w or power_w)
    full = one.max_power_w or power_w
    curve = one.curve or [(0, full), (80, full), (100, full // 4)]
    part_wh = one.energy_wh / parts
    middles = (soc_from + (number + 0.5) * part_wh / battery_wh * 100 for number in range(parts))
    return sum(part_wh / min(most, power_at(curve, soc)) * 3600 for soc in middles)


@given(one=chargings(), power_kw=st.integers(20, 500))
def test_in_the_time_the_energy_is_charged_and_not_long_before(one: Charging, power_kw: int) -> None:
    time = one.time_at(power_kw * 1000)

    assert time is not None
    # It is rounded up to the second.
    assert time.total_seconds() == pytest.approx(seconds_read(one, power_kw * 1000), rel=0.005, abs=1)


@given(one=chargings(), less_kw=st.integers(20, 500), more_kw=st.integers(20, 500))
def test_more_power_never_takes_longer(one: Charging, less_kw: int, more_kw: int) -> None:
    less, more = sorted((less_kw, more_kw))
    slow, fast = one.time_at(less * 1000), one.time_at(more * 1000)

    assert slow is not None
    assert fast is not None
    assert fast <= slow


@given(
    levels=st.lists(st.integers(10, 400), min_size=1, max_size=8),
    hours=st.integers(1, 9),
    energy_kwh=st.integers(1, 900),
)
def test_the_found_slot_charges_what_was_asked_and_one_step_less_would_not(
    levels: list[int], hours: int, energy_kwh: int
) -> None:
    """Power falls with the end, quarter of an hour by quarter; every end is tried in turn."""
    falling = [min(levels[: n + 1]) * 1000 for n in range(len(levels))]

    def promised_w(period: Period) -> int:
        return falling[min(int(period.minutes // 15) - 1, len(falling) - 1)]

    slot = slot_of(None, EnergyAsked(energy_wh=energy_kwh * 1000), max_duration_min=hours * 60)
    steps = [at(10) + timedelta(minutes=15 * n) for n in range(1, hours * 4 + 1)]
    enough = [
        end
        for end in steps
        if end - at(10) >= timedelta(minutes=slot.terms.min_duration_min)
        and promised_w(Period(at(10), end)) * (end - at(10)).total_seconds() / 3600 >= energy_kwh * 1000
    ]

    if not enough:
        with pytest.raises(TooLong):
            slot.found(promised_w)
        return
    period, watts = slot.found(promised_w)

    assert period.ends_at == enough[0]
    assert watts == promised_w(period)


def test_each_turn_of_the_search_is_another_level_of_power() -> None:
    asked: list[datetime] = []

    def promised_w(end: datetime) -> int:
        asked.append(end)
        return 100_000 if end <= at(11) else 50_000

    found = shortest_end(
        at(10, 15), at(20), promised_w=promised_w, end_for=lambda w: at(10) + timedelta(hours=200_000 / w)
    )

    assert found == (at(14), 50_000)
    assert len(asked) == 3
    assert all(one < other for one, other in pairwise(asked))
