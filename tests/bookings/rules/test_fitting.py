"""Which EVSE suits a vehicle best: a value to sort by, no tables but plugs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookings.models import Trailer, Vehicle
from bookings.rules.configuration import Bay, Site
from bookings.rules.fit import Needs, misfits, tightness, types_taken
from depots.models import Connector, Evse
from tests.factories import (
    DISPATCHER,
    NOW,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_option,
    make_vehicle,
    slot,
)

pytestmark = pytest.mark.django_db
CCS, MCS = "IEC_62196_T2_COMBO", "MCS"


def best(needs: Needs, *evses: Evse) -> Evse:
    return min(evses, key=lambda evse: tightness(needs, evse))


def needs(*plugs: str, **fields: Any) -> Needs:
    return Needs(connector_standards=frozenset(plugs), **fields)


def test_a_truck_with_mcs_gets_an_mcs_bay_though_its_ccs_would_fit_more_tightly():
    ccs, mcs = make_evse(max_power_w=1_000_000), make_evse(standard=MCS, max_power_w=1_200_000)

    assert best(needs(CCS, MCS, max_power_w=1_000_000), ccs, mcs) == mcs


def test_a_truck_without_mcs_leaves_the_bay_that_has_both_plugs():
    both, ccs = make_evse(max_power_w=400_000), make_evse(max_power_w=400_000, drive_through=True)
    Connector.objects.create(evse=both, number=2, standard=MCS)

    assert best(needs(CCS, max_power_w=400_000), both, ccs) == ccs


def test_enough_power_comes_before_the_tightest_bay():
    weak, strong = make_evse(max_power_w=150_000), make_evse(max_power_w=1_000_000)

    assert best(needs(CCS, max_power_w=350_000), weak, strong) == strong


def test_of_bays_with_enough_power_the_tightest_is_taken():
    wide, tight = make_evse(max_power_w=1_000_000), make_evse(max_power_w=400_000)

    assert best(needs(CCS, max_power_w=350_000), wide, tight) == tight


def test_a_vehicle_that_says_nothing_finds_no_bay_wrong():
    ccs, mcs = make_evse(), make_evse(standard=MCS)

    assert best(Needs(), ccs, mcs) == ccs  # the rarer plug is spared


def test_a_pool_gives_its_mcs_bay_to_the_truck_that_can_use_it():
    depot = make_depot()
    ccs = make_evse(depot, option=False, max_power_w=400_000)
    mcs = make_evse(depot, option=False, standard=MCS, max_power_w=1_000_000)
    Connector.objects.create(evse=mcs, number=2, standard=CCS)
    pool, fleet = make_option(ccs, mcs), make_fleet()

    taken = [
        book_slot(
            fleet=fleet, option=pool, period=slot(10, 11), actor=DISPATCHER, now=NOW,
            vehicle=make_vehicle(fleet, connector_standards=plugs, max_power_w=watts),
        ).evse
        for plugs, watts in [([CCS], 350_000), ([CCS, MCS], 1_000_000)]
    ]  # fmt: skip

    assert taken == [ccs, mcs]


SITE = Site(1, 1, "Europe/Berlin", charging_when_closed=True, hours=())
MEASURES = {
    "max_vehicle_length_cm": 1650,
    "max_vehicle_width_cm": 300,
    "max_vehicle_height_cm": 400,
    "max_vehicle_weight_kg": 40_000,
}


def bay(**fields: Any) -> Bay:
    """A bay that takes a truck of 16.50 m and has nothing else."""
    plain = {"plugs": frozenset([CCS]), "vehicle_types": frozenset(), **MEASURES}
    none = dict.fromkeys(("drive_through", "dangerous_goods_allowed", "refrigeration_outlet"), False)
    return Bay(**{"pk": 1, "depot": SITE, "uid": "B-1", "max_power_w": 400_000, **plain, **none, **fields})


@pytest.mark.parametrize(
    ("asked", "there", "words"),
    [
        ({"length_cm": 1720}, {}, "0.70 m too long: 17.20 m, the bay takes 16.50 m"),
        ({"width_cm": 310}, {}, "0.10 m too wide: 3.10 m, the bay takes 3.00 m"),
        ({"height_cm": 401}, {}, "0.01 m too high: 4.01 m, the bay takes 4.00 m"),
        ({"weight_kg": 42_500}, {}, "2.50 t too heavy: 42.50 t, the bay takes 40.00 t"),
        ({"dangerous_goods": True}, {}, "dangerous goods are not allowed in the bay"),
        ({"refrigeration": True}, {}, "the bay has no outlet for refrigeration"),
        ({"drive_through": True}, {}, "the bay is not drive-through"),
        ({"trailer": True}, {"takes_trailers": False}, "the bay takes no trailers"),
        ({"inlet_side": "LEFT"}, {"inlet_sides": frozenset(["RIGHT", "REAR"])}, "the cable does not reach an inlet on the left"),
        ({"connector_standards": frozenset([MCS])}, {}, "no plug that fits the vehicle: there is CCS"),
        ({"vehicle_types": {"BUS"}}, {"vehicle_types": {"RIGID"}}, "the bay is not for this kind of vehicle"),
    ],
)  # fmt: skip
def test_a_refusal_says_which_measure_by_how_much(
    asked: dict[str, Any], there: dict[str, Any], words: str
) -> None:
    assert misfits(Needs(**asked), bay(**there)) == [words]


def test_what_nobody_said_rules_nothing_out() -> None:
    everything = Needs(trailer=True, inlet_side="LEFT", length_cm=1650, weight_kg=40_000)

    assert misfits(everything, bay(takes_trailers=None, inlet_sides=frozenset())) == []
    assert misfits(Needs(), bay(takes_trailers=False, inlet_sides=frozenset(["REAR"]))) == []


def test_a_combination_is_as_long_and_heavy_as_both_and_as_wide_and_high_as_the_larger() -> None:
    tractor = Vehicle(
        vehicle_type="SEMI_TRACTOR",
        length_cm=620,
        width_cm=250,
        height_cm=390,
        weight_kg=11_000,
        inlet_side="LEFT",
    )
    reefer = Trailer(adds_length_cm=1050, width_cm=260, weight_kg=9_000, needs_refrigeration=True)  # fmt: skip

    both = Needs.of(tractor, reefer)

    assert (both.length_cm, both.width_cm, both.height_cm, both.weight_kg) == (1670, 260, 390, 20_000)
    assert (both.trailer, both.refrigeration, both.inlet_side) == (True, True, "LEFT")
    assert both.named_types == {"TRUCK_WITH_TRAILER"}
    assert Needs.from_json(both.to_json()) == both


def test_a_tractor_alone_fits_where_the_combination_does_not() -> None:
    tractor, trailer = Vehicle(length_cm=620, weight_kg=11_000), Trailer(adds_length_cm=1050)
    narrow = bay(max_vehicle_length_cm=1000, takes_trailers=False)

    assert misfits(Needs.of(tractor), narrow) == []
    assert misfits(Needs.of(tractor, trailer), narrow) == [
        "6.70 m too long: 16.70 m, the bay takes 10.00 m",
        "the bay takes no trailers",
    ]


@pytest.mark.parametrize(
    ("named", "takes", "told"),
    [
        ([], None, []),
        (["RIGID"], None, ["RIGID"]),
        (["RIGID"], True, ["RIGID", "TRUCK_WITH_TRAILER"]),
        (["RIGID", "TRUCK_WITH_TRAILER"], False, ["RIGID"]),
        (["BUS"], True, ["BUS"]),
    ],
)
def test_others_are_told_whether_trailers_fit_as_kinds_of_vehicles(
    named: list[str], takes: bool | None, told: list[str]
) -> None:
    assert types_taken(Evse(vehicle_types=named, takes_trailers=takes)) == told


def test_a_bay_without_kinds_that_takes_no_trailers_names_all_others() -> None:
    told = types_taken(Evse(vehicle_types=[], takes_trailers=False))

    assert "RIGID" in told
    assert not [name for name in told if name.endswith("_WITH_TRAILER")]


sizes = st.one_of(st.none(), st.integers(1, 5000))
flags = st.booleans()


@st.composite
def wanted(draw: st.DrawFn) -> Needs:
    return Needs(
        vehicle_types=draw(st.frozensets(st.sampled_from(["BUS", "RIGID"]), max_size=2)),
        connector_standards=draw(st.frozensets(st.sampled_from([CCS, MCS]), max_size=2)),
        length_cm=draw(sizes), width_cm=draw(sizes), height_cm=draw(sizes), weight_kg=draw(sizes),
        dangerous_goods=draw(flags), refrigeration=draw(flags), drive_through=draw(flags), trailer=draw(flags),
        inlet_side=draw(st.sampled_from(["", "LEFT", "REAR"])),
    )  # fmt: skip


@st.composite
def bays(draw: st.DrawFn) -> Bay:
    return bay(
        plugs=draw(st.frozensets(st.sampled_from([CCS, MCS]), max_size=2)),
        vehicle_types=draw(st.frozensets(st.sampled_from(["BUS", "RIGID"]), max_size=2)),
        drive_through=draw(flags), dangerous_goods_allowed=draw(flags), refrigeration_outlet=draw(flags),
        takes_trailers=draw(st.sampled_from([None, True, False])),
        inlet_sides=draw(st.frozensets(st.sampled_from(["LEFT", "REAR"]), max_size=2)),
        **{name: draw(sizes) for name in MEASURES},
    )  # fmt: skip


@given(asked=wanted(), there=bays(), by=st.integers(0, 1000), name=st.sampled_from(sorted(MEASURES)))
def test_a_larger_or_better_fitted_bay_never_fits_less(asked: Needs, there: Bay, by: int, name: str) -> None:
    """Larger in one measure, or with all that a bay may have."""
    most = getattr(there, name)
    larger = replace(there, **{name: most and most + by})
    fitted = replace(
        larger, drive_through=True, dangerous_goods_allowed=True, refrigeration_outlet=True, takes_trailers=True,
        inlet_sides=frozenset(),
    )  # fmt: skip

    assert len(misfits(asked, fitted)) <= len(misfits(asked, larger)) <= len(misfits(asked, there))
