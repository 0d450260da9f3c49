"""What the values of a session's meter mean: the bill is made of them."""

from __future__ import annotations

import pytest

from depots.models import Charger, ChargingSession
from tests.depots.charging import CARD, MINUTE, both, event, meter, start, stop, wh
from tests.factories import NOW, make_evse

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("gate")]


def test_the_bill_of_2x_is_the_registers_of_begin_and_end(evse):
    event(evse, "started", 0, NOW, wh(1000, NOW), token_uid=CARD)
    event(evse, "updated", 1, NOW + MINUTE, wh(2000, NOW + MINUTE))
    session = event(evse, "ended", 2, NOW + 2 * MINUTE, wh(4000, NOW + 2 * MINUTE))

    assert (session.energy_wh, session.flags) == (3000, [])


@pytest.mark.parametrize("places", [("Inlet", "Body", "Inlet"), ("Body",) * 3, ("Body", "Inlet", "Body")])
def test_one_register_may_stand_anywhere(evse, places):
    event(evse, "started", 0, NOW, wh(50_000, NOW, places[0]), token_uid=CARD)
    event(evse, "updated", 1, NOW + MINUTE, wh(80_000, NOW + MINUTE, places[1]))
    session = event(evse, "ended", 2, NOW + 2 * MINUTE, wh(90_000, NOW + 2 * MINUTE, places[2]))

    assert (session.energy_wh, session.flags) == (40_000, [])


def test_of_two_registers_the_one_of_the_start_counts_throughout(evse):
    event(evse, "started", 0, NOW, both(100, 50_000, NOW), token_uid=CARD)
    event(evse, "updated", 1, NOW + MINUTE, wh(52_000, NOW + MINUTE, "Inlet"))
    running = ChargingSession.objects.get()
    session = event(evse, "ended", 2, NOW + 2 * MINUTE, both(2100, 53_000, NOW + 2 * MINUTE))

    assert (running.energy_wh, running.flags) == (0, ["other_meter"])
    assert session.energy_wh == 2000


def test_a_register_that_appears_later_is_another_one(evse):
    event(evse, "started", 0, NOW, wh(50_000, NOW, "Inlet"), token_uid=CARD)
    event(evse, "updated", 1, NOW + MINUTE, both(7, 51_000, NOW + MINUTE))
    session = event(evse, "ended", 2, NOW + 2 * MINUTE, wh(9, NOW + 2 * MINUTE))

    assert session.energy_wh == 1000
    assert session.flags == ["other_meter", "no_meter_stop"]


def test_a_value_that_no_vehicle_takes_is_an_error_of_the_meter(evse):
    event(evse, "started", 0, NOW, wh(1000, NOW), token_uid=CARD)
    event(evse, "updated", 1, NOW + MINUTE, wh(4_294_967_295, NOW + MINUTE))
    session = event(evse, "ended", 2, NOW + 2 * MINUTE, wh(4000, NOW + 2 * MINUTE))

    assert (session.energy_wh, session.flags) == (3000, ["bad_meter"])


def test_a_meter_that_began_anew_leaves_the_energy_unknown(evse):
    event(evse, "started", 0, NOW, wh(90_000, NOW), token_uid=CARD)
    session = event(evse, "ended", 1, NOW + MINUTE, wh(500, NOW + MINUTE))

    assert (session.energy_wh, session.flags) == (None, ["bad_meter"])


def test_without_a_value_at_the_end_the_last_one_stands_in(evse):
    event(evse, "started", 0, NOW, wh(1000, NOW), token_uid=CARD)
    event(evse, "updated", 1, NOW + MINUTE, wh(2000, NOW + MINUTE))
    session = event(evse, "ended", 2, NOW + 2 * MINUTE)

    assert (session.energy_wh, session.flags) == (1000, ["no_meter_stop"])


def test_without_a_value_at_the_start_the_first_one_stands_in(evse):
    event(evse, "started", 0, NOW, token_uid=CARD)
    event(evse, "updated", 1, NOW + MINUTE, wh(2000, NOW + MINUTE))
    session = event(evse, "ended", 2, NOW + 2 * MINUTE, wh(5000, NOW + 2 * MINUTE))

    assert (session.energy_wh, session.flags) == (3000, ["no_meter_start"])


