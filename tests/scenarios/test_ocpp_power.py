"""Power over real sockets: a booked truck is given its promise, another gives way first, and a restart restores it."""

from __future__ import annotations

import pytest

from bookings import smart_charging
from bookings.models import ChargingProfile
from depots.models import Charger, ChargerCommand
from tests.bookings.enforcement.online_chargers import book
from tests.factories import make_charger, make_depot, make_evse, slot
from tests.scenarios.bed import Bed, ScriptedCharger, eventually

KW = 1000


@pytest.fixture
def rows(transactional_db) -> list[Charger]:
    """Two chargers of 300 kW at a connection of 320 kW, whose own terms let anybody charge."""
    terms = {
        "walk_in": "anybody",
        "early_start_min": 15,
        "turnaround_min": 0,
        "lead_min": 0,
        "slot_step_min": 1,
    }
    depot = make_depot(grid_limit_w=320 * KW, terms=terms)
    rows = [make_charger(depot), make_charger(depot)]
    for row in rows:
        make_evse(charger=row, max_power_w=300 * KW)
    return rows


def online(bed: Bed, row: Charger, protocol: str) -> ScriptedCharger:
    charger = bed.charger(row, protocol, evses={1: 300 * KW})
    charger.come_online()
    eventually(lambda: Charger.objects.get(pk=row.pk).told.get("smart_charging"))
    return charger


def settle(bed: Bed, row: Charger) -> None:
    """Plan until chargers hold what is wanted."""

    def is_settled() -> bool:
        bed.clock.advance(seconds=3)
        smart_charging.plan_due(now=bed.clock())
        eventually(lambda: not ChargerCommand.objects.filter(state__in=["queued", "sent"]).exists())
        profiles = ChargingProfile.objects.filter(evse__depot=row.depot_id)
        return all(p.accepted_w == p.wanted_w and p.sent_w is None for p in profiles) and bool(profiles)

    eventually(is_settled)


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
def test_a_booked_truck_gets_its_promise_and_another_gives_way_first(bed: Bed, rows, protocol):
    here, there = (online(bed, row, protocol) for row in rows)
    settle(bed, rows[0])
    assert here.station.offered_w(1) + there.station.offered_w(1) <= 320 * KW
    there.start(1, "04WALKIN")
    settle(bed, rows[0])
    assert there.station.offered_w(1) == 300 * KW
    booking = book(rows[0].evses.get(), slot(8, 10), now=bed.clock(), power_w=250 * KW)

    here.tap(1, booking.tokens.get().uid)
    settle(bed, rows[0])

    assert here.station.offered_w(1) >= 250 * KW
    assert here.station.offered_w(1) + there.station.offered_w(1) <= 320 * KW
    profile = ChargingProfile.objects.get(evse__charger=rows[0], purpose="tx")
    assert here.station.profiles.installed[profile.pk].purpose == "TxProfile"
    here.station.profiles.forget()
    here.boot("PowerUp")
    settle(bed, rows[0])
    assert here.station.offered_w(1) >= 250 * KW
    here.stop(1)
    settle(bed, rows[0])
    assert profile.pk not in here.station.profiles.installed
    assert there.station.offered_w(1) == 300 * KW
