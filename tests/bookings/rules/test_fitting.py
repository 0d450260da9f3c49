"""Which EVSE suits a vehicle best: a value to sort by, no tables but plugs."""

from __future__ import annotations

from typing import Any

import pytest

from bookings.rules.fit import Needs, tightness
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