def test_one_value_alone_tells_no_energy(evse):
    event(evse, "started", 0, NOW, token_uid=CARD)
    session = event(evse, "ended", 1, NOW + MINUTE, wh(5000, NOW + MINUTE))

    assert (session.energy_wh, session.flags) == (None, ["no_meter_start"])


def test_a_value_of_the_begin_that_comes_late_is_the_start(evse):
    event(evse, "started", 0, NOW, token_uid=CARD)
    readings = [wh(1000, NOW, is_begin=True), wh(5000, NOW + MINUTE)]
    session = event(evse, "ended", 1, NOW + MINUTE, *readings)

    assert (session.energy_wh, session.flags) == (4000, [])


@pytest.mark.parametrize(
    ("told", "energy_wh", "flags"),
    [
        (5000, 4000, []),
        (None, 1500, ["no_meter_stop"]),
        (-1, 1500, ["bad_meter", "no_meter_stop"]),
        (10**30, 1500, ["bad_meter", "no_meter_stop"]),
        (4_294_967_295, 1500, ["bad_meter"]),
        (999, None, ["bad_meter"]),
        (1000, 0, []),
    ],
)
def test_the_bill_of_1_6_is_the_meter_of_start_and_stop(evse, told, energy_wh, flags):
    session = start(evse)
    meter(evse, wh(2500, NOW + MINUTE), now=NOW + MINUTE, transaction=session.transaction)
    session = stop(session, NOW + 2 * MINUTE, meter_wh=told)

    assert (session.energy_wh, session.flags) == (energy_wh, flags)


def test_a_stop_without_its_meter_may_be_told_again_with_it(evse):
    session = start(evse)
    stop(session, NOW + MINUTE, meter_wh=None)
    session = stop(session, NOW + MINUTE, meter_wh=3000)

    assert (session.energy_wh, session.flags) == (2000, [])


def test_a_start_without_its_meter_is_known_from_its_samples(evse):
    session = start(evse, meter_wh=None, flags=["no_meter_start"])
    meter(evse, wh(2000, NOW), now=NOW, transaction=session.transaction)
    session = stop(session, NOW + MINUTE, readings=[wh(2500, NOW + MINUTE)], meter_wh=2600)

    assert (session.energy_wh, session.flags) == (600, ["no_meter_start"])


def test_old_samples_that_name_no_transaction_are_not_of_the_one_that_runs(evse):
    start(evse, NOW)
    late = NOW + MINUTE

    meter(evse, wh(900_000, NOW - 30 * MINUTE), wh(1200, late), now=late, transaction="-1")

    assert ChargingSession.objects.get().energy_wh == 200


def test_samples_of_a_wrong_clock_are_of_now(evse):
    Charger.objects.update(clock_offset_s=3600, clock_seen_at=NOW)
    session = start(evse, at=NOW + 60 * MINUTE)
    late = NOW + 5 * MINUTE

    meter(evse, wh(1500, late + 60 * MINUTE), now=late, transaction=session.transaction)
    session = stop(session, late, at=late + 60 * MINUTE)

    assert session.readings.get().at == session.ended_at == late
    assert (session.started_at, session.flags) == (NOW, ["wrong_clock"])


def test_samples_told_twice_are_one_reading_whatever_their_clock(evse):
    for now in (NOW, NOW + MINUTE):
        session = start(evse, NOW)
        meter(evse, wh(1500, NOW + 10 * MINUTE), now=now, transaction=session.transaction)

    assert session.readings.count() == 1


def test_what_was_odd_about_samples_is_flagged(evse):
    start(evse)

    meter(evse, now=NOW, flags=["malformed", "set_aside"])

    assert ChargingSession.objects.get().flags == ["malformed", "set_aside"]


def test_a_charger_with_one_evse_need_not_name_it(gate):
    only = make_evse()

    assert start(only, evse_number=None).evse == only
    assert start(make_evse(charger=only.charger), NOW + MINUTE, evse_number=None).evse is None
